/* cancel.h: a job that this worker holds is asked to stop. */
#ifndef TFW_CANCEL_H
#define TFW_CANCEL_H

#include <stdint.h>

struct tfw_worker_s;

/* Somebody asked for it. A job that has not begun is CANCELLED at once. Of one that runs the handler is
 * asked; after TASKFORGE_CANCEL_GRACE_MS its executor gets SIGTERM, after as long again SIGKILL. What was
 * sent behind it goes to others. A job that this worker does not hold (any more) is left alone. */
void tfw_cancel(struct tfw_worker_s *w, const uint8_t id[16]);

#endif
