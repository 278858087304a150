/* The small parsers: times, UUIDs, numbers, Redis URLs, JSON strings out. The first byte chooses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "buf.h"
#include "dataset/number.h"
#include "job.h"
#include "settings.h"
#include "submission.h"
#include "uuid.h"

static void try_time(const char *text, size_t len)
{
    tf_buf_t out = TF_BUF_INIT;
    int64_t us, again;

    if (!tf_time_parse(text, len, &us)) {
        return;
    }
    tf_json_time(&out, us);
    /* the year may leave 0 to 9999 only through the zone */
    if (out.len > 6 && (!tf_time_parse(out.data + 1, out.len - 2, &again) || again != us)) {
        abort();
    }
    tf_buf_free(&out);
}

static void try_uuid(const char *text, size_t len)
{
    char out[TF_UUID_TEXT_LEN];
    uint8_t id[16], again[16];

    if (tf_uuid_parse(text, len, id)) {
        tf_uuid_format(id, out);
        if (!tf_uuid_parse(out, sizeof(out), again) || memcmp(id, again, 16) != 0) {
            abort();
        }
    }
}

static void try_number(const char *text, size_t len)
{
    char copy[TFW_NUMBER_LEN_MAX + 1];
    double value;

    if (tfw_number_parse(text, len, &value)) {
        memcpy(copy, text, len);
        copy[len] = '\0';
        if (value != strtod(copy, NULL)) {
            abort();
        }
    }
}

static void try_redis_url(const char *text, size_t len)
{
    char *copy = strndup(text, len), error[200] = "";
    tf_redis_url_t url;

    if (copy == NULL) {
        abort();
    }
    if (tf_redis_url_parse(copy, &url, error, sizeof(error))) {
        if ((url.host == NULL) == (url.socket_path == NULL)) {
            abort();
        }
        tf_redis_url_free(&url);
    } else if (error[0] == '\0') {
        abort();
    }
    free(copy);
}

static void try_json_string(const char *text, size_t len)
{
    tf_buf_t out = TF_BUF_INIT;
    json_t *json;

    tf_json_str(&out, text, len);
    json = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (json == NULL) {
        abort();
    }
    if (tf_utf8_valid(text, len) &&
        (json_string_length(json) != len || memcmp(json_string_value(json), text, len) != 0)) {
        abort();
    }
    json_decref(json);
    tf_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(const char *text, size_t len) = {try_time, try_uuid, try_number,
                                                                    try_redis_url, try_json_string};

    if (size > 0) {
        targets[data[0] % 5]((const char *)data + 1, size - 1);
    }
    return 0;
}
