/* events.h: what this worker announces in tf:events. Best effort: nothing is kept while Redis is away. */
#ifndef TFW_EVENTS_H
#define TFW_EVENTS_H

#include "buf.h"
#include "job.h"

struct tfw_worker_s;

typedef struct {
    tf_buf_t entry; /* events of one stream entry, one a line */
    int count;
} tfw_events_t;

/* Appends the event of a job, as the row is now. */
void tfw_events_job(struct tfw_worker_s *w, const tf_job_t *row, const char *event);

/* worker_online or worker_offline. */
void tfw_events_worker(struct tfw_worker_s *w, const char *event, const char *status);

/* Sends what was gathered. */
void tfw_events_flush(struct tfw_worker_s *w);

#endif
