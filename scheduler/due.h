/* due.h: makes SCHEDULED and RETRYING jobs QUEUED when their time comes. Sleeps until the next one is due,
 * woken by NOTIFY tf_due; PostgreSQL's clock decides. */
#ifndef TFS_DUE_H
#define TFS_DUE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    uint64_t wake_ms; /* when the timer fires, uv_now(); UINT64_MAX: it is off */
    bool expected;    /* the timer stands for a job that is due then */
    bool busy;        /* a step is under way */
    bool again;       /* woken while busy */
    int promoted;     /* by the step under way */
} tfs_due_t;

void tfs_due_init(tfs_due_t *due, struct tfs_scheduler_s *scheduler);

/* The connection is up: look at once. */
void tfs_due_start(tfs_due_t *due);

/* Something may be due earlier than known. Cheap: looks are put together. */
void tfs_due_wake(tfs_due_t *due);

void tfs_due_stop(tfs_due_t *due);
void tfs_due_close(tfs_due_t *due);

#endif
