
#include "ngx_http_taskforge_queue_table.h"
#include "ngx_http_taskforge_relay.h"


static void ngx_http_taskforge_queue_table_settle(
    ngx_http_taskforge_queue_rules_shm_t *shm, ngx_uint_t place);


ngx_uint_t
ngx_http_taskforge_queue_table_join(ngx_http_taskforge_queue_rules_shm_t *shm,
    ngx_shmtx_t *mutex)
{
    ngx_uint_t  i;

    ngx_shmtx_lock(mutex);

    for (i = 0; i < NGX_HTTP_TASKFORGE_QUEUE_PROCESSES; i++) {
        if (shm->pids[i] == 0) {
            shm->pids[i] = ngx_pid;
            break;
        }
    }

    ngx_shmtx_unlock(mutex);

    return i;
}


void
ngx_http_taskforge_queue_table_leave(ngx_http_taskforge_queue_rules_shm_t *shm,
    ngx_shmtx_t *mutex, ngx_uint_t place)
{
    ngx_shmtx_lock(mutex);

    ngx_http_taskforge_queue_table_settle(shm, place);

    ngx_shmtx_unlock(mutex);
}


void
ngx_http_taskforge_queue_table_reap(ngx_http_taskforge_queue_rules_shm_t *shm,
    ngx_shmtx_t *mutex)
{
    ngx_uint_t  i;

    ngx_shmtx_lock(mutex);

    for (i = 0; i < NGX_HTTP_TASKFORGE_QUEUE_PROCESSES; i++) {
        if (shm->pids[i] && ngx_http_taskforge_relay_dead(shm->pids[i])) {
            ngx_http_taskforge_queue_table_settle(shm, i);
        }
    }

    ngx_shmtx_unlock(mutex);
}


static void
ngx_http_taskforge_queue_table_settle(
    ngx_http_taskforge_queue_rules_shm_t *shm, ngx_uint_t place)
{
    ngx_uint_t                        i;
    ngx_http_taskforge_queue_rule_t  *rule;

    for (i = 0; i < NGX_HTTP_TASKFORGE_QUEUE_RULES; i++) {
        rule = &shm->rules[i];

        (void) ngx_atomic_fetch_add(&rule->settled, rule->pending[place]);
        rule->pending[place] = 0;
    }

    shm->pids[place] = 0;
}


ngx_http_taskforge_queue_rule_t *
ngx_http_taskforge_queue_table_find(ngx_http_taskforge_queue_rules_shm_t *shm,
    const char *name, size_t len)
{
    ngx_uint_t                        i;
    ngx_http_taskforge_queue_rule_t  *rule;

    for (i = 0; i < shm->nused; i++) {
        rule = &shm->rules[i];

        if (rule->len == len && ngx_memcmp(rule->name, name, len) == 0) {
            return rule;
        }
    }

    return NULL;
}


ngx_atomic_uint_t
ngx_http_taskforge_queue_table_pending(ngx_http_taskforge_queue_rule_t *rule)
{
    ngx_uint_t         i;
    ngx_atomic_uint_t  n;

    n = 0;

    for (i = 0; i < NGX_HTTP_TASKFORGE_QUEUE_PROCESSES; i++) {
        n += rule->pending[i];
    }

    return n;
}
