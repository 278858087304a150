/* pool.h: the executors together: which job goes where, how far ahead jobs are sent, who has run too long. */
#ifndef TFW_POOL_H
#define TFW_POOL_H

#include <stdbool.h>
#include <uv.h>

#include "executor.h"
#include "frame.h"
#include "held.h"

struct tfw_worker_s;

#define TFW_AHEAD_MAX 128 /* jobs in one executor, running and next */

typedef struct {
    struct tfw_worker_s *worker;
    tfw_executor_t *executors; /* options.concurrency of them */
    int count;
    tfw_jobs_t waiting; /* claimed, not sent */
    int nwaiting;
    int active;       /* jobs in executors */
    double avg_us;    /* moving average of how long a handler runs */
    double avg_bytes; /* and of the size of a payload */
    int64_t processed, failed;
    uv_timer_t timer;
    int64_t timer_due_us; /* 0: not armed */
    uv_signal_t sigchld;
} tfw_pool_t;

/* Forks the executors. false: logged. */
bool tfw_pool_start(tfw_pool_t *pool, struct tfw_worker_s *worker);

/* How many more jobs the pool can use now. With jobs of more than a few milliseconds it is the number of idle
 * executors; with shorter ones, what the executors finish in about 5 ms. */
int tfw_pool_room(const tfw_pool_t *pool);

/* How many jobs are worth a claim: 1, or half of what the pool takes when jobs are so short that the cost of
 * a claim would show. The executors have work for the time that a claim takes. */
int tfw_pool_worthwhile(const tfw_pool_t *pool);

/* A claimed job: it runs as soon as an executor is free. */
void tfw_pool_add(tfw_pool_t *pool, tfw_job_t *job);

/* Sends waiting jobs to executors. */
void tfw_pool_dispatch(tfw_pool_t *pool);

/* A frame from an executor. */
void tfw_pool_frame(tfw_executor_t *ex, tfw_frame_in_t *frame);

/* Gives back every job that has not begun. */
void tfw_pool_give_back(tfw_pool_t *pool);

/* Kills every executor that has a job, for that reason; the waiting jobs are dropped if it is TFW_DOOM_DROP.
 */
void tfw_pool_kill(tfw_pool_t *pool, tfw_doom_t doom, int64_t grace_seconds);

bool tfw_pool_holds(const tfw_pool_t *pool, const uint8_t id[16]);

/* Listens again to executors that wait because the journal was full. */
void tfw_pool_resume(tfw_pool_t *pool);

/* No job waits or runs. */
bool tfw_pool_idle(const tfw_pool_t *pool);

/* Ends the executors (they are idle, or killed) and frees everything. */
void tfw_pool_close(tfw_pool_t *pool);

#endif
