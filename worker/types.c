#include "types.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

#define HELD_MAX 256     /* of one type */
#define HELD_US 100000.0 /* as many are held as run in this time; one for each that runs at least */
#define HOLD_US 1000000  /* then they are put off */
#define OFF_MIN_MS 500
#define OFF_MAX_MS 30000
#define AVERAGE_OVER 8

/* One "type=n". */
static bool add_limit(tfw_types_t *types, const char *item, size_t len, char *error, size_t error_size)
{
    const char *equals = memchr(item, '=', len);
    char number[8], *end;
    int index = equals ? tfw_catalogue_find(item, (size_t)(equals - item)) : -1;
    long limit;

    if (!equals || equals == item || equals + 1 == item + len || item + len - equals > (int)sizeof(number)) {
        snprintf(error, error_size, "TASKFORGE_TYPE_CONCURRENCY: \"%.*s\" is not type=number", (int)len,
                 item);
        return false;
    }
    if (index < 0) {
        snprintf(error, error_size, "TASKFORGE_TYPE_CONCURRENCY: this worker has no type \"%.*s\"",
                 (int)(equals - item), item);
        return false;
    }
    snprintf(number, sizeof(number), "%.*s", (int)(item + len - equals - 1), equals + 1);
    limit = strtol(number, &end, 10);
    if (*end || limit < 1 || limit > TFW_IO_CONCURRENCY_MAX) {
        snprintf(error, error_size, "TASKFORGE_TYPE_CONCURRENCY: \"%.*s\": not a number from 1 to %d",
                 (int)len, item, TFW_IO_CONCURRENCY_MAX);
        return false;
    }
    types->of[index].limit = (int)limit;
    return true;
}

bool tfw_types_init(tfw_types_t *types, const char *list, char *error, size_t error_size)
{
    memset(types, 0, sizeof(*types));
    for (int i = 0; i < TFW_HANDLERS_MAX; i++) {
        TAILQ_INIT(&types->of[i].held);
    }
    while (*list) {
        size_t len = strcspn(list, ",");

        if (!add_limit(types, list, len, error, error_size)) {
            return false;
        }
        list += len;
        list += *list == ',';
    }
    return true;
}

static int held_max(const tfw_type_t *type)
{
    double n = type->limit * fmax(1, HELD_US / fmax(type->avg_us, 1));

    return type->avg_us <= 0 ? type->limit : n > HELD_MAX ? HELD_MAX : (int)n;
}

/* Jobs that are put off one after the other come back one after the other, when there should be room. */
static void put_off(tfw_worker_t *w, tfw_type_t *type, tfw_job_t *job, int64_t now)
{
    int64_t step = (int64_t)(type->avg_us / type->limit), delay_ms;

    if (type->slot_us < now + step * (type->nheld + type->limit)) {
        type->slot_us = now + step * (type->nheld + type->limit);
    }
    type->slot_us += step;
    if (type->slot_us > now + OFF_MAX_MS * 1000) {
        type->slot_us = now + OFF_MAX_MS * 1000;
    }
    delay_ms = (type->slot_us - now) / 1000;
    tfw_job_put_off(job, delay_ms < OFF_MIN_MS ? OFF_MIN_MS : delay_ms);
    tfw_ledger_add(w, job);
}

bool tfw_types_admit(tfw_worker_t *w, tfw_job_t *job)
{
    tfw_type_t *type = &w->pool.types.of[job->handler];

    if (!type->limit || type->admitted < type->limit) {
        type->admitted++;
        return true;
    }
    job->waiting_since_us = tfw_monotonic_us();
    if (type->nheld >= held_max(type)) {
        put_off(w, type, job, job->waiting_since_us);
        return false;
    }
    TAILQ_INSERT_TAIL(&type->held, job, link);
    type->nheld++;
    w->pool.types.nheld++;
    return false;
}

void tfw_types_remove(tfw_types_t *types, tfw_job_t *job)
{
    tfw_type_t *type = &types->of[job->handler];

    TAILQ_REMOVE(&type->held, job, link);
    type->nheld--;
    types->nheld--;
}

void tfw_types_left(tfw_worker_t *w, const tfw_job_t *job)
{
    tfw_type_t *type = &w->pool.types.of[job->handler];
    tfw_job_t *next;

    type->admitted--;
    if (job->started_us && job->finished_us > job->started_us) {
        type->avg_us += ((double)(job->finished_us - job->started_us) - type->avg_us) / AVERAGE_OVER;
    }
    next = TAILQ_FIRST(&type->held);
    if (next && type->admitted < type->limit && w->state < TFW_STOPPING) {
        tfw_types_remove(&w->pool.types, next);
        type->admitted++;
        tfw_pool_wait(&w->pool, next);
    }
}

int64_t tfw_types_look(tfw_worker_t *w, int64_t now_us)
{
    tfw_types_t *types = &w->pool.types;
    int64_t next_us = INT64_MAX;

    for (int i = 0; i < TFW_HANDLERS_MAX && types->nheld; i++) {
        tfw_type_t *type = &types->of[i];
        tfw_job_t *job;

        while ((job = TAILQ_FIRST(&type->held)) != NULL && now_us - job->waiting_since_us >= HOLD_US) {
            tfw_types_remove(types, job);
            put_off(w, type, job, now_us);
        }
        if (job && job->waiting_since_us + HOLD_US - now_us < next_us) {
            next_us = job->waiting_since_us + HOLD_US - now_us;
        }
    }
    return next_us;
}

void tfw_types_clear(tfw_worker_t *w, bool drop)
{
    tfw_types_t *types = &w->pool.types;

    for (int i = 0; i < TFW_HANDLERS_MAX && types->nheld; i++) {
        tfw_job_t *job;

        while ((job = TAILQ_FIRST(&types->of[i].held)) != NULL) {
            tfw_types_remove(types, job);
            if (drop) {
                tfw_job_release(job);
            } else {
                tfw_ledger_give_back(w, job);
            }
        }
    }
}

tfw_job_t *tfw_types_find(const tfw_types_t *types, const uint8_t id[16])
{
    tfw_job_t *job = NULL;

    for (int i = 0; i < TFW_HANDLERS_MAX && types->nheld && !job; i++) {
        job = tfw_jobs_find(&types->of[i].held, id);
    }
    return job;
}

void tfw_types_ids(const tfw_types_t *types, tf_pgarray_t *ids)
{
    for (int i = 0; i < TFW_HANDLERS_MAX && types->nheld; i++) {
        tfw_jobs_ids(&types->of[i].held, ids);
    }
}
