/* source.h: where a pipeline's records come from. */
#ifndef TFW_PIPELINE_SOURCE_H
#define TFW_PIPELINE_SOURCE_H

#include "pipeline/pipeline.h"

typedef struct tfw_source_s tfw_source_t;

struct tfw_source_s {
    tfw_read_status_t (*next)(tfw_source_t *source, json_t **record);
    json_t *(*position)(const tfw_source_t *source); /* behind the record read last */
    int (*percent)(const tfw_source_t *source);      /* of it that was read; -1: not known */
    void (*free)(tfw_source_t *source);
    int64_t line;    /* of the record read last; 0: it has none */
    char error[512]; /* why the last answer was neither a record nor the end */
};

/* Opens the pipeline's source; earlier: where an earlier run stood, NULL: at its start. TFW_OK, or the
 * reason is set by tfw_run_error. */
tfw_outcome_t tfw_source_open(tfw_pipeline_t *pipeline, const json_t *earlier, tfw_source_t **source);

/* The same of a table: the rows in the order of its primary key. */
tfw_outcome_t tfw_table_source_open(tfw_pipeline_t *pipeline, const json_t *earlier, tfw_source_t **source);

#endif
