/* A dataset of the data directory: statistics of its numeric columns, as a whole and by groups. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dataset/aggregate.h"
#include "dataset/dataset.h"
#include "report/report.h"
#include "json_error.h"
#include "submission.h"

#define NUMBERS_MAX 50000000 /* 400 MB */
#define GROUP_COLUMNS 3      /* numeric columns in the table of groups */

typedef struct {
    tfw_run_t *run;
    const tfw_report_request_t *request;
    tfw_dataset_t *dataset;
    tfw_aggregate_t *table;
} source_t;

static tfw_outcome_t refuse(source_t *s, tfw_aggregate_status_t status)
{
    const char *label = tfw_dataset_label(s->dataset);

    if (status == TFW_AGGREGATE_MEMORY) {
        tfw_run_error(s->run, "%s: out of memory", label);
        return TFW_RETRY;
    }
    tfw_run_error(s->run, "%s: %s: %s", label, tfw_dataset_place(s->dataset), tfw_aggregate_error(s->table));
    return TFW_PERMANENT;
}

static tf_str_t str_of(const json_t *text)
{
    return (tf_str_t){json_string_value(text), json_string_length(text)};
}

/* The names, and which of the columns are texts whatever they look like: of JSON that is known. */
static tfw_aggregate_status_t take_columns(source_t *s)
{
    size_t count;
    const tfw_column_t *columns = tfw_dataset_columns(s->dataset, &count);
    tf_str_t *names = calloc(count + 1, sizeof(*names));
    tfw_aggregate_status_t status;

    if (!names) {
        return TFW_AGGREGATE_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = (tf_str_t){columns[i].name, strlen(columns[i].name)};
    }
    status = tfw_aggregate_header(s->table, names, count);
    free(names);
    for (size_t i = 0; i < count && status == TFW_AGGREGATE_OK; i++) {
        if (columns[i].type == TFW_TYPE_TEXT) {
            tfw_aggregate_text(s->table, i);
        }
    }
    return status;
}

static tfw_outcome_t read_header(source_t *s)
{
    tfw_outcome_t outcome = tfw_dataset_header(s->dataset);
    tfw_aggregate_status_t status;

    if (outcome != TFW_OK) {
        return outcome;
    }
    status = take_columns(s);
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
    tfw_outcome_t outcome = read_header(s);
    const tfw_type_t *types;
    const tf_str_t *fields;

    while (outcome == TFW_OK) {
        tfw_aggregate_status_t status;

        outcome = tfw_dataset_next(s->dataset, &fields, &types);
        if (outcome != TFW_OK || !fields) {
            break;
        }
        status = tfw_aggregate_row(s->table, fields);
        outcome = status == TFW_AGGREGATE_OK ? TFW_OK : refuse(s, status);
    }
    return outcome;
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
        tfw_run_error(s->run, "%s: out of memory", tfw_dataset_label(s->dataset));
        return TFW_RETRY;
    }
    compose(s, report, statistics);
    json_decref(statistics);
    return TFW_OK;
}

tfw_outcome_t tfw_report_dataset(tfw_run_t *run, const tfw_report_request_t *request, tfw_report_t *report,
                                 int64_t *count)
{
    source_t s = {.run = run, .request = request};
    tfw_outcome_t outcome;

    tfw_run_log(run, "info", "Fetching data");
    outcome = tfw_dataset_open(run, &(tfw_source_t){.dataset = request->dataset}, &s.dataset);
    if (outcome != TFW_OK) {
        return outcome;
    }
    tfw_dataset_progress(s.dataset, 5, 50);
    s.table = tfw_aggregate_new(NUMBERS_MAX);
    outcome = s.table ? read_rows(&s) : refuse(&s, TFW_AGGREGATE_MEMORY);
    if (outcome == TFW_OK) {
        tfw_run_log(run, "info", "Processing rows");
        *count = tfw_aggregate_rows(s.table);
        outcome = write_up(&s, report);
    }
    tfw_dataset_free(s.dataset);
    tfw_aggregate_free(s.table);
    return outcome;
}
