/* streams.h: the worker's queues on Redis: their names, entries that are done with, jobs that go back. */
#ifndef TFW_STREAMS_H
#define TFW_STREAMS_H

#include <stdbool.h>

#include "buf.h"
#include "held.h"
#include "options.h"

struct tfw_worker_s;

#define TFW_BASE_MAX 80    /* "tf:{queue}" */
#define TFW_QUEUES_MAX 256 /* served at a time */

typedef struct {
    char name[TF_QUEUE_NAME_MAX + 1];
    bool fixed; /* named in the settings; else it matches a pattern */
    char base[TFW_BASE_MAX];
    size_t base_len;
    tf_buf_t done; /* level, entry id: both NUL-terminated, one after the other */
    int ndone;
} tfw_stream_t;

typedef struct {
    struct tfw_worker_s *worker;
    tfw_stream_t queues[TFW_QUEUES_MAX];
    int nqueues;
    bool patterns;     /* there are some, so that new queues may appear */
    bool full;         /* said once: there are more queues than places */
    int64_t forget_at; /* uv_now: Redis refused to remove something, try tfw_streams_forget; 0: it did not */
} tfw_streams_t;

void tfw_streams_start(tfw_streams_t *streams, struct tfw_worker_s *worker);

/* Whether one of the settings' patterns means this queue. */
bool tfw_streams_match(const struct tfw_worker_s *w, const char *name, size_t len);

/* Index of a queue that jobs wait in. If it is new it takes a place, or that of one in which nothing happens;
 * -1: there is none, or the name is none. *added: it is new. */
int tfw_streams_serve(struct tfw_worker_s *w, const char *name, size_t len, bool *added);

/* The entry is acknowledged and deleted with the next flush. */
void tfw_streams_done(struct tfw_worker_s *w, const tfw_entry_t *entry);

/* Adds a job that is QUEUED again to its stream. Losing this is harmless: reconcile. */
void tfw_streams_add(struct tfw_worker_s *w, const tfw_job_t *job);

/* Sends what was gathered. */
void tfw_streams_flush(struct tfw_worker_s *w);

/* Removes every entry that this incarnation still holds, and its consumer: at a reconnect, because answers
 * may have been lost, and after Redis has refused to remove some (the jobs we hold need no entry; those we
 * never heard of are added again by reconcile), and when leaving. */
void tfw_streams_forget(struct tfw_worker_s *w);

void tfw_streams_close(tfw_streams_t *streams);

#endif
