/* destination.h: where a pipeline's records go to. What was committed stays, and a run that takes over goes
 * on behind it: the destination keeps the pipeline's state together with what it has written. */
#ifndef TFW_PIPELINE_DESTINATION_H
#define TFW_PIPELINE_DESTINATION_H

#include "pipeline/pipeline.h"

typedef struct tfw_destination_s tfw_destination_t;

struct tfw_destination_s {
    /* Takes a record into the batch; it may turn out later that it is refused. All but TFW_OK ends the
     * pipeline, with the error set. */
    tfw_outcome_t (*put)(tfw_destination_t *destination, json_t *record, int64_t number, int64_t line);

    /* Bytes of the batch at hand, roughly. */
    size_t (*pending)(const tfw_destination_t *destination);

    /* The batch and the pipeline's state after it. last: nothing comes any more. */
    tfw_outcome_t (*commit)(tfw_destination_t *destination, bool last);

    /* No run will go on with this: removes what is not whole. NULL: nothing is left behind. */
    void (*abandon)(tfw_destination_t *destination);
    void (*free)(tfw_destination_t *destination);
};

/* Opens the pipeline's destination. *state: what an earlier run has committed last, the caller's; NULL:
 * nothing. If that was complete, so is now the destination. TFW_OK, or the reason is set by tfw_run_error. */
tfw_outcome_t tfw_destination_open(tfw_pipeline_t *pipeline, tfw_destination_t **destination, json_t **state);

/* Of each kind. */
tfw_outcome_t tfw_file_destination_open(tfw_pipeline_t *pipeline, tfw_destination_t **destination,
                                        json_t **state);
tfw_outcome_t tfw_s3_destination_open(tfw_pipeline_t *pipeline, tfw_destination_t **destination,
                                      json_t **state);
tfw_outcome_t tfw_table_destination_open(tfw_pipeline_t *pipeline, tfw_destination_t **destination,
                                         json_t **state);

#endif
