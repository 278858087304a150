#include "job.h"

#include <string.h>

#include "name.h"
#include "uuid.h"

static const tf_str_t status_names[TF_STATUS_COUNT] = {
#define X(id, text) [TF_##id] = {text, sizeof(text) - 1},
    TF_STATUS_MAP(X)
#undef X
};

const char *tf_status_name(tf_status_t status)
{
    return status < TF_STATUS_COUNT ? status_names[status].data : "UNKNOWN";
}

bool tf_status_parse(const char *text, size_t len, tf_status_t *status)
{
    for (int i = 0; i < TF_STATUS_COUNT; i++) {
        if (status_names[i].len == len && memcmp(status_names[i].data, text, len) == 0) {
            *status = (tf_status_t)i;
            return true;
        }
    }
    return false;
}

bool tf_status_is_terminal(tf_status_t status)
{
    return status == TF_SUCCESS || status == TF_FAILED || status == TF_DEAD_LETTER || status == TF_CANCELLED;
}

/* The whole life of a job: who may move it from where to where. */
static const struct {
    tf_status_t from, to;
    tf_actor_t actor;
} transitions[] = {
    {TF_SCHEDULED, TF_QUEUED, TF_ACTOR_SCHEDULER}, /* due */
    {TF_RETRYING, TF_QUEUED, TF_ACTOR_SCHEDULER},  /* due */
    {TF_QUEUED, TF_RUNNING, TF_ACTOR_WORKER},      /* claim */
    {TF_RUNNING, TF_SUCCESS, TF_ACTOR_WORKER},
    {TF_RUNNING, TF_RETRYING, TF_ACTOR_WORKER},
    {TF_RUNNING, TF_DEAD_LETTER, TF_ACTOR_WORKER},    /* retries spent */
    {TF_RUNNING, TF_FAILED, TF_ACTOR_WORKER},         /* permanent */
    {TF_RUNNING, TF_CANCELLED, TF_ACTOR_WORKER},      /* asked for */
    {TF_RUNNING, TF_QUEUED, TF_ACTOR_WORKER},         /* graceful stop gives it back */
    {TF_RUNNING, TF_SCHEDULED, TF_ACTOR_WORKER},      /* snoozed */
    {TF_RUNNING, TF_RETRYING, TF_ACTOR_REAPER},       /* its worker was lost */
    {TF_RUNNING, TF_DEAD_LETTER, TF_ACTOR_REAPER},    /* ... once too often */
    {TF_RUNNING, TF_CANCELLED, TF_ACTOR_REAPER},      /* ... after somebody had asked for it */
    {TF_SCHEDULED, TF_CANCELLED, TF_ACTOR_SCHEDULER}, /* expired */
    {TF_QUEUED, TF_CANCELLED, TF_ACTOR_SCHEDULER},
    {TF_RETRYING, TF_CANCELLED, TF_ACTOR_SCHEDULER},
    {TF_SCHEDULED, TF_CANCELLED, TF_ACTOR_API},
    {TF_QUEUED, TF_CANCELLED, TF_ACTOR_API},
    {TF_RETRYING, TF_CANCELLED, TF_ACTOR_API},
    {TF_FAILED, TF_QUEUED, TF_ACTOR_API}, /* explicit retry: new epoch */
    {TF_DEAD_LETTER, TF_QUEUED, TF_ACTOR_API},
    {TF_CANCELLED, TF_QUEUED, TF_ACTOR_API},
};

bool tf_transition_allowed(tf_status_t from, tf_status_t to, tf_actor_t actor)
{
    for (size_t i = 0; i < sizeof(transitions) / sizeof(transitions[0]); i++) {
        if (transitions[i].from == from && transitions[i].to == to && transitions[i].actor == actor) {
            return true;
        }
    }
    return false;
}

const char *tf_status_event(tf_status_t status)
{
    switch (status) {
    case TF_SCHEDULED:
    case TF_QUEUED:
        return "job_queued";
    case TF_RUNNING:
        return "job_running";
    case TF_SUCCESS:
        return "job_success";
    case TF_RETRYING:
        return "job_retrying";
    case TF_FAILED:
    case TF_DEAD_LETTER:
        return "job_failed";
    case TF_CANCELLED:
        return "job_cancelled";
    default:
        return "job_unknown";
    }
}

static const struct {
    tf_str_t name;
    int priority;
} priority_names[] = {
    {{"low", 3}, 2},
    {{"normal", 6}, TF_PRIORITY_DEFAULT},
    {{"default", 7}, TF_PRIORITY_DEFAULT},
    {{"high", 4}, 8},
    {{"critical", 8}, 10},
};

int tf_priority_parse(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof(priority_names) / sizeof(priority_names[0]); i++) {
        if (priority_names[i].name.len == len && memcmp(priority_names[i].name.data, name, len) == 0) {
            return priority_names[i].priority;
        }
    }
    return -1;
}

const char *tf_priority_name(int priority)
{
    return priority <= 3 ? "low" : priority <= 6 ? "normal" : priority <= 8 ? "high" : "critical";
}

bool tf_type_is_internal(const char *type, size_t len)
{
    static const tf_str_t internal[] = {
        {TF_TYPE_BULK, sizeof(TF_TYPE_BULK) - 1},
        {TF_TYPE_WEBHOOK, sizeof(TF_TYPE_WEBHOOK) - 1},
    };

    for (size_t i = 0; i < sizeof(internal) / sizeof(internal[0]); i++) {
        if (internal[i].len == len && memcmp(internal[i].data, type, len) == 0) {
            return true;
        }
    }
    return false;
}

bool tf_queue_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > TF_QUEUE_NAME_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!tf_name_char(name[i])) {
            return false;
        }
    }
    return true;
}

void tf_job_init(tf_job_t *job)
{
    memset(job, 0, sizeof(*job));
    job->priority = TF_PRIORITY_DEFAULT;
    job->status = TF_QUEUED;
    job->timeout_seconds = job->retry_base_ms = job->retry_max_ms = job->retry_jitter = -1;
    job->retry_budget_seconds = -1;
    job->created_at = job->updated_at = job->scheduled_at = job->run_at = TF_TIME_NONE;
    job->started_at = job->finished_at = job->expires_at = job->retried_at = TF_TIME_NONE;
}

static void write_uuid(tf_buf_t *out, const char *key, const uint8_t id[16])
{
    char text[TF_UUID_TEXT_LEN];

    tf_uuid_format(id, text);
    tf_json_kstr(out, key, text, sizeof(text));
}

static void write_uuid_or_null(tf_buf_t *out, const char *key, bool given, const uint8_t id[16])
{
    if (given) {
        write_uuid(out, key, id);
    } else {
        tf_json_kraw(out, key, NULL, 0);
    }
}

static void write_str(tf_buf_t *out, const char *key, tf_str_t s)
{
    tf_json_kstr(out, key, s.data, s.len);
}

static void write_raw(tf_buf_t *out, const char *key, tf_str_t s)
{
    tf_json_kraw(out, key, s.data, s.len);
}

static void write_int_or_null(tf_buf_t *out, const char *key, int32_t value)
{
    tf_json_key(out, key);
    if (value < 0) {
        tf_buf_add(out, "null", 4);
    } else {
        tf_buf_addi(out, value);
    }
}

/* Seconds from start to end, e.g. 0.012345; null while there is none. */
static void write_duration(tf_buf_t *out, const tf_job_t *job)
{
    int64_t us;

    tf_json_key(out, "duration_seconds");
    if (job->started_at == TF_TIME_NONE || job->finished_at == TF_TIME_NONE ||
        job->finished_at < job->started_at) {
        tf_buf_add(out, "null", 4);
        return;
    }
    us = job->finished_at - job->started_at;
    tf_buf_addi(out, us / 1000000);
    if (us % 1000000) {
        char fraction[7] = ".000000";

        us %= 1000000;
        for (int i = 6; i > 0; i--, us /= 10) {
            fraction[i] = (char)('0' + us % 10);
        }
        tf_buf_add(out, fraction, sizeof(fraction));
    }
}

static void write_retry(tf_buf_t *out, const tf_job_t *job)
{
    if (job->retry_base_ms < 0 && job->retry_max_ms < 0 && job->retry_jitter < 0 &&
        job->retry_budget_seconds < 0) {
        return;
    }
    tf_json_key(out, "retry");
    tf_buf_adds(out, "{\"strategy\":\"exponential\"");
    if (job->retry_base_ms >= 0) {
        tf_json_kdouble(out, "base_seconds", job->retry_base_ms / 1000.0);
    }
    if (job->retry_max_ms >= 0) {
        tf_json_kdouble(out, "max_seconds", job->retry_max_ms / 1000.0);
    }
    if (job->retry_jitter >= 0) {
        tf_json_kbool(out, "jitter", job->retry_jitter == 1);
    }
    if (job->retry_budget_seconds >= 0) {
        tf_json_kint(out, "budget_seconds", job->retry_budget_seconds);
    }
    tf_buf_addc(out, '}');
}

void tf_job_write_json(tf_buf_t *out, const tf_job_t *job, bool with_data, bool open)
{
    tf_buf_addc(out, '{');
    write_uuid(out, "id", job->id);
    write_str(out, "name", job->name);
    write_str(out, "type", job->type);
    write_str(out, "queue", job->queue);
    tf_json_kcstr(out, "priority", tf_priority_name(job->priority));
    tf_json_kint(out, "priority_value", job->priority);
    tf_json_kcstr(out, "status", tf_status_name(job->status));
    tf_json_kint(out, "attempt", job->attempt);
    tf_json_kint(out, "max_retries", job->max_retries);
    tf_json_kint(out, "progress", job->progress);
    write_int_or_null(out, "timeout_seconds", job->timeout_seconds);
    write_retry(out, job);
    write_str(out, "worker", job->worker);
    write_uuid_or_null(out, "created_by", job->has_created_by, job->created_by);
    write_uuid_or_null(out, "parent_id", job->has_parent_id, job->parent_id);
    write_uuid_or_null(out, "schedule_id", job->has_schedule_id, job->schedule_id);
    write_raw(out, "metadata", job->metadata);
    tf_json_ktime(out, "created_at", job->created_at);
    tf_json_ktime(out, "updated_at", job->updated_at);
    tf_json_ktime(out, "scheduled_at", job->scheduled_at);
    tf_json_ktime(out, "run_at", job->run_at);
    tf_json_ktime(out, "started_at", job->started_at);
    /* an attempt that is to be tried again has ended; the job has not */
    tf_json_ktime(out, "finished_at", tf_status_is_terminal(job->status) ? job->finished_at : TF_TIME_NONE);
    tf_json_ktime(out, "expires_at", job->expires_at);
    tf_json_ktime(out, "retried_at", job->retried_at);
    write_duration(out, job);
    tf_json_kint(out, "snoozes", job->snoozes);
    tf_json_kbool(out, "cancel_requested", job->cancel_requested);
    write_str(out, "webhook_url", job->webhook_url);
    write_str(out, "traceparent", job->traceparent);
    write_str(out, "error", job->error);
    if (with_data) {
        write_raw(out, "payload", job->payload);
        write_raw(out, "result", job->result);
        write_str(out, "traceback", job->traceback);
    }
    if (!open) {
        tf_buf_addc(out, '}');
    }
}

void tf_job_write_event(tf_buf_t *out, const tf_job_t *job, const char *event, int64_t ts)
{
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "event", event);
    tf_json_ktime(out, "ts", ts);
    tf_json_key(out, "job");
    tf_buf_addc(out, '{');
    write_uuid(out, "id", job->id);
    write_str(out, "name", job->name);
    write_str(out, "type", job->type);
    write_str(out, "queue", job->queue);
    tf_json_kcstr(out, "priority", tf_priority_name(job->priority));
    tf_json_kcstr(out, "status", tf_status_name(job->status));
    tf_json_kint(out, "attempt", job->attempt);
    tf_json_kint(out, "max_retries", job->max_retries);
    tf_json_kint(out, "progress", job->progress);
    write_str(out, "error", job->error);
    write_duration(out, job);
    tf_buf_add(out, "}}", 2);
}
