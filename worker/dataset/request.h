/* request.h: the payload of data_processing, read and checked as far as that needs no data. */
#ifndef TFW_REQUEST_H
#define TFW_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "dataset/dataset.h"

#define TFW_LIMIT_DEFAULT 100
#define TFW_LIMIT_MAX 10000
#define TFW_QUERY_MAX 65536    /* bytes of SQL */
#define TFW_CONDITIONS_MAX 100 /* also aggregates, and columns to sort by */
#define TFW_IN_MAX 1000        /* values of "in" */

typedef enum {
    TFW_OP_AGGREGATE,
    TFW_OP_GROUP,
    TFW_OP_FILTER,
    TFW_OP_SORT,
    TFW_OP_DEDUPE,
    TFW_OP_DESCRIBE,
    TFW_OP_JOIN,
    TFW_OP_SQL,
    TFW_OPS
} tfw_operation_t;

const char *tfw_operation_name(tfw_operation_t operation);

/* Texts and lists belong to the payload. A list that was not given is NULL. */
typedef struct {
    tfw_operation_t operation;
    tfw_source_t source;
    const json_t *group_by;   /* a name, or a list of names */
    const json_t *columns;    /* names */
    const json_t *aggregates; /* objects: "function", perhaps "column" and "as" */
    const json_t *where;      /* objects: "column", "op", perhaps "value" */
    bool match_any;
    const json_t *sort; /* names, or objects: "column", perhaps "order" */
    const json_t *by;   /* names */
    bool keep_last;
    bool has_with;
    tfw_source_t with;
    const json_t *on; /* names, or objects: "left", "right" */
    bool left;        /* join: rows without a match too */
    const char *query;
    int64_t limit;
    bool to_file; /* all rows */
    bool csv;     /* ... as CSV, else JSON lines */
} tfw_request_t;

/* Fills request; adds to errors all that is wrong, one line. lenient: members that are not known, or not for
 * the operation, are passed over. */
void tfw_request_read(const json_t *payload, bool lenient, tfw_request_t *request, tf_buf_t *errors);

/* The list's item as a name, the name itself, or a member of it: whichever is there. */
const char *tfw_request_name(const json_t *item, const char *member);

#endif
