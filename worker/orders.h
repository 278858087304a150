/* orders.h: what somebody wants of this worker: jobs cancelled, itself quiet, stopped or of another size. It
 * is written in PostgreSQL and read with every heartbeat; an entry in the stream tf:ctl says that there is
 * something to be read now. */
#ifndef TFW_ORDERS_H
#define TFW_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "claim.h"
#include "pgparam.h"

struct tfw_worker_s;

#define TFW_ORDERS_BLOCK_MS 10000

typedef struct {
    char last[TFW_ENTRY_ID_MAX]; /* of tf:ctl; "": not known */
    bool listening;              /* a command to the stream is under way */
    int64_t not_before;          /* uv_now: it failed */
    bool asking;                 /* for cancels, */
    bool ask_again;              /* and once more when that is answered */
    int64_t ask_after_claim;     /* and when so many claims were answered; 0: no */
    tf_pgarray_t ids;
} tfw_orders_t;

/* Reads what is wanted now, as an entry in tf:ctl asks for: with a heartbeat. */
void tfw_orders_look(struct tfw_worker_s *w);

/* Asks which of our jobs are to be cancelled. */
void tfw_orders_cancels(struct tfw_worker_s *w);

/* Listens to tf:ctl if nothing is under way. */
void tfw_orders_turn(struct tfw_worker_s *w);

/* The connection is (again) there: what was said meanwhile is not known. */
void tfw_orders_connected(struct tfw_worker_s *w);

void tfw_orders_close(tfw_orders_t *orders);

#endif
