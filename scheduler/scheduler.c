#include "scheduler.h"

bool tfs_may_work(const tfs_scheduler_t *s)
{
    return s->leader.leading && !s->stopping && tfd_pg_ready(&s->work);
}
