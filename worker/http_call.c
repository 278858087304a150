#include "http_call.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "held.h"
#include "run.h"

#define HEADERS_MAX 65536 /* bytes of all response headers */

/* One call under way. */
typedef struct {
    tfw_run_t *run;
    const tfw_http_settings_t *settings;
    const tf_outgoing_t *lists;
    const tfw_http_request_t *request;
    tfw_http_answer_t *answer;
    tf_str_t host;
    size_t body_read, headers_read;
} call_t;

/* libcurl is about to connect to this very address. */
static curl_socket_t on_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    call_t *call = data;
    const char *why = "has an address that is neither IPv4 nor IPv6";
    char text[INET6_ADDRSTRLEN] = "";
    tf_address_t judged;

    (void)purpose;
    if (tf_address_from(&judged, &address->addr)) {
        inet_ntop(AF_INET6, judged.bytes, text, sizeof(text));
        why = tf_outgoing_refusal(call->lists, call->host, &judged);
    }
    if (!why) {
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    }
    call->answer->refused = true;
    snprintf(call->answer->error, sizeof(call->answer->error), "refused: %.*s: %s %s", (int)call->host.len,
             call->host.data, text, why);
    return CURL_SOCKET_BAD;
}

static size_t on_body(const char *bytes, size_t size, size_t count, void *data)
{
    call_t *call = data;
    tf_buf_t *body = &call->answer->body;
    size_t len = size * count, room = call->request->keep_max - body->len;

    tf_buf_add(body, bytes, len < room ? len : room);
    call->body_read += len;
    call->answer->cut = call->body_read > call->request->read_max;
    return call->answer->cut ? 0 : len;
}

static size_t on_header(const char *bytes, size_t size, size_t count, void *data)
{
    call_t *call = data;

    (void)bytes;
    call->headers_read += size * count;
    return call->headers_read <= HEADERS_MAX ? size * count : 0;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    call_t *call = data;

    call->answer->cancelled = tfw_run_cancelled(call->run);
    return call->answer->cancelled;
}

/* The URL for libcurl; NULL: it may not be called, or out of memory. */
static CURLU *parse(call_t *call)
{
    CURLU *parsed = curl_url();
    tf_url_t url;
    const char *why = tf_url_parse(call->request->url, strlen(call->request->url), &url), *whose = "";

    if (!why) {
        why = tf_outgoing_url_refusal(call->lists, &url);
        whose = "'s host";
    }
    if (!why && parsed && curl_url_set(parsed, CURLUPART_URL, call->request->url, CURLU_DISALLOW_USER)) {
        why = "cannot be parsed";
        whose = "";
    }
    if (why) {
        call->answer->refused = true;
        snprintf(call->answer->error, sizeof(call->answer->error), "refused: the URL%s %s", whose, why);
        curl_url_cleanup(parsed);
        return NULL;
    }
    call->host = url.host;
    return parsed;
}

static struct curl_slist *headers_of(const tfw_http_request_t *request)
{
    /* no "100 Continue" first: the body is sent at once */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    for (const char *const *header = request->headers; list && *header; header++) {
        struct curl_slist *longer = curl_slist_append(list, *header);

        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void set_options(CURL *curl, call_t *call, CURLU *url, struct curl_slist *headers, char *error)
{
    const tfw_http_request_t *request = call->request;

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
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
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
}

static void read_answer(CURL *curl, CURLcode code, const call_t *call, const char *error)
{
    tfw_http_answer_t *answer = call->answer;
    long status = 0;
    curl_off_t wait = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait);
    answer->retry_after_seconds = wait > 0 ? wait : -1;
    /* Enough of a long answer was read: that is none of its sender's faults. */
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && answer->cut)) {
        answer->status = (int)status;
        answer->refused = false; /* another address of the same name was fine */
        answer->error[0] = '\0';
    } else if (!answer->error[0]) {
        snprintf(answer->error, sizeof(answer->error), "%s",
                 call->headers_read > HEADERS_MAX ? "the answer's headers are too long"
                 : *error                         ? error
                                                  : curl_easy_strerror(code));
    }
}

/* The handle of this executor, with its connections. Those that were made under lists of a request's own are
 * kept apart: calls under the settings' lists must not find them open. */
static CURL *handle(bool own_lists)
{
    static CURL *handles[2];

    if (!handles[own_lists] && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
        handles[own_lists] = curl_easy_init();
    }
    return handles[own_lists];
}

void tfw_http_post(tfw_run_t *run, const tfw_http_request_t *request, tfw_http_answer_t *answer)
{
    const tfw_http_settings_t *settings = tfw_run_http(run);
    CURL *curl = handle(request->lists != NULL);
    call_t call = {.run = run,
                   .settings = settings,
                   .lists = request->lists ? request->lists : &settings->lists,
                   .request = request,
                   .answer = answer};
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    int64_t began = tfw_monotonic_us();
    CURLU *url = NULL;

    *answer = (tfw_http_answer_t){.retry_after_seconds = -1};
    headers = headers_of(request);
    url = curl && headers ? parse(&call) : NULL;
    if (url) {
        CURLcode code;

        curl_easy_reset(curl);
        set_options(curl, &call, url, headers, error);
        code = curl_easy_perform(curl);
        read_answer(curl, code, &call, error);
        curl_easy_reset(curl); /* nothing of ours stays behind */
    } else if (!answer->refused) {
        snprintf(answer->error, sizeof(answer->error), "out of memory");
    }
    answer->duration_us = tfw_monotonic_us() - began;
    curl_url_cleanup(url);
    curl_slist_free_all(headers);
}

void tfw_http_answer_free(tfw_http_answer_t *answer)
{
    tf_buf_free(&answer->body);
}
