
#include "ngx_http_taskforge_publish.h"
#include "ngx_http_taskforge_redis.h"
#include "redis_keys.h"


#define NGX_HTTP_TASKFORGE_KEY_SIZE  (TF_QUEUE_NAME_MAX + 16)


/* Redis may refuse or be away: reconcile finds the job in PostgreSQL. */

void
ngx_http_taskforge_publish(ngx_http_taskforge_publish_t *pub,
    ngx_http_taskforge_redis_t *redis, const tf_job_t *job, int64_t now)
{
    char         key[NGX_HTTP_TASKFORGE_KEY_SIZE];
    char         id[TF_UUID_TEXT_LEN];
    size_t       argvlen[5];
    const char  *argv[5];

    if (!ngx_http_taskforge_redis_ready(redis)) {
        return;
    }

    if (job->status == TF_QUEUED) {
        argv[0] = "XADD";
        argvlen[0] = 4;
        argv[1] = key;
        argvlen[1] = tf_redis_level_key(key, sizeof(key), job->queue.data,
                                        job->queue.len, job->priority);
        argv[2] = "*";
        argvlen[2] = 1;
        argv[3] = TF_REDIS_JOB_FIELD;
        argvlen[3] = sizeof(TF_REDIS_JOB_FIELD) - 1;
        argv[4] = id;
        argvlen[4] = TF_UUID_TEXT_LEN;

        tf_uuid_format(job->id, id);

        (void) ngx_http_taskforge_redis_command(redis, NULL, NULL, 5, argv,
                                                argvlen);
    }

    if (pub->nevents) {
        tf_buf_addc(&pub->events, '\n');
    }

    tf_job_write_event(&pub->events, job, tf_status_event(job->status),
                       now);

    if (++pub->nevents == TF_REDIS_EVENTS_PER_ENTRY) {
        ngx_http_taskforge_publish_flush(pub, redis);
    }
}


void
ngx_http_taskforge_publish_flush(ngx_http_taskforge_publish_t *pub,
    ngx_http_taskforge_redis_t *redis)
{
    size_t       argvlen[8];
    const char  *argv[8];

    if (pub->nevents && !pub->events.failed) {
        argv[0] = "XADD";
        argvlen[0] = 4;
        argv[1] = TF_REDIS_EVENTS;
        argvlen[1] = sizeof(TF_REDIS_EVENTS) - 1;
        argv[2] = "MAXLEN";
        argvlen[2] = 6;
        argv[3] = "~";
        argvlen[3] = 1;
        argv[4] = TF_REDIS_EVENTS_MAXLEN_TEXT;
        argvlen[4] = sizeof(TF_REDIS_EVENTS_MAXLEN_TEXT) - 1;
        argv[5] = "*";
        argvlen[5] = 1;
        argv[6] = "e";
        argvlen[6] = 1;
        argv[7] = pub->events.data;
        argvlen[7] = pub->events.len;

        (void) ngx_http_taskforge_redis_command(redis, NULL, NULL,
                                                8, argv, argvlen);
    }

    tf_buf_reset(&pub->events);
    pub->nevents = 0;
}


void
ngx_http_taskforge_publish_job(ngx_http_request_t *r, const tf_job_t *job)
{
    ngx_http_taskforge_publish_t     pub;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    ngx_memzero(&pub, sizeof(ngx_http_taskforge_publish_t));

    ngx_http_taskforge_publish(&pub, mcf->redis_conn, job,
                               ngx_http_taskforge_now_us());
    ngx_http_taskforge_publish_flush(&pub, mcf->redis_conn);

    tf_buf_free(&pub.events);
}


void
ngx_http_taskforge_publish_order(ngx_http_taskforge_redis_t *redis,
    int64_t incarnation)
{
    u_char       text[NGX_INT64_LEN + 1];
    size_t       argvlen[8];
    const char  *argv[8];
    ngx_uint_t   i;

    argv[0] = "XADD";
    argv[1] = TF_REDIS_CTL;
    argv[2] = "MAXLEN";
    argv[3] = "~";
    argv[4] = TF_REDIS_CTL_MAXLEN_TEXT;
    argv[5] = "*";
    argv[6] = TF_REDIS_CTL_FIELD;
    argv[7] = (const char *) text;

    (void) ngx_sprintf(text, "%L%Z", incarnation);

    for (i = 0; i < 8; i++) {
        argvlen[i] = ngx_strlen(argv[i]);
    }

    (void) ngx_http_taskforge_redis_command(redis, NULL, NULL, 8, argv,
                                            argvlen);
}
