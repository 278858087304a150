/* pipeline.h: one run of a data_pipeline job, as its parts see it. */
#ifndef TFW_PIPELINE_H
#define TFW_PIPELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"
#include "pipeline/place.h"
#include "pipeline/reader.h"
#include "pipeline/steps.h"

#define TFW_PIPELINE_SAMPLES 20 /* refused records that are told about */

/* A batch ends early at so many bytes. */
#define TFW_BATCH_BYTES (8 * 1024 * 1024)

/* After so long nobody goes on with what is left behind: longer than a retry may be put off. */
#define TFW_LEFT_BEHIND_SECONDS (TFW_DELAY_SECONDS_MAX + 10 * 86400)

typedef struct {
    char *output_dir;           /* below the data directory */
    int64_t download_max_bytes; /* of a source that is fetched */
    int64_t timeout_seconds;    /* of one fetch, or one part sent */
} tfw_pipeline_settings_t;

struct tfw_source_s;

typedef struct {
    tfw_run_t *run;
    const tfw_pipeline_settings_t *settings;
    tfw_place_t source, destination;
    struct tfw_source_s *from;
    tfw_steps_t *steps;
    int64_t batch_size;
    bool skip_bad;   /* else the first bad record ends it */
    char name[64];   /* the job's id and epoch: of what it leaves for a later run */
    int64_t batch;   /* number of the one at hand, from 1 */
    int64_t read;    /* records of the source, up to here */
    int64_t written; /* that the destination has taken */
    int64_t skipped; /* that were bad */
    json_t *samples; /* the first of those: {"record", "line", "reason"} */
} tfw_pipeline_t;

/* A record that cannot be used; number: from 1, line: 0: it has none. true: it is skipped. false: the error
 * is set, and the pipeline ends (TFW_PERMANENT). */
bool tfw_pipeline_refuse(tfw_pipeline_t *pipeline, int64_t number, int64_t line, const char *why);

/* The state after the batch at hand, for the checkpoint: the caller's. destination: what that must know of
 * itself; taken over. complete: there is nothing left to read. NULL: out of memory. */
json_t *tfw_pipeline_state(const tfw_pipeline_t *pipeline, json_t *destination, bool complete);

#endif
