/* journal.h: what is written down while jobs run: their log lines and their progress. */
#ifndef TFW_JOURNAL_H
#define TFW_JOURNAL_H

#include <stdbool.h>
#include <uv.h>

#include "held.h"
#include "pgparam.h"

struct tfw_worker_s;

#define TFW_JOURNAL_COLUMNS 7
#define TFW_JOURNAL_LINES 2000           /* per statement */
#define TFW_JOURNAL_BYTES_MAX (4u << 20) /* gathered; more has to wait in the executors */

/* Lines for one statement, in the form of its parameters. */
typedef struct {
    tf_pgarray_t columns[TFW_JOURNAL_COLUMNS];
    int count;
    size_t bytes;
} tfw_lines_t;

typedef struct {
    tfw_lines_t sets[2];
    int filling;       /* the set that takes new lines */
    bool sent;         /* the other set is under way */
    bool unsure;       /* or was, when the connection broke */
    bool progress;     /* some job's progress has changed */
    bool progress_out; /* its statement is under way */
    tf_pgarray_t progress_columns[4];
    uv_timer_t timer; /* limits how often progress is written */
} tfw_journal_t;

void tfw_journal_start(tfw_journal_t *journal, struct tfw_worker_s *worker);

/* One line of a running job; texts are copied. Lines over the limit per attempt are dropped. */
void tfw_journal_line(struct tfw_worker_s *w, tfw_job_t *job, int64_t at_us, tf_str_t level,
                      tf_str_t message);

/* A running job's progress_dirty was set. */
void tfw_journal_progress(struct tfw_worker_s *w);

/* Too much is gathered: do not read more from executors for now. */
bool tfw_journal_full(struct tfw_worker_s *w);

/* Sends gathered lines. false: some are still to be sent, so no result may overtake them. */
bool tfw_journal_flush(struct tfw_worker_s *w);

void tfw_journal_close(tfw_journal_t *journal);

#endif
