/* pool.h: the executors together: which job goes where, how far ahead jobs are sent, who has run too long. */
#ifndef TFW_POOL_H
#define TFW_POOL_H

#include <stdbool.h>
#include <uv.h>

#include "executor.h"
#include "held.h"
#include "pgparam.h"
#include "types.h"

struct tfw_worker_s;

#define TFW_AHEAD_MAX 128 /* jobs in one executor, running and next */

/* Jobs that were claimed and not sent. */
typedef struct {
    tfw_jobs_t jobs;
    int count;
} tfw_line_t;

typedef struct {
    struct tfw_worker_s *worker;
    tfw_executor_t *executors; /* TFW_CONCURRENCY_MAX + 1 places */
    tfw_executor_t *io;        /* the first of them, for types that are io_bound, or NULL */
    int count;                 /* places in use, so far */
    int wanted;                /* the concurrency: executors beyond it end with the job they run */
    tfw_types_t types;
    tfw_line_t alone;  /* they have an executor for themselves, */
    tfw_line_t shared; /* or share that for I/O */
    int active;        /* jobs in executors */
    double io_share;   /* moving average: which part of the claimed jobs is for the I/O executor */
    double avg_us;     /* of the others: moving average of how long a handler runs */
    double avg_bytes;  /* and of the size of a payload */
    int64_t processed, failed;
    uv_timer_t timer;
    int64_t timer_due_us; /* 0: not armed */
    uv_signal_t sigchld;
} tfw_pool_t;

/* Forks the executors. false: logged. */
bool tfw_pool_start(tfw_pool_t *pool, struct tfw_worker_s *worker);

/* How many more jobs the pool can use now. With jobs of more than a few milliseconds it is the number of idle
 * executors; with shorter ones, what the executors finish in about 5 ms; and what the I/O executor has places
 * for, as far as the latest claims let expect jobs for it. */
int tfw_pool_room(const tfw_pool_t *pool);

/* How many jobs are worth a claim: 1, or half of what the pool takes when jobs are so short that the cost of
 * a claim would show. The executors have work for the time that a claim takes. */
int tfw_pool_worthwhile(const tfw_pool_t *pool);

/* Whether nearly all jobs are for the I/O executor, which is at work: their ends come one by one. */
bool tfw_pool_gathers(const tfw_pool_t *pool);

/* Whether this executor shall run: there are not more than wanted, and there is something for it to do. */
bool tfw_pool_wants(const tfw_pool_t *pool, const tfw_executor_t *ex);

/* A claimed job: it runs as soon as an executor is free. */
void tfw_pool_add(tfw_pool_t *pool, tfw_job_t *job);

/* Sends waiting jobs to executors. */
void tfw_pool_dispatch(tfw_pool_t *pool);

/* The next place in the list of jobs that wait for an executor. */
void tfw_pool_wait(tfw_pool_t *pool, tfw_job_t *job);

/* A job that was in the pool is in no list of it any more: its end goes into the ledger, or it is no longer
 * ours (ours false). */
void tfw_pool_let_go(tfw_pool_t *pool, tfw_job_t *job, bool ours);

/* Whether a job of that queue (index in the worker's streams) is in the pool. */
bool tfw_pool_uses(const tfw_pool_t *pool, int queue);

/* Takes back what an executor has not begun: it goes to another one. */
void tfw_pool_take_back(tfw_pool_t *pool, tfw_executor_t *ex);

/* A job of this pool, or NULL. *ex: the executor that it was sent to; NULL: none yet. */
tfw_job_t *tfw_pool_find(tfw_pool_t *pool, const uint8_t id[16], tfw_executor_t **ex);

/* A job that was sent to no executor has ended: its end goes into the ledger. */
void tfw_pool_take_out(tfw_pool_t *pool, tfw_job_t *job);

/* Appends the ids of all jobs in the pool to an array of uuid; returns how many there are. */
int tfw_pool_ids(const tfw_pool_t *pool, tf_pgarray_t *ids);

/* Another concurrency from now on, 1 to TFW_CONCURRENCY_MAX. No running job is disturbed. */
void tfw_pool_resize(tfw_pool_t *pool, int wanted);

/* Gives back every job that has not begun. */
void tfw_pool_give_back(tfw_pool_t *pool);

/* Kills every executor that has a job, for that reason; the waiting jobs are dropped if it is TFW_DOOM_DROP.
 */
void tfw_pool_kill(tfw_pool_t *pool, tfw_doom_t doom, int64_t grace_ms);

/* Looks at the executors again in delay_us at the latest. */
void tfw_pool_look_in(tfw_pool_t *pool, int64_t delay_us);

/* Listens again to executors that wait because the journal was full. */
void tfw_pool_resume(tfw_pool_t *pool);

/* Of the active jobs those in the I/O executor: they take none of the others. */
int tfw_pool_active_io(const tfw_pool_t *pool);

/* It has as many jobs as executors for one at a time, whatever waits for the network beside them. */
bool tfw_pool_busy(const tfw_pool_t *pool);

/* No job waits or runs. */
bool tfw_pool_idle(const tfw_pool_t *pool);

/* Ends the executors (they are idle, or killed) and frees everything. */
void tfw_pool_close(tfw_pool_t *pool);

#endif
