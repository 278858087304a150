/* worker.h: the worker as a whole: its parts, its state, and what happens once per turn of the event loop. */
#ifndef TFW_WORKER_H
#define TFW_WORKER_H

#include <uv.h>

#include "claim.h"
#include "daemon/pg.h"
#include "daemon/redis.h"
#include "daemon/streams.h"
#include "journal.h"
#include "ledger.h"
#include "options.h"
#include "orders.h"
#include "pool.h"
#include "registration.h"
#include "streams.h"

typedef enum {
    TFW_RUNNING,
    TFW_QUIET,    /* claims nothing new */
    TFW_STOPPING, /* claims nothing, gives back what has not begun, lets the rest end */
    TFW_LEAVING   /* all is done: the row becomes offline, then the process ends */
} tfw_state_t;

typedef struct tfw_worker_s {
    tfw_options_t options;
    uv_loop_t loop;
    tfw_state_t state;
    int exit_status;

    tfd_pg_t claim_pg, ledger_pg; /* two, so that claims and results do not wait for each other */
    tfd_redis_t redis;            /* commands */
    tfd_redis_t waiting;          /* XREAD BLOCK of the queues */
    tfd_redis_t control;          /* XREAD BLOCK of tf:ctl */

    tfw_claim_t claim;
    tfw_pool_t pool;
    tfw_ledger_t ledger;
    tfw_journal_t journal;
    tfw_streams_t streams;
    tfd_events_t events;
    tfw_registration_t registration;
    tfw_orders_t orders;

    uv_prepare_t turn; /* before the loop sleeps: all that this turn gathered is sent */
    uv_signal_t signals[6];
    uv_timer_t deadline; /* STOPPING: when the rest is given back; LEAVING: when to go without a goodbye */
} tfw_worker_t;

/* Starts everything and runs until the worker has left. options become the worker's. Returns the exit status.
 */
int tfw_worker_run(tfw_worker_t *w, const tfw_options_t *options);

/* Begins to stop, as SIGTERM does; now: running jobs are killed and given back at once. exit_status: of the
 * process. */
void tfw_worker_stop(tfw_worker_t *w, bool now, int exit_status);

/* Claims nothing new, or does so again. Nothing changes while it is stopping. */
void tfw_worker_quiet(tfw_worker_t *w, bool on);

/* This incarnation was declared lost: its jobs are no longer ours. */
void tfw_worker_drop_jobs(tfw_worker_t *w);

/* Whether this process has the job: running, waiting or in the ledger. */
bool tfw_worker_holds(const tfw_worker_t *w, const uint8_t id[16]);

/* "online", "quiet" or "stopping": the status column. */
const char *tfw_worker_status(const tfw_worker_t *w);

#endif
