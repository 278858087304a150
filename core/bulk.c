#include "bulk.h"

#include <string.h>

#include "json_error.h"

static const struct {
    const char *name, *begun, *done;
    const tf_sql_t *sql;
    uint32_t statuses; /* that it can change */
    const char *refused;
} actions[TF_BULK_ACTIONS] = {
    [TF_BULK_CANCEL] = {"cancel", "bulk.cancel", "bulk.cancel.done", &tf_sql_cancel_many,
                        TF_STATUS_BIT(TF_SCHEDULED) | TF_STATUS_BIT(TF_QUEUED) | TF_STATUS_BIT(TF_RETRYING) |
                            TF_STATUS_BIT(TF_RUNNING),
                        "has a status that cannot be cancelled: only SCHEDULED, QUEUED, RETRYING, RUNNING"},
    [TF_BULK_RETRY] = {"retry", "bulk.retry", "bulk.retry.done", &tf_sql_retry_many,
                       TF_STATUS_BIT(TF_FAILED) | TF_STATUS_BIT(TF_DEAD_LETTER) | TF_STATUS_BIT(TF_CANCELLED),
                       "has a status that cannot be retried: only FAILED, DEAD_LETTER, CANCELLED"},
    [TF_BULK_DELETE] = {"delete", "bulk.delete", "bulk.delete.done", &tf_sql_delete_many,
                        TF_STATUS_BIT(TF_SUCCESS) | TF_STATUS_BIT(TF_FAILED) | TF_STATUS_BIT(TF_DEAD_LETTER) |
                            TF_STATUS_BIT(TF_CANCELLED),
                        "has a status that cannot be deleted: only SUCCESS, FAILED, DEAD_LETTER, CANCELLED"},
};

const char *tf_bulk_name(tf_bulk_action_t action)
{
    return actions[action].name;
}

const char *tf_bulk_audit(tf_bulk_action_t action, bool done)
{
    return done ? actions[action].done : actions[action].begun;
}

const tf_sql_t *tf_bulk_sql(tf_bulk_action_t action)
{
    return actions[action].sql;
}

static void parse_action(tf_bulk_t *bulk, const json_t *value, tf_buf_t *errors)
{
    for (int i = 0; json_is_string(value) && i < TF_BULK_ACTIONS; i++) {
        if (strcmp(json_string_value(value), actions[i].name) == 0) {
            bulk->action = (tf_bulk_action_t)i;
            return;
        }
    }
    tf_json_error(errors, "#/action", "must be \"cancel\", \"retry\" or \"delete\"");
}

static bool parse_flag(const char *pointer, const json_t *value, tf_buf_t *errors)
{
    if (value && !json_is_boolean(value)) {
        tf_json_error(errors, pointer, "must be true or false");
    }
    return json_is_true(value);
}

/* Once everything else is right: does the filter fit the action? */
static void check_filter(tf_bulk_t *bulk, tf_buf_t *errors)
{
    tf_job_filter_t *filter = &bulk->filter;

    if (tf_job_filter_is_empty(filter) && !bulk->all) {
        tf_json_error(errors, "#/filter", "is empty; say \"all\": true if every job is meant");
    }
    if (filter->statuses & ~actions[bulk->action].statuses) {
        tf_json_error(errors, "#/filter/status", "%s", actions[bulk->action].refused);
    }
    if (filter->statuses == 0) {
        filter->statuses = actions[bulk->action].statuses;
    }
}

void tf_bulk_parse(tf_bulk_t *bulk, const json_t *body, const uint8_t *me, tf_buf_t *errors)
{
    const json_t *filter = json_object_get(body, "filter");
    const char *key;
    json_t *value;

    memset(bulk, 0, sizeof(*bulk));
    tf_job_filter_init(&bulk->filter);
    if (!json_is_object(body)) {
        tf_json_error(errors, "#", "must be an object");
        return;
    }
    json_object_foreach((json_t *)body, key, value)
    {
        char pointer[TF_JSON_POINTER_SIZE];

        if (strcmp(key, "action") != 0 && strcmp(key, "filter") != 0 && strcmp(key, "all") != 0 &&
            strcmp(key, "dry_run") != 0) {
            tf_json_error(errors, tf_json_pointer(pointer, "#", key), "unknown field");
        }
    }
    parse_action(bulk, json_object_get(body, "action"), errors);
    bulk->all = parse_flag("#/all", json_object_get(body, "all"), errors);
    bulk->dry_run = parse_flag("#/dry_run", json_object_get(body, "dry_run"), errors);
    if (filter) {
        tf_job_filter_parse(&bulk->filter, filter, "#/filter", me, errors);
    }
    if (errors->len == 0) {
        check_filter(bulk, errors);
    }
}

void tf_bulk_free(tf_bulk_t *bulk)
{
    tf_job_filter_free(&bulk->filter);
}
