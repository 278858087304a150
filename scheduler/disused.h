/* disused.h: forgets the names of queues that have no job any more. Whoever may submit may use any name, so
 * without this the counters, the keys in Redis and every look at all queues would grow with every name that
 * was ever used.
 *
 * Redis goes first: as long as it is away, or says that a queue is in use, the counters keep the name for the
 * next round. A job that comes in between is safe: its counters are there (nothing of them is deleted then,
 * sql/0012_forget_queues), and an entry that comes before Redis forgets says that the queue is in use, one
 * that comes afterwards makes a new stream. */
#ifndef TFS_DISUSED_H
#define TFS_DISUSED_H

#include <stdbool.h>

#include "daemon/pg.h"
#include "names.h"
#include "pgparam.h"

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    tfd_pg_t *pg;
    void (*done)(void *data, bool complete);
    void *data;
    bool running;
    tfs_names_t names;  /* after the one before them, in their order */
    bool more;          /* there are others behind these */
    int next;           /* of the names: the first that Redis was not asked about */
    int asked;          /* the one whose answer comes next */
    int outstanding;    /* answers of Redis */
    tf_pgarray_t batch; /* text[]: those that Redis has forgotten */
    int64_t forgotten;  /* in this run */
} tfs_disused_t;

/* pg: has tfs_sql_disused_queues and tfs_sql_forget_queues; both must outlive it. */
void tfs_disused_init(tfs_disused_t *disused, struct tfs_scheduler_s *scheduler, tfd_pg_t *pg);

/* Calls done once, later, unless pg is lost or tfs_disused_stop comes first; complete: false when PostgreSQL
 * refused something. false: Redis is away, or has not answered yet what it was asked before a stop; nothing
 * was begun, and done is not called. */
bool tfs_disused_run(tfs_disused_t *disused, void (*done)(void *data, bool complete), void *data);

/* pg is gone, and what was under way with it. */
void tfs_disused_stop(tfs_disused_t *disused);

void tfs_disused_close(tfs_disused_t *disused);

#endif
