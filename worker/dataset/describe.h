/* describe.h: what is in each column of a table. */
#ifndef TFW_DESCRIBE_H
#define TFW_DESCRIBE_H

#include "dataset/query.h"

/* Adds the members
 * "row_count":n,"columns":{name:{"type","count","nulls","distinct","min","max","mean","stddev",
 * "quartiles","top"}} to the open object in out. Moves the progress on from `from` percent. */
tfw_outcome_t tfw_describe(tfw_tables_t *tables, const tfw_query_context_t *context, int from, tf_buf_t *out);

#endif
