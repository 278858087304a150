/* Bars, columns and lines: a title with the names of the series beside it, a grid of few lines, values where
 * they fit. */
#include <math.h>
#include <string.h>

#include "page.h"

#define BODY 130.0 /* of columns and lines, without title and labels */
#define HEAD 20.0
#define FOOT 16.0
#define BAR_ROW 17.0
#define LABELS_MAX 150.0 /* beside bars */
#define TICKS 4
#define COLUMN_MOST 36.0

static const uint32_t palette[TFW_CHART_SERIES_MAX] = {ACCENT, 0xc0563f, 0x8a97a5, 0x3f8f73};

static uint32_t colour_of(const tfw_doc_chart_t *chart, size_t series)
{
    return chart->colours ? chart->colours[series] : palette[series];
}

static double value_of(const tfw_doc_chart_t *chart, size_t point, size_t series)
{
    double value = chart->values[point * chart->series + series];

    return isfinite(value) ? value : 0;
}

static size_t bars_of(const tfw_doc_chart_t *chart)
{
    return chart->points < TFW_CHART_BARS_MAX ? chart->points : TFW_CHART_BARS_MAX;
}

double tfw_chart_height(const tfw_doc_chart_t *chart)
{
    return chart->kind == TFW_CHART_BARS ? HEAD + BAR_ROW * (double)bars_of(chart) + GAP : HEAD + BODY + FOOT;
}

static double highest_of(const tfw_doc_chart_t *chart)
{
    double highest = 0;

    for (size_t i = 0; i < chart->points; i++) {
        double sum = 0;

        for (size_t s = 0; s < chart->series; s++) {
            double value = value_of(chart, i, s);

            sum = chart->kind == TFW_CHART_COLUMNS ? sum + value : value > sum ? value : sum;
        }
        highest = sum > highest ? sum : highest;
    }
    return highest;
}

/* 1, 2 or 5 times a power of ten, so that TICKS of them reach over the highest. */
static double step_of(double highest)
{
    double rough = highest > 0 ? highest / TICKS : 1, power = pow(10, floor(log10(rough))),
           part = rough / power;

    return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}

static const char *short_number(double value, char *text, size_t size)
{
    if (value >= 1e9) {
        snprintf(text, size, "%.3g G", value / 1e9);
    } else if (value >= 1e6) {
        snprintf(text, size, "%.3g M", value / 1e6);
    } else if (value >= 1e4) {
        snprintf(text, size, "%.3g k", value / 1e3);
    } else {
        snprintf(text, size, "%.4g", value);
    }
    return text;
}

static void draw_head(tfw_page_t *p, const tfw_doc_chart_t *chart, double x, double y, double width)
{
    tfw_text_t title = {.style = STYLE_STRONG, .width = width * 0.6, .lines = 1, .colour = INK};
    tfw_text_t legend = {.style = STYLE_SMALL, .colour = MUTED, .place = PLACE_RIGHT};
    double right = x + width;

    tfw_text_draw(p, &title, x, y, chart->title);
    for (size_t s = chart->series; chart->series > 1 && s-- > 0;) {
        tfw_text_draw(p, &legend, right, y + 1, chart->names[s]);
        right -= tfw_text_width(p, STYLE_SMALL, chart->names[s]) + 10;
        tfw_page_box(p, right, y + 3, 6, 6, colour_of(chart, s));
        right -= 10;
    }
}

/* ---- bars ---- */

static void draw_bars(tfw_page_t *p, const tfw_doc_chart_t *chart, double x, double y, double width)
{
    double highest = highest_of(chart), label = 0;

    for (size_t i = 0; i < bars_of(chart); i++) {
        double wide = tfw_text_width(p, STYLE_SMALL, chart->labels[i]);

        label = wide > label ? wide : label;
    }
    label = label > LABELS_MAX ? LABELS_MAX : label;
    for (size_t i = 0; i < bars_of(chart); i++) {
        tfw_text_t name = {
            .style = STYLE_SMALL, .place = PLACE_RIGHT, .width = label, .lines = 1, .colour = INK};
        tfw_text_t number = {.style = STYLE_SMALL, .colour = MUTED};
        double value = value_of(chart, i, 0), top = y + BAR_ROW * (double)i;
        double length = highest > 0 ? (width - label - GAP - 50) * value / highest : 0;
        char text[32];

        tfw_text_draw(p, &name, x, top + 2, chart->labels[i]);
        tfw_page_box(p, x + label + GAP, top + 2, length < 0.75 ? 0.75 : length, BAR_ROW - 6,
                     colour_of(chart, 0));
        tfw_text_draw(p, &number, x + label + GAP + length + 4, top + 2,
                      short_number(value, text, sizeof(text)));
    }
}

/* ---- columns and lines ---- */

typedef struct {
    double x, y, width, top; /* of the body; top: the value at its upper edge */
    double slot;             /* of a point */
} axes_t;

static double height_of(const axes_t *a, double value)
{
    return BODY * value / a->top;
}

static void draw_axes(tfw_page_t *p, const tfw_doc_chart_t *chart, axes_t *a)
{
    double step = step_of(highest_of(chart)), wide = 0, every;
    tfw_text_t how = {.style = STYLE_SMALL, .place = PLACE_RIGHT, .colour = MUTED};
    int ticks = (int)ceil(highest_of(chart) / step);
    char text[32];

    ticks = ticks < 1 ? 1 : ticks;
    a->top = step * ticks;
    for (int i = 0; i <= ticks; i++) {
        double w = tfw_text_width(p, STYLE_SMALL, short_number(step * i, text, sizeof(text)));

        wide = w > wide ? w : wide;
    }
    for (int i = 0; i <= ticks; i++) {
        double y = a->y + BODY - height_of(a, step * i);

        tfw_text_draw(p, &how, a->x + wide, y - 5, short_number(step * i, text, sizeof(text)));
        tfw_page_rule(p, a->x + wide + 6, y, a->width - wide - 6, i ? RULE : MUTED);
    }
    a->x += wide + 6;
    a->width -= wide + 6;
    a->slot = a->width / (double)(chart->points ? chart->points : 1);
    wide = 0;
    for (size_t i = 0; i < chart->points; i++) {
        double w = tfw_text_width(p, STYLE_SMALL, chart->labels[i]);

        wide = w > wide ? w : wide;
    }
    every = ceil((wide + 6) / a->slot);
    how.place = PLACE_MIDDLE;
    for (size_t i = 0; i < chart->points; i += (size_t)(every < 1 ? 1 : every)) {
        tfw_text_draw(p, &how, a->x + a->slot * ((double)i + 0.5), a->y + BODY + 4, chart->labels[i]);
    }
}

static void draw_columns(tfw_page_t *p, const tfw_doc_chart_t *chart, const axes_t *a)
{
    double wide = a->slot * 0.7 > COLUMN_MOST ? COLUMN_MOST : a->slot * 0.7;

    for (size_t i = 0; i < chart->points; i++) {
        double base = a->y + BODY;

        for (size_t s = 0; s < chart->series; s++) {
            double height = height_of(a, value_of(chart, i, s));

            base -= height;
            if (height > 0) {
                tfw_page_box(p, a->x + a->slot * ((double)i + 0.5) - wide / 2, base, wide, height,
                             colour_of(chart, s));
            }
        }
    }
}

/* A point between two that are missing is a dot. */
static void draw_lines(tfw_page_t *p, const tfw_doc_chart_t *chart, const axes_t *a)
{
    cairo_set_line_width(p->cr, 1.5);
    cairo_set_line_cap(p->cr, CAIRO_LINE_CAP_ROUND);
    cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    for (size_t s = 0; s < chart->series; s++) {
        bool drawing = false;

        tfw_page_colour(p, colour_of(chart, s));
        for (size_t i = 0; i < chart->points; i++) {
            double value = chart->values[i * chart->series + s];
            double x = a->x + a->slot * ((double)i + 0.5);

            if (!isfinite(value)) {
                drawing = false;
                continue;
            }
            if (!drawing) {
                cairo_move_to(p->cr, x, a->y + BODY - height_of(a, value));
            }
            cairo_line_to(p->cr, x, a->y + BODY - height_of(a, value));
            drawing = true;
        }
        cairo_stroke(p->cr);
    }
}

void tfw_chart_draw(tfw_page_t *p, const tfw_doc_chart_t *chart, double x, double y, double width)
{
    axes_t axes = {.x = x, .y = y + HEAD, .width = width};

    draw_head(p, chart, x, y, width);
    if (chart->kind == TFW_CHART_BARS) {
        draw_bars(p, chart, x, y + HEAD, width);
        return;
    }
    draw_axes(p, chart, &axes);
    if (chart->kind == TFW_CHART_COLUMNS) {
        draw_columns(p, chart, &axes);
    } else {
        draw_lines(p, chart, &axes);
    }
}

bool tfw_chart_render(tfw_render_job_t *job, const tfw_doc_chart_t *chart, int fd)
{
    tfw_page_t p;

    if (tfw_page_open(&p, job, fd, true, PAGE_TEXT_WIDTH, tfw_chart_height(chart))) {
        tfw_chart_draw(&p, chart, 0, 0, PAGE_TEXT_WIDTH);
    }
    return tfw_page_close(&p);
}
