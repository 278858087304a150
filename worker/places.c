#include "places.h"

#include <stddef.h>

#include "io_loop.h"

#define LONG_MS 3600000

struct tfw_places_waiter_s {
    tfw_run_t *run;
    bool given;
    TAILQ_ENTRY(tfw_places_waiter_s) link;
};

bool tfw_places_take(tfw_places_t *places, int most, tfw_run_t *run)
{
    struct tfw_places_waiter_s me = {.run = run};

    if (places->taken < most) {
        places->taken++;
        return true;
    }
    TAILQ_INSERT_TAIL(&places->waiting, &me, link);
    while (!me.given && tfw_run_wait(run, LONG_MS)) {
    }
    if (!me.given) {
        TAILQ_REMOVE(&places->waiting, &me, link);
    }
    return me.given;
}

void tfw_places_leave(tfw_places_t *places)
{
    struct tfw_places_waiter_s *first = TAILQ_FIRST(&places->waiting);

    if (!first) {
        places->taken--;
        return;
    }
    TAILQ_REMOVE(&places->waiting, first, link);
    first->given = true;
    tfw_io_wake(first->run);
}
