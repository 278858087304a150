#include "leader.h"

#include "log.h"
#include "statements.h"

/* A follower asks for the lock so often; a leader makes sure so often that its session is alive. Waiting for
 * the lock inside PostgreSQL would be quicker, but a waiting statement keeps an old snapshot and vacuum from
 * its work. */
#define PERIOD_MS 1000
#define ANSWER_MS 3000

/* What the server does when this host is gone without a word: the session, and with it the lock, ends within
 * seconds. */
#define LOCK_OPTIONS                                                                                         \
    "-c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 "                       \
    "-c tcp_user_timeout=5000 -c idle_session_timeout=5000 -c statement_timeout=2000"

static void on_tried(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_leader_t *leader = data;

    leader->asking = false;
    if (result && PQntuples(result) == 1 && PQgetlength(result, 0, 0) == 1 && PQgetvalue(result, 0, 0)[0]) {
        leader->leading = true;
        tf_log(TF_LOG_INFO, "leader_elected", NULL);
        leader->elected(leader->data);
    }
}

static void on_alive(void *data, tfd_pg_outcome_t outcome, const PGresult *result)
{
    tfs_leader_t *leader = data;

    leader->asking = false;
}

static void ask(tfs_leader_t *leader)
{
    if (leader->asking) {
        return;
    }
    leader->asking = leader->leading ? tfd_pg_send(&leader->lock, &tfs_sql_alive, NULL, on_alive, leader)
                                     : tfd_pg_send(&leader->lock, &tfs_sql_try_lead, NULL, on_tried, leader);
}

static void on_timer(uv_timer_t *timer)
{
    ask(timer->data);
}

static void on_up(void *data)
{
    tfs_leader_t *leader = data;

    leader->up_ms = uv_now(leader->timer.loop);
    ask(leader);
    uv_timer_start(&leader->timer, on_timer, PERIOD_MS, PERIOD_MS);
}

static void on_down(void *data)
{
    tfs_leader_t *leader = data;

    uv_timer_stop(&leader->timer);
    leader->asking = false;
    if (leader->leading) {
        leader->leading = false;
        tf_log(TF_LOG_INFO, "leader_deposed", NULL);
        leader->deposed(leader->data);
    }
}

void tfs_leader_init(tfs_leader_t *leader, uv_loop_t *loop, const char *url, void (*elected)(void *),
                     void (*deposed)(void *), void *data)
{
    static const tf_sql_t *const statements[] = {&tfs_sql_try_lead, &tfs_sql_alive};

    *leader = (tfs_leader_t){.elected = elected, .deposed = deposed, .data = data};
    leader->lock = (tfd_pg_t){
        .loop = loop,
        .name = "leader",
        .application = TFS_PROGRAM,
        .url = url,
        .options = LOCK_OPTIONS,
        .statements = statements,
        .nstatements = sizeof(statements) / sizeof(statements[0]),
        .answer_ms = ANSWER_MS,
        .up = on_up,
        .down = on_down,
        .data = leader,
    };
    uv_timer_init(loop, &leader->timer);
    leader->timer.data = leader;
    tfd_pg_init(&leader->lock);
}

void tfs_leader_start(tfs_leader_t *leader)
{
    tfd_pg_start(&leader->lock);
}

uint64_t tfs_leader_watched_ms(const tfs_leader_t *leader)
{
    return leader->lock.is_up ? uv_now(leader->timer.loop) - leader->up_ms : 0;
}

void tfs_leader_close(tfs_leader_t *leader)
{
    tfd_pg_close(&leader->lock);
    uv_close((uv_handle_t *)&leader->timer, NULL);
}
