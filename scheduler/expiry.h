/* expiry.h: cancels jobs that have not started by their expires_at. Looks every second at job_expiry; the
 * claim refuses an expired job anyway, so this only says what is already true. */
#ifndef TFS_EXPIRY_H
#define TFS_EXPIRY_H

#include <stdbool.h>
#include <uv.h>

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    uv_timer_t timer;
    bool busy; /* a look is under way */
} tfs_expiry_t;

void tfs_expiry_init(tfs_expiry_t *expiry, struct tfs_scheduler_s *scheduler);

/* The connection is up. */
void tfs_expiry_start(tfs_expiry_t *expiry);
void tfs_expiry_stop(tfs_expiry_t *expiry);
void tfs_expiry_close(tfs_expiry_t *expiry);

#endif
