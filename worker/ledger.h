/* ledger.h: how attempts end. Results gather while a statement is under way, and for a moment when they come
 * thick and fast, and go with the next one: one commit for all of them. Only after it do the stream entries
 * go and the events leave. */
#ifndef TFW_LEDGER_H
#define TFW_LEDGER_H

#include <stdbool.h>
#include <uv.h>

#include "held.h"
#include "pgparam.h"

struct tfw_worker_s;

#define TFW_LEDGER_BATCH 512
#define TFW_LEDGER_BATCH_BYTES (8u << 20)
#define TFW_LEDGER_JOBS_MAX 4096 /* more results than this: claims wait */
#define TFW_LEDGER_BYTES_MAX (32u << 20)
#define TFW_LEDGER_COLUMNS 10

typedef struct {
    tfw_jobs_t pending;
    int npending;
    size_t pending_bytes;
    tfw_job_t *flight[TFW_LEDGER_BATCH]; /* sorted by id */
    int nflight;
    bool sent;               /* the flight's statement is under way */
    bool unsure;             /* an earlier sending of the flight was never answered */
    int one_by_one;          /* so many of the next results go alone: one of them was refused */
    int64_t not_before;      /* uv_now: the statement failed for a passing reason */
    int64_t latest_us;       /* CLOCK_MONOTONIC, when the latest result came */
    int64_t distance_us;     /* between results, on average */
    int64_t gathering_until; /* uv_now: the pending wait for more; 0: they do not */
    tf_pgarray_t columns[TFW_LEDGER_COLUMNS];
    uv_timer_t timer;
} tfw_ledger_t;

void tfw_ledger_start(tfw_ledger_t *ledger, struct tfw_worker_s *worker);

/* The attempt has ended: job->row.status and its words say how. The ledger owns the job from here. */
void tfw_ledger_add(struct tfw_worker_s *w, tfw_job_t *job);

/* The job is QUEUED again as if it had not been claimed. */
void tfw_ledger_give_back(struct tfw_worker_s *w, tfw_job_t *job);

/* Sends the next batch if none is under way. */
void tfw_ledger_flush(struct tfw_worker_s *w);

/* Results wait for more to come, a few milliseconds at most. */
bool tfw_ledger_gathers(const struct tfw_worker_s *w);

/* Results not yet committed. */
int tfw_ledger_count(const tfw_ledger_t *ledger);

/* So much is unwritten that nothing new should be claimed. */
bool tfw_ledger_full(const tfw_ledger_t *ledger);

bool tfw_ledger_holds(const tfw_ledger_t *ledger, const uint8_t id[16]);

/* Whether an end of a job of that queue (index in the worker's streams) is to be written. */
bool tfw_ledger_uses(const tfw_ledger_t *ledger, int queue);

/* Forgets everything: the jobs are no longer ours. */
void tfw_ledger_drop(tfw_ledger_t *ledger);

void tfw_ledger_close(tfw_ledger_t *ledger);

#endif
