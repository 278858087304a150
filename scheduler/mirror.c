#include "mirror.h"

#include <stdio.h>

#include "pgparam.h"
#include "redis_keys.h"
#include "scheduler.h"
#include "statements.h"

static void answered(tfs_mirror_t *mirror)
{
    if (--mirror->outstanding == 0) {
        mirror->done(mirror->data);
    }
}

static void on_copied(redisAsyncContext *context, void *answer, void *data)
{
    tfs_mirror_t *mirror = data;
    redisReply *reply = answer;

    if (!tfd_redis_failed(&mirror->scheduler->redis, "FCALL tf_pause", reply) &&
        reply->type == REDIS_REPLY_INTEGER) {
        mirror->scheduler->stats.mirrored += reply->integer;
    }
    answered(mirror);
}

static bool copy_queue(tfs_mirror_t *mirror, const PGresult *result, int row)
{
    char base[96], version[24];
    const char *argv[] = {"FCALL", "tf_pause", "1", base, NULL, version};
    size_t lengths[] = {5, 8, 1, 0, 1, 0};

    lengths[3] = tf_redis_queue_base(base, sizeof(base), PQgetvalue(result, row, 0),
                                     (size_t)PQgetlength(result, row, 0));
    argv[4] = PQgetvalue(result, row, 1)[0] ? "1" : "0";
    lengths[5] = (size_t)snprintf(version, sizeof(version), "%lld",
                                  (long long)tf_pg_get_int8(PQgetvalue(result, row, 2)));
    return lengths[3] && tfd_redis_send(&mirror->scheduler->redis, on_copied, mirror, 6, argv, lengths);
}

static void on_states(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_mirror_t *mirror = data;

    for (int i = 0; result && i < PQntuples(result); i++) {
        mirror->outstanding += copy_queue(mirror, result, i);
    }
    answered(mirror);
}

void tfs_mirror_run(tfs_mirror_t *mirror, tfs_scheduler_t *scheduler, void (*done)(void *), void *data)
{
    *mirror = (tfs_mirror_t){.scheduler = scheduler, .outstanding = 1, .done = done, .data = data};
    if (!tfs_may_work(scheduler) ||
        !tfd_pg_send(&scheduler->work, &tfs_sql_queue_states, NULL, on_states, mirror)) {
        answered(mirror);
    }
}
