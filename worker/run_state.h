/* run_state.h: one attempt inside an executor, from the frame that brings the job to the frame that tells its
 * end; shared by those who run one job after the other (run.c) and many at once (io_loop.c). */
#ifndef TFW_RUN_STATE_H
#define TFW_RUN_STATE_H

#include "frame.h"
#include "handler.h"
#include "run.h"

struct tfw_run_s {
    const tfw_executor_env_t *env;
    const tfw_handler_t *handler;
    const tfw_frame_t *job;
    uint32_t seq;
    const char *payload_text;
    size_t payload_len;
    const char *metadata; /* NULL: none */
    char *traceparent;    /* malloc; NULL: none */
    char *secret;         /* malloc; NULL: none */
    json_t *payload;      /* NULL: not asked for yet */
    char *result;         /* malloc; NULL: null */
    size_t result_len;
    size_t error_len;
    int64_t delay_ms; /* -1: the handler asked for none */
    int64_t log_lines;
    bool asked_to_stop; /* in an I/O executor */
    bool starved;       /* the trouble is that there was no memory: it may be there another time */
    int64_t started_us; /* CLOCK_MONOTONIC */
    int progress;
    int64_t progress_sent_us;
    /* last, as tfw_run_begin clears what is before */
    char error[TFW_ERROR_MAX];
    char trouble[256]; /* what went wrong in here, whatever the handler says; "": nothing */
};

/* Makes a run of the job in the frame, whose head and body must stay as long. What is secret in it is moved
 * out. false: it is no job; then there is nothing to end. */
bool tfw_run_begin(tfw_run_t *run, const tfw_executor_env_t *env, tfw_frame_in_t *frame);

/* Runs its handler and tells the daemon what came of it. false: the daemon is gone. */
bool tfw_run_perform(tfw_run_t *run);

/* Frees what the run has. */
void tfw_run_end(tfw_run_t *run);

/* From here on the run's code runs, until the next call: the board says so to the daemon, which blames it
 * for crashes. Returns the seq of whose did before (0: nobody's), for tfw_run_blame_again. */
uint32_t tfw_run_blame(const tfw_run_t *run);
void tfw_run_blame_again(const tfw_run_t *run, uint32_t seq);

#endif
