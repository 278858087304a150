/* data_processing: statistics of a CSV file in the data directory. docs/handlers.md says what goes in and
 * comes out. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "handler.h"
#include "handlers/aggregate.h"
#include "handlers/csv.h"

#define DATASET_MAX 255      /* bytes */
#define NUMBERS_MAX 50000000 /* 400 MB */
#define CANCEL_ROWS 1024     /* rows between two looks at the cancel flag */

/* The payload. Texts belong to it. */
typedef struct {
    const char *dataset;
    const json_t *group_by; /* NULL: not grouped */
    const json_t *columns;  /* NULL: all */
    json_int_t rows;        /* 0: all */
} request_t;

/* One run over one file. */
typedef struct {
    tfw_run_t *run;
    request_t request;
    char path[DATASET_MAX + sizeof(".csv")];
    int fd;
    uint64_t size; /* bytes, when it was opened */
    tfw_csv_t *csv;
    tfw_aggregate_t *table;
} work_t;

/* Adds one complaint to the list. */
__attribute__((format(printf, 2, 3))) static void complain(tf_buf_t *errors, const char *fmt, ...)
{
    char text[160];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tf_buf_adds(errors, errors->len == 0 ? "payload: " : "; ");
    tf_buf_adds(errors, text);
}

/* The field's name as a JSON string: whatever it holds, the complaint stays one line of valid text. */
static void complain_unknown(tf_buf_t *errors, const char *key)
{
    complain(errors, "unknown field ");
    tf_json_str(errors, key, strnlen(key, 64));
}

static bool is_name(const json_t *value, size_t max)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value), i;

    if (text == NULL || len == 0 || len > max) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return false;
        }
    }
    return true;
}

static bool is_column(const json_t *value)
{
    return json_string_length(value) > 0 && json_string_length(value) <= TFW_CSV_FIELD_MAX;
}

static void check_columns(const json_t *columns, tf_buf_t *errors)
{
    size_t i;

    if (!json_is_array(columns) || json_array_size(columns) == 0 ||
        json_array_size(columns) > TFW_CSV_COLUMNS_MAX) {
        complain(errors, "\"columns\" must be a list of 1 to %d column names", TFW_CSV_COLUMNS_MAX);
        return;
    }
    for (i = 0; i < json_array_size(columns); i++) {
        if (!is_column(json_array_get(columns, i))) {
            complain(errors, "\"columns\"[%zu] must be a column name", i);
            return;
        }
    }
}

/* Fills request; adds to errors all that is wrong. */
static void check_payload(const json_t *payload, request_t *request, tf_buf_t *errors)
{
    const char *key;
    json_t *value;

    if (json_object_get(payload, "dataset") == NULL) {
        complain(errors, "\"dataset\" is missing");
    }
    json_object_foreach((json_t *)payload, key, value)
    {
        if (strcmp(key, "dataset") == 0) {
            request->dataset = json_string_value(value);
            if (!is_name(value, DATASET_MAX)) {
                complain(errors, "\"dataset\" must be a name of 1 to %d bytes without control characters",
                         DATASET_MAX);
            }
        } else if (strcmp(key, "operation") == 0) {
            if (!json_is_string(value) || strcmp(json_string_value(value), "aggregate") != 0) {
                complain(errors, "\"operation\" must be \"aggregate\"");
            }
        } else if (strcmp(key, "group_by") == 0) {
            request->group_by = value;
            if (!is_column(value)) {
                complain(errors, "\"group_by\" must be a column name");
            }
        } else if (strcmp(key, "rows") == 0) {
            request->rows = json_integer_value(value);
            if (!json_is_integer(value) || request->rows < 1) {
                complain(errors, "\"rows\" must be an integer of at least 1");
            }
        } else if (strcmp(key, "columns") == 0) {
            request->columns = value;
            check_columns(value, errors);
        } else {
            complain_unknown(errors, key);
        }
    }
}

/* "sales_q1" is sales_q1.csv; a name whose last part has a point is a path as it stands. */
static void path_of(const char *dataset, char *path, size_t size)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a payload without a dataset was refused */
    const char *slash = strrchr(dataset, '/');
    bool extension = strchr(slash != NULL ? slash + 1 : dataset, '.') != NULL;

    snprintf(path, size, "%s%s", dataset, extension ? "" : ".csv");
}

/* The csv reader's source; also where progress comes from. The last hundredth is the statistics. */
static ssize_t read_file(void *data, void *buf, size_t size)
{
    work_t *w = data;
    uint64_t done = tfw_csv_bytes_read(w->csv);

    if (w->size > 0) {
        tfw_run_progress(w->run, (int)(done >= w->size ? 99 : 99 * done / w->size));
    }
    return read(w->fd, buf, size);
}

static tfw_outcome_t table_failure(work_t *w, tfw_aggregate_status_t status, bool at_line)
{
    if (status == TFW_AGGREGATE_MEMORY) {
        tfw_run_error(w->run, "%s: out of memory", w->path);
        return TFW_RETRY;
    }
    if (at_line) {
        tfw_run_error(w->run, "%s: line %lld: %s", w->path, (long long)tfw_csv_line(w->csv),
                      tfw_aggregate_error(w->table));
    } else {
        tfw_run_error(w->run, "%s: %s", w->path, tfw_aggregate_error(w->table));
    }
    return TFW_PERMANENT;
}

/* A file that is not CSV stays so; a disk that fails may be back. */
static tfw_outcome_t csv_failure(work_t *w, tfw_csv_status_t status)
{
    tfw_run_error(w->run, "%s: %s", w->path, tfw_csv_error(w->csv));
    return status == TFW_CSV_READ_FAILED ? TFW_RETRY : TFW_PERMANENT;
}

/* A name as the table takes it. */
static tf_str_t str_of(const json_t *text)
{
    return (tf_str_t){json_string_value(text), json_string_length(text)};
}

/* The first line, and what the payload wants of it. */
static tfw_outcome_t read_header(work_t *w)
{
    tfw_csv_status_t got = tfw_csv_next(w->csv);
    tfw_aggregate_status_t status;
    const tf_str_t *names;
    size_t count, i;

    if (got == TFW_CSV_END) {
        tfw_run_error(w->run, "%s: the file is empty; a first line with the column names is needed", w->path);
        return TFW_PERMANENT;
    }
    if (got != TFW_CSV_RECORD) {
        return csv_failure(w, got);
    }
    names = tfw_csv_fields(w->csv, &count);
    status = tfw_aggregate_header(w->table, names, count);
    if (status != TFW_AGGREGATE_OK) {
        return table_failure(w, status, true);
    }
    for (i = 0; i < json_array_size(w->request.columns) && status == TFW_AGGREGATE_OK; i++) {
        status = tfw_aggregate_select(w->table, str_of(json_array_get(w->request.columns, i)));
    }
    if (w->request.group_by != NULL && status == TFW_AGGREGATE_OK) {
        status = tfw_aggregate_group_by(w->table, str_of(w->request.group_by));
    }
    return status == TFW_AGGREGATE_OK ? TFW_OK : table_failure(w, status, false);
}

static tfw_outcome_t read_rows(work_t *w)
{
    tfw_csv_status_t got;
    tfw_aggregate_status_t status;
    size_t count;
    int64_t rows = 0;

    while (w->request.rows == 0 || rows < w->request.rows) {
        if (rows++ % CANCEL_ROWS == 0 && tfw_run_cancelled(w->run)) {
            return TFW_CANCELLED;
        }
        got = tfw_csv_next(w->csv);
        if (got == TFW_CSV_END) {
            break;
        }
        if (got != TFW_CSV_RECORD) {
            return csv_failure(w, got);
        }
        status = tfw_aggregate_row(w->table, tfw_csv_fields(w->csv, &count));
        if (status != TFW_AGGREGATE_OK) {
            return table_failure(w, status, true);
        }
    }
    return tfw_run_cancelled(w->run) ? TFW_CANCELLED : TFW_OK;
}

static tfw_outcome_t write_result(work_t *w)
{
    tf_buf_t out = TF_BUF_INIT;
    tfw_aggregate_status_t status;

    tf_buf_addc(&out, '{');
    tf_json_kcstr(&out, "dataset", w->request.dataset);
    tf_json_kcstr(&out, "operation", "aggregate");
    status = tfw_aggregate_write(w->table, &out);
    tf_buf_addc(&out, '}');
    if (status == TFW_AGGREGATE_OK && !out.failed) {
        tfw_run_result(w->run, out.data, out.len);
    } else {
        status = TFW_AGGREGATE_MEMORY;
    }
    tf_buf_free(&out);
    return status == TFW_AGGREGATE_OK ? TFW_OK : table_failure(w, status, false);
}

static tfw_outcome_t process(work_t *w)
{
    tfw_outcome_t outcome;
    struct stat st;

    w->fd = tfw_run_open_data(w->run, w->path);
    if (w->fd < 0) {
        return TFW_PERMANENT;
    }
    w->size = fstat(w->fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    tfw_run_log(w->run, "info", "reading %s, %llu bytes", w->path, (unsigned long long)w->size);
    w->csv = tfw_csv_new(read_file, w);
    w->table = tfw_aggregate_new(NUMBERS_MAX);
    if (w->csv == NULL || w->table == NULL) {
        tfw_run_error(w->run, "%s: out of memory", w->path);
        return TFW_RETRY;
    }
    outcome = read_header(w);
    if (outcome == TFW_OK) {
        outcome = read_rows(w);
    }
    tfw_run_log(w->run, "info", "read %lld rows", (long long)tfw_aggregate_rows(w->table));
    return outcome == TFW_OK ? write_result(w) : outcome;
}

static tfw_outcome_t data_processing_run(tfw_run_t *run)
{
    work_t w = {.run = run, .fd = -1};
    tf_buf_t errors = {.limit = 4096};
    tfw_outcome_t outcome = TFW_PERMANENT;

    check_payload(tfw_run_payload(run), &w.request, &errors);
    if (errors.len > 0 || errors.failed) {
        /* a list over the limit lacks only its tail */
        tfw_run_error(run, "%.*s", (int)errors.len,
                      errors.data != NULL ? errors.data : "payload: out of memory");
    } else {
        path_of(w.request.dataset, w.path, sizeof(w.path));
        outcome = process(&w);
    }
    if (w.fd >= 0) {
        close(w.fd);
    }
    tfw_csv_free(w.csv);
    tfw_aggregate_free(w.table);
    tf_buf_free(&errors);
    return outcome;
}

TF_HANDLER(data_processing) = {
    .type = "data_processing",
    .description =
        "Statistics of the numeric columns of a CSV dataset, as a whole and by the values of one column.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"dataset\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"description\":\"name of a .csv "
        "file in "
        "the data directory without its extension, or a relative path with one\"},"
        "\"operation\":{\"const\":\"aggregate\",\"default\":\"aggregate\"},"
        "\"group_by\":{\"type\":\"string\",\"minLength\":1,\"description\":\"a column\"},"
        "\"rows\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"only the first so many rows\"},"
        "\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},\"minItems\":1,"
        "\"maxItems\":1024,\"description\":\"only these columns\"}},"
        "\"required\":[\"dataset\"],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 300,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = data_processing_run,
};
