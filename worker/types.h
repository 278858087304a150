/* types.h: how many jobs of one type run at once in this worker (TASKFORGE_TYPE_CONCURRENCY). A job over the
 * limit is held for a moment; if there are more, or the moment is over, it is put off: SCHEDULED again, for
 * when there should be room for it. So a flood of one type leaves the executors to the others. */
#ifndef TFW_TYPES_H
#define TFW_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalogue.h"
#include "held.h"
#include "pgparam.h"

struct tfw_worker_s;

typedef struct {
    int limit;       /* 0: none */
    int admitted;    /* jobs that wait for an executor or are in one */
    tfw_jobs_t held; /* jobs over the limit, oldest first */
    int nheld;
    double avg_us;   /* moving average of how long a handler runs */
    int64_t slot_us; /* CLOCK_MONOTONIC: there should be room by then for all that were put off */
} tfw_type_t;

typedef struct {
    tfw_type_t of[TFW_HANDLERS_MAX]; /* by index in the catalogue */
    int nheld;                       /* of all types */
} tfw_types_t;

/* list: "email=2,ai_inference=1", or "". Call once, after tfw_catalogue_init. false: error says what is
 * wrong. */
bool tfw_types_init(tfw_types_t *types, const char *list, char *error, size_t error_size);

/* Whether the job may run now; else it has been taken over. */
bool tfw_types_admit(struct tfw_worker_s *w, tfw_job_t *job);

/* An admitted job will not run any more: the next one of its type may. */
void tfw_types_left(struct tfw_worker_s *w, const tfw_job_t *job);

/* Puts off what was held for too long. Returns when to look again, INT64_MAX: nothing is held. */
int64_t tfw_types_look(struct tfw_worker_s *w, int64_t now_us);

/* Gives all held jobs back, or releases them when they are no longer ours (drop). */
void tfw_types_clear(struct tfw_worker_s *w, bool drop);

/* The held job with that id, or NULL. */
tfw_job_t *tfw_types_find(const tfw_types_t *types, const uint8_t id[16]);

/* Appends the ids of the held jobs to an array of uuid. */
void tfw_types_ids(const tfw_types_t *types, tf_pgarray_t *ids);

/* Takes a held job out. */
void tfw_types_remove(tfw_types_t *types, tfw_job_t *job);

#endif
