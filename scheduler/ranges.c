#include "ranges.h"

#include <string.h>

#include "pgparam.h"
#include "scheduler.h"
#include "statements.h"

#define PERIOD_MS 5000
#define SIZE 1000         /* jobs in a range: what is looked at for one that has the name */
#define SETTLE_SECONDS 30 /* older ids have been committed */

static void look(uv_timer_t *timer);

/* One range a statement: they share their connection with what must not wait. */
static void on_gathered(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_ranges_t *ranges = data;

    ranges->busy = false;
    if (result && PQntuples(result) == 1 && tf_pg_get_int4(PQgetvalue(result, 0, 0)) > 0 &&
        uv_is_active((uv_handle_t *)&ranges->timer)) {
        uv_timer_start(&ranges->timer, look, 0, PERIOD_MS); /* there may be more */
    }
}

static void look(uv_timer_t *timer)
{
    tfs_ranges_t *ranges = timer->data;
    tfs_scheduler_t *s = ranges->scheduler;
    tfd_pg_params_t params = {0};

    if (ranges->busy || !tfs_may_work(s)) {
        return;
    }
    tfd_pg_int4(&params, SIZE);
    tfd_pg_int4(&params, SETTLE_SECONDS);
    ranges->busy = tfd_pg_send(&s->work, &tfs_sql_gather_ranges, &params, on_gathered, ranges);
}

void tfs_ranges_init(tfs_ranges_t *ranges, tfs_scheduler_t *scheduler)
{
    memset(ranges, 0, sizeof(*ranges));
    ranges->scheduler = scheduler;
    uv_timer_init(&scheduler->loop, &ranges->timer);
    ranges->timer.data = ranges;
}

void tfs_ranges_start(tfs_ranges_t *ranges)
{
    uv_timer_start(&ranges->timer, look, 0, PERIOD_MS);
}

void tfs_ranges_stop(tfs_ranges_t *ranges)
{
    uv_timer_stop(&ranges->timer);
}

void tfs_ranges_close(tfs_ranges_t *ranges)
{
    uv_close((uv_handle_t *)&ranges->timer, NULL);
}
