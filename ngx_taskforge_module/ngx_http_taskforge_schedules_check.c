
/*
 * A schedule as somebody wants it: every field is checked, and what comes
 * out is what sql/0003_schedules.up.sql takes.
 */

#include "ngx_http_taskforge_schedules.h"
#include "ngx_http_taskforge_outgoing.h"
#include "ngx_http_taskforge_reply.h"
#include "submission.h"


#define NGX_HTTP_TASKFORGE_SCHEDULE_DESCRIPTION_MAX  1000    /* bytes */
#define NGX_HTTP_TASKFORGE_SCHEDULE_JITTER_MAX       86400   /* seconds */
#define NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP_MIN     10
#define NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP_MAX     604800
#define NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP         60


static void ngx_http_taskforge_schedule_check_known(
    ngx_http_taskforge_schedule_check_t *check);
static void ngx_http_taskforge_schedule_check_text(
    ngx_http_taskforge_schedule_check_t *check, const char *key, size_t max);
static void ngx_http_taskforge_schedule_check_name(
    ngx_http_taskforge_schedule_check_t *check);
static void ngx_http_taskforge_schedule_check_int(
    ngx_http_taskforge_schedule_check_t *check, const char *key, int64_t min,
    int64_t max, int64_t fallback);
static void ngx_http_taskforge_schedule_check_overlap(
    ngx_http_taskforge_schedule_check_t *check);
static void ngx_http_taskforge_schedule_check_time(ngx_http_request_t *r,
    ngx_http_taskforge_schedule_check_t *check);
static void ngx_http_taskforge_schedule_check_job(ngx_http_request_t *r,
    ngx_http_taskforge_schedule_check_t *check);
static const tf_type_defaults_t *ngx_http_taskforge_schedule_lookup(
    void *data, const char *type, size_t len);
static void ngx_http_taskforge_schedule_template(
    ngx_http_taskforge_schedule_check_t *check, const tf_job_t *job);


static const char  *ngx_http_taskforge_schedule_fields[] = {
    "name", "description", "cron", "time_zone", "jitter_seconds", "overlap",
    "catch_up_seconds", "job", NULL
};


/* The types, and whether one was asked for that is not among them. */

typedef struct {
    ngx_http_taskforge_types_t   *types;
    ngx_uint_t                    unknown;
} ngx_http_taskforge_schedule_lookup_t;


ngx_int_t
ngx_http_taskforge_schedule_check(ngx_http_request_t *r,
    ngx_http_taskforge_schedule_check_t *check)
{
    tf_buf_reset(&check->errors);
    tf_buf_reset(&check->settings);
    check->unknown = 0;

    tf_buf_addc(&check->settings, '{');

    ngx_http_taskforge_schedule_check_known(check);
    ngx_http_taskforge_schedule_check_name(check);
    ngx_http_taskforge_schedule_check_text(check, "description",
                              NGX_HTTP_TASKFORGE_SCHEDULE_DESCRIPTION_MAX);
    ngx_http_taskforge_schedule_check_time(r, check);
    ngx_http_taskforge_schedule_check_int(check, "jitter_seconds", 0,
                                      NGX_HTTP_TASKFORGE_SCHEDULE_JITTER_MAX,
                                      0);
    ngx_http_taskforge_schedule_check_overlap(check);
    ngx_http_taskforge_schedule_check_int(check, "catch_up_seconds",
                                   NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP_MIN,
                                   NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP_MAX,
                                   NGX_HTTP_TASKFORGE_SCHEDULE_CATCH_UP);
    ngx_http_taskforge_schedule_check_job(r, check);

    tf_buf_addc(&check->settings, '}');

    return (check->errors.len || check->errors.failed) ? NGX_DECLINED
                                                       : NGX_OK;
}


static void
ngx_http_taskforge_schedule_check_known(
    ngx_http_taskforge_schedule_check_t *check)
{
    json_t       *value;
    ngx_uint_t    i;
    const char   *key;

    json_object_foreach(check->fields, key, value) {

        for (i = 0; ngx_http_taskforge_schedule_fields[i]; i++) {
            if (ngx_strcmp(ngx_http_taskforge_schedule_fields[i], key) == 0) {
                break;
            }
        }

        if (ngx_http_taskforge_schedule_fields[i] == NULL) {
            ngx_http_taskforge_field_error(&check->errors, key,
                                           "is not known");
        }
    }
}


/* A text that may be left out, or null. */

static void
ngx_http_taskforge_schedule_check_text(
    ngx_http_taskforge_schedule_check_t *check, const char *key, size_t max)
{
    char     why[64];
    json_t  *value;

    value = json_object_get(check->fields, key);

    if (value == NULL || json_is_null(value)) {
        return;
    }

    if (!json_is_string(value) || json_string_length(value) > max) {
        (void) snprintf(why, sizeof(why), "must be a text of at most %zu "
                        "bytes", max);
        ngx_http_taskforge_field_error(&check->errors, key, why);
        return;
    }

    tf_json_kstr(&check->settings, key, json_string_value(value),
                 json_string_length(value));
}


/* Names that begin with "taskforge." are those of the built-in ones. */

static void
ngx_http_taskforge_schedule_check_name(
    ngx_http_taskforge_schedule_check_t *check)
{
    json_t  *value;

    value = json_object_get(check->fields, "name");

    if (value == NULL) {
        ngx_http_taskforge_field_error(&check->errors, "name", "is required");

    } else if (!json_is_string(value) || json_string_length(value) == 0
               || json_string_length(value) > TF_NAME_MAX)
    {
        ngx_http_taskforge_field_error(&check->errors, "name",
                                       "must be a text of 1 to 200 bytes");

    } else if (ngx_strncmp(json_string_value(value), "taskforge.", 10) == 0) {
        ngx_http_taskforge_field_error(&check->errors, "name",
                                       "must not begin with \"taskforge.\"");

    } else {
        tf_json_kstr(&check->settings, "name", json_string_value(value),
                     json_string_length(value));
    }
}


static void
ngx_http_taskforge_schedule_check_int(
    ngx_http_taskforge_schedule_check_t *check, const char *key, int64_t min,
    int64_t max, int64_t fallback)
{
    char      why[80];
    json_t   *value;
    int64_t   n;

    value = json_object_get(check->fields, key);
    n = value ? json_integer_value(value) : fallback;

    if ((value && !json_is_integer(value)) || n < min || n > max) {
        (void) snprintf(why, sizeof(why), "must be an integer from %lld to "
                        "%lld", (long long) min, (long long) max);
        ngx_http_taskforge_field_error(&check->errors, key, why);
        return;
    }

    tf_json_kint(&check->settings, key, n);
}


static void
ngx_http_taskforge_schedule_check_overlap(
    ngx_http_taskforge_schedule_check_t *check)
{
    json_t       *value;
    ngx_uint_t    i;
    const char   *overlap;

    static const char  *policies[] = {
        "skip", "queue", "cancel_running", "allow", NULL
    };

    value = json_object_get(check->fields, "overlap");
    overlap = value ? json_string_value(value) : policies[0];

    for (i = 0; overlap && policies[i]; i++) {
        if (ngx_strcmp(overlap, policies[i]) == 0) {
            tf_json_kcstr(&check->settings, "overlap", overlap);
            return;
        }
    }

    ngx_http_taskforge_field_error(&check->errors, "overlap", "must be skip, "
                                   "queue, cancel_running or allow");
}


/* When it fires. */

static void
ngx_http_taskforge_schedule_check_time(ngx_http_request_t *r,
    ngx_http_taskforge_schedule_check_t *check)
{
    json_t           *cron_value, *zone_value;
    ngx_str_t         text, name;
    tf_cron_t         cron;
    const tf_zone_t  *zone;

    cron_value = json_object_get(check->fields, "cron");
    zone_value = json_object_get(check->fields, "time_zone");

    if (zone_value && !json_is_string(zone_value)) {
        ngx_http_taskforge_field_error(&check->errors, "time_zone",
                                       "must be a string");
        zone_value = NULL;
    }

    if (!json_is_string(cron_value)) {
        ngx_http_taskforge_field_error(&check->errors, "cron",
                                       cron_value ? "must be a string"
                                                  : "is required");
        return;
    }

    text.data = (u_char *) json_string_value(cron_value);
    text.len = json_string_length(cron_value);

    if (zone_value) {
        name.data = (u_char *) json_string_value(zone_value);
        name.len = json_string_length(zone_value);

    } else {
        ngx_str_set(&name, "UTC");
    }

    if (ngx_http_taskforge_schedule_cron(r, &text, &name, &cron, &zone,
                                         &check->errors)
        != NGX_OK)
    {
        return;
    }

    if (!tf_cron_next(&cron, zone, check->after, &check->next)) {
        ngx_http_taskforge_field_error(&check->errors, "cron",
                                       "it never fires again");
        return;
    }

    check->next *= 1000000;

    tf_json_kstr(&check->settings, "cron", (char *) text.data, text.len);
    tf_json_kstr(&check->settings, "time_zone", (char *) name.data, name.len);
}


/* What is submitted: the body of POST /jobs without a time of its own. */

static void
ngx_http_taskforge_schedule_check_job(ngx_http_request_t *r,
    ngx_http_taskforge_schedule_check_t *check)
{
    json_t                                *value;
    tf_job_t                               job;
    ngx_uint_t                             i;
    const char                            *why;
    ngx_http_taskforge_main_conf_t        *mcf;
    ngx_http_taskforge_schedule_lookup_t   lookup;

    static const char  *timed[] = {
        "scheduled_at", "delay_seconds", "expires_at", "idempotency_key", NULL
    };

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);
    value = json_object_get(check->fields, "job");

    if (value == NULL) {
        ngx_http_taskforge_field_error(&check->errors, "job", "is required");
        return;
    }

    for (i = 0; timed[i]; i++) {
        if (json_object_get(value, timed[i])) {
            ngx_http_taskforge_error_add(&check->errors, "pointer", "#/job",
                                         5, "cannot have \"%s\": it would be "
                                         "the same for every run", timed[i]);
        }
    }

    lookup.types = mcf->types;
    lookup.unknown = 0;

    if (tf_submission_check(value, check->job, "#/job",
                            ngx_http_taskforge_now_us(),
                            ngx_http_taskforge_schedule_lookup, &lookup, &job,
                            &check->errors))
    {
        why = job.webhook_url.len
              ? ngx_http_taskforge_outgoing_refusal(r, job.webhook_url)
              : NULL;

        if (why) {
            ngx_http_taskforge_error_add(&check->errors, "pointer",
                                         "#/job/webhook_url", 17,
                                         "its host %s", why);
        }

        tf_json_kraw(&check->settings, "job", check->job.data,
                     check->job.len);
        ngx_http_taskforge_schedule_template(check, &job);
    }

    check->unknown = lookup.unknown;
}


static const tf_type_defaults_t *
ngx_http_taskforge_schedule_lookup(void *data, const char *type, size_t len)
{
    const tf_type_defaults_t              *found;
    ngx_http_taskforge_schedule_lookup_t  *lookup = data;

    found = ngx_http_taskforge_types_lookup(lookup->types, type, len);

    if (found == NULL) {
        lookup->unknown = 1;
    }

    return found;
}


/* The job as columns of jobs.  What was not given is left to the type. */

static void
ngx_http_taskforge_schedule_template(
    ngx_http_taskforge_schedule_check_t *check, const tf_job_t *job)
{
    json_t      *value;
    tf_buf_t    *out;
    ngx_uint_t   i;

    const struct {
        const char  *column;
        tf_str_t     text;
    } texts[] = {
        { "type", job->type },
        { "queue", job->queue },
        { "name", job->name },
        { "webhook_url", job->webhook_url }
    };

    const struct {
        const char  *column;
        int32_t      value;
    } numbers[] = {
        { "priority", job->priority },
        { "timeout_seconds", job->timeout_seconds },
        { "retry_base_ms", job->retry_base_ms },
        { "retry_max_ms", job->retry_max_ms },
        { "retry_budget_seconds", job->retry_budget_seconds }
    };

    out = &check->settings;
    value = json_object_get(check->fields, "job");

    tf_json_key(out, "template");
    tf_buf_addc(out, '{');

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text.data) {
            tf_json_kstr(out, texts[i].column, texts[i].text.data,
                         texts[i].text.len);
        }
    }

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].value >= 0) {
            tf_json_kint(out, numbers[i].column, numbers[i].value);
        }
    }

    if (json_object_get(value, "max_retries")) {
        tf_json_kint(out, "max_retries", job->max_retries);
    }

    if (job->retry_jitter >= 0) {
        tf_json_kbool(out, "retry_jitter", job->retry_jitter != 0);
    }

    tf_json_kraw(out, "payload", job->payload.data, job->payload.len);

    if (job->metadata.data) {
        tf_json_kraw(out, "metadata", job->metadata.data, job->metadata.len);
    }

    tf_buf_addc(out, '}');
}
