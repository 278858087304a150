
#include "ngx_http_taskforge_idempotency.h"
#include "ngx_http_taskforge_pg.h"
#include "ngx_http_taskforge_reply.h"
#include "submission.h"

#include <openssl/sha.h>


typedef struct {
    ngx_http_taskforge_insert_group_t  *group;
    void                              (*handler)(ngx_http_request_t *r);
} ngx_http_taskforge_replay_t;


static ngx_int_t ngx_http_taskforge_idempotency_header(ngx_http_request_t *r,
    ngx_str_t *key);
static ngx_int_t ngx_http_taskforge_idempotency_hash(tf_str_t text,
    uint8_t hash[32]);
static void ngx_http_taskforge_idempotency_rows(ngx_http_request_t *r,
    void *data, PGresult *res);
static void ngx_http_taskforge_idempotency_row(
    ngx_http_taskforge_insert_t *ins, PGresult *res, int row);


ngx_int_t
ngx_http_taskforge_idempotency_take(ngx_http_request_t *r, tf_str_t text,
    const char *prefix, ngx_uint_t single, ngx_http_taskforge_insert_t *ins,
    tf_buf_t *errors)
{
    ngx_str_t   header;
    tf_str_t   *key;

    key = &ins->job.idempotency_key;

    if (ngx_http_taskforge_idempotency_header(r, &header) == NGX_OK) {

        if (!single || !tf_idempotency_key_valid((char *) header.data,
                                                 header.len))
        {
            ngx_http_taskforge_error_add(errors, "header", "Idempotency-Key",
                                         sizeof("Idempotency-Key") - 1,
                                         single ? "must be 1 to 255 printable "
                                                  "ASCII characters, once"
                                                : "each job of a batch has its "
                                                  "own, in idempotency_key");
            return NGX_DECLINED;
        }

        if (key->len && (key->len != header.len
                         || ngx_memcmp(key->data, header.data, key->len) != 0))
        {
            ngx_http_taskforge_error_add(errors, "pointer",
                                         "#/idempotency_key",
                                         sizeof("#/idempotency_key") - 1,
                                         "differs from the header "
                                         "Idempotency-Key");
            return NGX_DECLINED;
        }

        key->data = (char *) header.data;
        key->len = header.len;
    }

    if (key->len == 0) {
        return NGX_OK;
    }

    if (ins->group && ins->group->atomic) {
        ngx_http_taskforge_error_add(errors, "pointer", prefix,
                                     ngx_strlen(prefix),
                                     "an atomic batch takes no "
                                     "idempotency_key");
        return NGX_DECLINED;
    }

    return ngx_http_taskforge_idempotency_hash(text, ins->request_hash);
}


/* Given twice, it is as good as an empty one. */

static ngx_int_t
ngx_http_taskforge_idempotency_header(ngx_http_request_t *r, ngx_str_t *key)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    static const u_char  name[] = "idempotency-key";

    rc = NGX_DECLINED;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != sizeof(name) - 1
                || ngx_memcmp(h[i].lowcase_key, name, sizeof(name) - 1) != 0)
            {
                continue;
            }

            *key = h[i].value;

            if (rc == NGX_OK) {
                key->len = 0;
                return NGX_OK;
            }

            rc = NGX_OK;
        }
    }

    return rc;
}


/*
 * SHA-256 of the submission without its key, members sorted: white space and
 * order make no difference.
 */

static ngx_int_t
ngx_http_taskforge_idempotency_hash(tf_str_t text, uint8_t hash[32])
{
    char     error[64], *canonical;
    json_t  *body;

    body = tf_json_parse(text.data, text.len, error, sizeof(error));
    if (body == NULL) {
        return NGX_ERROR;
    }

    (void) json_object_del(body, "idempotency_key");
    canonical = json_dumps(body, JSON_COMPACT|JSON_SORT_KEYS);
    json_decref(body);

    if (canonical == NULL) {
        return NGX_ERROR;
    }

    (void) SHA256((u_char *) canonical, ngx_strlen(canonical), hash);
    free(canonical);

    return NGX_OK;
}


ngx_int_t
ngx_http_taskforge_idempotency_replay(ngx_http_request_t *r,
    ngx_http_taskforge_insert_group_t *group,
    void (*handler)(ngx_http_request_t *r))
{
    int                           lengths[2];
    ngx_uint_t                    i, n;
    const char                   *values[2];
    tf_pgarray_t                  keys;
    ngx_http_taskforge_ctx_t     *ctx;
    ngx_http_taskforge_insert_t  *ins;
    ngx_http_taskforge_replay_t  *replay;

    ctx = ngx_http_taskforge_get_ctx(r);
    n = 0;

    ngx_memzero(&keys, sizeof(tf_pgarray_t));
    tf_pgarray_begin(&keys, TF_PG_TEXT);

    /* one element for each job, so that the place is the job's */

    for (i = 0; i < group->njobs; i++) {
        ins = &group->jobs[i];

        if (ins->rc == NGX_DONE) {
            tf_pgarray_bytes(&keys, ins->job.idempotency_key.data,
                             ins->job.idempotency_key.len);
            n++;

        } else {
            tf_pgarray_null(&keys);
        }
    }

    if (n == 0) {
        tf_pgarray_free(&keys);
        return NGX_OK;
    }

    replay = ngx_palloc(r->pool, sizeof(ngx_http_taskforge_replay_t));

    if (replay == NULL || !tf_pgarray_end(&keys)) {
        tf_pgarray_free(&keys);
        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "out of memory");
        return NGX_AGAIN;
    }

    replay->group = group;
    replay->handler = handler;

    values[0] = ctx->has_user ? (char *) ctx->user_id : NULL;
    lengths[0] = 16;
    values[1] = keys.buf.data;
    lengths[1] = (int) keys.buf.len;

    /* what cannot be sent is answered */

    (void) ngx_http_taskforge_pg_request(r, NGX_HTTP_TASKFORGE_PG_WRITE,
                                         &tf_sql_replay, values, lengths,
                                         ngx_http_taskforge_idempotency_rows,
                                         replay);
    tf_pgarray_free(&keys);

    return NGX_AGAIN;
}


static void
ngx_http_taskforge_idempotency_rows(ngx_http_request_t *r, void *data,
    PGresult *res)
{
    int                           i;
    ngx_uint_t                    n;
    ngx_http_taskforge_replay_t  *replay = data;

    if (ngx_http_taskforge_pg_check(r, res) != NGX_OK) {
        return;
    }

    for (n = 0; n < replay->group->njobs; n++) {
        if (replay->group->jobs[n].rc == NGX_DONE) {
            /* until its row is seen */
            replay->group->jobs[n].rc = NGX_AGAIN;
        }
    }

    for (i = 0; i < PQntuples(res); i++) {
        n = tf_pg_get_int4(PQgetvalue(res, i, 0)) - 1;

        if (n < replay->group->njobs) {
            ngx_http_taskforge_idempotency_row(&replay->group->jobs[n], res,
                                               i);
        }
    }

    replay->handler(r);
}


static void
ngx_http_taskforge_idempotency_row(ngx_http_taskforge_insert_t *ins,
    PGresult *res, int row)
{
    ngx_http_taskforge_pg_row_t  at;

    if (PQgetlength(res, row, 1) != sizeof(ins->request_hash)
        || ngx_memcmp(PQgetvalue(res, row, 1), ins->request_hash,
                      sizeof(ins->request_hash))
           != 0)
    {
        ins->rc = NGX_ABORT;
        return;
    }

    at.res = res;
    at.row = row;

    if (PQgetisnull(res, row, 2)
        || !tf_job_from_row(&ins->job, &at, ngx_http_taskforge_pg_column, 2,
                            true))
    {
        ins->rc = NGX_ERROR;
        return;
    }

    ins->rc = NGX_DONE;
}


const char *
ngx_http_taskforge_idempotency_problem(ngx_int_t rc, ngx_uint_t *status)
{
    if (rc == NGX_ABORT) {
        *status = NGX_HTTP_TASKFORGE_INVALID;
        return "the idempotency key was used for another submission";
    }

    *status = NGX_HTTP_CONFLICT;

    return "the job of this idempotency key was deleted";
}
