
#include "ngx_http_taskforge_access.h"
#include "ngx_http_taskforge_identity_cache.h"


/* seconds between two notes of the same key's use */
#define NGX_HTTP_TASKFORGE_IDENTITY_NOTE  10


static ngx_http_taskforge_identity_entry_t **
    ngx_http_taskforge_identity_cache_bucket(
    ngx_http_taskforge_identities_t *ids, const uint8_t hash[32]);
static void ngx_http_taskforge_identity_cache_remove(
    ngx_http_taskforge_identities_t *ids,
    ngx_http_taskforge_identity_entry_t *entry);
static void ngx_http_taskforge_identity_cache_clear(
    ngx_http_taskforge_identities_t *ids);
static void ngx_http_taskforge_identity_cache_forget(
    ngx_http_taskforge_identities_t *ids, u_char kind, const uint8_t id[16]);
static void ngx_http_taskforge_identity_used(
    ngx_http_taskforge_identities_t *ids,
    ngx_http_taskforge_identity_entry_t *entry);
static void ngx_http_taskforge_identity_flush(
    ngx_http_taskforge_identities_t *ids);
static void ngx_http_taskforge_identity_flushed(void *data, PGresult *res);
static void ngx_http_taskforge_identity_notify(void *data,
    const char *payload);
static void ngx_http_taskforge_identity_heard(void *data, ngx_msec_t since,
    ngx_uint_t anew);
static void ngx_http_taskforge_identity_timer(ngx_event_t *ev);


/*
 * Every worker process of every host does this, each for the keys it saw:
 * rows are locked in one order, and who finds one locked leaves it to the
 * other.  $1 ids uuid[].
 */

static const tf_sql_t  ngx_http_taskforge_identity_sql_used = {
    "tf_key_used",
    "UPDATE api_keys SET last_used_at = now() WHERE id IN ("
        "SELECT id FROM api_keys WHERE id = ANY($1::uuid[]) "
        "ORDER BY id FOR UPDATE SKIP LOCKED)",
    1
};


ngx_http_taskforge_identities_t *
ngx_http_taskforge_identities_create(ngx_cycle_t *cycle, ngx_uint_t capacity)
{
    ngx_http_taskforge_main_conf_t   *mcf;
    ngx_http_taskforge_identities_t  *ids;

    mcf = ngx_http_taskforge_cycle_conf(cycle);

    ids = ngx_pcalloc(cycle->pool, sizeof(ngx_http_taskforge_identities_t));
    if (ids == NULL) {
        return NULL;
    }

    for (ids->nbuckets = 64; ids->nbuckets < capacity; ids->nbuckets *= 2) {
        /* void */
    }

    ids->buckets = ngx_pcalloc(cycle->pool,
                               ids->nbuckets * sizeof(ids->buckets[0]));
    if (ids->buckets == NULL) {
        return NULL;
    }

    ids->mcf = mcf;
    ids->log = cycle->log;
    ids->capacity = capacity;
    ids->heard = ngx_current_msec - NGX_HTTP_TASKFORGE_IDENTITY_BLIND - 1;
    ngx_queue_init(&ids->entries);
    ngx_queue_init(&ids->sessions);

    ids->timer.handler = ngx_http_taskforge_identity_timer;
    ids->timer.data = ids;
    ids->timer.log = cycle->log;
    ids->timer.cancelable = 1;
    ngx_add_timer(&ids->timer, 1000);

    if (mcf->pg) {
        ngx_http_taskforge_pg_listen(mcf->pg, "LISTEN tf_auth",
                                     ngx_http_taskforge_identity_notify,
                                     ngx_http_taskforge_identity_heard, ids);
    }

    return ids;
}


void
ngx_http_taskforge_identities_destroy(ngx_http_taskforge_identities_t *ids)
{
    if (ids->timer.timer_set) {
        ngx_del_timer(&ids->timer);
    }

    ngx_http_taskforge_identity_cache_clear(ids);
}


static ngx_http_taskforge_identity_entry_t **
ngx_http_taskforge_identity_cache_bucket(ngx_http_taskforge_identities_t *ids,
    const uint8_t hash[32])
{
    uint32_t  key;

    ngx_memcpy(&key, hash, sizeof(key));

    return &ids->buckets[key & (ids->nbuckets - 1)];
}


ngx_http_taskforge_identity_t *
ngx_http_taskforge_identity_cache_find(ngx_http_taskforge_identities_t *ids,
    const uint8_t hash[32])
{
    ngx_msec_int_t                        blind;
    ngx_http_taskforge_identity_entry_t  *entry;

    entry = *ngx_http_taskforge_identity_cache_bucket(ids, hash);

    while (entry && ngx_memcmp(entry->hash, hash, 32) != 0) {
        entry = entry->next;
    }

    if (entry == NULL) {
        return NULL;
    }

    blind = ngx_min((ngx_msec_int_t) (ngx_current_msec - ids->heard),
                    (ngx_msec_int_t) (ngx_current_msec - entry->asked));

    if (blind > NGX_HTTP_TASKFORGE_IDENTITY_BLIND
        || (entry->identity.expires && entry->identity.expires <= ngx_time()))
    {
        ngx_http_taskforge_identity_cache_remove(ids, entry);
        return NULL;
    }

    ngx_queue_remove(&entry->queue);
    ngx_queue_insert_head(&ids->entries, &entry->queue);

    if (entry->identity.by == NGX_HTTP_TASKFORGE_BY_KEY) {
        ngx_http_taskforge_identity_used(ids, entry);
    }

    return &entry->identity;
}


void
ngx_http_taskforge_identity_cache_add(ngx_http_taskforge_identities_t *ids,
    const uint8_t hash[32], const ngx_http_taskforge_identity_t *identity,
    ngx_msec_t asked)
{
    ngx_queue_t                           *q;
    ngx_http_taskforge_identity_entry_t   *entry, **bucket;

    bucket = ngx_http_taskforge_identity_cache_bucket(ids, hash);

    /* two requests may have asked for the same at the same time */

    for (entry = *bucket; entry; entry = entry->next) {
        if (ngx_memcmp(entry->hash, hash, 32) == 0) {
            ngx_http_taskforge_identity_cache_remove(ids, entry);
            break;
        }
    }

    if (ids->count == ids->capacity) {
        q = ngx_queue_last(&ids->entries);
        entry = ngx_queue_data(q, ngx_http_taskforge_identity_entry_t, queue);
        ngx_http_taskforge_identity_cache_remove(ids, entry);
    }

    entry = ngx_alloc(sizeof(ngx_http_taskforge_identity_entry_t), ids->log);
    if (entry == NULL) {
        return;
    }

    ngx_memcpy(entry->hash, hash, 32);
    entry->identity = *identity;
    entry->asked = asked;
    entry->used = 0;

    entry->next = *bucket;
    *bucket = entry;
    ngx_queue_insert_head(&ids->entries, &entry->queue);
    ids->count++;

    if (identity->by == NGX_HTTP_TASKFORGE_BY_KEY) {
        ngx_http_taskforge_identity_used(ids, entry);
    }
}


static void
ngx_http_taskforge_identity_cache_remove(ngx_http_taskforge_identities_t *ids,
    ngx_http_taskforge_identity_entry_t *entry)
{
    ngx_http_taskforge_identity_entry_t  **p;

    p = ngx_http_taskforge_identity_cache_bucket(ids, entry->hash);

    while (*p != entry) {
        p = &(*p)->next;
    }

    *p = entry->next;

    ngx_queue_remove(&entry->queue);
    ids->count--;

    ngx_free(entry);
}


static void
ngx_http_taskforge_identity_cache_clear(ngx_http_taskforge_identities_t *ids)
{
    ngx_queue_t                          *q;
    ngx_http_taskforge_identity_entry_t  *entry;

    while (!ngx_queue_empty(&ids->entries)) {
        q = ngx_queue_head(&ids->entries);
        entry = ngx_queue_data(q, ngx_http_taskforge_identity_entry_t, queue);
        ngx_http_taskforge_identity_cache_remove(ids, entry);
    }
}


static void
ngx_http_taskforge_identity_cache_forget(ngx_http_taskforge_identities_t *ids,
    u_char kind, const uint8_t id[16])
{
    ngx_queue_t                          *q, *next;
    ngx_http_taskforge_identity_entry_t  *entry;

    ids->generation++;

    for (q = ngx_queue_head(&ids->entries);
         q != ngx_queue_sentinel(&ids->entries);
         q = next)
    {
        next = ngx_queue_next(q);
        entry = ngx_queue_data(q, ngx_http_taskforge_identity_entry_t, queue);

        if (ngx_http_taskforge_identity_concerns(&entry->identity, kind, id)) {
            ngx_http_taskforge_identity_cache_remove(ids, entry);
        }
    }
}


void
ngx_http_taskforge_identity_forget(ngx_http_request_t *r,
    const uint8_t user_id[16])
{
    ngx_http_taskforge_access_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_taskforge_access_module);

    if (amcf->identities) {
        ngx_http_taskforge_identity_cache_forget(amcf->identities, 'u',
                                                 user_id);
    }
}


/* A key was used.  With too many in one period the note waits for the next. */

static void
ngx_http_taskforge_identity_used(ngx_http_taskforge_identities_t *ids,
    ngx_http_taskforge_identity_entry_t *entry)
{
    if (ngx_time() - entry->used < NGX_HTTP_TASKFORGE_IDENTITY_NOTE
        || ids->nused == NGX_HTTP_TASKFORGE_IDENTITY_USED)
    {
        return;
    }

    entry->used = ngx_time();
    ngx_memcpy(ids->used[ids->nused++], entry->identity.source_id, 16);
}


static void
ngx_http_taskforge_identity_flush(ngx_http_taskforge_identities_t *ids)
{
    int           len;
    ngx_uint_t    i;
    const char   *value;
    tf_pgarray_t  array;

    ngx_memzero(&array, sizeof(tf_pgarray_t));
    tf_pgarray_begin(&array, TF_PG_UUID);

    for (i = 0; i < ids->nused; i++) {
        tf_pgarray_bytes(&array, ids->used[i], 16);
    }

    if (tf_pgarray_end(&array)) {
        value = array.buf.data;
        len = (int) array.buf.len;

        if (ngx_http_taskforge_pg_query(ids->mcf->pg,
                                        NGX_HTTP_TASKFORGE_PG_WRITE,
                                        &ngx_http_taskforge_identity_sql_used,
                                        &value, &len,
                                        ngx_http_taskforge_identity_flushed,
                                        ids))
        {
            ids->nused = 0;
        }
    }

    tf_pgarray_free(&array);
}


static void
ngx_http_taskforge_identity_flushed(void *data, PGresult *res)
{
    ngx_http_taskforge_identities_t  *ids = data;

    /* a note that got lost is not worth a second try */

    (void) ngx_http_taskforge_pg_verdict(ids->log, res);
}


ngx_uint_t
ngx_http_taskforge_identity_concerns(
    const ngx_http_taskforge_identity_t *identity, u_char kind,
    const uint8_t id[16])
{
    switch (kind) {

    case 'u':
        return ngx_memcmp(identity->user_id, id, 16) == 0;

    case 'f':
        return identity->by == NGX_HTTP_TASKFORGE_BY_TOKEN
               && ngx_memcmp(identity->source_id, id, 16) == 0;

    default: /* 'k' */
        return identity->by == NGX_HTTP_TASKFORGE_BY_KEY
               && ngx_memcmp(identity->source_id, id, 16) == 0;
    }
}


static void
ngx_http_taskforge_identity_notify(void *data, const char *payload)
{
    size_t                            len;
    uint8_t                           id[16];
    const char                       *colon;
    ngx_http_taskforge_identities_t  *ids = data;

    colon = ngx_strchr(payload, ':');
    len = colon ? colon - payload : 0;

    if (len == 0
        || !tf_uuid_parse(colon + 1, ngx_strlen(colon + 1), id)
        || !((len == 4 && ngx_strncmp(payload, "user", 4) == 0)
             || (len == 6 && ngx_strncmp(payload, "family", 6) == 0)
             || (len == 3 && ngx_strncmp(payload, "key", 3) == 0)))
    {
        ngx_log_error(NGX_LOG_WARN, ids->log, 0,
                      "taskforge: a notification on tf_auth is not known "
                      "here, forgetting all identities");
        ids->generation++;
        ngx_http_taskforge_identity_cache_clear(ids);
        return;
    }

    ngx_http_taskforge_identity_cache_forget(ids, payload[0], id);
    ngx_http_taskforge_identity_sessions_drop(ids, payload[0], id);
}


static void
ngx_http_taskforge_identity_heard(void *data, ngx_msec_t since,
    ngx_uint_t anew)
{
    ngx_http_taskforge_identities_t  *ids = data;

    ids->heard = since;

    if (anew) {
        ids->generation++;
        ngx_http_taskforge_identity_cache_clear(ids);
        ngx_http_taskforge_identity_sessions_check(ids);
    }
}


static void
ngx_http_taskforge_identity_timer(ngx_event_t *ev)
{
    ngx_http_taskforge_identities_t  *ids = ev->data;

    ngx_http_taskforge_identity_sessions_expire(ids);

    if (ids->nused
        && ngx_time() - ids->flushed >= NGX_HTTP_TASKFORGE_IDENTITY_NOTE)
    {
        ids->flushed = ngx_time();
        ngx_http_taskforge_identity_flush(ids);
    }

    ngx_add_timer(ev, 1000);
}
