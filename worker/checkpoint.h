/* checkpoint.h: how far a job has got, kept in TaskForge's own database so that whoever runs the job next,
 * after a crash, a failure or a worker's end, goes on there. It holds for one life of the job: a retry by
 * hand begins anew. Written by the run that holds the job and no other: one that comes too late, as its
 * worker was taken for dead, changes nothing. Gone within an hour of the job's end.
 *
 * It blocks on PostgreSQL: not for handlers that are io_bound. */
#ifndef TFW_CHECKPOINT_H
#define TFW_CHECKPOINT_H

#include "handler.h"

#define TFW_CHECKPOINT_MAX (1024 * 1024) /* bytes of it as JSON text */

typedef struct tfw_checkpoint_s tfw_checkpoint_t;

/* Connects. NULL: the reason is set by tfw_run_error, and trying again may help. To be closed. */
tfw_checkpoint_t *tfw_checkpoint_open(tfw_run_t *run);

/* *data: what was saved last in this life of the job, the caller's to json_decref; NULL: nothing yet. false:
 * the reason is set by tfw_run_error, and trying again may help. */
bool tfw_checkpoint_load(tfw_checkpoint_t *checkpoint, json_t **data);

/* Replaces it. true: it is committed. false: the reason is set by tfw_run_error, and the run must not go on:
 * what it does from now on may be done by another one too (TFW_RETRY). */
bool tfw_checkpoint_save(tfw_checkpoint_t *checkpoint, const json_t *data);

/* NULL is fine. */
void tfw_checkpoint_close(tfw_checkpoint_t *checkpoint);

#endif
