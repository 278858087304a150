#include "submission.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "civil.h"
#include "json_check.h"
#include "json_error.h"
#include "json_slice.h"
#include "outgoing.h"

/* The checking of one submission. */
typedef struct {
    const char *prefix;
    tf_buf_t *errors;
    size_t before; /* length of errors when this submission began */
    tf_job_t *job;
} check_t;

static void complain(check_t *c, const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* pointer: "/priority", or "" for the whole body. */
static void complain(check_t *c, const char *pointer, const char *fmt, ...)
{
    char full[TF_JSON_POINTER_SIZE], detail[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    snprintf(full, sizeof(full), "%s%s", c->prefix, pointer);
    tf_json_error(c->errors, full, "%s", detail);
}

/* A field that nobody knows, at `parent` ("" or "/retry"). */
static void complain_unknown(check_t *c, const char *parent, const char *key)
{
    char pointer[TF_JSON_POINTER_SIZE];

    complain(c, tf_json_pointer(pointer, parent, key), "unknown field \"%.64s\"", key);
}

static tf_str_t json_text(const json_t *value)
{
    return (tf_str_t){json_string_value(value), json_string_length(value)};
}

/* An integer from min to max, or a complaint. */
static bool take_int(check_t *c, const json_t *value, const char *pointer, int64_t min, int64_t max,
                     int32_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max) {
        complain(c, pointer, "must be an integer from %lld to %lld", (long long)min, (long long)max);
        return false;
    }
    *out = (int32_t)json_integer_value(value);
    return true;
}

static void check_queue(check_t *c, const json_t *value)
{
    if (!json_is_string(value) || !tf_queue_name_valid(json_string_value(value), json_string_length(value))) {
        complain(c, "/queue", "must be a name of 1 to %d letters, digits, '.', '_' or '-'",
                 TF_QUEUE_NAME_MAX);
        return;
    }
    if (json_string_value(value)[0] == TF_QUEUE_INTERNAL) {
        complain(c, "/queue", "must not begin with '%c': such queues are TaskForge's own", TF_QUEUE_INTERNAL);
        return;
    }
    c->job->queue = json_text(value);
}

static void check_name(check_t *c, const json_t *value)
{
    if (json_is_null(value)) {
        return;
    }
    if (!json_is_string(value) || json_string_length(value) == 0 || json_string_length(value) > TF_NAME_MAX) {
        complain(c, "/name", "must be a text of 1 to %d bytes", TF_NAME_MAX);
        return;
    }
    c->job->name = json_text(value);
}

static void check_priority(check_t *c, const json_t *value)
{
    int priority;

    if (json_is_integer(value)) {
        take_int(c, value, "/priority", TF_PRIORITY_MIN, TF_PRIORITY_MAX, &c->job->priority);
        return;
    }
    priority =
        json_is_string(value) ? tf_priority_parse(json_string_value(value), json_string_length(value)) : -1;
    if (priority < 0) {
        complain(c, "/priority", "must be low, normal, default, high, critical or an integer from %d to %d",
                 TF_PRIORITY_MIN, TF_PRIORITY_MAX);
        return;
    }
    c->job->priority = priority;
}

static void check_max_retries(check_t *c, const json_t *value)
{
    take_int(c, value, "/max_retries", 0, TF_MAX_RETRIES_MAX, &c->job->max_retries);
}

static void check_timeout(check_t *c, const json_t *value)
{
    take_int(c, value, "/timeout_seconds", 1, TF_TIMEOUT_SECONDS_MAX, &c->job->timeout_seconds);
}

static void check_scheduled_at(check_t *c, const json_t *value)
{
    if (!json_is_string(value) ||
        !tf_time_parse(json_string_value(value), json_string_length(value), &c->job->scheduled_at)) {
        complain(c, "/scheduled_at", "must be a time like 2026-11-22T13:00:00Z (RFC 3339, with a zone)");
    }
}

static void check_expires_at(check_t *c, const json_t *value)
{
    if (!json_is_string(value) ||
        !tf_time_parse(json_string_value(value), json_string_length(value), &c->job->expires_at)) {
        complain(c, "/expires_at", "must be a time like 2026-11-22T13:00:00Z (RFC 3339, with a zone)");
    } else if (c->job->expires_at <= c->job->created_at) {
        complain(c, "/expires_at", "must not have passed already");
    }
}

static void check_webhook_url(check_t *c, const json_t *value)
{
    const char *why = "must be an http or https URL";
    tf_url_t url;

    if (json_is_null(value)) {
        return;
    }
    if (json_is_string(value)) {
        why = tf_url_parse(json_string_value(value), json_string_length(value), &url);
    }
    if (why) {
        complain(c, "/webhook_url", "%s", why);
        return;
    }
    c->job->webhook_url = json_text(value);
}

static void check_delay(check_t *c, const json_t *value)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !(seconds >= 0 && seconds <= TF_DELAY_SECONDS_MAX)) {
        complain(c, "/delay_seconds", "must be a number from 0 to %d", TF_DELAY_SECONDS_MAX);
        return;
    }
    c->job->scheduled_at = c->job->created_at + (int64_t)(seconds * 1000000);
}

static void check_metadata(check_t *c, const json_t *value)
{
    const char *key;
    json_t *item;

    if (json_is_null(value)) {
        return;
    }
    if (!json_is_object(value)) {
        complain(c, "/metadata", "must be an object of texts");
        return;
    }
    if (json_object_size(value) > TF_METADATA_MAX) {
        complain(c, "/metadata", "must have at most %d members", TF_METADATA_MAX);
        return;
    }
    json_object_foreach((json_t *)value, key, item)
    {
        if (!json_is_string(item) || json_string_length(item) > TF_METADATA_VALUE_MAX) {
            complain(c, "/metadata", "every value must be a text of at most %d bytes; \"%.64s\" is not",
                     TF_METADATA_VALUE_MAX, key);
            return;
        }
    }
}

static void check_retry_seconds(check_t *c, const json_t *value, const char *pointer, int32_t *ms)
{
    double seconds = json_number_value(value);

    if (!json_is_number(value) || !(seconds >= 0 && seconds <= 86400)) {
        complain(c, pointer, "must be a number of seconds from 0 to 86400");
        return;
    }
    *ms = (int32_t)lround(seconds * 1000);
}

static void check_retry(check_t *c, const json_t *value)
{
    const char *key;
    json_t *item;

    if (!json_is_object(value)) {
        complain(c, "/retry", "must be an object");
        return;
    }
    json_object_foreach((json_t *)value, key, item)
    {
        if (strcmp(key, "strategy") == 0) {
            if (!json_is_string(item) || strcmp(json_string_value(item), "exponential") != 0) {
                complain(c, "/retry/strategy", "must be \"exponential\"");
            }
        } else if (strcmp(key, "base_seconds") == 0) {
            check_retry_seconds(c, item, "/retry/base_seconds", &c->job->retry_base_ms);
        } else if (strcmp(key, "max_seconds") == 0) {
            check_retry_seconds(c, item, "/retry/max_seconds", &c->job->retry_max_ms);
        } else if (strcmp(key, "jitter") == 0) {
            if (!json_is_boolean(item)) {
                complain(c, "/retry/jitter", "must be true or false");
            }
            c->job->retry_jitter = json_is_true(item);
        } else if (strcmp(key, "budget_seconds") == 0) {
            take_int(c, item, "/retry/budget_seconds", 1, TF_RETRY_BUDGET_SECONDS_MAX,
                     &c->job->retry_budget_seconds);
        } else {
            complain_unknown(c, "/retry", key);
        }
    }
}

static void check_payload(check_t *c, const json_t *value)
{
    if (!json_is_object(value)) {
        complain(c, "/payload", "must be an object");
    }
}

static void check_type_shape(check_t *c, const json_t *value)
{
    if (!json_is_string(value) || json_string_length(value) == 0) {
        complain(c, "/type", "must be the name of a job type");
        return;
    }
    c->job->type = json_text(value);
}

bool tf_idempotency_key_valid(const char *key, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (key[i] < ' ' || key[i] > '~') {
            return false;
        }
    }
    return len > 0 && len <= TF_IDEMPOTENCY_KEY_MAX;
}

static void check_idempotency_key(check_t *c, const json_t *value)
{
    if (!json_is_string(value) ||
        !tf_idempotency_key_valid(json_string_value(value), json_string_length(value))) {
        complain(c, "/idempotency_key", "must be a text of 1 to %d printable ASCII characters",
                 TF_IDEMPOTENCY_KEY_MAX);
        return;
    }
    c->job->idempotency_key = json_text(value);
}

static const struct {
    const char *name;
    void (*check)(check_t *c, const json_t *value);
} fields[] = {
    {"type", check_type_shape},
    {"payload", check_payload},
    {"queue", check_queue},
    {"priority", check_priority},
    {"name", check_name},
    {"max_retries", check_max_retries},
    {"timeout_seconds", check_timeout},
    {"scheduled_at", check_scheduled_at},
    {"delay_seconds", check_delay},
    {"expires_at", check_expires_at},
    {"webhook_url", check_webhook_url},
    {"metadata", check_metadata},
    {"retry", check_retry},
    {"idempotency_key", check_idempotency_key},
};

static void check_fields(check_t *c, const json_t *body)
{
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach((json_t *)body, key, value)
    {
        for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
            if (strcmp(fields[i].name, key) == 0) {
                fields[i].check(c, value);
                break;
            }
        }
        if (i == sizeof(fields) / sizeof(fields[0])) {
            complain_unknown(c, "", key);
        }
    }
}

/* The payload is not in the tree that tf_submission_parse makes: it is parsed here, if it matters. */
static void check_against(check_t *c, const tf_schema_t *schema, const json_t *body, tf_str_t text)
{
    tf_str_t payload = TF_STR("{}");
    const json_t *given = json_object_get(body, "payload");
    char full[TF_JSON_POINTER_SIZE], error[200];
    json_t *value;

    if (given && !json_is_object(given)) {
        return;
    }
    if (given) {
        payload = tf_json_slice_member(text, "payload");
    }
    value = tf_json_parse(payload.data, payload.len, error, sizeof(error));
    if (value == NULL) {
        complain(c, "/payload", "%s", error);
        return;
    }
    snprintf(full, sizeof(full), "%s/payload", c->prefix);
    tf_schema_check(schema, value, full, c->errors);
    json_decref(value);
}

/* payload and metadata as the client wrote them: numbers keep their digits, members their order. */
static void take_data(tf_job_t *job, const json_t *body, tf_str_t text)
{
    job->payload = json_object_get(body, "payload") ? tf_json_slice_member(text, "payload") : TF_STR("{}");
    if (json_is_object(json_object_get(body, "metadata"))) {
        job->metadata = tf_json_slice_member(text, "metadata");
    }
}

bool tf_submission_check(const json_t *body, tf_str_t text, const char *pointer_prefix, int64_t now_us,
                         tf_type_lookup_fn lookup, void *lookup_data, tf_job_t *job, tf_buf_t *errors)
{
    check_t c = {pointer_prefix, errors, errors->len, job};
    const tf_type_defaults_t *type;

    tf_job_init(job);
    job->created_at = job->updated_at = now_us;
    job->queue = TF_STR(TF_QUEUE_DEFAULT);
    job->max_retries = -1;
    if (!json_is_object(body)) {
        complain(&c, "", "must be an object");
        return false;
    }
    check_fields(&c, body);
    if (json_object_get(body, "type") == NULL) {
        complain(&c, "/type", "is required");
    }
    if (json_object_get(body, "scheduled_at") && json_object_get(body, "delay_seconds")) {
        complain(&c, "/delay_seconds", "cannot be given together with scheduled_at");
    }
    if (job->type.data) {
        type = lookup(lookup_data, job->type.data, job->type.len);
        if (type == NULL) {
            complain(&c, "/type", "no worker knows the type \"%.64s\"", job->type.data);
        } else if (job->max_retries < 0) {
            job->max_retries = type->max_retries;
        }
        if (type && type->schema) {
            check_against(&c, type->schema, body, text);
        }
    }
    if (job->expires_at != TF_TIME_NONE && job->scheduled_at != TF_TIME_NONE &&
        job->expires_at <= job->scheduled_at) {
        complain(&c, "/expires_at", "must be later than the time it is scheduled for");
    }
    if (errors->len != c.before) {
        return false;
    }
    if (job->scheduled_at != TF_TIME_NONE && job->scheduled_at > now_us) {
        job->status = TF_SCHEDULED;
        job->run_at = job->scheduled_at;
    }
    take_data(job, body, text);
    return true;
}

/* A job's object without the content of its payload. */
static void add_envelope(tf_buf_t *out, tf_str_t job)
{
    tf_json_slice_t s;
    tf_str_t key, value;
    bool first = true;

    if (!tf_json_slice(&s, job) || !s.object) {
        tf_buf_add(out, job.data, job.len);
        return;
    }
    tf_buf_addc(out, '{');
    for (; tf_json_slice_next(&s, &key, &value); first = false) {
        bool payload = key.len == 7 && memcmp(key.data, "payload", 7) == 0 && value.data[0] == '{';

        tf_buf_add(out, ",", first ? 0 : 1);
        tf_buf_addc(out, '"');
        tf_buf_add(out, key.data, key.len);
        tf_buf_add(out, "\":", 2);
        tf_buf_add(out, payload ? "{}" : value.data, payload ? 2 : value.len);
    }
    tf_buf_addc(out, '}');
}

/* The same for {"jobs":[...]}. */
static void add_batch_envelope(tf_buf_t *out, tf_str_t body)
{
    tf_json_slice_t s, jobs;
    tf_str_t key, value, none, job;
    bool first = true, first_job = true;

    if (!tf_json_slice(&s, body) || !s.object) {
        tf_buf_add(out, body.data, body.len);
        return;
    }
    tf_buf_addc(out, '{');
    for (; tf_json_slice_next(&s, &key, &value); first = false) {
        tf_buf_add(out, ",", first ? 0 : 1);
        tf_buf_addc(out, '"');
        tf_buf_add(out, key.data, key.len);
        tf_buf_add(out, "\":", 2);
        if (key.len != 4 || memcmp(key.data, "jobs", 4) != 0 || value.data[0] != '[' ||
            !tf_json_slice(&jobs, value)) {
            tf_buf_add(out, value.data, value.len);
            continue;
        }
        tf_buf_addc(out, '[');
        for (; tf_json_slice_next(&jobs, &none, &job); first_job = false) {
            tf_buf_add(out, ",", first_job ? 0 : 1);
            add_envelope(out, job);
        }
        tf_buf_addc(out, ']');
    }
    tf_buf_addc(out, '}');
}

json_t *tf_submission_parse(tf_str_t text, bool batch, char *error, size_t error_size)
{
    tf_buf_t envelope = TF_BUF_INIT;
    json_t *body = NULL;

    if (tf_json_check(text.data, text.len)) {
        if (batch) {
            add_batch_envelope(&envelope, text);
        } else {
            add_envelope(&envelope, text);
        }
        if (!envelope.failed) {
            body = json_loadb(envelope.data, envelope.len, 0, NULL);
        }
        tf_buf_free(&envelope);
    }
    return body ? body : tf_json_parse(text.data, text.len, error, error_size);
}

/* --- times and JSON
 * ------------------------------------------------------------------------------------------- */

/* n digits at p; -1 if there is anything else. */
static int digits(const char *p, int n)
{
    int value = 0;

    while (n-- > 0) {
        if (*p < '0' || *p > '9') {
            return -1;
        }
        value = value * 10 + (*p++ - '0');
    }
    return value;
}

/* "Z", "+01:00" or "-01:00" that ends the text; seconds east of UTC. */
static bool parse_zone(const char *p, size_t len, int *offset)
{
    int hours, minutes;

    if (len == 1 && (*p == 'Z' || *p == 'z')) {
        *offset = 0;
        return true;
    }
    if (len != 6 || (*p != '+' && *p != '-') || p[3] != ':') {
        return false;
    }
    hours = digits(p + 1, 2);
    minutes = digits(p + 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    *offset = (hours * 3600 + minutes * 60) * (*p == '-' ? -1 : 1);
    return true;
}

bool tf_time_parse(const char *text, size_t len, int64_t *us)
{
    int year, month, day, hour, minute, second, offset;
    int64_t fraction = 0, unit = 100000;
    size_t at = 19;

    if (len < 20 || len > 40 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
        text[13] != ':' || text[16] != ':') {
        return false;
    }
    year = digits(text, 4);
    month = digits(text + 5, 2);
    day = digits(text + 8, 2);
    hour = digits(text + 11, 2);
    minute = digits(text + 14, 2);
    second = digits(text + 17, 2);
    if (year < 1 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 59 || day > tf_days_in_month(year, month)) {
        return false;
    }
    if (text[at] == '.') {
        for (at++; at < len && text[at] >= '0' && text[at] <= '9'; at++, unit /= 10) {
            fraction += (text[at] - '0') * unit; /* digits past the microsecond count nothing */
        }
        if (at == 20) {
            return false;
        }
    }
    if (!parse_zone(text + at, len - at, &offset)) {
        return false;
    }
    *us = ((tf_days_from_civil(year, month, day) * 24 + hour) * 60 + minute) * 60000000 +
          (int64_t)(second - offset) * 1000000 + fraction;
    return true;
}

/* Deepest nesting of arrays and objects, found before the recursive parser runs. */
static bool too_deep(const char *text, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        char ch = text[i];

        if (in_string) {
            if (ch == '\\') {
                i++;
            } else if (ch == '"') {
                in_string = false;
            }
        } else if (ch == '"') {
            in_string = true;
        } else if (ch == '{' || ch == '[') {
            if (++depth > TF_JSON_DEPTH_MAX) {
                return true;
            }
        } else if (ch == '}' || ch == ']') {
            depth--;
        }
    }
    return false;
}

static json_t *parse(const char *text, size_t len, size_t flags, char *error, size_t error_size)
{
    json_error_t at;
    json_t *value;

    if (too_deep(text, len)) {
        snprintf(error, error_size, "nested deeper than %d levels", TF_JSON_DEPTH_MAX);
        return NULL;
    }
    value = json_loadb(text, len, JSON_REJECT_DUPLICATES | flags, &at);
    if (value == NULL) {
        snprintf(error, error_size, "line %d, column %d: %s", at.line, at.column, at.text);
    }
    return value;
}

json_t *tf_json_parse(const char *text, size_t len, char *error, size_t error_size)
{
    return parse(text, len, 0, error, error_size);
}

json_t *tf_json_parse_any(const char *text, size_t len, char *error, size_t error_size)
{
    return parse(text, len, JSON_DECODE_ANY, error, error_size);
}
