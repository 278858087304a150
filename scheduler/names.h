/* names.h: a list of queue names, kept while one queue after the other is looked at. */
#ifndef TFS_NAMES_H
#define TFS_NAMES_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "job.h"

/* Zeroed: empty. */
typedef struct {
    char (*items)[TF_QUEUE_NAME_MAX + 1];
    int count;
} tfs_names_t;

/* Replaces the list by the first column of all rows; what is no valid queue name is left out. false: out of
 * memory, and the list is empty. */
bool tfs_names_read(tfs_names_t *names, const PGresult *result);
void tfs_names_free(tfs_names_t *names);

#endif
