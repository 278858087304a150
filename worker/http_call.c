#include "http_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "held.h"
#include "run_state.h"
#include "transfer.h"

#define HEADERS_MAX 65536 /* bytes of all response headers */

/* One call under way. */
typedef struct {
    tfw_run_t *run;
    const tfw_http_settings_t *settings;
    const tf_outgoing_t *lists;
    const tfw_http_request_t *request;
    tfw_http_answer_t *answer;
    CURL *curl;
    tf_str_t host;
    const char *method; /* of this hop */
    bool with_body, same_origin;
    size_t headers_read;
    char error[CURL_ERROR_SIZE];
} call_t;

/* The operator's list of denials holds for the operator's own URLs, too. address: NULL before it is known. */
static const char *denial(const call_t *call, tf_str_t host, const tf_address_t *address)
{
    return tf_outgoing_denies(&call->settings->lists, host, address)
               ? "is on the list of denied addresses (TASKFORGE_OUTGOING_DENY)"
               : NULL;
}

/* libcurl is about to connect to this very address. */
static curl_socket_t on_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    call_t *call = data;
    const char *why = "has an address that is neither IPv4 nor IPv6";
    char text[TF_ADDRESS_TEXT_SIZE] = "";
    tf_address_t judged;

    (void)purpose;
    if (tf_address_from(&judged, &address->addr)) {
        tf_address_text(&judged, text);
        why = tf_outgoing_refusal(call->lists, call->host, &judged);
        why = why ? why : denial(call, call->host, &judged);
    }
    if (!why) {
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
    call->answer->refused = true;
    snprintf(call->answer->error, sizeof(call->answer->error), "refused: %.*s: %s %s", (int)call->host.len,
             call->host.data, text, why);
    return CURL_SOCKET_BAD;
}

/* The caller's own code, which runs outside of its fiber in an I/O executor. */
static bool tell_caller(const call_t *call, const char *bytes, size_t len)
{
    uint32_t before = tfw_run_blame(call->run);
    bool wanted = call->request->on_body(call->request->data, call->answer, bytes, len);

    tfw_run_blame_again(call->run, before);
    return wanted;
}

/* A redirect that will be followed: what comes with it is nobody's. */
static bool passes_on(const call_t *call)
{
    const tfw_http_answer_t *answer = call->answer;

    return call->request->redirects > answer->redirected && answer->status >= 300 && answer->status < 400 &&
           tfw_http_header(answer, "location").data != NULL;
}

static size_t on_body(const char *bytes, size_t size, size_t count, void *data)
{
    call_t *call = data;
    tfw_http_answer_t *answer = call->answer;
    size_t len = size * count, room = call->request->keep_max - answer->body.len;

    answer->body_read += len;
    if (passes_on(call)) {
        return answer->body_read > HEADERS_MAX ? 0 : len;
    }
    tf_buf_add(&answer->body, bytes, len < room ? len : room);
    answer->cut = answer->body_read > call->request->read_max;
    if (call->request->on_body && !answer->cut) {
        answer->stopped = !tell_caller(call, bytes, len);
    }
    return answer->cut || answer->stopped || answer->body.failed ? 0 : len;
}

static void read_content_type(tfw_http_answer_t *answer)
{
    tf_str_t type = tfw_http_header(answer, "content-type");

    snprintf(answer->content_type, sizeof(answer->content_type), "%.*s", (int)type.len,
             type.data ? type.data : "");
}

static size_t on_header(const char *bytes, size_t size, size_t count, void *data)
{
    call_t *call = data;
    tfw_http_answer_t *answer = call->answer;
    size_t len = size * count, text = len;
    long status = 0;

    call->headers_read += len;
    while (text && (bytes[text - 1] == '\r' || bytes[text - 1] == '\n')) {
        text--;
    }
    if (len > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        answer->headers.len = 0; /* of a 100 Continue before */
    } else if (text && answer->body_read == 0) {
        tf_buf_add(&answer->headers, bytes, text);
        tf_buf_addc(&answer->headers, '\n');
    } else if (!text) {
        curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
        answer->status = (int)status;
        read_content_type(answer);
    }
    return call->headers_read <= HEADERS_MAX && !answer->headers.failed ? len : 0;
}

tf_str_t tfw_http_header(const tfw_http_answer_t *answer, const char *name)
{
    const char *line = answer->headers.data, *end = line + answer->headers.len, *next;
    size_t name_len = strlen(name);

    for (; line && line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));

        stop = stop ? stop : end; /* each line has its end, unless there was no memory for it */
        next = stop < end ? stop + 1 : end;
        if ((size_t)(stop - line) > name_len && line[name_len] == ':' &&
            strncasecmp(line, name, name_len) == 0) {
            line += name_len + 1;
            while (line < stop && (*line == ' ' || *line == '\t')) {
                line++;
            }
            return (tf_str_t){line, (size_t)(stop - line)};
        }
    }
    return (tf_str_t){NULL, 0};
}

/* The URL for libcurl; NULL: it may not be called, or out of memory. */
static CURLU *parse(call_t *call)
{
    tfw_http_answer_t *answer = call->answer;
    CURLU *parsed = curl_url();
    tf_url_t url;
    const char *why = tf_url_parse(answer->url, strlen(answer->url), &url), *whose = "";

    if (!why) {
        why = tf_outgoing_url_refusal(call->lists, &url);
        why = why ? why : denial(call, url.host, url.literal ? &url.address : NULL);
        whose = "'s host";
    }
    if (!why && parsed && curl_url_set(parsed, CURLUPART_URL, answer->url, CURLU_DISALLOW_USER)) {
        why = "cannot be parsed";
        whose = "";
    }
    if (why) {
        answer->refused = true;
        snprintf(answer->error, sizeof(answer->error), "refused: the URL%s%s %s",
                 answer->redirected ? " of the redirect" : "", whose, why);
        curl_url_cleanup(parsed);
        return NULL;
    }
    call->host = url.host;
    return parsed;
}

static bool add_headers(struct curl_slist **list, const char *const *headers)
{
    for (; headers && *headers; headers++) {
        struct curl_slist *longer = curl_slist_append(*list, *headers);

        if (!longer) {
            return false;
        }
        *list = longer;
    }
    return true;
}

/* NULL: out of memory. */
static struct curl_slist *headers_of(const call_t *call)
{
    /* no "100 Continue" first: the body is sent at once */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    if (!list || !add_headers(&list, call->request->headers) ||
        (call->same_origin && !add_headers(&list, call->request->origin_headers))) {
        curl_slist_free_all(list);
        return NULL;
    }
    return list;
}

static void set_method(const call_t *call)
{
    const tfw_http_request_t *request = call->request;

    if (call->with_body) {
        curl_easy_setopt(call->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        curl_easy_setopt(call->curl, CURLOPT_POSTFIELDS, request->body);
    }
    if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(call->curl, CURLOPT_NOBODY, 1L);
    } else {
        curl_easy_setopt(call->curl, CURLOPT_CUSTOMREQUEST, call->method);
    }
}

static void set_options(call_t *call, CURLU *url, struct curl_slist *headers, int64_t left_ms)
{
    CURL *curl = call->curl;

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(curl, CURLOPT_CURLU, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (*call->settings->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->settings->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (call->request->decode) {
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");
    }
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(left_ms > 1 ? left_ms : 1));
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    set_method(call);
}

static void read_answer(CURLcode code, const call_t *call)
{
    tfw_http_answer_t *answer = call->answer;
    long status = 0;
    curl_off_t wait = 0;

    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(call->curl, CURLINFO_RETRY_AFTER, &wait);
    answer->retry_after_seconds = wait > 0 ? wait : -1;
    answer->timed_out = code == CURLE_OPERATION_TIMEDOUT;
    answer->status = 0;
    /* Enough of a long answer was read: that is none of its sender's faults. */
    if (code == CURLE_OK ||
        (code == CURLE_WRITE_ERROR && (answer->cut || answer->stopped || passes_on(call)))) {
        answer->status = (int)status;
        answer->refused = false; /* another address of the same name was fine */
        answer->error[0] = '\0';
    } else if (!answer->error[0]) {
        snprintf(answer->error, sizeof(answer->error), "%s",
                 call->headers_read > HEADERS_MAX                ? "the answer's headers are too long"
                 : answer->body.failed || answer->headers.failed ? "out of memory"
                 : *call->error                                  ? call->error
                                                                 : curl_easy_strerror(code));
    }
}

/* One request, no redirect. */
static void hop(call_t *call, int64_t left_ms)
{
    tfw_http_answer_t *answer = call->answer;
    tfw_transfer_kind_t kind = call->request->lists ? TFW_TRANSFER_OPERATOR : TFW_TRANSFER_CALLER;
    struct curl_slist *headers = headers_of(call);
    CURLU *url = headers ? parse(call) : NULL;

    answer->headers.len = answer->body.len = answer->body_read = 0;
    answer->content_type[0] = '\0';
    answer->status = 0;
    call->headers_read = 0;
    call->error[0] = '\0';
    call->curl = url ? tfw_transfer_handle() : NULL;
    if (call->curl) {
        set_options(call, url, headers, left_ms);
        read_answer(tfw_transfer(call->run, call->curl, kind, &answer->cancelled), call);
    } else if (!answer->refused) {
        snprintf(answer->error, sizeof(answer->error), "out of memory");
    }
    curl_url_cleanup(url);
    curl_slist_free_all(headers);
}

static bool same_origin(const char *a, const char *b)
{
    tf_url_t x, y;

    return !tf_url_parse(a, strlen(a), &x) && !tf_url_parse(b, strlen(b), &y) && x.https == y.https &&
           x.port == y.port && x.host.len == y.host.len &&
           strncasecmp(x.host.data, y.host.data, x.host.len) == 0;
}

enum { MOVED_PERMANENTLY = 301, FOUND = 302, SEE_OTHER = 303, TEMPORARY = 307, PERMANENT = 308 };

/* The way the answer points to, if it is to be followed. RFC 9110, 15.4. */
static bool next_hop(call_t *call)
{
    tfw_http_answer_t *answer = call->answer;
    int status = answer->status;
    char *url = NULL;
    size_t len;

    if (!passes_on(call) || (status != MOVED_PERMANENTLY && status != FOUND && status != SEE_OTHER &&
                             status != TEMPORARY && status != PERMANENT)) {
        return false;
    }
    curl_easy_getinfo(call->curl, CURLINFO_REDIRECT_URL, &url);
    len = url ? strcspn(url, "#") : 0;
    answer->redirected++;
    if (len == 0 || len > TF_URL_MAX) {
        answer->refused = true;
        snprintf(answer->error, sizeof(answer->error), "refused: the URL of the redirect is %s",
                 len ? "too long" : "no URL");
        answer->status = 0;
        return false;
    }
    url = strndup(url, len);
    call->same_origin = url && call->same_origin && same_origin(answer->url, url);
    snprintf(answer->url, sizeof(answer->url), "%s", url ? url : "");
    free(url);
    if (status == SEE_OTHER || (status < SEE_OTHER && strcmp(call->method, "POST") == 0)) {
        call->with_body = false;
        call->method = strcmp(call->method, "HEAD") == 0 ? "HEAD" : "GET";
    }
    return true;
}

void tfw_http_call(tfw_run_t *run, const tfw_http_request_t *request, tfw_http_answer_t *answer)
{
    const tfw_http_settings_t *settings = tfw_run_http(run);
    call_t call = {.run = run,
                   .settings = settings,
                   .lists = request->lists ? request->lists : &settings->lists,
                   .request = request,
                   .answer = answer,
                   .method = request->method ? request->method
                             : request->body ? "POST"
                                             : "GET",
                   .with_body = request->body != NULL,
                   .same_origin = true};
    int64_t began = tfw_monotonic_us();
    bool again;

    *answer = (tfw_http_answer_t){.retry_after_seconds = -1};
    if (strlen(request->url) > TF_URL_MAX) {
        answer->refused = true;
        snprintf(answer->error, sizeof(answer->error), "refused: the URL is longer than %d bytes",
                 TF_URL_MAX);
        return;
    }
    snprintf(answer->url, sizeof(answer->url), "%s", request->url);
    do {
        hop(&call, request->timeout_ms - (tfw_monotonic_us() - began) / 1000);
        again = call.curl && next_hop(&call);
        curl_easy_cleanup(call.curl);
    } while (again);
    answer->duration_us = tfw_monotonic_us() - began;
}

void tfw_http_answer_free(tfw_http_answer_t *answer)
{
    tf_buf_free(&answer->headers);
    tf_buf_free(&answer->body);
}
