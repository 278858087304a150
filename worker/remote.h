/* remote.h: job types whose handler is an HTTP service of the operator's (docs/handlers.md): the job goes
 * there as a signed POST, the answer is the result. Settings: custom.h. */
#ifndef TFW_REMOTE_H
#define TFW_REMOTE_H

#include <stdint.h>

#include "handler.h"
#include "outgoing.h"

/* The context of such a type's handler. */
typedef struct {
    const char *url;
    char *secrets; /* as signed_post.h wants them */
    int64_t timeout_ms;
    tf_outgoing_t lists; /* the URL's own host, wherever it is, unless the settings deny it */
} tfw_remote_t;

/* The run function. */
tfw_outcome_t tfw_remote_run(tfw_run_t *run);

#endif
