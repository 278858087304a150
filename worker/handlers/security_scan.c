/* security_scan: looks at a server from outside: open ports, TLS, HTTP headers, cookies. docs/handlers.md
 * says what goes in and comes out; the looking is done in worker/scan/. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handler.h"
#include "http_call.h"
#include "outgoing.h"
#include "scan/scan.h"

#define PORTS_DEFAULT                                                                                        \
    21, 22, 23, 25, 53, 80, 110, 143, 389, 443, 445, 465, 587, 636, 993, 995, 1433, 1521, 2049, 2375, 3000,  \
        3306, 3389, 5000, 5432, 5672, 5900, 6379, 8000, 8080, 8443, 9090, 9200, 11211, 27017

typedef enum { PORTS = 1, TLS = 2, HEADERS = 4, COOKIES = 8, FULL = 15 } part_t;

static struct {
    char *targets;
} settings;

/* Filled in settings_check. */
static tf_outgoing_t targets;

static const tf_setting_t settings_table[] = {
    {"TASKFORGE_SCAN_TARGETS", TF_SETTING_TEXT, 0, "", 0, 0,
     "networks, addresses, names and .domains that security_scan may look at"},
};

static bool settings_check(char *error, size_t error_size)
{
    char why[200];

    tf_outgoing_free(&targets);
    if (tf_outgoing_init(&targets, settings.targets, "", why, sizeof(why))) {
        return true;
    }
    snprintf(error, error_size, "TASKFORGE_SCAN_TARGETS: %s", why);
    return false;
}

TF_HANDLER_SETTINGS(security_scan) = {settings_table, 1, &settings, settings_check};

/* The target is a host or a URL. */
static bool read_target(tfw_scan_t *scan, tf_url_t *url)
{
    const char *target = json_string_value(json_object_get(tfw_run_payload(scan->run), "target")), *why,
               *path;
    char text[TF_URL_MAX + 1];

    if (!target || strlen(target) > TF_URL_MAX - 10) {
        tfw_run_error(scan->run, "payload: \"target\" must be a host or a URL");
        return false;
    }
    snprintf(text, sizeof(text), "%s%s", strstr(target, "://") ? "" : "https://", target);
    why = tf_url_parse(text, strlen(text), url);
    if (why) {
        tfw_run_error(scan->run, "payload: \"target\" %s", why);
        return false;
    }
    path = text + strlen(url->https ? "https://" : "http://");
    path += strcspn(path, "/?");
    snprintf(scan->path, sizeof(scan->path), "%s%s", *path == '/' ? "" : "/", path);
    snprintf(scan->host, sizeof(scan->host), "%.*s", (int)url->host.len, url->host.data);
    url->host = (tf_str_t){scan->host, strlen(scan->host)};
    scan->https = url->https;
    scan->port = url->port;
    scan->literal = url->literal;
    return true;
}

static bool read_ports(tfw_scan_t *scan)
{
    static const uint16_t usual[] = {PORTS_DEFAULT};
    const json_t *ports = json_object_get(tfw_run_payload(scan->run), "ports");
    size_t count = json_array_size(ports);
    bool ok = !ports || (json_is_array(ports) && count > 0 && count <= TFW_SCAN_PORTS_MAX);

    for (size_t i = 0; ok && i < count; i++) {
        json_int_t port = json_integer_value(json_array_get(ports, i));

        ok = port >= 1 && port <= 65535;
        scan->ports[i] = (uint16_t)port;
    }
    if (!ok) {
        tfw_run_error(scan->run, "payload: \"ports\" must be a list of 1 to %d ports", TFW_SCAN_PORTS_MAX);
        return false;
    }
    scan->nports = count;
    if (!ports) {
        memcpy(scan->ports, usual, sizeof(usual));
        scan->nports = sizeof(usual) / sizeof(usual[0]);
    }
    return true;
}

enum { HTTP = 80, HTTPS = 443 };

static bool read_rest(tfw_scan_t *scan, const char **type, int *parts)
{
    static const struct {
        const char *name;
        int parts;
    } types[] = {{"full", FULL}, {"ports", PORTS}, {"tls", TLS}, {"headers", HEADERS}, {"cookies", COOKIES}};
    const json_t *payload = tfw_run_payload(scan->run), *wanted = json_object_get(payload, "scan_type"),
                 *timeout = json_object_get(payload, "timeout"),
                 *http_port = json_object_get(payload, "http_port");
    json_int_t plain = http_port ? json_integer_value(http_port) : scan->port == HTTPS ? HTTP : 0;
    json_int_t seconds = timeout ? json_integer_value(timeout) : 5;

    *type = wanted ? json_string_value(wanted) : "full";
    for (size_t i = 0; *type && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(*type, types[i].name) == 0) {
            *parts = types[i].parts;
        }
    }
    if (*parts == 0) {
        tfw_run_error(scan->run, "payload: \"scan_type\" must be full, ports, tls, headers or cookies");
        return false;
    }
    if ((timeout && !json_is_integer(timeout)) || seconds < 1 || seconds > 30) {
        tfw_run_error(scan->run, "payload: \"timeout\" must be an integer from 1 to 30");
        return false;
    }
    if (http_port && (plain < 1 || plain > 65535)) {
        tfw_run_error(scan->run, "payload: \"http_port\" must be a port");
        return false;
    }
    scan->timeout_ms = seconds * 1000;
    scan->http_port = (uint16_t)plain;
    return true;
}

/* NULL: this address of the target may be looked at. A name on the list stands for public and private
 * addresses; loopback, link-local and the like, where clouds keep their metadata, must be named themselves.
 */
static const char *refusal(const tf_url_t *url, const tf_address_t *address)
{
    static const tf_outgoing_t none;
    const tf_url_t literal = {.literal = true, .host = {"", 0}, .address = *address};
    const char *why;

    if (tf_outgoing_names(&targets, &literal)) {
        return NULL;
    }
    if (!tf_outgoing_names(&targets, url)) {
        return "is not on the list TASKFORGE_SCAN_TARGETS";
    }
    why = tf_outgoing_refusal(&none, url->host, address);
    return why && strcmp(why, "is a private address") == 0 ? NULL : why;
}

/* The first address that may be looked at. It is the one that everything is sent to. */
static tfw_outcome_t resolve(tfw_scan_t *scan, const tf_url_t *url)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = url->literal ? AI_NUMERICHOST : 0},
                    *list = NULL;
    const char *why = "has no address";
    char text[TF_ADDRESS_TEXT_SIZE] = "";
    int failed = getaddrinfo(scan->host, NULL, &hints, &list);

    if (failed) {
        tfw_run_error(scan->run, "%s: %s", scan->host, gai_strerror(failed));
        return failed == EAI_NONAME ? TFW_PERMANENT : TFW_RETRY;
    }
    for (struct addrinfo *at = list; at && why; at = at->ai_next) {
        tf_address_t address;

        if (tf_address_from(&address, at->ai_addr)) {
            tf_address_text(&address, text);
            why = refusal(url, &address);
            memcpy(&scan->address, at->ai_addr, at->ai_addrlen);
            scan->address_len = at->ai_addrlen;
        }
    }
    freeaddrinfo(list);
    if (why) {
        tfw_run_error(scan->run, "refused: %s: %s %s", scan->host, text, why);
        return TFW_PERMANENT;
    }
    return TFW_OK;
}

/* From 100 (nothing found) down to 0, each finding by its severity; null where nothing could be looked at. */
static void write_score(const tfw_scan_t *scan, tf_buf_t *json)
{
    static const int costs[TFW_SEVERITIES] = {
        [TFW_INFO] = 0, [TFW_LOW] = 3, [TFW_MEDIUM] = 10, [TFW_HIGH] = 20, [TFW_CRITICAL] = 40};
    static const struct {
        int from;
        const char *grade;
    } grades[] = {{90, "A"}, {75, "B"}, {60, "C"}, {40, "D"}, {0, "F"}};
    int score = 100, i = 0;

    for (int severity = 0; severity < TFW_SEVERITIES; severity++) {
        score -= costs[severity] * scan->counts[severity];
    }
    score = score > 0 ? score : 0;
    if (!scan->seen) {
        tf_json_kraw(json, "score", NULL, 0);
        tf_json_kraw(json, "grade", NULL, 0);
        return;
    }
    while (score < grades[i].from) {
        i++;
    }
    tf_json_kint(json, "score", score);
    tf_json_kcstr(json, "grade", grades[i].grade);
}

static void write_result(tfw_scan_t *scan, const char *type, const tf_buf_t *parts, const tf_buf_t *errors)
{
    static const char *const names[] = {"info", "low", "medium", "high", "critical"};
    tf_buf_t json = TF_BUF_INIT;

    tf_buf_addc(&json, '{');
    tf_json_kcstr(&json, "target", json_string_value(json_object_get(tfw_run_payload(scan->run), "target")));
    tf_json_kcstr(&json, "scan_type", type);
    if (parts->len > 0) {
        tf_buf_addc(&json, ',');
        tf_buf_add(&json, parts->data, parts->len);
    }
    tf_json_key(&json, "findings");
    tf_buf_addc(&json, '[');
    tf_buf_add(&json, scan->findings.data, scan->findings.len);
    tf_buf_addc(&json, ']');
    tf_json_key(&json, "summary");
    tf_buf_addc(&json, '{');
    for (int i = TFW_SEVERITIES; i-- > 0;) {
        tf_json_kint(&json, names[i], scan->counts[i]);
    }
    tf_buf_addc(&json, '}');
    write_score(scan, &json);
    tf_json_key(&json, "errors");
    tf_buf_addc(&json, '[');
    tf_buf_add(&json, errors->data, errors->len);
    tf_buf_adds(&json, "]}");
    tfw_run_result(scan->run, tf_buf_cstr(&json), json.len);
    tf_buf_free(&json);
}

/* One of TLS and the web was looked at, or not: why. */
static void note(tfw_scan_t *scan, bool ok, tf_buf_t *errors, const char *text)
{
    scan->seen = scan->seen || ok;
    if (ok) {
        return;
    }
    tfw_run_log(scan->run, "warning", "%s: %s", scan->host, text);
    if (errors->len > 0) {
        tf_buf_addc(errors, ',');
    }
    tf_json_str(errors, text, strlen(text));
}

/* What cannot be looked at is an error of the job if nothing else was asked for. */
static tfw_outcome_t look(tfw_scan_t *scan, int parts, const char *type)
{
    tf_buf_t result = TF_BUF_INIT, errors = TF_BUF_INIT;
    tfw_outcome_t outcome = TFW_OK;
    char error[200] = "";
    bool ok;

    scan->seen = parts == PORTS; /* that none is open is what it was to find out */
    if (parts & PORTS) {
        tfw_run_log(scan->run, "info", "%s: %zu ports", scan->host, scan->nports);
        tfw_scan_ports(scan, &result);
    }
    if ((parts & TLS) && scan->https) {
        tfw_run_log(scan->run, "info", "%s: TLS at port %u", scan->host, scan->port);
        ok = tfw_scan_tls_all(scan, &result, error, sizeof(error));
        note(scan, ok, &errors, error);
    }
    tfw_run_progress(scan->run, 80);
    if (parts & (HEADERS | COOKIES)) {
        tfw_run_log(scan->run, "info", "%s: HTTP at port %u", scan->host, scan->port);
        ok =
            tfw_scan_web(scan, (parts & HEADERS) != 0, (parts & COOKIES) != 0, &result, error, sizeof(error));
        note(scan, ok, &errors, error);
    }
    if (tfw_run_cancelled(scan->run)) {
        outcome = TFW_CANCELLED;
    } else if (errors.len > 0 && parts != FULL) {
        tfw_run_error(scan->run, "%s: %s", scan->host, error);
        outcome = TFW_RETRY;
    }
    write_result(scan, type, &result, &errors);
    tf_buf_free(&result);
    tf_buf_free(&errors);
    return outcome;
}

static tfw_outcome_t security_scan_run(tfw_run_t *run)
{
    tfw_scan_t *scan = calloc(1, sizeof(*scan));
    tfw_outcome_t outcome = TFW_PERMANENT;
    const char *type;
    int parts = 0;
    tf_url_t url;

    if (!scan) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    scan->run = run;
    scan->ca_file = tfw_run_http(run)->ca_file;
    if (targets.nallow == 0) {
        tfw_run_error(run, "nothing may be scanned: TASKFORGE_SCAN_TARGETS is empty");
    } else if (read_target(scan, &url) && read_ports(scan) && read_rest(scan, &type, &parts)) {
        if (parts == TLS && !scan->https) {
            tfw_run_error(run, "payload: \"target\" must be a host or begin with https:// for a scan of TLS");
        } else {
            outcome = resolve(scan, &url);
            outcome = outcome == TFW_OK ? look(scan, parts, type) : outcome;
        }
    }
    tf_buf_free(&scan->findings);
    free(scan);
    return outcome;
}

TF_HANDLER(security_scan) = {
    .type = "security_scan",
    .description = "Looks at a server: open ports, TLS and its certificate, HTTP headers, cookies.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"target\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2038,\"description\":\"a host, with "
        ":port or "
        "without, or a URL; it must be on the list "
        "TASKFORGE_SCAN_TARGETS\",\"examples\":[\"www.example.com\"]},"
        "\"scan_type\":{\"enum\":[\"full\",\"ports\",\"tls\",\"headers\",\"cookies\"],\"default\":\"full\"},"
        "\"ports\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":1024,\"items\":{\"type\":\"integer\","
        "\"minimum\":1,\"maximum\":65535},\"description\":\"that are tried; default: 35 that are well "
        "known\"},"
        "\"timeout\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":30,\"default\":5,\"description\":"
        "\"seconds "
        "for each connection\"},\"http_port\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":65535,"
        "\"description\":\"where plain HTTP should lead to https; default: 80, if https is on "
        "443\"}},\"required\":[\"target\"],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 900,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = security_scan_run,
};
