/* claim.h: how this worker comes to its jobs: Redis says which, PostgreSQL says whether. While nothing waits,
 * one XREAD BLOCK over every level of every queue waits for the next. */
#ifndef TFW_CLAIM_H
#define TFW_CLAIM_H

#include <stdbool.h>
#include <uv.h>

#include "held.h"
#include "options.h"
#include "streams.h"
#include "pgparam.h"

struct tfw_worker_s;

#define TFW_CLAIM_MAX 512        /* jobs in one claim */
#define TFW_CLAIMS_UNDER_WAY 2   /* one in PostgreSQL, the next right behind it */
#define TFW_CLAIM_BLOCK_MS 10000 /* then it looks anyway, whatever Redis may have missed */
#define TFW_WATCHES 12           /* per queue: p0 to p10 and ctl */

/* What Redis handed out, on its way through PostgreSQL. Sorted by id. */
typedef struct {
    struct tfw_worker_s *worker;
    int count;
    int ranks; /* as many as there were before doubles were let go of */
    bool sent;
    bool recover; /* an earlier sending was never answered */
    int64_t incarnation;
    struct {
        uint8_t id[16];
        int16_t rank; /* its turn: Redis hands out by level, and in a level the oldest first */
        tfw_entry_t entry;
    } items[]; /* at most TFW_CLAIM_MAX */
} tfw_claimed_t;

typedef struct {
    bool maybe; /* something may wait in it */
    char watch[TFW_WATCHES][TFW_ENTRY_ID_MAX];
} tfw_claim_queue_t;

typedef struct {
    tfw_claim_queue_t queues[TFW_QUEUES_MAX];
    int next_queue;
    bool asking; /* FCALL tf_claim is under way, */
    int asked;   /* for so many jobs, */
    int asked_queue;
    int64_t asked_us;                               /* tfw_monotonic_us; 0: never asked */
    int64_t looked_at;                              /* uv_now: at all queues, */
    bool listing;                                   /* which queues have work, for patterns */
    int64_t connection;                             /* Redis's number of the one that waits; 0: not known */
    int64_t sent, answered;                         /* claims, since the beginning */
    bool blocking;                                  /* XREAD BLOCK is under way */
    tfw_claimed_t *under_way[TFW_CLAIMS_UNDER_WAY]; /* oldest first */
    int nunder_way;
    int64_t found_at;   /* uv_now: the last jobs from Redis */
    int64_t pace_until; /* uv_now: entries come one by one, and wait for each other */
    int64_t not_before; /* uv_now: something failed for a passing reason */
    uv_timer_t timer;
    uv_timer_t poll; /* for new queues, where there are patterns */
    tf_pgarray_t ids;
} tfw_claim_t;

void tfw_claim_start(tfw_claim_t *claim, struct tfw_worker_s *worker);

/* Asks for more jobs if there is room, or waits for some to appear. */
void tfw_claim_turn(struct tfw_worker_s *w);

/* Redis is (again) there: nothing is known about its queues. */
void tfw_claim_look_again(struct tfw_worker_s *w);

/* Part of tfw_claim_start (claim_patterns.c). */
void tfw_claim_patterns_start(tfw_claim_t *claim, struct tfw_worker_s *worker);

/* Looks for queues that match a pattern and have work, now and not only every second. */
void tfw_claim_new_queues(struct tfw_worker_s *w);

/* The waiting connection is (again) there. */
void tfw_claim_connected(struct tfw_worker_s *w);

/* Nothing waits in that queue as far as is known, and nothing of it is on its way. */
bool tfw_claim_idle(const tfw_claim_t *claim, int queue);

/* When Redis was last asked for jobs with room for one, in microseconds ago; -1: never. */
int64_t tfw_claim_age_us(const tfw_claim_t *claim);

/* The claims that PostgreSQL has not answered count up to this number; 0: none. Those answered, to that. */
int64_t tfw_claim_sent(const tfw_claim_t *claim);
int64_t tfw_claim_answered(const tfw_claim_t *claim);

/* Claims handed out by Redis and not yet answered by PostgreSQL. */
bool tfw_claim_busy(const tfw_claim_t *claim);

/* Forgets claims whose statement is not under way: the worker is stopping and PostgreSQL is away. */
void tfw_claim_abandon(struct tfw_worker_s *w);

void tfw_claim_close(tfw_claim_t *claim);

#endif
