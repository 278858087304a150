/* data_processing.h: what the types data_processing and custom share. */
#ifndef TFW_DATA_PROCESSING_H
#define TFW_DATA_PROCESSING_H

#include "handler.h"

/* Does what the payload says. lenient: members that data_processing does not know are passed over. */
tfw_outcome_t tfw_data_process(tfw_run_t *run, const json_t *payload, bool lenient);

#endif
