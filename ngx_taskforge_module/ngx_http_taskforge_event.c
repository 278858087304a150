
#include "ngx_http_taskforge_event.h"
#include "ngx_http_taskforge_redis.h"
#include "redis_keys.h"


void
ngx_http_taskforge_event(ngx_http_request_t *r, const tf_job_t *job)
{
    tf_buf_t                         out = TF_BUF_INIT;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    tf_job_write_event(&out, job, tf_status_event(job->status),
                       ngx_http_taskforge_now_us());

    if (!out.failed) {
        const char    *argv[] = { "XADD", TF_REDIS_EVENTS, "MAXLEN", "~",
                                  TF_REDIS_EVENTS_MAXLEN_TEXT, "*", "e",
                                  out.data };
        const size_t   argvlen[] = { 4, sizeof(TF_REDIS_EVENTS) - 1, 6, 1,
                                     sizeof(TF_REDIS_EVENTS_MAXLEN_TEXT) - 1,
                                     1, 1, out.len };

        (void) ngx_http_taskforge_redis_command(mcf->redis_conn, NULL, NULL,
                                                8, argv, argvlen);
    }

    tf_buf_free(&out);
}
