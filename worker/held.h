/* held.h: a job this worker holds, from the claim to the last word in the ledger. */
#ifndef TFW_HELD_H
#define TFW_HELD_H

#include <libpq-fe.h>
#include <sys/queue.h>

#include "handler.h"
#include "job.h"
#include "pgparam.h"

#define TFW_ENTRY_ID_MAX 44 /* a stream id: two 64-bit numbers, "-" and NUL */

typedef struct tfw_batch_s tfw_batch_t;

/* Where a job lies on Redis. */
typedef struct {
    uint16_t queue; /* index in the worker's list of queues */
    uint8_t level;
    char id[TFW_ENTRY_ID_MAX];
} tfw_entry_t;

typedef struct tfw_job_s {
    TAILQ_ENTRY(tfw_job_s) link; /* in whichever list holds it */
    tf_job_t row; /* texts point into the batch, those of the end of the attempt into `words` */
    tfw_batch_t *batch;
    tfw_entry_t entry;
    tf_str_t secret;     /* what the claim handed over beside the row; points into the batch */
    int handler;         /* index in the catalogue; -1: no handler for this type */
    uint32_t seq;        /* in its executor */
    uint32_t log_lines;  /* received from this attempt */
    int64_t log_seq;     /* of the latest of them */
    bool cancel_asked;   /* its handler was asked to stop: somebody wants it, */
    bool timed_out;      /* or its time was over */
    bool told;           /* it heard that */
    bool progress_dirty; /* row.progress is newer than the database's */
    int64_t claimed_us;  /* CLOCK_MONOTONIC, when row.started_at was the server's time */
    int64_t waiting_since_us;
    int64_t started_us;  /* CLOCK_MONOTONIC; 0: not begun */
    int64_t deadline_us; /* CLOCK_MONOTONIC: it has ended by then, or something is done about it */
    int64_t finished_us;
    int64_t delay_ms; /* RETRYING, SCHEDULED: until the next attempt */
    char *words;      /* malloc: error, then result */
    char *traceback;  /* malloc; NULL: none */
} tfw_job_t;

TAILQ_HEAD(tfw_jobs_s, tfw_job_s);
typedef struct tfw_jobs_s tfw_jobs_t;

/* The rows of one claim: read-only, shared by its jobs, freed with the last of them. */
struct tfw_batch_s {
    PGresult *result;
    size_t held; /* jobs not yet released */
    tfw_job_t jobs[];
};

/* Room for count jobs over result, which belongs to the batch from here; held is 0. NULL: out of memory. */
tfw_batch_t *tfw_batch_new(PGresult *result, size_t count);

/* The caller lets go of the job; it must be in no list. */
void tfw_job_release(tfw_job_t *job);

/* Frees a batch whose jobs were never handed out. */
void tfw_batch_free(tfw_batch_t *batch);

/* Whether one of the jobs is of that queue (index in the worker's streams). */
bool tfw_jobs_use(const tfw_jobs_t *jobs, int queue);

/* The one with that id, or NULL. */
tfw_job_t *tfw_jobs_find(const tfw_jobs_t *jobs, const uint8_t id[16]);

/* Appends their ids to an array of uuid. */
void tfw_jobs_ids(const tfw_jobs_t *jobs, tf_pgarray_t *ids);

/* The attempt ended at status, by the reason `error` (may be NULL) with `result` (JSON; data NULL: none).
 * Both are copied. An error text that is too long is cut. false: out of memory; then the words are missing,
 * the status is set. */
bool tfw_job_end(tfw_job_t *job, tf_status_t status, tf_str_t error, tf_str_t result);

/* The attempt failed at finished_us: RETRYING with a delay, or DEAD_LETTER when the retries or their time
 * budget are spent. retry_after_ms: as the handler asked for it, -1: after the backoff. random: any 64 bits.
 */
void tfw_job_fail(tfw_job_t *job, int64_t retry_after_ms, tf_str_t error, uint64_t random);

/* The job is QUEUED again as if it had not been claimed. */
void tfw_job_give_back(tfw_job_t *job);

/* The same, but SCHEDULED: due in delay_ms. */
void tfw_job_put_off(tfw_job_t *job, int64_t delay_ms);

/* The attempt failed, and trying again cannot help: FAILED. */
void tfw_job_fail_for_good(tfw_job_t *job, tf_str_t error);

/* CLOCK_MONOTONIC and CLOCK_REALTIME in microseconds. */
int64_t tfw_monotonic_us(void);
int64_t tfw_realtime_us(void);

/* A number that differs between processes and calls; for spreading, not for secrets. */
uint64_t tfw_random(void);

#endif
