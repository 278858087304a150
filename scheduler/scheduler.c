#include "scheduler.h"

bool tfs_may_work(const tfs_scheduler_t *s)
{
    return s->leader.leading && !s->stopping && s->work.state == TFS_PG_READY;
}
