#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "civil.h"
#include "report/report.h"

#define SECOND_US 1000000
#define DAY_SECONDS 86400

struct tfw_report_piece_s {
    tfw_report_piece_t *next;
    max_align_t data[];
};

void tfw_report_free(tfw_report_t *report)
{
    tfw_report_piece_t *next;

    for (tfw_report_piece_t *piece = report->pieces; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    free(report->blocks);
}

void *tfw_report_alloc(tfw_report_t *report, size_t count, size_t size)
{
    tfw_report_piece_t *piece = NULL;

    if (count < SIZE_MAX / 2 / size) {
        piece = calloc(1, sizeof(*piece) + count * size);
    }
    if (!piece) {
        report->failed = true;
        return NULL;
    }
    piece->next = report->pieces;
    report->pieces = piece;
    return piece->data;
}

const char *tfw_report_text(tfw_report_t *report, const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    text = n < 0 ? NULL : tfw_report_alloc(report, (size_t)n + 1, 1);
    if (!text) {
        return "";
    }
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

/* Commas between each three of the digits before the point. */
static const char *grouped(tfw_report_t *report, const char *text)
{
    size_t sign = *text == '-', digits = strspn(text + sign, "0123456789"),
           rest = strlen(text + sign + digits);
    char *out = tfw_report_alloc(report, sign + digits + digits / 3 + rest + 1, 1), *p = out;

    if (!out) {
        return "";
    }
    for (size_t i = 0; i < sign + digits; i++) {
        if (i > sign && (sign + digits - i) % 3 == 0) {
            *p++ = ',';
        }
        *p++ = text[i];
    }
    memcpy(p, text + sign + digits, rest + 1);
    return out;
}

const char *tfw_report_number(tfw_report_t *report, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    return grouped(report, text);
}

const char *tfw_report_decimal(tfw_report_t *report, double value)
{
    char text[64];

    if (!isfinite(value)) {
        return "";
    }
    if (fabs(value) >= 1e15 || (value != 0 && fabs(value) < 0.01)) {
        snprintf(text, sizeof(text), "%.4g", value);
        return tfw_report_text(report, "%s", text);
    }
    snprintf(text, sizeof(text), value == floor(value) ? "%.0f" : "%.2f", value);
    return grouped(report, text);
}

const char *tfw_report_seconds(tfw_report_t *report, double seconds)
{
    int64_t whole;

    if (!isfinite(seconds)) {
        return "";
    }
    if (seconds < 99.95) {
        return tfw_report_text(report, seconds < 9.9995 ? "%.3f s" : "%.1f s", seconds);
    }
    whole = (int64_t)(seconds + 0.5);
    if (whole < 3600) {
        return tfw_report_text(report, "%d min %02d s", (int)(whole / 60), (int)(whole % 60));
    }
    return tfw_report_text(report, "%" PRId64 " h %02d min", whole / 3600, (int)(whole / 60 % 60));
}

const char *tfw_report_time(tfw_report_t *report, int64_t us)
{
    int64_t seconds = us / SECOND_US, days = seconds / DAY_SECONDS, year;
    int month, day;

    tf_civil_from_days(days, &year, &month, &day);
    return tfw_report_text(report, "%04d-%02d-%02d %02d:%02d", (int)year, month, day,
                           (int)(seconds % DAY_SECONDS / 3600), (int)(seconds % 3600 / 60));
}

static tfw_doc_block_t *add(tfw_report_t *report, tfw_block_kind_t kind)
{
    static tfw_doc_block_t lost; /* where a report that has failed may write */

    if (report->doc.count == report->size) {
        size_t size = report->size ? 2 * report->size : 16;
        tfw_doc_block_t *blocks = realloc(report->blocks, size * sizeof(*blocks));

        if (!blocks) {
            report->failed = true;
            return &lost;
        }
        report->doc.blocks = report->blocks = blocks;
        report->size = size;
    }
    report->blocks[report->doc.count] = (tfw_doc_block_t){.kind = kind};
    return &report->blocks[report->doc.count++];
}

void tfw_report_line(tfw_report_t *report, tfw_block_kind_t kind, const char *text)
{
    add(report, kind)->text = text;
}

void tfw_report_facts(tfw_report_t *report, const tfw_doc_fact_t *facts, size_t count)
{
    tfw_doc_fact_t *own = tfw_report_alloc(report, count, sizeof(*facts));

    if (own) {
        tfw_doc_block_t *block = add(report, TFW_BLOCK_FACTS);

        memcpy(own, facts, count * sizeof(*facts));
        block->facts = own;
        block->nfacts = count;
    }
}

const char **tfw_report_table(tfw_report_t *report, const char *const *names, const bool *numbers,
                              size_t columns, size_t rows)
{
    tfw_doc_table_t *table = rows ? tfw_report_alloc(report, 1, sizeof(*table)) : NULL;
    const char **cells = table ? tfw_report_alloc(report, rows * columns, sizeof(*cells)) : NULL;

    if (!cells) {
        return NULL;
    }
    *table = (tfw_doc_table_t){
        .columns = columns, .names = names, .numbers = numbers, .rows = rows, .cells = cells};
    add(report, TFW_BLOCK_TABLE)->table = table;
    return cells;
}

tfw_report_points_t tfw_report_chart(tfw_report_t *report, tfw_chart_kind_t kind, const char *title,
                                     const char *const *names, const uint32_t *colours, size_t series,
                                     size_t points)
{
    tfw_doc_chart_t *chart = points ? tfw_report_alloc(report, 1, sizeof(*chart)) : NULL;
    tfw_report_points_t made = {NULL, NULL};

    if (chart) {
        made.values = tfw_report_alloc(report, series * points, sizeof(*made.values));
        made.labels = tfw_report_alloc(report, points, sizeof(*made.labels));
    }
    if (!made.values || !made.labels) {
        return (tfw_report_points_t){NULL, NULL};
    }
    *chart = (tfw_doc_chart_t){.kind = kind,
                               .title = title,
                               .series = series,
                               .names = names,
                               .colours = colours,
                               .points = points,
                               .labels = made.labels,
                               .values = made.values};
    add(report, TFW_BLOCK_CHART)->chart = chart;
    return made;
}
