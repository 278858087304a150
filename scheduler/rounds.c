#include "rounds.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "statements.h"

static void on_noted(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
}

bool tfs_round_note(tfd_pg_t *pg, const char *name, bool complete, uint64_t next_ms, uint64_t period_ms,
                    tfd_pg_answer_fn answer, void *data)
{
    tfd_pg_params_t params = {0};
    char cron[40];

    if (period_ms % 1000 == 0) {
        snprintf(cron, sizeof(cron), "@every %" PRIu64 "s", period_ms / 1000);
    } else {
        snprintf(cron, sizeof(cron), "@every %" PRIu64 "ms", period_ms);
    }
    tfd_pg_bytes(&params, name, strlen(name));
    tfd_pg_bool(&params, complete);
    tfd_pg_int8(&params, (int64_t)next_ms);
    tfd_pg_bytes(&params, cron, strlen(cron));
    return tfd_pg_send(pg, &tfs_sql_note_round, &params, answer ? answer : on_noted, data);
}
