/* leader.h: at most one scheduler leads: the one whose session holds an advisory lock. Losing that session is
 * losing the lead. */
#ifndef TFS_LEADER_H
#define TFS_LEADER_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/pg.h"

typedef struct {
    tfd_pg_t lock; /* a connection for the lock alone */
    uv_timer_t timer;
    uint64_t up_ms; /* uv_now when the connection came up */
    bool leading;
    bool asking;
    void (*elected)(void *data);
    void (*deposed)(void *data);
    void *data;
} tfs_leader_t;

/* elected and deposed alternate, elected first. url must outlive the leader. */
void tfs_leader_init(tfs_leader_t *leader, uv_loop_t *loop, const char *url, void (*elected)(void *),
                     void (*deposed)(void *), void *data);

/* Runs for the lead, now and whenever it was lost. */
void tfs_leader_start(tfs_leader_t *leader);

/* For how long, in ms, this process has been able to see what others write into PostgreSQL, leading or not.
 */
uint64_t tfs_leader_watched_ms(const tfs_leader_t *leader);

/* Gives the lead up and closes the handles. deposed is called if it led. */
void tfs_leader_close(tfs_leader_t *leader);

#endif
