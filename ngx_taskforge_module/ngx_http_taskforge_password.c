
#include "ngx_http_taskforge_password.h"
#include "ngx_http_taskforge_reply.h"
#include "account_rules.h"

#include <openssl/crypto.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/syscall.h>


#define NGX_HTTP_TASKFORGE_HASH_LEN  32


/*
 * One hash.  The thread reads and writes this only.  It outlives a request
 * that ends first.
 */

typedef struct {
    ngx_thread_task_t                     task;

    ngx_http_request_t                   *request;    /* NULL: it is gone */
    ngx_http_taskforge_accounts_conf_t   *conf;
    ngx_http_taskforge_password_pt        handler;
    void                                 *data;

    size_t                                memory;     /* bytes */
    ngx_uint_t                            passes;

    size_t                                password_len;
    size_t                                fresh_len;
    u_char                                password[TF_PASSWORD_BYTES];
    u_char                                fresh[TF_PASSWORD_BYTES];
    char                                  encoded[NGX_HTTP_TASKFORGE_HASH_MAX];

    ngx_err_t                             err;        /* 0: it worked */
    ngx_uint_t                            matches;
    char                                  hash[crypto_pwhash_STRBYTES];
} ngx_http_taskforge_password_task_t;


static size_t ngx_http_taskforge_password_copy(u_char *to,
    const ngx_str_t *text);
static void ngx_http_taskforge_password_thread(void *data, ngx_log_t *log);
static void ngx_http_taskforge_password_encode(
    ngx_http_taskforge_password_task_t *t, const u_char *password, size_t len);
static void ngx_http_taskforge_password_failed(
    ngx_http_taskforge_password_task_t *t);
static ngx_uint_t ngx_http_taskforge_password_weak(
    ngx_http_taskforge_password_task_t *t);
static void ngx_http_taskforge_password_done(ngx_event_t *ev);
static void ngx_http_taskforge_password_cleanup(void *data);


ngx_int_t
ngx_http_taskforge_password_init(ngx_conf_t *cf)
{
    if (sodium_init() < 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "libsodium does not start");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_taskforge_password_full(ngx_http_request_t *r)
{
    ngx_http_taskforge_accounts_conf_t  *conf;

    conf = ngx_http_taskforge_accounts_conf(r);

    return conf->pool == NULL || conf->hashing >= conf->queue;
}


ngx_int_t
ngx_http_taskforge_password(ngx_http_request_t *r, const ngx_str_t *password,
    const ngx_str_t *encoded, const ngx_str_t *fresh,
    ngx_http_taskforge_password_pt handler, void *data)
{
    ngx_pool_cleanup_t                  *cln;
    ngx_http_taskforge_accounts_conf_t  *conf;
    ngx_http_taskforge_password_task_t  *t;

    conf = ngx_http_taskforge_accounts_conf(r);

    if (ngx_http_taskforge_password_full(r)) {
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE, "%s",
                                   conf->pool
                                   ? "too many passwords are being checked"
                                   : "this server is not set up for "
                                     "passwords");
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    t = ngx_calloc(sizeof(ngx_http_taskforge_password_task_t),
                   r->connection->log);

    if (cln == NULL || t == NULL
        || password->len > sizeof(t->password)
        || fresh->len > sizeof(t->fresh)
        || encoded->len >= sizeof(t->encoded))
    {
        if (t) {
            ngx_free(t);
        }

        ngx_http_taskforge_problem(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "the password could not be checked");
        return NGX_ERROR;
    }

    t->request = r;
    t->conf = conf;
    t->handler = handler;
    t->data = data;

    t->memory = conf->argon2_memory;
    t->passes = conf->argon2_time;

    t->password_len = ngx_http_taskforge_password_copy(t->password, password);
    t->fresh_len = ngx_http_taskforge_password_copy(t->fresh, fresh);
    (void) ngx_http_taskforge_password_copy((u_char *) t->encoded, encoded);

    t->task.ctx = t;
    t->task.handler = ngx_http_taskforge_password_thread;
    t->task.event.handler = ngx_http_taskforge_password_done;
    t->task.event.data = t;
    t->task.event.log = ngx_cycle->log;

    if (ngx_thread_task_post(conf->pool, &t->task) != NGX_OK) {
        OPENSSL_cleanse(t, sizeof(ngx_http_taskforge_password_task_t));
        ngx_free(t);

        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "too many passwords are being checked");
        return NGX_ERROR;
    }

    conf->hashing++;

    cln->handler = ngx_http_taskforge_password_cleanup;
    cln->data = t;

    return NGX_OK;
}


/* An empty text may have no address, and memcpy() takes no NULL. */

static size_t
ngx_http_taskforge_password_copy(u_char *to, const ngx_str_t *text)
{
    if (text->len) {
        ngx_memcpy(to, text->data, text->len);
    }

    return text->len;
}


/*
 * Runs in a thread of the pool: touches the task, libsodium and OpenSSL,
 * never the request.
 */

static void
ngx_http_taskforge_password_thread(void *data, ngx_log_t *log)
{
    uint8_t                              raw[NGX_HTTP_TASKFORGE_HASH_LEN];
    ngx_http_taskforge_password_task_t  *t = data;

    static __thread ngx_uint_t  nice;

    /* a hash may wait for an event loop, never the other way round */

    if (!nice) {
        (void) setpriority(PRIO_PROCESS, (id_t) syscall(SYS_gettid), 10);
        nice = 1;
    }

    ngx_set_errno(0);

    if (t->password_len == 0) {
        ngx_http_taskforge_password_encode(t, t->fresh, t->fresh_len);

    } else if (ngx_strncmp(t->encoded, crypto_pwhash_argon2id_STRPREFIX, 10)
               != 0)
    {
        /* nobody, or somebody without a password: only as dear */

        if (crypto_pwhash(raw, sizeof(raw), (char *) t->password,
                          t->password_len, (u_char *) "sixteen bytes...",
                          t->passes, t->memory,
                          crypto_pwhash_ALG_ARGON2ID13)
            != 0)
        {
            ngx_http_taskforge_password_failed(t);
        }

    } else if (crypto_pwhash_str_verify(t->encoded, (char *) t->password,
                                        t->password_len)
               == 0)
    {
        t->matches = 1;

        if (t->fresh_len) {
            ngx_http_taskforge_password_encode(t, t->fresh, t->fresh_len);

        } else if (ngx_http_taskforge_password_weak(t)) {
            ngx_http_taskforge_password_encode(t, t->password,
                                               t->password_len);
        }

    } else if (ngx_errno != EINVAL) {
        /* it was not compared: no memory, or the hash is none */
        ngx_http_taskforge_password_failed(t);
    }

    OPENSSL_cleanse(t->password, sizeof(t->password));
    OPENSSL_cleanse(t->fresh, sizeof(t->fresh));
}


static void
ngx_http_taskforge_password_encode(ngx_http_taskforge_password_task_t *t,
    const u_char *password, size_t len)
{
    if (crypto_pwhash_str_alg(t->hash, (const char *) password, len,
                              t->passes, t->memory,
                              crypto_pwhash_ALG_ARGON2ID13)
        != 0)
    {
        t->hash[0] = '\0';
        ngx_http_taskforge_password_failed(t);
    }
}


static void
ngx_http_taskforge_password_failed(ngx_http_taskforge_password_task_t *t)
{
    t->err = ngx_errno ? ngx_errno : EINVAL;
}


/* "$argon2id$v=19$m=7168,t=5,p=1$...": weaker than the settings? */

static ngx_uint_t
ngx_http_taskforge_password_weak(ngx_http_taskforge_password_task_t *t)
{
    unsigned  version, memory, passes, lanes;

    if (sscanf(t->encoded, "$argon2id$v=%9u$m=%9u,t=%9u,p=%9u$", &version,
               &memory, &passes, &lanes)
        != 4)
    {
        return 1;
    }

    return version < 19 || memory < t->memory / 1024 || passes < t->passes;
}


/* In the event loop again. */

static void
ngx_http_taskforge_password_done(ngx_event_t *ev)
{
    ngx_err_t                              err;
    ngx_connection_t                      *c;
    ngx_http_request_t                    *r;
    ngx_http_taskforge_password_task_t    *t;
    ngx_http_taskforge_password_result_t   result;

    t = ev->data;
    r = t->request;
    err = t->err;

    t->conf->hashing--;

    if (r == NULL) {
        ngx_free(t);
        return;
    }

    /* whatever happens to the request now, its cleanup frees the task */

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    t->request = NULL;

    if (err) {
        ngx_log_error(NGX_LOG_ERR, c->log, err,
                      "taskforge: a password could not be hashed");
        ngx_http_taskforge_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "the password could not be checked");

    } else {
        result.matches = t->matches;
        result.hash.data = (u_char *) t->hash;
        result.hash.len = ngx_strlen(t->hash);

        t->handler(r, t->data, &result);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_taskforge_password_cleanup(void *data)
{
    ngx_http_taskforge_password_task_t  *t = data;

    if (t->request == NULL) {
        /* it is done */
        ngx_free(t);
        return;
    }

    t->request = NULL;
}
