/* data_pipeline: records from a source through a few steps into a destination, batch by batch, each of which
 * is there once however often the job is interrupted. docs/handlers.md says what goes in and comes out. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/destination.h"
#include "pipeline/pipeline.h"
#include "pipeline/source.h"
#include "uuid.h"

#define BATCH_SIZE 100
#define BATCH_SIZE_MAX 10000
#define BATCHES_LOGGED 100 /* each of the first; then every tenth, hundredth, ... */

static tfw_pipeline_settings_t settings;

#define AT(field) offsetof(tfw_pipeline_settings_t, field)

static const tf_setting_t settings_table[] = {
    {"TASKFORGE_OUTPUT_DIR", TF_SETTING_TEXT, AT(output_dir), "output", 0, 0,
     "directory that pipelines write, in the data directory"},
    {"TASKFORGE_PIPELINE_DOWNLOAD_MAX_BYTES", TF_SETTING_INT, AT(download_max_bytes), "1073741824", 1,
     INT64_C(1) << 50, "bytes of a source that is fetched"},
    {"TASKFORGE_PIPELINE_TIMEOUT_SECONDS", TF_SETTING_INT, AT(timeout_seconds), "900", 1, 86400,
     "of one download, or of one part of an upload"},
};

static bool check_settings(char *error, size_t error_size)
{
    const char *dir = settings.output_dir;

    if (!*dir || strchr(dir, '/') || strcmp(dir, ".") == 0 || strcmp(dir, "..") == 0) {
        snprintf(error, error_size,
                 "TASKFORGE_OUTPUT_DIR: \"%.80s\" is not the name of a directory in TASKFORGE_DATA_DIR", dir);
        return false;
    }
    return true;
}

TF_HANDLER_SETTINGS(data_pipeline) = {settings_table, sizeof(settings_table) / sizeof(settings_table[0]),
                                      &settings, check_settings};

/* One run. */
typedef struct {
    tfw_pipeline_t p;
    json_int_t record_count; /* 0: all */
    tfw_destination_t *to;
    int64_t first; /* record of the batch at hand */
    bool ended;    /* nothing comes any more */
} work_t;

/* ---- payload ---- */

static bool refuse_payload(work_t *w, const char *text)
{
    tfw_run_error(w->p.run, "payload: %s", text);
    return false;
}

/* The field's name as a JSON string: whatever it holds, the error stays one line of valid text. */
static bool refuse_unknown(work_t *w, const char *key)
{
    tf_buf_t name = TF_BUF_INIT;

    tf_json_str(&name, key, strnlen(key, 64));
    tfw_run_error(w->p.run, "payload: unknown field %s", tf_buf_cstr(&name));
    tf_buf_free(&name);
    return false;
}

static bool known_fields(work_t *w, const json_t *payload)
{
    static const char *const names[] = {"source",     "destination", "steps",
                                        "batch_size", "on_error",    "record_count"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)payload, key, value)
    {
        bool known = false;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            known = known || strcmp(key, names[i]) == 0;
        }
        if (!known) {
            return refuse_unknown(w, key);
        }
    }
    return true;
}

static bool read_payload(work_t *w)
{
    const json_t *payload = tfw_run_payload(w->p.run), *size = json_object_get(payload, "batch_size"),
                 *count = json_object_get(payload, "record_count"),
                 *on_error = json_object_get(payload, "on_error");
    char error[400];

    if (!known_fields(w, payload)) {
        return false;
    }
    w->p.batch_size = size ? json_integer_value(size) : BATCH_SIZE;
    if (w->p.batch_size < 1 || w->p.batch_size > BATCH_SIZE_MAX) {
        return refuse_payload(w, "\"batch_size\" must be an integer from 1 to 10000");
    }
    w->record_count = json_integer_value(count);
    if (count && w->record_count < 1) {
        return refuse_payload(w, "\"record_count\" must be an integer of at least 1");
    }
    if (on_error) {
        const char *text = json_string_value(on_error);

        w->p.skip_bad = text && strcmp(text, "skip") == 0;
        if (!w->p.skip_bad && (!text || strcmp(text, "fail") != 0)) {
            return refuse_payload(w, "\"on_error\" must be \"fail\" or \"skip\"");
        }
    }
    w->p.steps = tfw_steps_new(json_object_get(payload, "steps"), error, sizeof(error));
    if (!w->p.steps ||
        !tfw_place_parse(json_object_get(payload, "source"), "source", &w->p.source, error, sizeof(error)) ||
        !tfw_place_parse(json_object_get(payload, "destination"), "destination", &w->p.destination, error,
                         sizeof(error))) {
        tfw_run_error(w->p.run, "%s", error);
        return false;
    }
    return true;
}

/* ---- records ---- */

bool tfw_pipeline_refuse(tfw_pipeline_t *p, int64_t number, int64_t line, const char *why)
{
    char at[48] = "";

    if (line > 0) {
        snprintf(at, sizeof(at), " (line %" PRId64 ")", line);
    }
    if (!p->skip_bad) {
        tfw_run_error(p->run, "record %" PRId64 "%s: %s", number, at, why);
        return false;
    }
    p->skipped++;
    if (json_array_size(p->samples) < TFW_PIPELINE_SAMPLES) {
        tfw_run_log(p->run, "warning", "record %" PRId64 "%s skipped: %s", number, at, why);
        json_array_append_new(p->samples,
                              json_pack("{sI so? ss}", "record", (json_int_t)number, "line",
                                        line > 0 ? json_integer(line) : json_null(), "reason", why));
    }
    return true;
}

json_t *tfw_pipeline_state(const tfw_pipeline_t *p, json_t *destination, bool complete)
{
    return json_pack("{sb sI sI sI sI sO so so so}", "complete", complete, "batch", (json_int_t)p->batch,
                     "read", (json_int_t)p->read, "written", (json_int_t)p->written, "skipped",
                     (json_int_t)p->skipped, "samples", p->samples, "steps", tfw_steps_state(p->steps),
                     "source", p->from->position(p->from), "destination", destination);
}

static void restore(work_t *w, const json_t *state)
{
    tfw_pipeline_t *p = &w->p;
    json_t *samples = json_object_get(state, "samples");

    p->batch = json_integer_value(json_object_get(state, "batch"));
    p->read = json_integer_value(json_object_get(state, "read"));
    p->written = json_integer_value(json_object_get(state, "written"));
    p->skipped = json_integer_value(json_object_get(state, "skipped"));
    tfw_steps_restore(p->steps, json_object_get(state, "steps"));
    if (samples) {
        json_decref(p->samples);
        p->samples = json_incref(samples);
    }
}

static tfw_outcome_t take(work_t *w, json_t **record)
{
    tfw_pipeline_t *p = &w->p;
    char why[300];

    switch (tfw_steps_apply(p->steps, record, why, sizeof(why))) {
    case TFW_STEP_KEPT:
        return w->to->put(w->to, *record, p->read, p->from->line);
    case TFW_STEP_BAD:
        return tfw_pipeline_refuse(p, p->read, p->from->line, why) ? TFW_OK : TFW_PERMANENT;
    default:
        return TFW_OK;
    }
}

static tfw_outcome_t next_record(work_t *w)
{
    tfw_pipeline_t *p = &w->p;
    json_t *record = NULL;
    tfw_outcome_t outcome;

    if (tfw_run_cancelled(p->run)) {
        return TFW_CANCELLED;
    }
    switch (p->from->next(p->from, &record)) {
    case TFW_READ_RECORD:
        p->read++;
        outcome = take(w, &record);
        json_decref(record);
        return outcome;
    case TFW_READ_BAD:
        p->read++;
        return tfw_pipeline_refuse(p, p->read, p->from->line, p->from->error) ? TFW_OK : TFW_PERMANENT;
    case TFW_READ_END:
        w->ended = true;
        return TFW_OK;
    case TFW_READ_BROKEN:
        tfw_run_error(p->run, "source: %s", p->from->error);
        return TFW_PERMANENT;
    default:
        tfw_run_error(p->run, "source: %s", p->from->error);
        return TFW_RETRY;
    }
}

/* ---- batches ---- */

static void log_batch(const work_t *w)
{
    const tfw_pipeline_t *p = &w->p;
    int64_t step = 1;
    char of[32] = "";

    while (p->batch > BATCHES_LOGGED * step) {
        step *= 10;
    }
    if (p->read < w->first || (p->batch % step != 0 && !w->ended)) {
        return;
    }
    if (w->record_count > 0) {
        snprintf(of, sizeof(of), "/%" PRId64, (int64_t)(w->record_count - 1) / p->batch_size + 1);
    }
    tfw_run_log(p->run, "info", "batch %" PRId64 "%s: records %" PRId64 "-%" PRId64, p->batch, of, w->first,
                p->read);
}

static void show_progress(const work_t *w)
{
    const tfw_pipeline_t *p = &w->p;
    int percent = p->from->percent(p->from),
        counted = w->record_count > 0 ? (int)(99 * p->read / w->record_count) : -1;

    percent = percent > counted ? percent : counted;
    if (percent >= 0) {
        tfw_run_progress(p->run, percent);
    }
}

static tfw_outcome_t run_batch(work_t *w)
{
    tfw_pipeline_t *p = &w->p;
    tfw_outcome_t outcome = TFW_OK;

    w->first = p->read + 1;
    p->batch++;
    tfw_steps_begin_batch(p->steps);
    while (outcome == TFW_OK && !w->ended && p->read - w->first + 1 < p->batch_size &&
           w->to->pending(w->to) < TFW_BATCH_BYTES) {
        w->ended = (w->record_count > 0 && p->read >= w->record_count) || tfw_steps_exhausted(p->steps);
        if (!w->ended) {
            outcome = next_record(w);
        }
    }
    if (outcome != TFW_OK) {
        return outcome;
    }
    if (p->read < w->first) {
        p->batch--;
    }
    outcome = w->to->commit(w->to, w->ended);
    if (outcome == TFW_OK) {
        log_batch(w);
        show_progress(w);
    }
    return outcome;
}

/* What was done, also before a cancel. */
static void write_result(work_t *w, const char *status)
{
    const json_t *payload = tfw_run_payload(w->p.run);
    json_t *result =
        json_pack("{ss sO sO sI sI sI sI}", "status", status, "source", json_object_get(payload, "source"),
                  "destination", json_object_get(payload, "destination"), "records_processed",
                  (json_int_t)w->p.read, "records_written", (json_int_t)w->p.written, "records_skipped",
                  (json_int_t)w->p.skipped, "batches", (json_int_t)w->p.batch);
    char *text = NULL;

    if (w->p.skipped > 0) {
        json_object_set(result, "skipped", w->p.samples);
    }
    text = json_dumps(result, JSON_COMPACT);
    if (text) {
        tfw_run_result(w->p.run, text, strlen(text));
    } else {
        tfw_run_error(w->p.run, "out of memory");
    }
    free(text);
    json_decref(result);
}

static tfw_outcome_t work(work_t *w)
{
    json_t *state = NULL;
    tfw_outcome_t outcome = tfw_destination_open(&w->p, &w->to, &state);

    if (outcome == TFW_OK && state) {
        restore(w, state);
        w->ended = json_is_true(json_object_get(state, "complete"));
        tfw_run_log(w->p.run, "info", "going on behind batch %" PRId64 ", record %" PRId64 "%s", w->p.batch,
                    w->p.read, w->ended ? ": all is done" : "");
    }
    if (outcome == TFW_OK && !w->ended) {
        outcome = tfw_source_open(&w->p, json_object_get(state, "source"), &w->p.from);
        while (outcome == TFW_OK && !w->ended) {
            outcome = run_batch(w);
        }
    }
    json_decref(state);
    return outcome;
}

/* Nobody will go on behind what this run leaves. */
static bool is_final(tfw_run_t *run, tfw_outcome_t outcome)
{
    return outcome == TFW_PERMANENT || outcome == TFW_CANCELLED ||
           (outcome == TFW_RETRY && !tf_retry_left(tfw_run_attempt(run), tfw_run_max_retries(run)));
}

static void release(work_t *w, tfw_outcome_t outcome)
{
    if (w->p.from) {
        w->p.from->free(w->p.from);
    }
    if (w->to) {
        if (w->to->abandon && is_final(w->p.run, outcome)) {
            w->to->abandon(w->to);
        }
        w->to->free(w->to);
    }
    tfw_steps_free(w->p.steps);
    json_decref(w->p.samples);
}

static tfw_outcome_t data_pipeline_run(tfw_run_t *run)
{
    work_t w = {.p = {.run = run, .settings = &settings, .samples = json_array()}};
    char id[TF_UUID_TEXT_LEN];
    tfw_outcome_t outcome = TFW_PERMANENT;

    tf_uuid_format(tfw_run_id(run), id);
    snprintf(w.p.name, sizeof(w.p.name), "%.*s-%" PRId32, TF_UUID_TEXT_LEN, id, tfw_run_fence(run).epoch);
    if (read_payload(&w)) {
        outcome = work(&w);
        if (outcome == TFW_OK || outcome == TFW_CANCELLED) {
            write_result(&w, outcome == TFW_OK ? "completed" : "cancelled");
        }
    }
    release(&w, outcome);
    return outcome;
}

#define CONNECTION                                                                                           \
    "\"connection\":{\"type\":\"string\",\"minLength\":1,\"description\":\"the operator's name for it\"}"
#define FORMAT                                                                                               \
    "\"format\":{\"enum\":[\"csv\",\"tsv\",\"jsonl\",\"json\"],\"description\":\"if the name does not "      \
    "end with it\"}"
#define PLACES                                                                                               \
    "\"file\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1023},"                                     \
    "\"s3\":{\"type\":\"object\",\"properties\":{" CONNECTION                                                \
    ",\"bucket\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":63},"                                    \
    "\"key\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1023}},"                                     \
    "\"required\":[\"connection\",\"bucket\",\"key\"],\"additionalProperties\":false},"                      \
    "\"postgresql\":{\"type\":\"object\",\"properties\":{" CONNECTION                                        \
    ",\"table\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":131}},"                                   \
    "\"required\":[\"connection\",\"table\"],\"additionalProperties\":false}," FORMAT
#define COLUMNS                                                                                              \
    "{\"type\":\"array\",\"minItems\":1,\"maxItems\":1024,\"items\":{\"type\":\"string\",\"minLength\":1}}"

TF_HANDLER(data_pipeline) = {
    .type = "data_pipeline",
    .description = "Copies records from a file, a URL, an object store or a table to another, with a few "
                   "steps on the way; goes on where it stopped.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"source\":{\"title\":\"From\",\"description\":\"file:PATH in the data directory, an http or https "
        "URL, s3://CONNECTION/bucket/key or postgresql://CONNECTION/schema.table; or an object\","
        "\"examples\":[\"file:sales_q1.csv\"],\"type\":[\"string\",\"object\"],\"minLength\":1,"
        "\"maxLength\":2048,\"properties\":{\"http\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1023}"
        "," PLACES "},\"additionalProperties\":false},"
        "\"destination\":{\"title\":\"To\",\"description\":\"file:PATH in the output directory, "
        "s3://CONNECTION/bucket/key or postgresql://CONNECTION/schema.table; or an object\","
        "\"examples\":[\"file:sales_q1.jsonl\"],\"type\":[\"string\",\"object\"],\"minLength\":1,"
        "\"maxLength\":2048,\"properties\":{\"columns\":" COLUMNS ",\"key\":" COLUMNS "," PLACES
        "},\"additionalProperties\":false},"
        "\"steps\":{\"type\":\"array\",\"maxItems\":64,\"description\":\"in this order, each on every "
        "record\",\"items\":{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":1,\"properties\":{"
        "\"select\":" COLUMNS ",\"rename\":{\"type\":\"object\",\"additionalProperties\":{\"type\":"
        "\"string\",\"minLength\":1}},\"cast\":{\"type\":\"object\",\"additionalProperties\":{\"enum\":["
        "\"integer\",\"number\",\"text\",\"boolean\",\"timestamp\"]}},\"filter\":{\"type\":\"object\","
        "\"properties\":{\"column\":{\"type\":\"string\"},\"op\":{\"enum\":[\"eq\",\"ne\",\"lt\",\"le\","
        "\"gt\",\"ge\",\"in\",\"contains\",\"is_null\"]},\"value\":{}},\"required\":[\"column\",\"op\"],"
        "\"additionalProperties\":false},\"default\":{\"type\":\"object\",\"minProperties\":1},"
        "\"limit\":{\"type\":\"integer\",\"minimum\":1},\"dedupe\":" COLUMNS
        "},\"additionalProperties\":false}},"
        "\"record_count\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"read at most so many "
        "records\"},"
        "\"batch_size\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000,\"default\":100,"
        "\"description\":\"records that are committed together\"},"
        "\"on_error\":{\"enum\":[\"fail\",\"skip\"],\"default\":\"fail\",\"description\":\"what a record "
        "that cannot be used does\"}},"
        "\"required\":[\"source\",\"destination\"],\"additionalProperties\":false}",
    .max_retries = 2,
    .timeout_seconds = 3600,
    .retry = TFW_RETRY_POWERS_OF_TWO,
    .run = data_pipeline_run,
};
