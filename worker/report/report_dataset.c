/* A CSV file of the data directory: statistics of its numeric columns, as a whole and by groups. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataset/aggregate.h"
#include "dataset/csv.h"
#include "report/report.h"
#include "json_error.h"
#include "submission.h"

#define NUMBERS_MAX 50000000 /* 400 MB */
#define CANCEL_ROWS 1024
#define GROUP_COLUMNS 3 /* numeric columns in the table of groups */

typedef struct {
    tfw_run_t *run;
    const tfw_report_request_t *request;
    char path[300];
    int fd;
    uint64_t size;
    tfw_csv_t *csv;
    tfw_aggregate_t *table;
} source_t;

static ssize_t read_file(void *data, void *buf, size_t size)
{
    source_t *s = data;
    uint64_t done = tfw_csv_bytes_read(s->csv);

    if (s->size > 0) {
        tfw_run_progress(s->run, (int)(done >= s->size ? 50 : 5 + 45 * done / s->size));
    }
    return read(s->fd, buf, size);
}

static tfw_outcome_t refuse(source_t *s, tfw_aggregate_status_t status)
{
    if (status == TFW_AGGREGATE_MEMORY) {
        tfw_run_error(s->run, "%s: out of memory", s->path);
        return TFW_RETRY;
    }
    tfw_run_error(s->run, "%s: line %lld: %s", s->path, (long long)tfw_csv_line(s->csv),
                  tfw_aggregate_error(s->table));
    return TFW_PERMANENT;
}

static tf_str_t str_of(const json_t *text)
{
    return (tf_str_t){json_string_value(text), json_string_length(text)};
}

static tfw_outcome_t read_header(source_t *s)
{
    size_t count;
    const tf_str_t *names = tfw_csv_fields(s->csv, &count);
    tfw_aggregate_status_t status = tfw_aggregate_header(s->table, names, count);

    for (size_t i = 0; i < json_array_size(s->request->columns) && status == TFW_AGGREGATE_OK; i++) {
        status = tfw_aggregate_select(s->table, str_of(json_array_get(s->request->columns, i)));
    }
    if (s->request->group_by && status == TFW_AGGREGATE_OK) {
        status =
            tfw_aggregate_group_by(s->table, (tf_str_t){s->request->group_by, strlen(s->request->group_by)});
    }
    return status == TFW_AGGREGATE_OK ? TFW_OK : refuse(s, status);
}

static tfw_outcome_t read_rows(source_t *s)
{
    for (int64_t rows = 0;; rows++) {
        tfw_csv_status_t got = tfw_csv_next(s->csv);
        tfw_outcome_t outcome = TFW_OK;
        size_t count;

        if (rows % CANCEL_ROWS == 0 && tfw_run_cancelled(s->run)) {
            return TFW_CANCELLED;
        }
        if (got == TFW_CSV_END && rows > 0) {
            return TFW_OK;
        }
        if (got == TFW_CSV_END) {
            tfw_run_error(s->run, "%s: the file is empty; a first line with the column names is needed",
                          s->path);
            return TFW_PERMANENT;
        }
        if (got != TFW_CSV_RECORD) {
            tfw_run_error(s->run, "%s: %s", s->path, tfw_csv_error(s->csv));
            return got == TFW_CSV_READ_FAILED ? TFW_RETRY : TFW_PERMANENT;
        }
        if (rows == 0) {
            outcome = read_header(s);
        } else {
            tfw_aggregate_status_t status = tfw_aggregate_row(s->table, tfw_csv_fields(s->csv, &count));

            outcome = status == TFW_AGGREGATE_OK ? TFW_OK : refuse(s, status);
        }
        if (outcome != TFW_OK) {
            return outcome;
        }
    }
}

/* ---- what it says; statistics: what tfw_aggregate_write writes ---- */

static double real_of(const json_t *column, const char *name)
{
    const json_t *value = json_object_get(column, name);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void add_columns(tfw_report_t *report, const json_t *columns)
{
    static const char *const names[] = {"Column", "Values", "Sum", "Mean",
                                        "Median", "Min",    "Max", "Std. dev."};
    static const char *const members[] = {"sum", "mean", "median", "min", "max", "stddev"};
    static const bool numbers[] = {false, true, true, true, true, true, true, true};
    const char **cells = tfw_report_table(report, names, numbers, 8, json_object_size(columns));
    const char *name;
    json_t *column;

    json_object_foreach((json_t *)columns, name, column)
    {
        if (!cells) {
            return;
        }
        *cells++ = tfw_report_text(report, "%s", name);
        *cells++ = tfw_report_number(report, json_integer_value(json_object_get(column, "count")));
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
            *cells++ = tfw_report_decimal(report, real_of(column, members[i]));
        }
    }
}

static const char *group_name(tfw_report_t *report, const json_t *group)
{
    const char *value = json_string_value(json_object_get(group, "value"));

    return value && *value ? tfw_report_text(report, "%s", value) : "(empty)";
}

static void add_group_charts(tfw_report_t *report, const json_t *groups, const char *const *measured,
                             size_t nmeasured)
{
    static const char *const one[] = {""};
    size_t n = json_array_size(groups) < TFW_CHART_BARS_MAX ? json_array_size(groups) : TFW_CHART_BARS_MAX;

    for (size_t m = 0; m <= nmeasured && m <= 1; m++) {
        tfw_report_points_t bars =
            tfw_report_chart(report, TFW_CHART_BARS,
                             m ? tfw_report_text(report, "Sum of %s", measured[0]) : "Rows", one, NULL, 1, n);

        for (size_t i = 0; bars.values && i < n; i++) {
            const json_t *group = json_array_get(groups, i);
            double value = m ? real_of(json_object_get(json_object_get(group, "columns"), measured[0]), "sum")
                             : (double)json_integer_value(json_object_get(group, "rows"));

            bars.labels[i] = group_name(report, group);
            bars.values[i] = value > 0 ? value : 0;
        }
    }
}

static void add_groups(tfw_report_t *report, const char *group_by, const json_t *columns,
                       const json_t *groups)
{
    static const bool numbers[2 + 2 * GROUP_COLUMNS] = {false, true, true, true, true, true, true, true};
    size_t all = json_array_size(groups), n = all < TFW_REPORT_GROUPS_MAX ? all : TFW_REPORT_GROUPS_MAX;
    const char **names = tfw_report_alloc(report, 2 + 2 * GROUP_COLUMNS, sizeof(*names)), **cells;
    const char *measured[GROUP_COLUMNS], *name;
    size_t nmeasured = 0;
    json_t *column;

    json_object_foreach((json_t *)columns, name, column)
    {
        if (nmeasured < GROUP_COLUMNS) {
            measured[nmeasured++] = name;
        }
    }
    tfw_report_line(report, TFW_BLOCK_HEADING, tfw_report_text(report, "By %s", group_by));
    add_group_charts(report, groups, measured, nmeasured);
    if (!names) {
        return;
    }
    names[0] = tfw_report_text(report, "%s", group_by);
    names[1] = "Rows";
    for (size_t m = 0; m < nmeasured; m++) {
        names[2 + 2 * m] = tfw_report_text(report, "%s, sum", measured[m]);
        names[3 + 2 * m] = tfw_report_text(report, "%s, mean", measured[m]);
    }
    cells = tfw_report_table(report, names, numbers, 2 + 2 * nmeasured, n);
    for (size_t i = 0; cells && i < n; i++) {
        const json_t *group = json_array_get(groups, i), *of = json_object_get(group, "columns");

        *cells++ = group_name(report, group);
        *cells++ = tfw_report_number(report, json_integer_value(json_object_get(group, "rows")));
        for (size_t m = 0; m < nmeasured; m++) {
            *cells++ = tfw_report_decimal(report, real_of(json_object_get(of, measured[m]), "sum"));
            *cells++ = tfw_report_decimal(report, real_of(json_object_get(of, measured[m]), "mean"));
        }
    }
    if (all > n) {
        tfw_report_line(report, TFW_BLOCK_NOTE,
                        tfw_report_text(report, "The first %zu of %zu groups, by their names.", n, all));
    }
}

static void compose(source_t *s, tfw_report_t *report, const json_t *statistics)
{
    const json_t *columns = json_object_get(statistics, "columns"),
                 *texts = json_object_get(statistics, "text_columns"),
                 *groups = json_object_get(statistics, "groups");
    tfw_doc_fact_t facts[] = {
        {tfw_report_number(report, tfw_aggregate_rows(s->table)), "rows"},
        {tfw_report_number(report, (int64_t)json_object_size(columns)), "numeric columns"},
        {tfw_report_number(report, (int64_t)json_array_size(texts)), "columns of text"},
        {tfw_report_number(report, (int64_t)json_array_size(groups)), "groups"},
    };

    report->doc.subtitle = tfw_report_text(report, "Dataset %s", s->request->dataset);
    tfw_report_facts(report, facts, s->request->group_by ? 4 : 3);
    if (json_object_size(columns)) {
        tfw_report_line(report, TFW_BLOCK_HEADING, "Columns");
        add_columns(report, columns);
    }
    if (json_array_size(groups)) {
        add_groups(report, s->request->group_by, columns, groups);
    }
    tfw_report_line(report, TFW_BLOCK_NOTE,
                    "A column is numeric when all its values are numbers; an empty field is a missing value. "
                    "The standard deviation is "
                    "that of a sample.");
}

static tfw_outcome_t write_up(source_t *s, tfw_report_t *report)
{
    tf_buf_t text = TF_BUF_INIT;
    char why[200];
    json_t *statistics = NULL;

    /* its members follow those of others */
    tf_buf_adds(&text, "{\"of\":0");
    if (tfw_aggregate_write(s->table, &text) == TFW_AGGREGATE_OK) {
        tf_buf_addc(&text, '}');
        statistics = text.failed ? NULL : tf_json_parse(text.data, text.len, why, sizeof(why));
    }
    tf_buf_free(&text);
    if (!statistics) {
        tfw_run_error(s->run, "%s: out of memory", s->path);
        return TFW_RETRY;
    }
    compose(s, report, statistics);
    json_decref(statistics);
    return TFW_OK;
}

/* "sales_q1" is sales_q1.csv, as data_processing has it. */
static void find(source_t *s)
{
    const char *slash = strrchr(s->request->dataset, '/');
    bool extension = strchr(slash ? slash + 1 : s->request->dataset, '.') != NULL;

    snprintf(s->path, sizeof(s->path), "%s%s", s->request->dataset, extension ? "" : ".csv");
}

tfw_outcome_t tfw_report_dataset(tfw_run_t *run, const tfw_report_request_t *request, tfw_report_t *report,
                                 int64_t *count)
{
    source_t s = {.run = run, .request = request};
    tfw_outcome_t outcome = TFW_RETRY;
    struct stat st;

    find(&s);
    tfw_run_log(run, "info", "Fetching data");
    s.fd = tfw_run_open_data(run, s.path);
    if (s.fd < 0) {
        return TFW_PERMANENT;
    }
    s.size = fstat(s.fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
    s.csv = tfw_csv_new(read_file, &s);
    s.table = tfw_aggregate_new(NUMBERS_MAX);
    if (!s.csv || !s.table) {
        tfw_run_error(run, "%s: out of memory", s.path);
    } else {
        outcome = read_rows(&s);
    }
    if (outcome == TFW_OK) {
        tfw_run_log(run, "info", "Processing rows");
        *count = tfw_aggregate_rows(s.table);
        outcome = write_up(&s, report);
    }
    close(s.fd);
    tfw_csv_free(s.csv);
    tfw_aggregate_free(s.table);
    return outcome;
}
