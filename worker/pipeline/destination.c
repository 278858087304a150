#include "pipeline/destination.h"

tfw_outcome_t tfw_destination_open(tfw_pipeline_t *p, tfw_destination_t **destination, json_t **state)
{
    switch (p->destination.kind) {
    case TFW_PLACE_FILE:
        return tfw_file_destination_open(p, destination, state);
    case TFW_PLACE_S3:
        return tfw_s3_destination_open(p, destination, state);
    default:
        return tfw_table_destination_open(p, destination, state);
    }
}
