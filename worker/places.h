/* places.h: so many at once in one executor, the others in the order in which they came: for what a server,
 * or the machine, should not get more of. */
#ifndef TFW_PLACES_H
#define TFW_PLACES_H

#include <stdbool.h>
#include <sys/queue.h>

#include "handler.h"

typedef struct tfw_places_s {
    int taken;
    TAILQ_HEAD(tfw_places_waiting_s, tfw_places_waiter_s) waiting;
} tfw_places_t;

#define TFW_PLACES_INIT(places)                                                                              \
    {                                                                                                        \
        0, TAILQ_HEAD_INITIALIZER((places).waiting)                                                          \
    }

/* Waits for one of so many places; it is to be left. false: the job was cancelled. */
bool tfw_places_take(tfw_places_t *places, int most, tfw_run_t *run);

/* Whoever has waited longest gets it. */
void tfw_places_leave(tfw_places_t *places);

#endif
