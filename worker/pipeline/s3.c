#include "pipeline/s3.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sigv4.h"

#define KEEP_MAX 65536

/* The URL of the object: {scheme, host with its port, path}. */
typedef struct {
    tf_buf_t url, host, path;
} where_t;

static void find(const tfw_place_t *place, const char *query, where_t *w)
{
    const tfw_s3_t *s3 = &place->connection->u.s3;
    const char *host = strstr(s3->endpoint, "://") + 3; /* the connection was checked */

    if (!s3->path_style) {
        tf_buf_addf(&w->host, "%s.", place->bucket);
    }
    tf_buf_adds(&w->host, host);
    tf_buf_addc(&w->path, '/');
    if (s3->path_style) {
        tfw_sigv4_encode(&w->path, place->bucket, false);
        tf_buf_addc(&w->path, '/');
    }
    tfw_sigv4_encode(&w->path, place->path, true);
    tf_buf_addf(&w->url, "%.*s%s%s%s%s", (int)(host - s3->endpoint), s3->endpoint, tf_buf_cstr(&w->host),
                tf_buf_cstr(&w->path), *query ? "?" : "", query);
    tf_buf_cstr(&w->url);
}

/* libcurl does not name the port that the scheme has anyway. */
static void without_default_port(tf_buf_t *host, const char *url)
{
    const char *end = strncmp(url, "https:", 6) == 0 ? ":443" : ":80";
    size_t n = strlen(end);

    if (host->len > n && memcmp(host->data + host->len - n, end, n) == 0) {
        host->len -= n;
        tf_buf_cstr(host);
    }
}

void tfw_s3_call(tfw_pipeline_t *p, const tfw_place_t *place, const tfw_s3_request_t *request,
                 tfw_http_answer_t *answer)
{
    const tfw_s3_t *s3 = &place->connection->u.s3;
    where_t w = {TF_BUF_INIT, TF_BUF_INIT, TF_BUF_INIT};
    tfw_sigv4_headers_t headers;
    const char *list[] = {headers.date,          headers.content,
                          headers.authorization, "Content-Type: application/octet-stream",
                          request->header,       NULL};
    tfw_sigv4_t signing = {.access_key = s3->access_key,
                           .secret_key = s3->secret_key,
                           .region = s3->region,
                           .method = request->method,
                           .query = request->query,
                           .body = request->body,
                           .body_len = request->body_len,
                           .at_seconds = time(NULL)};

    *answer = (tfw_http_answer_t){.retry_after_seconds = -1};
    find(place, request->query, &w);
    without_default_port(&w.host, s3->endpoint);
    signing.host = tf_buf_cstr(&w.host);
    signing.path = tf_buf_cstr(&w.path);
    if (w.url.failed || w.host.failed || w.path.failed || !tfw_sigv4_sign(&signing, &headers)) {
        snprintf(answer->error, sizeof(answer->error), "out of memory");
    } else {
        tfw_http_request_t call = {.method = request->method,
                                   .url = w.url.data,
                                   .headers = list,
                                   .body = request->body,
                                   .body_len = request->body_len,
                                   .timeout_ms = p->settings->timeout_seconds * 1000,
                                   .keep_max = KEEP_MAX,
                                   .read_max = request->read_max ? request->read_max : KEEP_MAX,
                                   .on_body = request->on_body,
                                   .data = request->data,
                                   .lists = &s3->lists};

        tfw_http_call(p->run, &call, answer);
    }
    OPENSSL_cleanse(&headers, sizeof(headers));
    tf_buf_free(&w.url);
    tf_buf_free(&w.host);
    tf_buf_free(&w.path);
}

bool tfw_xml_text(const tf_buf_t *body, const char *name, char *out, size_t size)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&quot;", '"'}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}};
    char open[64];
    const char *at, *end;
    size_t n = 0;

    snprintf(open, sizeof(open), "<%s>", name);
    at = body->len ? memmem(body->data, body->len, open, strlen(open)) : NULL;
    if (!at) {
        return false;
    }
    at += strlen(open);
    end = memchr(at, '<', (size_t)(body->data + body->len - at));
    while (end && at < end && n + 1 < size) {
        size_t len = 1;

        out[n] = *at;
        for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
            size_t e = strlen(entities[i].name);

            if ((size_t)(end - at) >= e && memcmp(at, entities[i].name, e) == 0) {
                out[n] = entities[i].c;
                len = e;
            }
        }
        n++;
        at += len;
    }
    out[n] = '\0';
    return end && at == end;
}

tfw_outcome_t tfw_answer_failed(tfw_pipeline_t *p, const tfw_place_t *place, const char *what,
                                const tfw_http_answer_t *answer)
{
    char code[64] = "", message[200] = "";
    int status = answer->status;

    if (answer->cancelled) {
        return TFW_CANCELLED;
    }
    if (status == 0) {
        tfw_run_error(p->run, "%s: %s: %s", place->label, what, answer->error);
        return answer->refused ? TFW_PERMANENT : TFW_RETRY;
    }
    if (place->kind == TFW_PLACE_S3) {
        tfw_xml_text(&answer->body, "Code", code, sizeof(code));
        tfw_xml_text(&answer->body, "Message", message, sizeof(message));
    }
    tfw_run_error(p->run, "%s: %s: HTTP %d%s%s%s%s", place->label, what, status, *code ? ": " : "", code,
                  *message ? ": " : "", message);
    if (answer->retry_after_seconds >= 0) {
        tfw_run_retry_after(p->run, answer->retry_after_seconds);
    }
    return status >= 500 || status == 408 || status == 425 || status == 429 ? TFW_RETRY : TFW_PERMANENT;
}
