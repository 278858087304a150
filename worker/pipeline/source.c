/* source.c: sources that are streams of bytes: files, and what is fetched by HTTP, into a temporary file
 * first, so that no server waits for a slow destination. */
#include "pipeline/source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"
#include "http_call.h"
#include "pipeline/s3.h"
#include "write_all.h"

typedef struct {
    tfw_source_t face; /* first: tfw_source_t * is stream_t * */
    tfw_pipeline_t *pipeline;
    tfw_reader_t *reader;
    bool gzip;
    int64_t size;        /* bytes of what is read */
    char validator[256]; /* another one: the source is not what it was. "": nobody knows */
} stream_t;

static tfw_read_status_t next(tfw_source_t *source, json_t **record)
{
    stream_t *s = (stream_t *)source;
    tfw_read_status_t got = tfw_reader_next(s->reader, record);

    source->line = tfw_reader_line(s->reader);
    snprintf(source->error, sizeof(source->error), "%s", tfw_reader_error(s->reader));
    return got;
}

static json_t *position(const tfw_source_t *source)
{
    const stream_t *s = (const stream_t *)source;

    return json_pack("{ss sb so}", "validator", s->validator, "gzip", s->gzip, "at",
                     tfw_reader_position(s->reader));
}

static int percent(const tfw_source_t *source)
{
    const stream_t *s = (const stream_t *)source;
    int64_t done = tfw_reader_bytes_read(s->reader);

    return s->size > 0 ? (int)(done >= s->size ? 99 : 99 * done / s->size) : -1;
}

static void release(tfw_source_t *source)
{
    tfw_reader_free(((stream_t *)source)->reader);
    free(source);
}

static tfw_outcome_t fail(const stream_t *s, tfw_outcome_t outcome, const char *why)
{
    tfw_run_error(s->pipeline->run, "source: %s: %s", s->pipeline->source.path, why);
    return outcome;
}

static tfw_outcome_t changed(const stream_t *s)
{
    return fail(
        s, TFW_PERMANENT,
        "has changed since an earlier attempt read a part of it; retry the job by hand to begin anew");
}

/* Whether it is what the earlier run has read from. */
static bool same(const stream_t *s, const json_t *earlier)
{
    const char *was = json_string_value(json_object_get(earlier, "validator"));

    return !earlier || !was || !*was || strcmp(was, s->validator) == 0;
}

/* ---- files ---- */

static tfw_outcome_t open_file(stream_t *s, const json_t *earlier, int *fd)
{
    struct stat st;

    *fd = tfw_run_open_data(s->pipeline->run, s->pipeline->source.path);
    if (*fd < 0) {
        return TFW_PERMANENT;
    }
    if (fstat(*fd, &st) != 0) {
        return fail(s, TFW_RETRY, strerror(errno));
    }
    snprintf(s->validator, sizeof(s->validator), "%" PRId64 "-%" PRId64 ".%09ld", (int64_t)st.st_size,
             (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    return same(s, earlier) ? TFW_OK : changed(s);
}

/* ---- what is fetched ---- */

typedef struct {
    int fd;
    int64_t size, max;
    int error; /* errno of a write; 0: none */
    bool too_long;
} fetch_t;

static bool on_body(void *data, const tfw_http_answer_t *answer, const char *bytes, size_t len)
{
    fetch_t *f = data;

    if (answer->status != 200 && answer->status != 206) {
        return answer->body_read < 65536; /* what an error says is kept by the call */
    }
    f->too_long = f->size + (int64_t)len > f->max;
    if (f->too_long) {
        return false;
    }
    if (!tfw_write_all(f->fd, bytes, len)) {
        f->error = errno;
        return false;
    }
    f->size += (int64_t)len;
    return true;
}

/* One GET, from a byte on (0: all of it). */
static void get(stream_t *s, int64_t from, fetch_t *f, tfw_http_answer_t *answer)
{
    tfw_pipeline_t *p = s->pipeline;
    char range[64];
    const char *headers[] = {from > 0 ? range : NULL, NULL};
    size_t max = (size_t)p->settings->download_max_bytes;

    snprintf(range, sizeof(range), "Range: bytes=%" PRId64 "-", from);
    if (p->source.kind == TFW_PLACE_S3) {
        tfw_s3_request_t request = {.method = "GET",
                                    .query = "",
                                    .header = headers[0],
                                    .read_max = max + 1,
                                    .on_body = on_body,
                                    .data = f};

        tfw_s3_call(p, &p->source, &request, answer);
    } else {
        tfw_http_request_t request = {.url = p->source.path,
                                      .headers = headers,
                                      .timeout_ms = p->settings->timeout_seconds * 1000,
                                      .redirects = 5,
                                      .keep_max = 4096,
                                      .read_max = max + 1,
                                      .on_body = on_body,
                                      .data = f};

        tfw_http_call(p->run, &request, answer);
    }
}

static void take_validator(stream_t *s, const tfw_http_answer_t *answer)
{
    tf_str_t value = tfw_http_header(answer, "etag");

    if (!value.data) {
        value = tfw_http_header(answer, "last-modified");
    }
    snprintf(s->validator, sizeof(s->validator), "%.*s", (int)value.len, value.data ? value.data : "");
}

static tfw_outcome_t judge(stream_t *s, const fetch_t *f, const tfw_http_answer_t *answer)
{
    char why[128];

    if (f->error) {
        snprintf(why, sizeof(why), "the temporary file: %s", strerror(f->error));
        return fail(s, TFW_RETRY, why);
    }
    if (f->too_long || answer->cut) {
        snprintf(why, sizeof(why), "has more than %" PRId64 " bytes (TASKFORGE_PIPELINE_DOWNLOAD_MAX_BYTES)",
                 f->max);
        return fail(s, TFW_PERMANENT, why);
    }
    if (answer->status != 200 && answer->status != 206) {
        return tfw_answer_failed(s->pipeline, &s->pipeline->source, "GET", answer);
    }
    return TFW_OK;
}

/* Fetches it into *fd, whose first byte is byte *base. A part that an earlier run has dealt with is left out
 * where the server can. */
static tfw_outcome_t fetch(stream_t *s, const json_t *earlier, int *fd, int64_t *base)
{
    fetch_t f = {.fd = tfw_run_temp_file(s->pipeline->run), .max = s->pipeline->settings->download_max_bytes};
    bool partly = earlier && !json_is_true(json_object_get(earlier, "gzip")) &&
                  json_string_length(json_object_get(earlier, "validator")) > 0;
    int64_t from = partly ? json_integer_value(json_object_get(json_object_get(earlier, "at"), "offset")) : 0;
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;

    *fd = f.fd;
    if (f.fd < 0) {
        return TFW_RETRY;
    }
    get(s, from, &f, &answer);
    if (from > 0 && answer.status == 416) { /* there was nothing behind it: see that it is the same */
        tfw_http_answer_free(&answer);
        get(s, from = 0, &f, &answer);
    }
    outcome = judge(s, &f, &answer);
    if (outcome == TFW_OK) {
        take_validator(s, &answer);
        *base = answer.status == 206 ? from : 0;
        outcome = same(s, earlier) ? TFW_OK : changed(s);
    }
    tfw_http_answer_free(&answer);
    return outcome;
}

/* ---- both ---- */

static tfw_outcome_t begin(stream_t *s, const json_t *earlier)
{
    tfw_pipeline_t *p = s->pipeline;
    int64_t base = 0;
    struct stat st;
    int fd = -1;
    tfw_outcome_t outcome =
        p->source.kind == TFW_PLACE_FILE ? open_file(s, earlier, &fd) : fetch(s, earlier, &fd, &base);

    if (outcome != TFW_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return outcome;
    }
    s->size = fstat(fd, &st) == 0 ? (int64_t)st.st_size : 0;
    s->gzip = base == 0 && tfw_reader_is_gzip(fd);
    lseek(fd, 0, SEEK_SET);
    s->reader = tfw_reader_new(fd, p->source.format, base);
    if (!s->reader) {
        return fail(s, TFW_RETRY, "out of memory");
    }
    tfw_run_log(p->run, "info", "source: %s, %" PRId64 " bytes%s", p->source.path, s->size,
                base ? " behind what an earlier attempt has read" : "");
    if (earlier && !tfw_reader_resume(s->reader, json_object_get(earlier, "at"))) {
        return fail(s, TFW_PERMANENT, tfw_reader_error(s->reader));
    }
    return TFW_OK;
}

tfw_outcome_t tfw_source_open(tfw_pipeline_t *p, const json_t *earlier, tfw_source_t **source)
{
    stream_t *s;

    if (p->source.kind == TFW_PLACE_TABLE) {
        return tfw_table_source_open(p, earlier, source);
    }
    s = calloc(1, sizeof(*s));
    if (!s) {
        tfw_run_error(p->run, "out of memory");
        return TFW_RETRY;
    }
    s->face = (tfw_source_t){.next = next, .position = position, .percent = percent, .free = release};
    s->pipeline = p;
    *source = &s->face;
    return begin(s, earlier);
}
