/* rescue.h: the reaper. Workers without a heartbeat become lost, the jobs they ran are tried again or, when
 * that keeps killing workers, are dead letters; what Redis had delivered to them is taken back. */
#ifndef TFS_RESCUE_H
#define TFS_RESCUE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "names.h"
#include "pgparam.h"

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    bool busy;          /* a round is under way */
    int rescued;        /* by the step under way */
    tfs_names_t queues; /* whose consumers are looked at */
    int queue;          /* the one under way */
    int forgetting;     /* answers outstanding */
    bool took_back;     /* this round has taken entries from somebody */
} tfs_rescue_t;

void tfs_rescue_init(tfs_rescue_t *rescue, struct tfs_scheduler_s *scheduler);

/* The connection is up: a first round now, then every few seconds. */
void tfs_rescue_start(tfs_rescue_t *rescue);
void tfs_rescue_stop(tfs_rescue_t *rescue);
void tfs_rescue_close(tfs_rescue_t *rescue);

#endif
