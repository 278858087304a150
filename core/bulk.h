/* bulk.h: one action on every job of a filter: what POST /jobs/actions takes and what the job that does it
 * (type TF_TYPE_BULK) has as its payload. */
#ifndef TF_BULK_H
#define TF_BULK_H

#include "job_filter.h"
#include "sql.h"

typedef enum { TF_BULK_CANCEL, TF_BULK_RETRY, TF_BULK_DELETE, TF_BULK_ACTIONS } tf_bulk_action_t;

typedef struct {
    tf_bulk_action_t action;
    tf_job_filter_t filter; /* with statuses: those asked for, or all that the action can change */
    bool all;               /* an empty filter is meant */
    bool dry_run;
} tf_bulk_t;

/* Parses {"action", "filter", "all", "dry_run"}. me: the caller, NULL where nobody logged in. What is wrong
 * is added to errors; the bulk must be freed either way, and body must outlive it. */
void tf_bulk_parse(tf_bulk_t *bulk, const json_t *body, const uint8_t *me, tf_buf_t *errors);

void tf_bulk_free(tf_bulk_t *bulk);

/* "cancel", "retry", "delete" */
const char *tf_bulk_name(tf_bulk_action_t action);

/* What the audit calls its beginning ("bulk.cancel") and its end ("bulk.cancel.done"). */
const char *tf_bulk_audit(tf_bulk_action_t action, bool done);

/* The statement that does it: $1 writer, $2 ids uuid[]. */
const tf_sql_t *tf_bulk_sql(tf_bulk_action_t action);

#endif
