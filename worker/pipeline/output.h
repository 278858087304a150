/* output.h: files that pipelines write, below TASKFORGE_OUTPUT_DIR: made under another name and renamed when
 * they are whole. No path and no link leads out. */
#ifndef TFW_PIPELINE_OUTPUT_H
#define TFW_PIPELINE_OUTPUT_H

#include "pipeline/pipeline.h"

typedef struct {
    int dir;                           /* the output directory */
    int target;                        /* the directory of the file within */
    int parts;                         /* of files that are not whole yet */
    int fd;                            /* of this one; -1: not open */
    char name[TFW_PLACE_PATH_MAX + 1]; /* the file's, in target */
    const char *part;                  /* its name in parts: the pipeline's */
} tfw_output_t;

/* Opens the directories for a file of that path; those within the output directory are made. What must be
 * closed is closed by tfw_output_close, whatever the outcome. All but TFW_OK: the error is set. */
tfw_outcome_t tfw_output_open(tfw_output_t *output, tfw_pipeline_t *pipeline, const char *path);

/* Opens the file that is not whole yet, made if it is not there, and locks it: TFW_SNOOZE if another run of
 * this job has it, which is about to find that it comes too late. Removes what others have left behind. */
tfw_outcome_t tfw_output_begin(tfw_output_t *output, tfw_pipeline_t *pipeline);

/* The file is whole: gives it its name. Done already is fine. */
tfw_outcome_t tfw_output_finish(tfw_output_t *output, tfw_pipeline_t *pipeline);

void tfw_output_abandon(tfw_output_t *output);
void tfw_output_close(tfw_output_t *output);

#endif
