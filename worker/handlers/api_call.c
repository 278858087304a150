/* api_call: one HTTP request, and whether the answer is what the job wants. */
#include <curl/curl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "call/assertions.h"
#include "call/caller_headers.h"
#include "handler.h"
#include "http_call.h"
#include "job.h"
#include "run.h"
#include "submission.h"
#include "uuid.h"

#define REDIRECTS_MAX 10
#define TIMEOUT_SECONDS 30
#define TIMEOUT_SECONDS_MAX 300
#define BODY_MAX (1 << 20)      /* bytes of a request's */
#define LIST_MAX 32             /* of statuses */
#define HEADERS_SHOWN_MAX 16384 /* bytes */
#define ERROR_BODY 600          /* bytes of an answer in an error */

typedef struct {
    tfw_run_t *run;
    const json_t *payload;
    const char *method;
    tf_buf_t url, body;
    bool with_body;
    tfw_caller_headers_t headers;
    tfw_http_request_t request;
    tfw_http_answer_t answer;
} call_t;

static bool fail(const call_t *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Something is wrong with the payload. Returns false. */
static bool fail(const call_t *c, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tfw_run_error(c->run, "payload: %s", text);
    return false;
}

/* ---- the request ---- */

/* Appends "name=value" with what must not stand in a query as %XX. false: out of memory. */
static bool add_argument(tf_buf_t *url, const char *name, const char *value, size_t value_len)
{
    char *encoded[2] = {curl_easy_escape(NULL, name, (int)strlen(name)),
                        value_len ? curl_easy_escape(NULL, value, (int)value_len) : NULL};
    bool ok = encoded[0] && (encoded[1] || !value_len);

    if (ok) {
        tf_buf_addc(url, url->len && memchr(url->data, '?', url->len) ? '&' : '?');
        tf_buf_adds(url, encoded[0]);
        tf_buf_addc(url, '=');
        tf_buf_adds(url, encoded[1] ? encoded[1] : "");
    }
    curl_free(encoded[0]);
    curl_free(encoded[1]);
    return ok && !url->failed;
}

/* A text, a number, true or false. */
static bool add_value(const call_t *c, tf_buf_t *url, const char *name, const json_t *value)
{
    tf_buf_t text = TF_BUF_INIT;
    bool ok = true;

    if (json_is_string(value)) {
        tf_buf_add(&text, json_string_value(value), json_string_length(value));
    } else if (json_is_integer(value)) {
        tf_buf_addi(&text, json_integer_value(value));
    } else if (json_is_real(value)) {
        tf_json_double(&text, json_real_value(value));
    } else if (json_is_boolean(value)) {
        tf_buf_adds(&text, json_is_true(value) ? "true" : "false");
    } else {
        ok = fail(c, "\"query\": %.64s must be a text, a number, true or false, or a list of those", name);
    }
    if (ok && !add_argument(url, name, text.len ? text.data : "", text.len)) {
        ok = fail(c, "\"query\": out of memory");
    }
    tf_buf_free(&text);
    return ok;
}

static bool add_query(call_t *c)
{
    const json_t *query = json_object_get(c->payload, "query");
    const char *name;
    json_t *value;

    if (query && !json_is_object(query)) {
        return fail(c, "\"query\" must be an object");
    }
    json_object_foreach((json_t *)query, name, value)
    {
        size_t n = json_is_array(value) ? json_array_size(value) : 1;

        for (size_t i = 0; i < n; i++) {
            if (!add_value(c, &c->url, name, json_is_array(value) ? json_array_get(value, i) : value)) {
                return false;
            }
        }
    }
    return true;
}

static bool read_url(call_t *c, tf_url_t *url)
{
    const json_t *text = json_object_get(c->payload, "url"), *other = json_object_get(c->payload, "endpoint");
    const char *why;

    if ((text != NULL) == (other != NULL)) {
        return fail(c, "needs \"url\" or \"endpoint\", which mean the same");
    }
    if (!json_is_string(text ? text : other)) {
        return fail(c, "\"url\" must be a text");
    }
    tf_buf_adds(&c->url, json_string_value(text ? text : other));
    if (!add_query(c)) {
        return false;
    }
    why = tf_url_parse(tf_buf_cstr(&c->url), c->url.len, url);
    c->request.url = tf_buf_cstr(&c->url);
    return !why || fail(c, "\"url\" %s", why);
}

static bool read_body(call_t *c)
{
    const json_t *text = json_object_get(c->payload, "body"), *json = json_object_get(c->payload, "json");

    if (text && json) {
        return fail(c, "\"body\" and \"json\" exclude each other");
    }
    if (text && !json_is_string(text)) {
        return fail(c, "\"body\" must be a text; other values go into \"json\"");
    }
    c->with_body = text || json;
    if (text) {
        tf_buf_add(&c->body, json_string_value(text), json_string_length(text));
    } else if (json) {
        char *dump = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);

        tf_buf_adds(&c->body, dump ? dump : "");
        c->body.failed = c->body.failed || !dump;
        free(dump);
    }
    if (c->body.failed || c->body.len > BODY_MAX) {
        return fail(c, "the body has more than %d bytes, or there is no memory for it", BODY_MAX);
    }
    c->request.body = c->with_body ? tf_buf_cstr(&c->body) : NULL;
    c->request.body_len = c->body.len;
    return true;
}

static bool read_method(call_t *c)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", NULL};
    const json_t *member = json_object_get(c->payload, "method");
    const char *const *m = methods;

    c->method = member ? json_string_value(member) : c->with_body ? "POST" : "GET";
    while (*m && (!c->method || strcmp(*m, c->method) != 0)) {
        m++;
    }
    if (!*m) {
        return fail(c, "\"method\" must be one of GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    c->request.method = c->method;
    return !c->with_body || (strcmp(c->method, "HEAD") != 0 && strcmp(c->method, "GET") != 0) ||
           fail(c, "a %s request has no body", c->method);
}

static bool read_numbers(call_t *c)
{
    const json_t *timeout = json_object_get(c->payload, "timeout_seconds"),
                 *redirects = json_object_get(c->payload, "follow_redirects");
    double seconds = timeout ? json_number_value(timeout) : TIMEOUT_SECONDS;

    if ((timeout && !json_is_number(timeout)) || !(seconds >= 0.1 && seconds <= TIMEOUT_SECONDS_MAX)) {
        return fail(c, "\"timeout_seconds\" must be a number from 0.1 to %d", TIMEOUT_SECONDS_MAX);
    }
    if (redirects && (!json_is_integer(redirects) || json_integer_value(redirects) < 0 ||
                      json_integer_value(redirects) > REDIRECTS_MAX)) {
        return fail(c, "\"follow_redirects\" must be an integer from 0 to %d", REDIRECTS_MAX);
    }
    c->request.timeout_ms = llround(seconds * 1000);
    c->request.redirects = (int)json_integer_value(redirects);
    return true;
}

/* 200, "2xx" or, with_word, "assertions" */
static bool status_valid(const json_t *item, bool with_word)
{
    const char *text = json_string_value(item);

    if (json_is_integer(item)) {
        return json_integer_value(item) >= 100 && json_integer_value(item) <= 599;
    }
    return text && ((strlen(text) == 3 && text[0] >= '1' && text[0] <= '5' && strcmp(text + 1, "xx") == 0) ||
                    (with_word && strcmp(text, "assertions") == 0));
}

static bool check_statuses(const call_t *c, const char *name, bool with_word)
{
    const json_t *list = json_object_get(c->payload, name);
    bool ok = !list || (json_is_array(list) && json_array_size(list) <= LIST_MAX);

    for (size_t i = 0; ok && i < json_array_size(list); i++) {
        ok = status_valid(json_array_get(list, i), with_word);
    }
    return ok || fail(c, "\"%s\" must be a list of at most %d of 100 to 599, \"1xx\" to \"5xx\"%s", name,
                      LIST_MAX, with_word ? " and \"assertions\"" : "");
}

/* RFC 9110, 9.2.2. Who is asked again under the same key (draft-ietf-httpapi-idempotency-key-header) need not
 * do it twice: each attempt of a job has its id. */
static bool add_own_headers(call_t *c)
{
    bool repeatable = strcmp(c->method, "POST") != 0 && strcmp(c->method, "PATCH") != 0;
    const char *trace = tfw_run_traceparent(c->run), *type = !c->with_body ? NULL
                                                             : json_object_get(c->payload, "json")
                                                                 ? "application/json"
                                                                 : "text/plain; charset=utf-8";
    char id[TF_UUID_TEXT_LEN + 1] = "";

    tf_uuid_format(tfw_run_id(c->run), id);
    return (tfw_caller_headers_add(&c->headers, "user-agent", "TaskForge/" TF_VERSION) &&
            (!type || tfw_caller_headers_add(&c->headers, "content-type", type)) &&
            (repeatable || tfw_caller_headers_add(&c->headers, "idempotency-key", id)) &&
            (!trace || tfw_caller_headers_add(&c->headers, "traceparent", trace))) ||
           fail(c, "out of memory");
}

static bool read_payload(call_t *c)
{
    char error[400];
    tf_url_t url;

    if (!read_url(c, &url) || !read_body(c) || !read_method(c) || !read_numbers(c) ||
        !check_statuses(c, "expected_status", false) || !check_statuses(c, "retry_on", true)) {
        return false;
    }
    if (!tfw_assertions_check(json_object_get(c->payload, "assertions"), error, sizeof(error)) ||
        !tfw_caller_headers_take(&c->headers, json_object_get(c->payload, "headers"), &url, error,
                                 sizeof(error))) {
        return fail(c, "%s", error);
    }
    return add_own_headers(c);
}

/* ---- the answer ---- */

/* item: as status_valid has it. */
static bool status_is(const json_t *item, int status)
{
    return json_is_integer(item) ? json_integer_value(item) == status
                                 : status / 100 == json_string_value(item)[0] - '0';
}

/* Whether the status is on the job's list, or, without one, on the usual. */
static bool status_among(const call_t *c, const char *name, bool usual)
{
    const json_t *list = json_object_get(c->payload, name);

    for (size_t i = 0; i < json_array_size(list); i++) {
        if (status_is(json_array_get(list, i), c->answer.status)) {
            return true;
        }
    }
    return !list && usual;
}

static bool retries_assertions(const call_t *c)
{
    const json_t *list = json_object_get(c->payload, "retry_on");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));

        if (word && strcmp(word, "assertions") == 0) {
            return true;
        }
    }
    return false;
}

/* Who comes again later may fare better: RFC 9110, 15.5 and 15.6, RFC 6585, RFC 8470. */
static bool passing(int status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

static void mask(const call_t *c, tf_buf_t *text)
{
    text->len = tfw_caller_headers_mask(&c->headers, text->data, text->len);
}

/* Appends `, "headers": {...}`: names in lower case, those that are there twice joined (RFC 9110, 5.3). */
static void write_headers(const call_t *c, tf_buf_t *out)
{
    json_t *object = json_object();
    const char *line = c->answer.headers.data, *end = line + c->answer.headers.len, *next;
    size_t shown = 0;
    char *dump;

    for (; object && line < end && shown < HEADERS_SHOWN_MAX; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line)), *colon;
        tf_buf_t name = TF_BUF_INIT, value = TF_BUF_INIT;
        const char *before;

        next = stop + 1; /* each line has its end */
        colon = memchr(line, ':', (size_t)(stop - line));
        if (!colon) {
            continue;
        }
        for (const char *p = line; p < colon; p++) {
            tf_buf_addc(&name, (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p));
        }
        before = json_string_value(json_object_get(object, tf_buf_cstr(&name)));
        tf_buf_addf(&value, "%s%s", before ? before : "", before ? ", " : "");
        colon += 1 + strspn(colon + 1, " \t");
        tf_buf_add(&value, colon, colon < stop ? (size_t)(stop - colon) : 0);
        mask(c, &value);
        value.len = tfw_text_clean(value.data, value.len, value.len);
        if (tf_utf8_valid(tf_buf_cstr(&name), name.len)) {
            json_object_set_new(object, name.data, json_stringn(tf_buf_cstr(&value), value.len));
        }
        shown += (size_t)(stop - line);
        tf_buf_free(&name);
        tf_buf_free(&value);
    }
    dump = object ? json_dumps(object, JSON_COMPACT) : NULL;
    tf_json_kraw(out, "headers", dump ? dump : "{}", strlen(dump ? dump : "{}"));
    free(dump);
    json_decref(object);
}

/* The result, with so many bytes of the body; json: that it is JSON and is given as such. */
static void write_result(const call_t *c, tf_buf_t *out, bool json, size_t kept, const tf_buf_t *assertions)
{
    const tfw_http_answer_t *answer = &c->answer;
    tf_buf_t url = TF_BUF_INIT;

    tf_buf_adds(&url, answer->url);
    mask(c, &url);
    tf_buf_addc(out, '{');
    tf_json_kint(out, "status_code", answer->status);
    write_headers(c, out);
    if (json) {
        tf_json_kraw(out, "json", answer->body.data, answer->body.len);
    } else {
        tf_json_kstr(out, "body", kept ? answer->body.data : "", kept);
    }
    tf_json_kbool(out, "body_truncated", !json && (answer->cut || kept < answer->body.len));
    tf_json_kint(out, "bytes", (int64_t)answer->body_read);
    tf_json_kint(out, "duration_ms", answer->duration_us / 1000);
    tf_json_kstr(out, "url", url.data, url.len);
    tf_json_kint(out, "redirects", answer->redirected);
    if (assertions->len) {
        tf_json_kraw(out, "assertions", assertions->data, assertions->len);
    }
    tf_buf_addc(out, '}');
    tf_buf_free(&url);
}

/* What does not fit into a result is cut, however the writing of it swells. */
static tfw_outcome_t give_result(const call_t *c, bool json, const tf_buf_t *assertions)
{
    size_t kept = c->answer.body.len, max = tfw_run_result_max(c->run);
    tf_buf_t out = TF_BUF_INIT;

    write_result(c, &out, json, kept, assertions);
    while (!out.failed && out.len > max && kept) {
        kept = tf_utf8_span(c->answer.body.data, kept / 2);
        tf_buf_reset(&out);
        write_result(c, &out, false, kept, assertions);
    }
    if (out.failed) {
        tfw_run_error(c->run, "out of memory");
    } else {
        tfw_run_result(c->run, out.data, out.len);
    }
    tf_buf_free(&out);
    return out.failed ? TFW_RETRY : TFW_OK;
}

/* ": " and the beginning of the body */
static void add_excerpt(call_t *c, tf_buf_t *error)
{
    tfw_http_answer_t *answer = &c->answer;
    size_t len = answer->body.len < ERROR_BODY ? answer->body.len : ERROR_BODY;

    if (len) {
        len = tfw_text_clean(answer->body.data, answer->body.len, len);
        tf_buf_adds(error, ": ");
        tf_buf_add(error, answer->body.data, len);
    }
}

static void give_error(const call_t *c, tf_buf_t *error)
{
    mask(c, error);
    tfw_run_error(c->run, "%s", tf_buf_cstr(error));
}

static tfw_outcome_t no_answer(const call_t *c)
{
    tf_buf_t error = TF_BUF_INIT;

    if (!c->answer.refused) {
        tf_buf_addf(&error, "no answer after %lld ms: ", (long long)(c->answer.duration_us / 1000));
    }
    tf_buf_adds(&error, c->answer.error);
    give_error(c, &error);
    tf_buf_free(&error);
    return c->answer.refused ? TFW_PERMANENT : TFW_RETRY;
}

static tfw_outcome_t unexpected(call_t *c)
{
    tfw_http_answer_t *answer = &c->answer;
    const json_t *wanted = json_object_get(c->payload, "expected_status");
    tf_str_t location = tfw_http_header(answer, "location");
    char *list = wanted ? json_dumps(wanted, JSON_COMPACT) : NULL;
    tf_buf_t error = TF_BUF_INIT;

    tf_buf_addf(&error, "HTTP %d, expected %.200s", answer->status, list ? list : "2xx");
    if (answer->redirected) {
        tf_buf_addf(&error, ", after %d redirects to %s", answer->redirected, answer->url);
    }
    if (location.data && answer->status < 400) {
        tf_buf_t where = TF_BUF_INIT;

        tf_buf_add(&where, location.data, location.len);
        mask(c, &where);
        tf_buf_adds(&error, ", a redirect to ");
        tf_buf_add(&error, where.data, where.len < ERROR_BODY ? where.len : ERROR_BODY);
        tf_buf_free(&where);
    }
    add_excerpt(c, &error);
    give_error(c, &error);
    free(list);
    tf_buf_free(&error);
    if (answer->retry_after_seconds >= 0) {
        tfw_run_retry_after(c->run, answer->retry_after_seconds);
    }
    return status_among(c, "retry_on", passing(answer->status)) ? TFW_RETRY : TFW_PERMANENT;
}

static tfw_outcome_t compare(call_t *c)
{
    tfw_http_answer_t *answer = &c->answer;
    const json_t *list = json_object_get(c->payload, "assertions");
    bool wanted = json_array_size(list) > 0 || strcasestr(answer->content_type, "json");
    char why[200] = "the answer is too long";
    json_t *parsed = wanted && !answer->cut && answer->body.len
                         ? tf_json_parse_any(answer->body.data, answer->body.len, why, sizeof(why))
                         : NULL;
    tf_buf_t results = TF_BUF_INIT, failures = TF_BUF_INIT;
    tfw_outcome_t outcome;
    size_t failed = 0;

    if (json_array_size(list)) {
        failed = tfw_assertions_judge(list, parsed, &results, &failures);
    }
    if (failed) {
        tf_buf_t error = TF_BUF_INIT;

        tf_buf_addf(&error, "HTTP %d, %zu of %zu assertions failed: ", answer->status, failed,
                    json_array_size(list));
        tf_buf_add(&error, failures.data, failures.len);
        if (!parsed) {
            tf_buf_addf(&error, " (no JSON: %s)", answer->body.len ? why : "the answer is empty");
        }
        give_error(c, &error);
        tf_buf_free(&error);
        outcome = retries_assertions(c) ? TFW_RETRY : TFW_PERMANENT;
    } else {
        if (!parsed) {
            answer->body.len = tfw_text_clean(answer->body.data, answer->body.len, answer->body.len);
        }
        outcome = give_result(c, parsed != NULL, &results);
    }
    json_decref(parsed);
    tf_buf_free(&results);
    tf_buf_free(&failures);
    return outcome;
}

static tfw_outcome_t judge(call_t *c)
{
    tfw_http_answer_t *answer = &c->answer;
    int shown = (int)strcspn(c->request.url, "?");

    if (answer->cancelled) {
        return TFW_CANCELLED;
    }
    if (answer->status == 0) {
        return no_answer(c);
    }
    tfw_run_log(c->run, "info", "%s %.*s: HTTP %d, %zu bytes after %lld ms", c->method, shown, c->request.url,
                answer->status, answer->body_read, (long long)(answer->duration_us / 1000));
    /* before anybody looks at it */
    mask(c, &answer->body);
    if (answer->cut) {
        size_t tail = tfw_caller_headers_tail(&c->headers);

        answer->body.len -= tail < answer->body.len ? tail : answer->body.len;
    }
    return status_among(c, "expected_status", answer->status >= 200 && answer->status < 300) ? compare(c)
                                                                                             : unexpected(c);
}

static tfw_outcome_t api_call_run(tfw_run_t *run)
{
    call_t *c = calloc(1, sizeof(*c)); /* large for a small stack */
    tfw_outcome_t outcome = TFW_PERMANENT;

    if (!c) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    c->run = run;
    c->payload = tfw_run_payload(run);
    if (read_payload(c)) {
        c->request.headers = (const char *const *)c->headers.headers;
        c->request.origin_headers = (const char *const *)c->headers.origin_headers;
        c->request.decode = true;
        c->request.keep_max = c->request.read_max = tfw_run_result_max(run);
        tfw_http_call(run, &c->request, &c->answer);
        outcome = judge(c);
        tfw_http_answer_free(&c->answer);
    }
    tfw_caller_headers_free(&c->headers);
    tf_buf_free(&c->url);
    tf_buf_free(&c->body);
    free(c);
    return outcome;
}

/* JSON Schema: the beginning of a list of statuses, and its end. */
#define STATUSES                                                                                             \
    "{\"type\":\"array\",\"maxItems\":32,\"items\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":100,"       \
    "\"maximum\":599},{\"enum\":[\"1xx\",\"2xx\",\"3xx\",\"4xx\",\"5xx\""
#define STATUSES_END "]}]}"

TF_HANDLER(api_call) = {
    .type = "api_call",
    .description =
        "Makes an HTTP request and checks the answer: its status and, by JSON path, what is in it.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"url\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2048,\"format\":\"uri\",\"title\":"
        "\"URL\",\"examples\":[\"https://api.example.com/v1/orders\"]},"
        "\"endpoint\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2048,\"description\":\"another name "
        "for url\",\"deprecated\":true},"
        "\"method\":{\"enum\":[\"GET\",\"HEAD\",\"POST\",\"PUT\",\"PATCH\",\"DELETE\",\"OPTIONS\"],"
        "\"description\":\"GET, or POST if there is a body\"},"
        "\"query\":{\"type\":\"object\",\"maxProperties\":64,\"description\":\"arguments added to the URL\"},"
        "\"headers\":{\"type\":\"object\",\"maxProperties\":64,\"additionalProperties\":{\"type\":\"string\","
        "\"maxLength\":8192},\"description\":\"{{secret:NAME}} in a value becomes the connection of that "
        "name\",\"examples\":[{\"Authorization\":\"Bearer {{secret:crm}}\"}]},"
        "\"body\":{\"type\":\"string\",\"maxLength\":1048576,\"description\":\"a text\"},"
        "\"json\":{\"description\":\"any value, sent as JSON instead of a body\"},"
        "\"timeout_seconds\":{\"type\":\"number\",\"minimum\":0.1,\"maximum\":300,\"default\":30,"
        "\"description\":\"of the whole call, redirects included\"},"
        "\"follow_redirects\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10,\"default\":0},"
        "\"expected_status\":" STATUSES STATUSES_END ",\"default\":[\"2xx\"]},"
        "\"retry_on\":" STATUSES ",\"assertions\"" STATUSES_END ",\"default\":[408,425,429,\"5xx\"],"
        "\"description\":\"which other statuses are tried again; assertions: those that fail, too\"},"
        "\"assertions\":{\"type\":\"array\",\"maxItems\":32,\"items\":" TFW_ASSERTION_SCHEMA ","
        "\"examples\":[[{\"path\":\"$.status\",\"equals\":\"ok\"}]]}},"
        "\"anyOf\":[{\"required\":[\"url\"]},{\"required\":[\"endpoint\"]}],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = TIMEOUT_SECONDS_MAX + 10,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = api_call_run,
    .io_bound = true,
};
