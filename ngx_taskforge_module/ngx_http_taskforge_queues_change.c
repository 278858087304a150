
/*
 * What an admin decides about a queue: committed, then told to Redis and to
 * the submits of this host, then answered.
 */

#include "ngx_http_taskforge_queues.h"
#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_body.h"
#include "ngx_http_taskforge_queue_rules.h"
#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_shm.h"
#include "redis_keys.h"


#define NGX_HTTP_TASKFORGE_QUEUE_NOTE_MAX  500
#define NGX_HTTP_TASKFORGE_QUEUE_DAYS_MIN  0.01
#define NGX_HTTP_TASKFORGE_QUEUE_DAYS_MAX  3650


/* A change that is asked for, and then its answer that waits. */

typedef struct {
    ngx_http_request_t                     *request;
    ngx_http_taskforge_queue_rules_wait_t   wait;
    const char                             *action;
    const char                             *state;       /* NULL: stays */
    ngx_uint_t                              set_max_length;
    json_t                                 *max_length;
    ngx_uint_t                              set_note;
    json_t                                 *note;
    ngx_uint_t                              set_retention;
    json_t                                 *retention;
    char                                   *retention_text;
    unsigned                                waiting:1;
} ngx_http_taskforge_queue_change_t;


static void ngx_http_taskforge_queues_state(ngx_http_request_t *r,
    const char *action, const char *state);
static ngx_http_taskforge_queue_change_t *ngx_http_taskforge_queue_change(
    ngx_http_request_t *r, const char *action);
static void ngx_http_taskforge_queue_change_cleanup(void *data);
static ngx_int_t ngx_http_taskforge_queue_change_read(ngx_http_request_t *r,
    ngx_http_taskforge_queue_change_t *change);
static ngx_uint_t ngx_http_taskforge_queue_retention_valid(json_t *rules);
static void ngx_http_taskforge_queue_change_send(
    ngx_http_taskforge_queue_change_t *change);
static void ngx_http_taskforge_queue_change_done(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_queue_change_redis(ngx_http_request_t *r,
    ngx_uint_t paused, int64_t version);
static void ngx_http_taskforge_queue_change_known(void *data, ngx_uint_t ok);


/*
 * Columns: outcome, state, max_length, version int8.  Parameters: those of
 * queue_change(), sql/0004_queues.up.sql.
 */

static const tf_sql_t  ngx_http_taskforge_sql_queue_change = {
    "tf_queue_change",
    "SELECT outcome, state, max_length, version "
    "FROM queue_change($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
        "$13)",
    13
};


void
ngx_http_taskforge_queues_pause(ngx_http_request_t *r)
{
    ngx_http_taskforge_queues_state(r, "queue.pause", "paused");
}


void
ngx_http_taskforge_queues_resume(ngx_http_request_t *r)
{
    ngx_http_taskforge_queues_state(r, "queue.resume", "active");
}


void
ngx_http_taskforge_queues_drain(ngx_http_request_t *r)
{
    ngx_http_taskforge_queues_state(r, "queue.drain", "draining");
}


static void
ngx_http_taskforge_queues_state(ngx_http_request_t *r, const char *action,
    const char *state)
{
    ngx_http_taskforge_queue_change_t  *change;

    change = ngx_http_taskforge_queue_change(r, action);

    if (change) {
        change->state = state;
        ngx_http_taskforge_queue_change_send(change);
    }
}


void
ngx_http_taskforge_queues_change(ngx_http_request_t *r)
{
    ngx_http_taskforge_queue_change_t  *change;

    change = ngx_http_taskforge_queue_change(r, "queue.change");

    if (change
        && ngx_http_taskforge_queue_change_read(r, change) == NGX_OK)
    {
        ngx_http_taskforge_queue_change_send(change);
    }
}


/* NULL: answered. */

static ngx_http_taskforge_queue_change_t *
ngx_http_taskforge_queue_change(ngx_http_request_t *r, const char *action)
{
    ngx_pool_cleanup_t                 *cln;
    ngx_http_taskforge_queue_change_t  *change;

    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_taskforge_queue_change_t));
    if (cln == NULL) {
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return NULL;
    }

    change = cln->data;
    ngx_memzero(change, sizeof(ngx_http_taskforge_queue_change_t));

    change->request = r;
    change->action = action;
    cln->handler = ngx_http_taskforge_queue_change_cleanup;

    return change;
}


static void
ngx_http_taskforge_queue_change_cleanup(void *data)
{
    ngx_http_taskforge_queue_change_t  *change = data;

    if (change->waiting) {
        ngx_queue_remove(&change->wait.queue);
    }

    free(change->retention_text);
}


/*
 * {max_length, note, retention_days}, where null takes away.  NGX_ERROR:
 * answered.
 */

static ngx_int_t
ngx_http_taskforge_queue_change_read(ngx_http_request_t *r,
    ngx_http_taskforge_queue_change_t *change)
{
    json_t      *body, *value;
    tf_buf_t     errors;
    json_int_t   n;
    const char  *key;

    body = ngx_http_taskforge_body_json(r, NULL);
    if (body == NULL) {
        return NGX_ERROR;
    }

    errors = (tf_buf_t) TF_BUF_INIT;

    if (!json_is_object(body) || json_object_size(body) == 0) {
        ngx_http_taskforge_error_add(&errors, "pointer", "#", 1,
                                     "must be an object with \"max_length\", "
                                     "\"note\" or \"retention_days\"");
    }

    json_object_foreach(body, key, value) {

        if (ngx_strcmp(key, "max_length") == 0) {
            n = json_integer_value(value);
            change->set_max_length = 1;
            change->max_length = json_is_null(value) ? NULL : value;

            if (change->max_length
                && (!json_is_integer(value) || n < 1 || n > INT32_MAX))
            {
                ngx_http_taskforge_field_error(&errors, key,
                                               "must be an integer from 1 to "
                                               "2147483647, or null");
            }

        } else if (ngx_strcmp(key, "note") == 0) {
            change->set_note = 1;
            change->note = json_is_null(value) ? NULL : value;

            if (change->note
                && (!json_is_string(value)
                    || json_string_length(value)
                       > NGX_HTTP_TASKFORGE_QUEUE_NOTE_MAX
                    || !tf_utf8_valid(json_string_value(value),
                                      json_string_length(value))))
            {
                ngx_http_taskforge_field_error(&errors, key,
                                               "must be a text of at most 500 "
                                               "bytes, or null");
            }

        } else if (ngx_strcmp(key, "retention_days") == 0) {
            change->set_retention = 1;
            change->retention = json_is_null(value) ? NULL : value;

            if (change->retention
                && !ngx_http_taskforge_queue_retention_valid(value))
            {
                ngx_http_taskforge_field_error(&errors, key,
                                               "must be an object with numbers "
                                               "of days, 0.01 to 3650, for "
                                               "SUCCESS, FAILED, DEAD_LETTER "
                                               "or CANCELLED, or null");
            }

        } else {
            ngx_http_taskforge_field_error(&errors, key, "is not known");
        }
    }

    return ngx_http_taskforge_fields_done(r, &errors);
}


/* Days, of statuses in which jobs end. */

static ngx_uint_t
ngx_http_taskforge_queue_retention_valid(json_t *rules)
{
    double        days;
    json_t       *value;
    const char   *key;
    tf_status_t   status;

    if (json_object_size(rules) == 0) {
        return 0;                                        /* or no object */
    }

    json_object_foreach(rules, key, value) {

        days = json_number_value(value);

        if (!tf_status_parse(key, ngx_strlen(key), &status)
            || !tf_status_is_terminal(status)
            || days < NGX_HTTP_TASKFORGE_QUEUE_DAYS_MIN
            || days > NGX_HTTP_TASKFORGE_QUEUE_DAYS_MAX)
        {
            return 0;
        }
    }

    return 1;
}


static void
ngx_http_taskforge_queue_change_send(ngx_http_taskforge_queue_change_t *change)
{
    ngx_http_request_t             *r;
    ngx_http_taskforge_ctx_t       *ctx;
    ngx_http_taskforge_sql_args_t   args;

    r = change->request;
    ctx = ngx_http_taskforge_get_ctx(r);

    if (change->retention) {
        change->retention_text = json_dumps(change->retention,
                                            JSON_COMPACT
                                            |JSON_REAL_PRECISION(6));

        if (change->retention_text == NULL) {
            ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                       "out of memory");
            return;
        }
    }

    args.nargs = 0;
    ngx_http_taskforge_sql_str(&args, &ctx->name);
    ngx_http_taskforge_sql_bytes(&args, change->state,
                                 change->state ? ngx_strlen(change->state) : 0);
    ngx_http_taskforge_sql_bool(&args, change->set_max_length);

    if (change->max_length) {
        ngx_http_taskforge_sql_int4(&args, (int32_t)
                                    json_integer_value(change->max_length));
    } else {
        ngx_http_taskforge_sql_bytes(&args, NULL, 0);
    }

    ngx_http_taskforge_sql_bool(&args, change->set_note);
    ngx_http_taskforge_sql_bytes(&args, json_string_value(change->note),
                                 json_string_length(change->note));
    ngx_http_taskforge_sql_bool(&args, change->set_retention);
    ngx_http_taskforge_sql_bytes(&args, change->retention_text,
                                 change->retention_text
                                     ? ngx_strlen(change->retention_text) : 0);
    ngx_http_taskforge_sql_int4(&args, NGX_HTTP_TASKFORGE_QUEUE_RULES);
    ngx_http_taskforge_sql_actor(&args, r);
    ngx_http_taskforge_sql_bytes(&args, change->action,
                                 ngx_strlen(change->action));

    (void) ngx_http_taskforge_accounts_query(r,
                                       &ngx_http_taskforge_sql_queue_change,
                                       &args,
                                       ngx_http_taskforge_queue_change_done,
                                       change);
}


static void
ngx_http_taskforge_queue_change_done(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    ngx_http_taskforge_main_conf_t     *mcf;
    ngx_http_taskforge_queue_change_t  *change = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    if (ngx_http_taskforge_is(res, 0, "full")) {
        ngx_http_taskforge_problem(r, NGX_HTTP_CONFLICT,
                                   "%d queues have a limit or are draining, "
                                   "and there cannot be more",
                                   NGX_HTTP_TASKFORGE_QUEUE_RULES);
        return;
    }

    ngx_http_taskforge_queue_change_redis(r,
                                    ngx_http_taskforge_is(res, 1, "paused"),
                                    tf_pg_get_int8(PQgetvalue(res, 0, 3)));

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    change->waiting = 1;
    change->wait.handler = ngx_http_taskforge_queue_change_known;
    change->wait.data = change;

    ngx_http_taskforge_queue_rules_changed(mcf->queue_rules, &change->wait);
}


/* Should Redis not hear it, the scheduler tells it within seconds. */

static void
ngx_http_taskforge_queue_change_redis(ngx_http_request_t *r, ngx_uint_t paused,
    int64_t version)
{
    char                             base[TF_QUEUE_NAME_MAX + 16];
    u_char                           text[NGX_INT64_LEN];
    size_t                           argvlen[6];
    const char                      *argv[6];
    ngx_http_taskforge_ctx_t        *ctx;
    ngx_http_taskforge_main_conf_t  *mcf;

    ctx = ngx_http_taskforge_get_ctx(r);
    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    argv[0] = "FCALL";
    argvlen[0] = 5;
    argv[1] = "tf_pause";
    argvlen[1] = 8;
    argv[2] = "1";
    argvlen[2] = 1;
    argv[3] = base;
    argvlen[3] = tf_redis_queue_base(base, sizeof(base),
                                     (char *) ctx->name.data, ctx->name.len);
    argv[4] = paused ? "1" : "0";
    argvlen[4] = 1;
    argv[5] = (char *) text;
    argvlen[5] = ngx_sprintf(text, "%L", version) - text;

    (void) ngx_http_taskforge_redis_command(mcf->redis_conn, NULL, NULL, 6,
                                            argv, argvlen);
}


/* The submits of this host know it, or will within a second. */

static void
ngx_http_taskforge_queue_change_known(void *data, ngx_uint_t ok)
{
    ngx_connection_t                   *c;
    ngx_http_request_t                 *r;
    ngx_http_taskforge_queue_change_t  *change = data;

    r = change->request;
    c = r->connection;

    change->waiting = 0;

    ngx_http_set_log_request(c->log, r);

    ngx_http_taskforge_queues_reply(r);

    ngx_http_run_posted_requests(c);
}
