/* registration.h: this worker's row in PostgreSQL: who it is, that it is alive, and what it can run. */
#ifndef TFW_REGISTRATION_H
#define TFW_REGISTRATION_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "rates.h"
#include "usage.h"

struct tfw_worker_s;

typedef struct {
    int64_t incarnation; /* 0: not registered (yet, or no longer) */
    uint8_t id[16];      /* of the row */
    bool registering, beating, types_written, announced;
    bool beat_again; /* something changed while a heartbeat was under way */
    bool own_will;   /* a signal has changed the status since: what the row asked for before is void */
    tfw_rates_t rates;
    tfw_usage_t usage;
    uv_timer_t timer;
    void (*gone)(struct tfw_worker_s *w);
} tfw_registration_t;

void tfw_registration_start(tfw_registration_t *registration, struct tfw_worker_s *worker);

/* The ledger connection is (again) there: registers, or shows at once that the worker is alive. */
void tfw_registration_connected(struct tfw_worker_s *w);

/* A heartbeat now: the status has changed. */
void tfw_registration_beat(struct tfw_worker_s *w);

/* event: "worker_online" or "worker_offline". */
void tfw_registration_announce(struct tfw_worker_s *w, const char *event, const char *status);

/* Announces worker_online once Redis is there. */
void tfw_registration_turn(struct tfw_worker_s *w);

/* Writes 'offline'; `gone` is called when that is answered. false: not registered, or PostgreSQL is away. */
bool tfw_registration_leave(struct tfw_worker_s *w, void (*gone)(struct tfw_worker_s *w));

void tfw_registration_close(tfw_registration_t *registration);

#endif
