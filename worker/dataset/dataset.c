#include "dataset/dataset.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataset/data_settings.h"
#include "dataset/fetch.h"
#include "dataset/groups.h"
#include "dataset/input.h"
#include "dataset/json_rows.h"
#include "json_value.h"

#define CANCEL_ROWS 256 /* rows between two looks at the cancel flag */

struct tfw_dataset_s {
    tfw_run_t *run;
    tfw_source_t source;
    char *label;
    int fd;
    tfw_input_t *input; /* with one of the next two, or else records are read */
    tfw_csv_t *csv;
    tfw_json_rows_t *json;
    tfw_column_t *columns;
    size_t count;
    int64_t rows;
    int from, to; /* progress */
    char place[48];
    /* of JSON: */
    tfw_groups_t names; /* numbers of columns */
    tf_str_t *fields;
    tfw_type_t *types;
    size_t *starts; /* of the fields that are in text */
    size_t room;    /* columns that fit into the three */
    tf_buf_t text;  /* of the row's values that are no texts themselves */
};

static tfw_type_t type_of_json(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return TFW_TYPE_NONE;
    case JSON_INTEGER:
        return TFW_TYPE_INTEGER;
    case JSON_REAL:
        return TFW_TYPE_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return TFW_TYPE_BOOLEAN;
    case JSON_STRING:
        return TFW_TYPE_TEXT;
    default:
        return TFW_TYPE_JSON;
    }
}

/* ---- opening ---- */

/* "sales_q1" is sales_q1.csv; a name whose last part has a point is a path as it stands. */
static char *path_of(const char *dataset)
{
    const char *slash = strrchr(dataset, '/');
    bool extension = strchr(slash != NULL ? slash + 1 : dataset, '.') != NULL;
    char *path = NULL;

    return asprintf(&path, "%s%s", dataset, extension ? "" : ".csv") < 0 ? NULL : path;
}

static bool ends_with(const char *name, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);

    return len > n && strncasecmp(name + len - n, suffix, n) == 0;
}

static tfw_format_t format_of(const char *label)
{
    static const struct {
        const char *suffix;
        tfw_format_t format;
    } known[] = {{".tsv", TFW_FORMAT_TSV},
                 {".tab", TFW_FORMAT_TSV},
                 {".jsonl", TFW_FORMAT_JSONL},
                 {".ndjson", TFW_FORMAT_JSONL},
                 {".json", TFW_FORMAT_JSON}};
    size_t len = strlen(label);

    len -= ends_with(label, len, ".gz") ? 3 : 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (ends_with(label, len, known[i].suffix)) {
            return known[i].format;
        }
    }
    return TFW_FORMAT_CSV;
}

static tfw_outcome_t out_of_memory(const tfw_dataset_t *d)
{
    tfw_run_error(d->run, "%s: out of memory", d->label != NULL ? d->label : "data_processing");
    return TFW_RETRY;
}

/* The csv reader's or json reader's source; also where progress comes from. */
static ssize_t read_input(void *data, void *buf, size_t size)
{
    tfw_dataset_t *d = data;
    uint64_t done = tfw_input_bytes_read(d->input), all = tfw_input_size(d->input);

    if (all > 0) {
        tfw_run_progress(d->run,
                         d->from + (int)((uint64_t)(d->to - d->from) * (done < all ? done : all) / all));
    }
    return tfw_input_read(d->input, buf, size);
}

/* Readers that begin at the beginning. */
static tfw_outcome_t new_reader(tfw_dataset_t *d)
{
    bool json = d->source.format == TFW_FORMAT_JSON;

    d->rows = 0;
    if (d->source.records != NULL) {
        return TFW_OK;
    }
    tfw_csv_free(d->csv);
    tfw_json_rows_free(d->json);
    d->csv = NULL;
    d->json = NULL;
    tfw_input_rewind(d->input);
    if (json || d->source.format == TFW_FORMAT_JSONL) {
        d->json = tfw_json_rows_new(json ? TFW_JSON_ARRAY : TFW_JSON_LINES, read_input, d);
    } else {
        d->csv = tfw_csv_new_delimited(d->source.format == TFW_FORMAT_TSV ? '\t' : ',', read_input, d);
    }
    return d->csv != NULL || d->json != NULL ? TFW_OK : out_of_memory(d);
}

static tfw_outcome_t open_file(tfw_dataset_t *d)
{
    int64_t max = tfw_data_settings.input_mb << 20;

    if (d->source.url != NULL) {
        tfw_outcome_t outcome = tfw_fetch(d->run, d->source.url, max, &d->fd);

        if (outcome != TFW_OK) {
            return outcome;
        }
    } else {
        d->fd = tfw_run_open_data(d->run, d->label);
        if (d->fd < 0) {
            return TFW_PERMANENT;
        }
    }
    d->input = tfw_input_new(d->fd, (uint64_t)max);
    if (d->input == NULL) {
        return out_of_memory(d);
    }
    tfw_run_log(d->run, "info", "reading %s, %llu bytes", d->label,
                (unsigned long long)tfw_input_size(d->input));
    return new_reader(d);
}

tfw_outcome_t tfw_dataset_open(tfw_run_t *run, const tfw_source_t *source, tfw_dataset_t **dataset)
{
    tfw_dataset_t *d = calloc(1, sizeof(*d));
    tfw_outcome_t outcome = TFW_OK;

    *dataset = NULL;
    if (d == NULL) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    d->run = run;
    d->source = *source;
    d->fd = -1;
    d->to = 99;
    d->label = source->records != NULL ? strdup("records")
               : source->url != NULL   ? strndup(source->url, strcspn(source->url, "?#"))
                                       : path_of(source->dataset);
    if (d->label == NULL) {
        outcome = out_of_memory(d);
    } else if (source->records == NULL) {
        if (source->format == TFW_FORMAT_BY_NAME) {
            d->source.format = format_of(d->label);
        }
        outcome = open_file(d);
    }
    if (outcome != TFW_OK) {
        tfw_dataset_free(d);
        return outcome;
    }
    *dataset = d;
    return TFW_OK;
}

void tfw_dataset_free(tfw_dataset_t *d)
{
    if (d == NULL) {
        return;
    }
    tfw_csv_free(d->csv);
    tfw_json_rows_free(d->json);
    tfw_input_free(d->input);
    if (d->fd >= 0) {
        close(d->fd);
    }
    for (size_t i = 0; i < d->count; i++) {
        free(d->columns[i].name);
    }
    free(d->columns);
    free(d->fields);
    free(d->types);
    free(d->starts);
    tfw_groups_free(&d->names);
    tf_buf_free(&d->text);
    free(d->label);
    free(d);
}

const char *tfw_dataset_label(const tfw_dataset_t *d)
{
    return d->label;
}

void tfw_dataset_progress(tfw_dataset_t *d, int from, int to)
{
    d->from = from;
    d->to = to;
}

const tfw_column_t *tfw_dataset_columns(const tfw_dataset_t *d, size_t *count)
{
    *count = d->count;
    return d->columns;
}

int64_t tfw_dataset_rows(const tfw_dataset_t *d)
{
    return d->rows;
}

const char *tfw_dataset_place(tfw_dataset_t *d)
{
    if (d->source.records != NULL) {
        snprintf(d->place, sizeof(d->place), "[%lld]", (long long)(d->rows - 1));
    } else {
        snprintf(d->place, sizeof(d->place), "line %lld",
                 (long long)(d->csv != NULL ? tfw_csv_line(d->csv) : tfw_json_rows_line(d->json)));
    }
    return d->place;
}

/* ---- columns ---- */

static tfw_outcome_t add_column(tfw_dataset_t *d, const char *name, size_t len)
{
    tfw_column_t *longer = realloc(d->columns, (d->count + 1) * sizeof(*longer));

    if (longer == NULL) {
        return out_of_memory(d);
    }
    d->columns = longer;
    longer[d->count] = (tfw_column_t){strndup(name, len), TFW_TYPE_NONE};
    if (longer[d->count].name == NULL) {
        return out_of_memory(d);
    }
    d->count++;
    return TFW_OK;
}

/* The number of a member's column, which a scan adds. */
static tfw_outcome_t column_of(tfw_dataset_t *d, const char *name, bool scan, uint32_t *number)
{
    size_t len = strlen(name);

    switch (tfw_groups_find(&d->names, name, len, scan ? TFW_CSV_COLUMNS_MAX : d->count, number)) {
    case TFW_GROUPS_OK:
        break;
    case TFW_GROUPS_MEMORY:
        return out_of_memory(d);
    case TFW_GROUPS_FULL:
        if (!scan) {
            tfw_run_error(d->run, "%s: %s: the file has changed while it was read", d->label,
                          tfw_dataset_place(d));
            return TFW_RETRY;
        }
        tfw_run_error(d->run, "%s: %s: more than %d different members", d->label, tfw_dataset_place(d),
                      TFW_CSV_COLUMNS_MAX);
        return TFW_PERMANENT;
    }
    return *number < d->count ? TFW_OK : add_column(d, name, len);
}

static tfw_outcome_t make_room(tfw_dataset_t *d)
{
    size_t room = d->count > 0 ? d->count : 1;

    free(d->fields);
    free(d->types);
    free(d->starts);
    d->fields = calloc(room, sizeof(*d->fields));
    d->types = calloc(room, sizeof(*d->types));
    d->starts = calloc(room, sizeof(*d->starts));
    d->room = room;
    return d->fields != NULL && d->types != NULL && d->starts != NULL ? TFW_OK : out_of_memory(d);
}

/* ---- rows ---- */

/* What the reader said instead of a row. */
static tfw_outcome_t no_row(const tfw_dataset_t *d, tfw_csv_status_t status)
{
    const char *fault = tfw_input_error(d->input);

    if (status == TFW_CSV_END) {
        return TFW_OK;
    }
    if (*fault != '\0') {
        tfw_run_error(d->run, "%s: %s", d->label, fault);
        return TFW_PERMANENT;
    }
    tfw_run_error(d->run, "%s: %s", d->label,
                  d->csv != NULL ? tfw_csv_error(d->csv) : tfw_json_rows_error(d->json));
    return status == TFW_CSV_READ_FAILED ? TFW_RETRY : TFW_PERMANENT;
}

static tfw_outcome_t next_object(tfw_dataset_t *d, const json_t **object)
{
    tfw_csv_status_t status;

    *object = NULL;
    if (d->json != NULL) {
        status = tfw_json_rows_next(d->json);
        if (status != TFW_CSV_RECORD) {
            return no_row(d, status);
        }
        *object = tfw_json_row(d->json);
    } else if ((size_t)d->rows < json_array_size(d->source.records)) {
        *object = json_array_get(d->source.records, (size_t)d->rows);
        tfw_run_progress(d->run, d->from + (int)((d->to - d->from) * d->rows /
                                                 (int64_t)json_array_size(d->source.records)));
        if (!json_is_object(*object)) {
            tfw_run_error(d->run, "payload: \"records\"[%lld] must be an object", (long long)d->rows);
            return TFW_PERMANENT;
        }
    }
    d->rows += *object != NULL;
    return TFW_OK;
}

/* The object's members as fields. */
static tfw_outcome_t take_members(tfw_dataset_t *d, const json_t *object)
{
    tfw_outcome_t outcome;
    const char *key;
    json_t *value;
    uint32_t n;

    memset(d->fields, 0, d->count * sizeof(*d->fields));
    memset(d->types, 0, d->count * sizeof(*d->types));
    tf_buf_reset(&d->text);
    json_object_foreach((json_t *)object, key, value)
    {
        outcome = column_of(d, key, false, &n);
        if (outcome != TFW_OK) {
            return outcome;
        }
        d->types[n] = type_of_json(value);
        if (d->types[n] == TFW_TYPE_TEXT) {
            d->fields[n] = (tf_str_t){json_string_value(value), json_string_length(value)};
        } else if (d->types[n] != TFW_TYPE_NONE) {
            d->starts[n] = d->text.len;
            tf_json_value(&d->text, value);
            d->fields[n].len = d->text.len - d->starts[n];
        }
    }
    if (d->text.failed) {
        return out_of_memory(d);
    }
    for (n = 0; n < d->count; n++) {
        if (d->types[n] != TFW_TYPE_NONE && d->types[n] != TFW_TYPE_TEXT) {
            d->fields[n].data = d->text.data + d->starts[n];
        }
    }
    return TFW_OK;
}

static tfw_outcome_t next_record(tfw_dataset_t *d, const tf_str_t **fields)
{
    tfw_csv_status_t status = tfw_csv_next(d->csv);
    size_t count;

    if (status != TFW_CSV_RECORD) {
        return no_row(d, status);
    }
    *fields = tfw_csv_fields(d->csv, &count);
    d->rows++;
    return TFW_OK;
}

tfw_outcome_t tfw_dataset_next(tfw_dataset_t *d, const tf_str_t **fields, const tfw_type_t **types)
{
    tfw_outcome_t outcome;
    const json_t *object;

    *fields = NULL;
    *types = NULL;
    if (d->rows % CANCEL_ROWS == 0 && tfw_run_cancelled(d->run)) {
        return TFW_CANCELLED;
    }
    if (d->source.rows > 0 && d->rows >= d->source.rows) {
        return TFW_OK;
    }
    if (d->csv != NULL) {
        return next_record(d, fields);
    }
    outcome = next_object(d, &object);
    if (outcome == TFW_OK && object != NULL) {
        outcome = take_members(d, object);
        *fields = d->fields;
        *types = d->types;
    }
    return outcome;
}

/* ---- the first look ---- */

/* The first line of a CSV file; its columns the first time. */
static tfw_outcome_t read_first_line(tfw_dataset_t *d)
{
    tfw_csv_status_t status = tfw_csv_next(d->csv);
    tfw_outcome_t outcome = TFW_OK;
    const tf_str_t *names;
    size_t count, known = d->count;

    if (status == TFW_CSV_END) {
        tfw_run_error(d->run, "%s: the file is empty; a first line with the column names is needed",
                      d->label);
        return TFW_PERMANENT;
    }
    if (status != TFW_CSV_RECORD) {
        return no_row(d, status);
    }
    names = tfw_csv_fields(d->csv, &count);
    if (known > 0 && known != count) {
        tfw_run_error(d->run, "%s: the file has changed while it was read", d->label);
        return TFW_RETRY;
    }
    for (size_t i = 0; i < count && known == 0 && outcome == TFW_OK; i++) {
        outcome = add_column(d, names[i].data, names[i].len);
    }
    return outcome;
}

static tfw_outcome_t scan_objects(tfw_dataset_t *d)
{
    tfw_outcome_t outcome;
    const json_t *object;
    const char *key;
    json_t *value;
    uint32_t n;

    while (d->source.rows == 0 || d->rows < d->source.rows) {
        if (d->rows % CANCEL_ROWS == 0 && tfw_run_cancelled(d->run)) {
            return TFW_CANCELLED;
        }
        outcome = next_object(d, &object);
        if (outcome != TFW_OK || object == NULL) {
            return outcome;
        }
        json_object_foreach((json_t *)object, key, value)
        {
            outcome = column_of(d, key, true, &n);
            if (outcome != TFW_OK) {
                return outcome;
            }
            d->columns[n].type = tfw_type_merge(d->columns[n].type, type_of_json(value));
        }
    }
    return TFW_OK;
}

static tfw_outcome_t scan_records(tfw_dataset_t *d)
{
    tfw_outcome_t outcome = read_first_line(d);
    const tfw_type_t *types;
    const tf_str_t *fields;

    if (outcome != TFW_OK) {
        return outcome;
    }
    while ((outcome = tfw_dataset_next(d, &fields, &types)) == TFW_OK && fields != NULL) {
        for (size_t i = 0; i < d->count; i++) {
            tfw_column_t *c = &d->columns[i];

            if (c->type != TFW_TYPE_TEXT) {
                c->type = tfw_type_merge(c->type, tfw_type_of_field(fields[i]));
            }
        }
    }
    return outcome;
}

tfw_outcome_t tfw_dataset_scan(tfw_dataset_t *d)
{
    tfw_outcome_t outcome = d->csv != NULL ? scan_records(d) : scan_objects(d);
    int64_t rows = d->rows;

    if (outcome == TFW_OK && d->csv == NULL) {
        outcome = make_room(d);
    }
    if (outcome == TFW_OK) {
        outcome = new_reader(d);
    }
    if (outcome == TFW_OK && d->csv != NULL) {
        outcome = read_first_line(d);
    }
    if (outcome == TFW_OK) {
        tfw_run_log(d->run, "info", "%s: %lld rows, %zu columns", d->label, (long long)rows, d->count);
    }
    return outcome;
}

tfw_outcome_t tfw_dataset_header(tfw_dataset_t *d)
{
    return d->csv != NULL ? read_first_line(d) : tfw_dataset_scan(d);
}
