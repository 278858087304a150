
#include "ngx_http_taskforge_relay.h"

#include <signal.h>


static ngx_http_taskforge_ws_slot_t *ngx_http_taskforge_relay_slot(
    ngx_http_taskforge_relay_shm_t *shm, ngx_atomic_uint_t pid);
static void ngx_http_taskforge_relay_clear(
    ngx_http_taskforge_ws_slot_t *slot);


ngx_uint_t
ngx_http_taskforge_relay_dead(ngx_atomic_uint_t pid)
{
    return kill((ngx_pid_t) pid, 0) == -1 && ngx_errno == ESRCH;
}


ngx_uint_t
ngx_http_taskforge_relay_count(ngx_http_taskforge_relay_t *relay,
    ngx_http_taskforge_channel_e channel)
{
    ngx_uint_t                     i, n, reap;
    ngx_atomic_uint_t              pid;
    ngx_http_taskforge_ws_slot_t  *slot;

    n = 0;
    reap = (relay->reaped != ngx_time());
    relay->reaped = ngx_time();

    for (i = 0; i < NGX_HTTP_TASKFORGE_WS_SLOTS; i++) {
        slot = &relay->shm->slots[i];
        pid = slot->pid;

        if (pid == 0) {
            continue;
        }

        if (reap && ngx_http_taskforge_relay_dead(pid)) {
            ngx_http_taskforge_relay_clear(slot);
            (void) ngx_atomic_cmp_set(&slot->pid, pid, 0);
            continue;
        }

        n += slot->counts[channel];
    }

    return n;
}


static ngx_http_taskforge_ws_slot_t *
ngx_http_taskforge_relay_slot(ngx_http_taskforge_relay_shm_t *shm,
    ngx_atomic_uint_t pid)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TASKFORGE_WS_SLOTS; i++) {
        if (shm->slots[i].pid == pid) {
            return &shm->slots[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_taskforge_relay_enter(ngx_http_taskforge_relay_shm_t *shm,
    ngx_http_taskforge_channel_e channel)
{
    ngx_http_taskforge_ws_slot_t  *slot;

    slot = ngx_http_taskforge_relay_slot(shm, ngx_pid);

    while (slot == NULL) {
        slot = ngx_http_taskforge_relay_slot(shm, 0);

        if (slot == NULL) {
            return NGX_ERROR;
        }

        if (!ngx_atomic_cmp_set(&slot->pid, 0, ngx_pid)) {
            slot = NULL;
        }
    }

    slot->counts[channel]++;

    return NGX_OK;
}


void
ngx_http_taskforge_relay_leave(ngx_http_taskforge_relay_shm_t *shm,
    ngx_http_taskforge_channel_e channel)
{
    ngx_http_taskforge_ws_slot_t  *slot;

    slot = ngx_http_taskforge_relay_slot(shm, ngx_pid);

    if (slot && slot->counts[channel]) {
        slot->counts[channel]--;
    }
}


void
ngx_http_taskforge_relay_forget(ngx_http_taskforge_relay_shm_t *shm)
{
    ngx_http_taskforge_ws_slot_t  *slot;

    slot = ngx_http_taskforge_relay_slot(shm, ngx_pid);

    if (slot) {
        ngx_http_taskforge_relay_clear(slot);
        slot->pid = 0;
    }
}


/* The slot may be given to another process. */

static void
ngx_http_taskforge_relay_clear(ngx_http_taskforge_ws_slot_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_TASKFORGE_CHANNELS; i++) {
        slot->counts[i] = 0;
    }

    ngx_memory_barrier();
}
