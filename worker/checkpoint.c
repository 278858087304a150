#include "checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "direct.h"
#include "worker/sql.h"

struct tfw_checkpoint_s {
    tfw_direct_t direct;
    tfd_pg_params_t who; /* $1 id, $2 epoch, $3 attempt, $4 incarnation */
};

tfw_checkpoint_t *tfw_checkpoint_open(tfw_run_t *run)
{
    tfw_checkpoint_t *c = calloc(1, sizeof(*c));
    tfw_fence_t fence = tfw_run_fence(run);

    if (!c) {
        tfw_run_error(run, "out of memory");
        return NULL;
    }
    if (!tfw_direct_open(&c->direct, run)) {
        free(c);
        return NULL;
    }
    if (!tfw_direct_prepare(&c->direct, &tfw_sql_checkpoint) ||
        !tfw_direct_prepare(&c->direct, &tfw_sql_checkpoint_save)) {
        tfw_checkpoint_close(c);
        return NULL;
    }
    tfd_pg_bytes(&c->who, tfw_run_id(run), 16);
    tfd_pg_int4(&c->who, fence.epoch);
    tfd_pg_int4(&c->who, fence.attempt);
    tfd_pg_int8(&c->who, fence.incarnation);
    return c;
}

bool tfw_checkpoint_load(tfw_checkpoint_t *c, json_t **data)
{
    PGresult *result = tfw_direct_run(&c->direct, &tfw_sql_checkpoint, c->who.values, c->who.lengths);
    json_error_t error;
    bool ok = result != NULL;

    *data = NULL;
    if (ok && PQntuples(result) > 0) {
        *data = json_loadb(PQgetvalue(result, 0, 0), (size_t)PQgetlength(result, 0, 0), 0, &error);
        ok = *data != NULL;
        if (!ok) {
            tfw_run_error(c->direct.run, "the checkpoint cannot be read: %s", error.text);
        }
    }
    PQclear(result);
    return ok;
}

bool tfw_checkpoint_save(tfw_checkpoint_t *c, const json_t *data)
{
    const char *values[] = {c->who.values[0], c->who.values[1], c->who.values[2], c->who.values[3], NULL};
    int lengths[] = {c->who.lengths[0], c->who.lengths[1], c->who.lengths[2], c->who.lengths[3], 0};
    char *text = json_dumps(data, JSON_COMPACT);
    size_t len = text ? strlen(text) : 0;
    PGresult *result;
    bool saved;

    if (!text) {
        tfw_run_error(c->direct.run, "out of memory");
        return false;
    }
    if (len > TFW_CHECKPOINT_MAX) {
        tfw_run_error(c->direct.run, "a checkpoint of %zu bytes is too large", len);
        free(text);
        return false;
    }
    values[4] = text;
    lengths[4] = (int)len;
    result = tfw_direct_run(&c->direct, &tfw_sql_checkpoint_save, values, lengths);
    saved = result && PQntuples(result) == 1;
    if (result && !saved) {
        tfw_run_error(c->direct.run, "this run does not hold the job any more: nothing more is written");
    }
    PQclear(result);
    free(text);
    return saved;
}

void tfw_checkpoint_close(tfw_checkpoint_t *c)
{
    if (c) {
        tfw_direct_close(&c->direct);
        free(c);
    }
}
