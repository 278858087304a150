
/*
 * The routes of schedules.
 */

#ifndef _NGX_HTTP_TASKFORGE_SCHEDULES_H_INCLUDED_
#define _NGX_HTTP_TASKFORGE_SCHEDULES_H_INCLUDED_


#include "ngx_http_taskforge_accounts.h"
#include "ngx_http_taskforge_module.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_types.h"
#include "cron.h"


#define NGX_HTTP_TASKFORGE_SCHEDULE_RUNS  10     /* next firings shown */


extern const ngx_str_t  ngx_http_taskforge_schedules_args[];


/* GET /schedules */
void ngx_http_taskforge_schedules_list(ngx_http_request_t *r);

/* GET /schedules/{id} */
void ngx_http_taskforge_schedules_get(ngx_http_request_t *r);

/* GET /schedules/{id}/ticks */
void ngx_http_taskforge_schedules_ticks(ngx_http_request_t *r);

/* POST /schedules/preview */
void ngx_http_taskforge_schedules_preview(ngx_http_request_t *r);

/* POST /schedules */
void ngx_http_taskforge_schedules_create(ngx_http_request_t *r);

/* PATCH /schedules/{id} */
void ngx_http_taskforge_schedules_change(ngx_http_request_t *r);

/* DELETE /schedules/{id} */
void ngx_http_taskforge_schedules_delete(ngx_http_request_t *r);

/* POST /schedules/{id}/pause */
void ngx_http_taskforge_schedules_pause(ngx_http_request_t *r);

/* POST /schedules/{id}/resume */
void ngx_http_taskforge_schedules_resume(ngx_http_request_t *r);

/* POST /schedules/{id}/run */
void ngx_http_taskforge_schedules_run(ngx_http_request_t *r);


/* --- between the parts */

/* Answers with the schedule, read now, and this status. */

void ngx_http_taskforge_schedule_reply(ngx_http_request_t *r,
    const uint8_t id[16], ngx_uint_t status);


/* 404 */

void ngx_http_taskforge_schedule_missing(ngx_http_request_t *r);


/*
 * Reads a cron expression in a time zone.  What is wrong is added to errors
 * (#/cron, #/time_zone).  NGX_OK: nothing is.
 */

ngx_int_t ngx_http_taskforge_schedule_cron(ngx_http_request_t *r,
    const ngx_str_t *text, const ngx_str_t *time_zone, tf_cron_t *cron,
    const tf_zone_t **zone, tf_buf_t *errors);


/* A schedule that is being checked, and what is known of it. */

typedef struct {
    json_t                       *fields;      /* the whole of it */
    tf_str_t                      job;         /* the text of fields.job */
    int64_t                       after;       /* seconds; the next tick is
                                                  later than this */
    tf_buf_t                      errors;
    unsigned                      unknown:1;   /* a type nobody knows yet */

    /* of a good one: */
    tf_buf_t                      settings;    /* for schedule_create() */
    int64_t                       next;        /* microseconds */
} ngx_http_taskforge_schedule_check_t;


/*
 * NGX_OK: settings and next are set.  NGX_DECLINED: errors says what is
 * wrong, all of it.
 */

ngx_int_t ngx_http_taskforge_schedule_check(ngx_http_request_t *r,
    ngx_http_taskforge_schedule_check_t *check);


/* One request that changes a schedule, while it waits for PostgreSQL. */

typedef struct {
    ngx_http_request_t                   *request;
    ngx_http_taskforge_schedule_check_t   check;

    /* of a change: the fields that are given, and their text */
    json_t                               *patch;
    tf_str_t                              text;

    /* of the schedule; create: the new id */
    uint8_t                               id[16];
    int32_t                               revision;
    int64_t                               keep;      /* its next tick, where
                                                        that stays; or none */

    ngx_uint_t                            pause;     /* else resume */
    ngx_str_t                             note;

    void                                (*send)(ngx_http_request_t *r);

    ngx_http_taskforge_types_wait_t       wait;
    unsigned                              waiting:1;  /* for the types */
    unsigned                              waited:1;
    unsigned                              paused:1;
} ngx_http_taskforge_schedule_t;


/* Makes one, in ctx->data, which ends with the request.  NULL: answered. */

ngx_http_taskforge_schedule_t *ngx_http_taskforge_schedule_begin(
    ngx_http_request_t *r);


/* Reads the schedule as it is now, before it is changed. */

void ngx_http_taskforge_schedule_load(ngx_http_request_t *r,
    ngx_http_taskforge_pg_request_pt handler);


/* At the start of that handler.  NGX_ERROR: answered. */

ngx_int_t ngx_http_taskforge_schedule_loaded(ngx_http_request_t *r,
    PGresult *res);


/* The answer to a statement that says changed, raced or name. */

void ngx_http_taskforge_schedule_changed(ngx_http_request_t *r, void *data,
    PGresult *res);


/* 409 */

void ngx_http_taskforge_schedule_builtin(ngx_http_request_t *r,
    const char *what);


/* A timestamptz in microseconds; TF_TIME_NONE: NULL. */

void ngx_http_taskforge_schedule_sql_time(ngx_http_taskforge_sql_args_t *args,
    int64_t us);


#endif /* _NGX_HTTP_TASKFORGE_SCHEDULES_H_INCLUDED_ */
