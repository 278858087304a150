/* rounds.h: the scheduler's own rounds as GET /schedules shows them: when each was last done, and when it
 * comes next. */
#ifndef TFS_ROUNDS_H
#define TFS_ROUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/pg.h"

/* Names of their rows in schedules (sql/0003). */
#define TFS_ROUND_UPKEEP "taskforge.upkeep"
#define TFS_ROUND_RESCUE "taskforge.rescue"
#define TFS_ROUND_RECONCILE "taskforge.reconcile"

/* A round has ended, and the next one begins in next_ms. complete: false, it does not count as done.
 * period_ms: how often it comes. answer and the result: see tfd_pg_send; NULL: nobody waits for it. */
bool tfs_round_note(tfd_pg_t *pg, const char *name, bool complete, uint64_t next_ms, uint64_t period_ms,
                    tfd_pg_answer_fn answer, void *data);

#endif
