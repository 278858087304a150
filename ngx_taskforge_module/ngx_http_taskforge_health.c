
#include "ngx_http_taskforge_health.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_redis.h"
#include "ngx_http_taskforge_relay.h"
#include "ngx_http_taskforge_reply.h"
#include "ngx_http_taskforge_shm.h"
#include "ngx_http_taskforge_types.h"


typedef struct {
    const char  *name;
    const char  *missing;      /* what is wrong when it is not up */
    ngx_uint_t   needed;       /* to take jobs at all */
    ngx_uint_t   up;
} ngx_http_taskforge_part_t;


#define NGX_HTTP_TASKFORGE_PART_POSTGRESQL  0
#define NGX_HTTP_TASKFORGE_PART_SCHEMA      1
#define NGX_HTTP_TASKFORGE_PART_REDIS       2
#define NGX_HTTP_TASKFORGE_PARTS            3
#define NGX_HTTP_TASKFORGE_PARTS_MAX        4

/* so long is it told that Redis did not take a command, seconds */
#define NGX_HTTP_TASKFORGE_HEALTH_DROPPED  10

/* so long may nchan be away, seconds: a reload takes less */
#define NGX_HTTP_TASKFORGE_HEALTH_NCHAN    5


static ngx_int_t ngx_http_taskforge_health_begin(ngx_http_request_t *r);
static void ngx_http_taskforge_health_parts(ngx_http_request_t *r,
    ngx_http_taskforge_part_t *parts);
static ngx_uint_t ngx_http_taskforge_health_more(ngx_http_request_t *r,
    ngx_http_taskforge_part_t *parts);


ngx_int_t
ngx_http_taskforge_health_live(ngx_http_request_t *r)
{
    tf_buf_t   out;
    ngx_int_t  rc;

    rc = ngx_http_taskforge_health_begin(r);
    if (rc != NGX_OK) {
        return rc;
    }

    out = (tf_buf_t) TF_BUF_INIT;
    tf_buf_adds(&out, "{\"status\":\"ok\"}");

    ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);

    tf_buf_free(&out);

    return NGX_DONE;
}


ngx_int_t
ngx_http_taskforge_health_ready(ngx_http_request_t *r)
{
    tf_buf_t                    out;
    ngx_int_t                   rc;
    ngx_uint_t                  i, down;
    ngx_http_taskforge_part_t   parts[NGX_HTTP_TASKFORGE_PARTS];

    rc = ngx_http_taskforge_health_begin(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_taskforge_health_parts(r, parts);

    out = (tf_buf_t) TF_BUF_INIT;
    down = 0;

    for (i = 0; i < NGX_HTTP_TASKFORGE_PARTS; i++) {
        if (!parts[i].up) {
            tf_buf_addf(&out, "%s%s: %s", down++ ? "; " : "", parts[i].name,
                        parts[i].missing);
        }
    }

    if (down) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE, "%s",
                                   tf_buf_cstr(&out));

    } else {
        tf_buf_adds(&out, "{\"status\":\"ok\"}");
        ngx_http_taskforge_reply_json(r, NGX_HTTP_OK, &out);
    }

    tf_buf_free(&out);

    return NGX_DONE;
}


ngx_int_t
ngx_http_taskforge_health_full(ngx_http_request_t *r)
{
    tf_buf_t                         out;
    ngx_int_t                        rc;
    ngx_uint_t                       i, n, down, fatal;
    ngx_http_taskforge_part_t        parts[NGX_HTTP_TASKFORGE_PARTS_MAX];
    ngx_http_taskforge_main_conf_t  *mcf;

    rc = ngx_http_taskforge_health_begin(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    ngx_http_taskforge_health_parts(r, parts);
    n = ngx_http_taskforge_health_more(r, parts);

    down = 0;
    fatal = 0;

    for (i = 0; i < n; i++) {
        down += !parts[i].up;
        fatal += !parts[i].up && parts[i].needed;
    }

    out = (tf_buf_t) TF_BUF_INIT;

    tf_buf_addc(&out, '{');
    tf_json_kcstr(&out, "status",
                  fatal ? "down" : down ? "degraded" : "ok");
    tf_json_kcstr(&out, "version", TF_VERSION);
    tf_json_ktime(&out, "time", ngx_http_taskforge_now_us());
    tf_json_key(&out, "parts");
    tf_buf_addc(&out, '{');

    for (i = 0; i < n; i++) {
        tf_json_key(&out, parts[i].name);
        tf_buf_addc(&out, '{');
        tf_json_kcstr(&out, "status", parts[i].up ? "up" : "down");

        if (!parts[i].up) {
            tf_json_kcstr(&out, "detail", parts[i].missing);
        }

        tf_buf_addc(&out, '}');
    }

    tf_buf_addc(&out, '}');
    tf_json_kint(&out, "known_job_types",
                 ngx_http_taskforge_types_count(mcf->types));
    tf_buf_addc(&out, '}');

    ngx_http_taskforge_reply_json(r, fatal ? NGX_HTTP_SERVICE_UNAVAILABLE
                                           : NGX_HTTP_OK, &out);
    tf_buf_free(&out);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_taskforge_health_begin(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        rc = ngx_http_taskforge_header_add(r, "Allow", (u_char *) "GET, HEAD",
                                           sizeof("GET, HEAD") - 1);
        return rc == NGX_OK ? NGX_HTTP_NOT_ALLOWED
                            : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_taskforge_header_add(r, "Cache-Control",
                                      (u_char *) "no-store", 8)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the answer ends the request, NGX_DONE ends our hold */

    r->main->count++;

    return NGX_OK;
}


static void
ngx_http_taskforge_health_parts(ngx_http_request_t *r,
    ngx_http_taskforge_part_t *parts)
{
    ngx_http_taskforge_part_t       *part;
    ngx_http_taskforge_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);

    part = &parts[NGX_HTTP_TASKFORGE_PART_POSTGRESQL];
    part->name = "postgresql";
    part->missing = "no connection";
    part->needed = 1;
    part->up = ngx_http_taskforge_pg_ready(mcf->pg, NGX_HTTP_TASKFORGE_PG_WRITE)
               && ngx_http_taskforge_pg_ready(mcf->pg,
                                              NGX_HTTP_TASKFORGE_PG_READ);

    part = &parts[NGX_HTTP_TASKFORGE_PART_SCHEMA];
    part->name = "schema";
    part->missing = "the table of job types could not be read";
    part->needed = 1;
    part->up = ngx_http_taskforge_types_ready(mcf->types);

    /* without Redis jobs are taken and wait in PostgreSQL */

    part = &parts[NGX_HTTP_TASKFORGE_PART_REDIS];
    part->name = "redis";
    part->missing = "no connection";
    part->needed = 0;
    part->up = ngx_http_taskforge_redis_ready(mcf->redis_conn);
}


/* What only /health tells.  Returns how many parts there are with that. */

static ngx_uint_t
ngx_http_taskforge_health_more(ngx_http_request_t *r,
    ngx_http_taskforge_part_t *parts)
{
    ngx_uint_t                        n;
    ngx_http_taskforge_shm_t         *shm;
    ngx_http_taskforge_part_t        *redis;
    ngx_http_taskforge_main_conf_t   *mcf;
    ngx_http_taskforge_relay_conf_t  *rcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_module);
    rcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_relay_module);
    shm = ngx_http_taskforge_shm(mcf);

    /*
     * Full, or cannot write.  Not so in /readyz: jobs are taken, and only who
     * gets some can tell.
     */

    redis = &parts[NGX_HTTP_TASKFORGE_PART_REDIS];

    if (redis->up && ngx_time() - (time_t) shm->redis_dropped_at
                     < NGX_HTTP_TASKFORGE_HEALTH_DROPPED)
    {
        redis->up = 0;
        redis->missing = "it does not take commands";
    }

    n = NGX_HTTP_TASKFORGE_PARTS;

    if (rcf->enabled) {
        parts[n].name = "events";
        parts[n].missing = "no connection to nchan";
        parts[n].needed = 0;
        parts[n].up = ngx_time() - (time_t) shm->relay.nchan_at
                      < NGX_HTTP_TASKFORGE_HEALTH_NCHAN;
        n++;
    }

    return n;
}
