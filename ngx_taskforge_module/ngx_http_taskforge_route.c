
/* The one table of routes. */

#include "ngx_http_taskforge_route.h"
#include "ngx_http_taskforge_actions.h"
#include "ngx_http_taskforge_apikeys.h"
#include "ngx_http_taskforge_audit.h"
#include "ngx_http_taskforge_change.h"
#include "ngx_http_taskforge_events.h"
#include "ngx_http_taskforge_files.h"
#include "ngx_http_taskforge_job_types.h"
#include "ngx_http_taskforge_jobs.h"
#include "ngx_http_taskforge_login.h"
#include "ngx_http_taskforge_queues.h"
#include "ngx_http_taskforge_schedules.h"
#include "ngx_http_taskforge_session.h"
#include "ngx_http_taskforge_stats.h"
#include "ngx_http_taskforge_submit.h"
#include "ngx_http_taskforge_users.h"
#include "ngx_http_taskforge_webhooks.h"
#include "ngx_http_taskforge_why.h"
#include "ngx_http_taskforge_workers.h"


/* What an API key needs: to read, to read jobs, to submit, for the rest. */

#define READ                                                                  \
    (NGX_HTTP_TASKFORGE_SCOPE_READ|NGX_HTTP_TASKFORGE_SCOPE_MANAGE)
#define JOBS                                                                  \
    NGX_HTTP_TASKFORGE_SCOPE_ALL
#define SUBMIT                                                                \
    (NGX_HTTP_TASKFORGE_SCOPE_SUBMIT|NGX_HTTP_TASKFORGE_SCOPE_MANAGE)
#define MANAGE                                                                \
    NGX_HTTP_TASKFORGE_SCOPE_MANAGE


/*
 * Literal segments come before a hole where both would match.  {id} is a
 * UUID, {name} the name of a queue, {file} that of a file of a job.
 */

const ngx_http_taskforge_route_t  ngx_http_taskforge_routes[] = {

    { NGX_HTTP_POST, ngx_string("/jobs"),
      ngx_http_taskforge_submit_one, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      SUBMIT, ngx_string("jobs_submit"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/jobs/batch"),
      ngx_http_taskforge_submit_batch, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      SUBMIT, ngx_string("jobs_batch"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/jobs/actions"),
      ngx_http_taskforge_actions, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_actions"), NULL, 1 },

    { NGX_HTTP_GET, ngx_string("/jobs"),
      ngx_http_taskforge_jobs_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_list"), ngx_http_taskforge_list_args, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/metrics/summary"),
      ngx_http_taskforge_jobs_summary, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_summary"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}"),
      ngx_http_taskforge_jobs_get, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_get"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/jobs/{id}"),
      ngx_http_taskforge_delete, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_delete"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/logs"),
      ngx_http_taskforge_jobs_logs, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_logs"), ngx_http_taskforge_logs_args, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/files"),
      ngx_http_taskforge_files_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_files"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/files/{file}"),
      ngx_http_taskforge_files_get, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_file"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/why"),
      ngx_http_taskforge_why, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("jobs_why"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/jobs/{id}/cancel"),
      ngx_http_taskforge_cancel, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_cancel"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/jobs/{id}/retry"),
      ngx_http_taskforge_retry, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("jobs_retry"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/jobs/{id}/webhooks"),
      ngx_http_taskforge_webhooks_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("webhooks_list"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/jobs/{id}/webhooks/{id}/replay"),
      ngx_http_taskforge_webhooks_replay, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhooks_replay"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/register"),
      ngx_http_taskforge_register, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_string("auth_register"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/login"),
      ngx_http_taskforge_login, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_string("auth_login"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/refresh"),
      ngx_http_taskforge_refresh, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_string("auth_refresh"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/logout"),
      ngx_http_taskforge_logout, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_logout"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/auth/me"),
      ngx_http_taskforge_me, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("auth_me"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/password"),
      ngx_http_taskforge_password_change, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_password"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/auth/api-key"),
      ngx_http_taskforge_key_replace, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_key_replace"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/auth/api-key"),
      ngx_http_taskforge_key_revoke, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_key_revoke"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/auth/api-keys"),
      ngx_http_taskforge_keys_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_keys_list"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/api-keys"),
      ngx_http_taskforge_keys_create, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_keys_create"), NULL, 1 },

    { NGX_HTTP_DELETE, ngx_string("/auth/api-keys/{id}"),
      ngx_http_taskforge_keys_revoke, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      MANAGE, ngx_string("auth_keys_revoke"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/ws-ticket"),
      ngx_http_taskforge_ticket, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("auth_ticket"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/auth/webhook-secret"),
      ngx_http_taskforge_webhook_secret_get, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhook_secret_get"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/auth/webhook-secret"),
      ngx_http_taskforge_webhook_secret_rotate,
      NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhook_secret_rotate"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/auth/webhook-secret"),
      ngx_http_taskforge_webhook_secret_delete,
      NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("webhook_secret_delete"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/users"),
      ngx_http_taskforge_users_list, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("users_list"), ngx_http_taskforge_users_args, 0 },

    { NGX_HTTP_PATCH, ngx_string("/users/{id}"),
      ngx_http_taskforge_users_change, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("users_change"), NULL, 1 },

    { NGX_HTTP_GET, ngx_string("/audit"),
      ngx_http_taskforge_audit_list, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("audit_list"), ngx_http_taskforge_audit_args, 0 },

    { NGX_HTTP_GET, ngx_string("/queues"),
      ngx_http_taskforge_queues_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("queues_list"), ngx_http_taskforge_queues_args, 0 },

    { NGX_HTTP_GET, ngx_string("/queues/{name}"),
      ngx_http_taskforge_queues_get, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("queues_get"), NULL, 0 },

    { NGX_HTTP_PATCH, ngx_string("/queues/{name}"),
      ngx_http_taskforge_queues_change, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("queues_change"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/queues/{name}/pause"),
      ngx_http_taskforge_queues_pause, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("queues_pause"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/queues/{name}/resume"),
      ngx_http_taskforge_queues_resume, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("queues_resume"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/queues/{name}/drain"),
      ngx_http_taskforge_queues_drain, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("queues_drain"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/workers"),
      ngx_http_taskforge_workers_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("workers_list"), ngx_http_taskforge_workers_args, 0 },

    { NGX_HTTP_GET, ngx_string("/workers/{id}"),
      ngx_http_taskforge_workers_get, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("workers_get"), NULL, 0 },

    { NGX_HTTP_DELETE, ngx_string("/workers/{id}"),
      ngx_http_taskforge_workers_delete, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("workers_delete"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/workers/{id}/quiet"),
      ngx_http_taskforge_workers_quiet, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("workers_quiet"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/workers/{id}/resume"),
      ngx_http_taskforge_workers_resume, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("workers_resume"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/workers/{id}/stop"),
      ngx_http_taskforge_workers_stop, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("workers_stop"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/workers/{id}/concurrency"),
      ngx_http_taskforge_workers_concurrency, NGX_HTTP_TASKFORGE_ROLE_ADMIN,
      MANAGE, ngx_string("workers_concurrency"), NULL, 1 },

    { NGX_HTTP_GET, ngx_string("/schedules"),
      ngx_http_taskforge_schedules_list, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("schedules_list"), ngx_http_taskforge_schedules_args,
      0 },

    { NGX_HTTP_POST, ngx_string("/schedules"),
      ngx_http_taskforge_schedules_create, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("schedules_create"), NULL, 1 },

    { NGX_HTTP_POST, ngx_string("/schedules/preview"),
      ngx_http_taskforge_schedules_preview, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("schedules_preview"), NULL, 1 },

    { NGX_HTTP_GET, ngx_string("/schedules/{id}"),
      ngx_http_taskforge_schedules_get, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("schedules_get"), NULL, 0 },

    { NGX_HTTP_PATCH, ngx_string("/schedules/{id}"),
      ngx_http_taskforge_schedules_change, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("schedules_change"), NULL, 1 },

    { NGX_HTTP_DELETE, ngx_string("/schedules/{id}"),
      ngx_http_taskforge_schedules_delete, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("schedules_delete"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/schedules/{id}/ticks"),
      ngx_http_taskforge_schedules_ticks, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("schedules_ticks"), ngx_http_taskforge_schedules_args,
      0 },

    { NGX_HTTP_POST, ngx_string("/schedules/{id}/pause"),
      ngx_http_taskforge_schedules_pause, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("schedules_pause"), NULL, 2 },

    { NGX_HTTP_POST, ngx_string("/schedules/{id}/resume"),
      ngx_http_taskforge_schedules_resume, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("schedules_resume"), NULL, 0 },

    { NGX_HTTP_POST, ngx_string("/schedules/{id}/run"),
      ngx_http_taskforge_schedules_run, NGX_HTTP_TASKFORGE_ROLE_OPERATOR,
      MANAGE, ngx_string("schedules_run"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/stats"),
      ngx_http_taskforge_stats, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("stats"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/stats/history"),
      ngx_http_taskforge_history, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("stats_history"), ngx_http_taskforge_history_args, 0 },

    { NGX_HTTP_GET, ngx_string("/job-types"),
      ngx_http_taskforge_job_types, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      JOBS, ngx_string("job_types"), NULL, 0 },

    { NGX_HTTP_GET, ngx_string("/events"),
      ngx_http_taskforge_events, NGX_HTTP_TASKFORGE_ROLE_VIEWER,
      READ, ngx_string("events_list"), ngx_http_taskforge_events_args, 0 },

    { 0, ngx_null_string, NULL, NGX_HTTP_TASKFORGE_ROLE_NONE,
      0, ngx_null_string, NULL, 0 }
};
