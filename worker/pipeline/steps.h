/* steps.h: what a pipeline does with each record on its way: a list of small steps, each of which looks at
 * one record at a time. docs/handlers.md says what they do. */
#ifndef TFW_PIPELINE_STEPS_H
#define TFW_PIPELINE_STEPS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TFW_STEPS_MAX 64

typedef enum {
    TFW_STEP_KEPT,
    TFW_STEP_DROPPED, /* by a filter, a limit, as a duplicate */
    TFW_STEP_BAD      /* a value is not what the step needs */
} tfw_step_result_t;

typedef struct tfw_steps_s tfw_steps_t;

/* list: the payload's, which must live as long as the steps; NULL: none. NULL: error says what is wrong. */
tfw_steps_t *tfw_steps_new(const json_t *list, char *error, size_t error_size);
void tfw_steps_free(tfw_steps_t *steps);

/* Puts *record through all steps; it may become another one. TFW_STEP_BAD: error says why. */
tfw_step_result_t tfw_steps_apply(tfw_steps_t *steps, json_t **record, char *error, size_t error_size);

/* Duplicates are looked for within a batch. */
void tfw_steps_begin_batch(tfw_steps_t *steps);

/* A limit has been reached: nothing will pass any more. */
bool tfw_steps_exhausted(const tfw_steps_t *steps);

/* What a checkpoint must know: the caller's; and back. */
json_t *tfw_steps_state(const tfw_steps_t *steps);
void tfw_steps_restore(tfw_steps_t *steps, const json_t *state);

#endif
