#include "job_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_error.h"
#include "submission.h"
#include "uuid.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

#define BAD_STATUS "must be statuses separated by commas, e.g. FAILED,DEAD_LETTER"
#define BAD_NAME "must be a name of letters, digits, '.', '_' or '-'"
#define BAD_PRIORITY                                                                                         \
    "must be low, normal, high, critical or a level from " TEXT(TF_PRIORITY_MIN) " to " TEXT(TF_PRIORITY_MAX)
#define BAD_TIME "must be a time like 2026-11-22T13:00:00Z"
#define BAD_SEARCH "must be a text of 1 to " TEXT(TF_FILTER_SEARCH_MAX) " bytes"
#define BAD_IDS "must be an array of 1 to " TEXT(TF_FILTER_IDS_MAX) " ids of jobs"

void tf_job_filter_init(tf_job_filter_t *f)
{
    memset(f, 0, sizeof(*f));
    f->priority_low = TF_PRIORITY_MIN;
    f->priority_high = TF_PRIORITY_MAX;
    f->created_after = f->created_before = TF_TIME_NONE;
}

void tf_job_filter_free(tf_job_filter_t *f)
{
    free(f->ids);
    f->ids = NULL;
    f->nids = 0;
}

bool tf_job_filter_is_empty(const tf_job_filter_t *f)
{
    return f->statuses == 0 && f->priority_low == TF_PRIORITY_MIN && f->priority_high == TF_PRIORITY_MAX &&
           !f->type.data && !f->queue.data && !f->search.data && !f->has_id && !f->has_created_by &&
           !f->ids && f->created_after == TF_TIME_NONE && f->created_before == TF_TIME_NONE;
}

static const char *set_status(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    const char *p = text, *end = text + len;

    (void)me;
    for (;;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        tf_status_t status;

        if (!tf_status_parse(p, (size_t)((comma ? comma : end) - p), &status)) {
            return BAD_STATUS;
        }
        f->statuses |= TF_STATUS_BIT(status);
        if (!comma) {
            return NULL;
        }
        p = comma + 1;
    }
}

static const char *set_name(tf_str_t *field, const char *text, size_t len)
{
    if (!tf_queue_name_valid(text, len)) {
        return BAD_NAME;
    }
    *field = (tf_str_t){text, len};
    return NULL;
}

static const char *set_type(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    (void)me;
    return set_name(&f->type, text, len);
}

static const char *set_queue(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    (void)me;
    return set_name(&f->queue, text, len);
}

static const char *set_level(tf_job_filter_t *f, int64_t level)
{
    if (level < TF_PRIORITY_MIN || level > TF_PRIORITY_MAX) {
        return BAD_PRIORITY;
    }
    f->priority_low = f->priority_high = (int)level;
    return NULL;
}

/* "7" is that level; "high" is every level that is called so. */
static const char *set_priority(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    int level = tf_priority_parse(text, len), number = 0;

    (void)me;
    if (level < 0) {
        if (len < 1 || len > 2) {
            return BAD_PRIORITY;
        }
        for (size_t i = 0; i < len; i++) {
            if (text[i] < '0' || text[i] > '9') {
                return BAD_PRIORITY;
            }
            number = number * 10 + text[i] - '0';
        }
        return set_level(f, number);
    }
    f->priority_low = f->priority_high = level;
    while (f->priority_low > TF_PRIORITY_MIN &&
           tf_priority_name(f->priority_low - 1) == tf_priority_name(level)) {
        f->priority_low--;
    }
    while (f->priority_high < TF_PRIORITY_MAX &&
           tf_priority_name(f->priority_high + 1) == tf_priority_name(level)) {
        f->priority_high++;
    }
    return NULL;
}

static const char *set_created_after(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    (void)me;
    return tf_time_parse(text, len, &f->created_after) ? NULL : BAD_TIME;
}

static const char *set_created_before(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    (void)me;
    return tf_time_parse(text, len, &f->created_before) ? NULL : BAD_TIME;
}

static const char *set_search(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    (void)me;
    if (tf_uuid_parse(text, len, f->id)) {
        f->has_id = true;
        return NULL;
    }
    if (len == 0 || len > TF_FILTER_SEARCH_MAX || !tf_utf8_valid(text, len)) {
        return BAD_SEARCH;
    }
    f->search = (tf_str_t){text, len};
    return NULL;
}

static const char *set_created_by(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me)
{
    if (len == 2 && memcmp(text, "me", 2) == 0) {
        if (!me) {
            return "\"me\" is nobody: you are not logged in";
        }
        memcpy(f->created_by, me, sizeof(f->created_by));
    } else if (!tf_uuid_parse(text, len, f->created_by)) {
        return "must be \"me\" or the id of a user";
    }
    f->has_created_by = true;
    return NULL;
}

static const struct {
    const char *name;
    const char *(*set)(tf_job_filter_t *f, const char *text, size_t len, const uint8_t *me);
} fields[] = {
    {"status", set_status},
    {"type", set_type},
    {"queue", set_queue},
    {"priority", set_priority},
    {"created_after", set_created_after},
    {"created_before", set_created_before},
    {"q", set_search},
    {"created_by", set_created_by},
};

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

const char *tf_job_filter_set(tf_job_filter_t *f, const char *name, const char *text, size_t len,
                              const uint8_t *me)
{
    for (size_t i = 0; i < NFIELDS; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return fields[i].set(f, text, len, me);
        }
    }
    return "is not known";
}

/* ---- from JSON ---- */

static const char *set_ids(tf_job_filter_t *f, const json_t *value)
{
    size_t n = json_array_size(value);

    if (n < 1 || n > TF_FILTER_IDS_MAX || f->ids) {
        return BAD_IDS;
    }
    f->ids = malloc(n * sizeof(f->ids[0]));
    if (!f->ids) {
        return "does not fit into memory";
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(value, i);

        if (!json_is_string(item) ||
            !tf_uuid_parse(json_string_value(item), json_string_length(item), f->ids[i])) {
            return BAD_IDS;
        }
    }
    f->nids = n;
    return NULL;
}

static const char *set_statuses(tf_job_filter_t *f, const json_t *value)
{
    size_t i;
    json_t *item;

    if (json_array_size(value) == 0) {
        return "must be a status or an array of statuses, e.g. [\"FAILED\", \"DEAD_LETTER\"]";
    }
    json_array_foreach((json_t *)value, i, item)
    {
        tf_status_t status;

        if (!json_is_string(item) ||
            !tf_status_parse(json_string_value(item), json_string_length(item), &status)) {
            return "must be a status or an array of statuses, e.g. [\"FAILED\", \"DEAD_LETTER\"]";
        }
        f->statuses |= TF_STATUS_BIT(status);
    }
    return NULL;
}

static const char *set_from_json(tf_job_filter_t *f, const char *name, const json_t *value, const uint8_t *me)
{
    if (strcmp(name, "ids") == 0) {
        return set_ids(f, value);
    }
    if (strcmp(name, "status") == 0 && json_is_array(value)) {
        return set_statuses(f, value);
    }
    if (strcmp(name, "priority") == 0 && json_is_integer(value)) {
        return set_level(f, json_integer_value(value));
    }
    for (size_t i = 0; i < NFIELDS; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return json_is_string(value)
                       ? fields[i].set(f, json_string_value(value), json_string_length(value), me)
                       : "must be a string";
        }
    }
    return "unknown field";
}

void tf_job_filter_parse(tf_job_filter_t *f, const json_t *body, const char *prefix, const uint8_t *me,
                         tf_buf_t *errors)
{
    const char *key;
    json_t *value;

    if (!json_is_object(body)) {
        tf_json_error(errors, prefix, "must be an object");
        return;
    }
    json_object_foreach((json_t *)body, key, value)
    {
        const char *why = set_from_json(f, key, value, me);
        char pointer[TF_JSON_POINTER_SIZE];

        if (why) {
            tf_json_error(errors, tf_json_pointer(pointer, prefix, key), "%s", why);
        }
    }
}

/* ---- as SQL ---- */

int tf_job_where_param(tf_job_where_t *w, const void *data, size_t len)
{
    if (w->n == TF_FILTER_PARAMS || len > sizeof(w->wire[0])) {
        w->failed = true;
        return 1;
    }
    memcpy(w->wire[w->n], data, len);
    w->values[w->n] = (const char *)w->wire[w->n];
    w->lengths[w->n] = (int)len;
    return ++w->n;
}

int tf_job_where_param_at(tf_job_where_t *w, const char *data, size_t len)
{
    if (w->n == TF_FILTER_PARAMS) {
        w->failed = true;
        return 1;
    }
    w->values[w->n] = data;
    w->lengths[w->n] = (int)len;
    return ++w->n;
}

/* What both tables know. */
static void both(tf_job_where_t *w, const char *text)
{
    tf_buf_adds(&w->jobs, text);
    tf_buf_adds(&w->counts, text);
}

static void where_counted(tf_job_where_t *w, const tf_job_filter_t *f)
{
    char text[80];

    if (f->statuses) {
        const char *comma = "";

        /* as constants, so that partial indexes serve */
        both(w, " AND status IN (");
        for (int i = 0; i < TF_STATUS_COUNT; i++) {
            if (f->statuses & TF_STATUS_BIT(i)) {
                snprintf(text, sizeof(text), "%s'%s'", comma, tf_status_name((tf_status_t)i));
                both(w, text);
                comma = ",";
            }
        }
        both(w, ")");
    }
    if (f->priority_low > TF_PRIORITY_MIN || f->priority_high < TF_PRIORITY_MAX) {
        snprintf(text, sizeof(text), " AND priority BETWEEN %d AND %d", f->priority_low, f->priority_high);
        both(w, text);
    }
    if (f->type.data) {
        snprintf(text, sizeof(text), " AND type = $%d::text",
                 tf_job_where_param_at(w, f->type.data, f->type.len));
        both(w, text);
    }
    if (f->queue.data) {
        snprintf(text, sizeof(text), " AND queue = $%d::text",
                 tf_job_where_param_at(w, f->queue.data, f->queue.len));
        both(w, text);
    } else if (!f->internal && !f->has_id && !f->ids) {
        snprintf(text, sizeof(text), " AND left(queue, 1) <> '%c'", TF_QUEUE_INTERNAL);
        both(w, text);
    }
    w->ncounted = w->n;
}

/* Ids are UUIDv7, so a moment is a place in the primary key, to the millisecond; created_at itself decides
 * within it. A second of slack: ids ascend even when a clock stepped back. */
#define SLACK_MS 1000

static void where_time(tf_job_where_t *w, int64_t us, const char *condition, int64_t slack_ms)
{
    uint8_t id[16], wire[8];
    int n, m;

    if (us == TF_TIME_NONE) {
        return;
    }
    tf_uuid_floor(us / 1000 + slack_ms, id);
    tf_pg_put_time(wire, us);
    n = tf_job_where_param(w, id, sizeof(id));
    m = tf_job_where_param(w, wire, sizeof(wire));
    tf_buf_addf(&w->jobs, " AND id %s $%d::uuid AND created_at %s $%d::timestamptz", condition, n, condition,
                m);
    w->countable = false;
}

static void where_search(tf_job_where_t *w, tf_str_t text)
{
    tf_buf_addc(&w->pattern, '%');
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("%_\\", text.data[i], 3)) {
            tf_buf_addc(&w->pattern, '\\');
        }
        tf_buf_addc(&w->pattern, text.data[i]);
    }
    tf_buf_addc(&w->pattern, '%');
    tf_buf_addf(&w->jobs, " AND name ILIKE $%d::text",
                tf_job_where_param_at(w, w->pattern.data, w->pattern.len));
    w->countable = false;
}

void tf_job_where(tf_job_where_t *w, const tf_job_filter_t *f)
{
    tf_buf_reset(&w->jobs);
    tf_buf_reset(&w->counts);
    tf_buf_reset(&w->pattern);
    w->countable = true;
    w->failed = false;
    w->n = 0;
    where_counted(w, f);
    where_time(w, f->created_after, ">=", -SLACK_MS);
    where_time(w, f->created_before, "<", SLACK_MS);
    if (f->has_id) {
        tf_buf_addf(&w->jobs, " AND id = $%d::uuid", tf_job_where_param(w, f->id, sizeof(f->id)));
        w->countable = false;
    }
    if (f->search.data) {
        where_search(w, f->search);
    }
    if (f->has_created_by) {
        tf_buf_addf(&w->jobs, " AND created_by = $%d::uuid",
                    tf_job_where_param(w, f->created_by, sizeof(f->created_by)));
        w->countable = false;
    }
    if (f->ids) {
        tf_pgarray_begin(&w->ids, TF_PG_UUID);
        for (size_t i = 0; i < f->nids; i++) {
            tf_pgarray_bytes(&w->ids, f->ids[i], sizeof(f->ids[i]));
        }
        w->failed |= !tf_pgarray_end(&w->ids);
        tf_buf_addf(&w->jobs, " AND id = ANY ($%d::uuid[])",
                    tf_job_where_param_at(w, w->ids.buf.data, w->ids.buf.len));
        w->countable = false;
    }
    w->failed |= w->jobs.failed || w->counts.failed || w->pattern.failed;
}

void tf_job_where_ids(const tf_job_filter_t *f, const uint8_t *before, uint8_t since[16], uint8_t below[16])
{
    uint8_t created[16];

    memset(since, 0, 16);
    memset(below, 0xff, 16);
    if (f->created_after != TF_TIME_NONE) {
        tf_uuid_floor(f->created_after / 1000 - SLACK_MS, since);
    }
    if (before) {
        memcpy(below, before, 16);
    }
    if (f->created_before != TF_TIME_NONE) {
        tf_uuid_floor(f->created_before / 1000 + SLACK_MS, created);
        if (memcmp(created, below, 16) < 0) {
            memcpy(below, created, 16);
        }
    }
}

void tf_job_where_free(tf_job_where_t *w)
{
    tf_buf_free(&w->jobs);
    tf_buf_free(&w->counts);
    tf_buf_free(&w->pattern);
    tf_pgarray_free(&w->ids);
}
