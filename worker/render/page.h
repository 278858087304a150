/* page.h: pages of A4 that are filled from top to bottom, and texts on them. The one place that knows the
 * measures, the type scale and the colours. Lengths are points (1/72 inch). */
#ifndef TFW_PAGE_H
#define TFW_PAGE_H

#include <cairo.h>
#include <pango/pangocairo.h>

#include "worker/render.h"

#define PAGE_WIDTH 595.28
#define PAGE_HEIGHT 841.89
#define PAGE_SIDE 50.0
#define PAGE_TOP 62.0    /* where the text begins */
#define PAGE_BOTTOM 58.0 /* below the text */
#define PAGE_TEXT_WIDTH (PAGE_WIDTH - 2 * PAGE_SIDE)

#define GAP 8.0 /* between things; all distances are multiples of a quarter of it */

#define INK 0x1b2733
#define MUTED 0x66727f
#define RULE 0xd8dee5
#define TINT 0xf3f6f9
#define ACCENT 0x2b6cb0

/* One scale: 7.5, 9, 12, 16, 23. */
typedef enum {
    STYLE_SMALL,
    STYLE_SMALL_BOLD,
    STYLE_BODY,
    STYLE_STRONG,
    STYLE_HEADING,
    STYLE_FIGURE,
    STYLE_TITLE,
    STYLE_FIXED,
    STYLES
} tfw_style_t;

typedef struct {
    cairo_t *cr; /* NULL: nothing is open */
    cairo_surface_t *surface;
    PangoLayout *layout;
    PangoFontDescription *fonts[STYLES];
    tfw_render_job_t *job;
    int fd; /* -1: nothing is written, the pages are only counted */
    int64_t written;
    double y; /* where the next thing begins */
    int page; /* the one under way, from 1; 0: none */
    int of;   /* how many there will be; 0: not known */
    const char *title;
    const char *footer;
} tfw_page_t;

/* A PDF into fd (-1: for nobody), or with svg an SVG of that size. false: the job's error is set. */
bool tfw_page_open(tfw_page_t *p, tfw_render_job_t *job, int fd, bool svg, double width, double height);

/* A layout of one paragraph, in which nothing is hyphenated. The caller's. */
PangoLayout *tfw_page_layout(tfw_page_t *p);

/* Ends the last page and the file. false: the job's error is set, or was. */
bool tfw_page_close(tfw_page_t *p);

/* false: the job has failed or is cancelled. */
bool tfw_page_go_on(tfw_page_t *p);

bool tfw_page_fail(tfw_page_t *p, const char *why);

/* Begins a page: with its number at the foot, and from the second one on with the title at the top. */
void tfw_page_begin(tfw_page_t *p);

/* Begins a page unless so much still fits on this one. true: it did. */
bool tfw_page_need(tfw_page_t *p, double height);

void tfw_page_colour(tfw_page_t *p, uint32_t rgb);
void tfw_page_box(tfw_page_t *p, double x, double y, double width, double height, uint32_t rgb);
void tfw_page_rule(tfw_page_t *p, double x, double y, double width, uint32_t rgb);

typedef enum { PLACE_LEFT, PLACE_RIGHT, PLACE_MIDDLE } tfw_place_t;

/* What a text takes up: within width (0: one line), of at most so many lines (0: any number). */
typedef struct {
    tfw_style_t style;
    tfw_place_t place;
    double width;
    int lines;
    uint32_t colour;
} tfw_text_t;

double tfw_text_height(tfw_page_t *p, const tfw_text_t *how, const char *text);
double tfw_text_width(tfw_page_t *p, tfw_style_t style, const char *text);

/* Its upper edge is y. Without a width x is where it begins, ends or has its middle; with one, where that
 * begins. Returns the height. */
double tfw_text_draw(tfw_page_t *p, const tfw_text_t *how, double x, double y, const char *text);

void tfw_table_draw(tfw_page_t *p, const tfw_doc_table_t *table);

/* How high it is to be. */
double tfw_chart_height(const tfw_doc_chart_t *chart);
void tfw_chart_draw(tfw_page_t *p, const tfw_doc_chart_t *chart, double x, double y, double width);

bool tfw_document_render(tfw_render_job_t *job, const tfw_doc_t *doc, int fd);
bool tfw_plain_render(tfw_render_job_t *job, int in_fd, const char *title, int fd);
bool tfw_chart_render(tfw_render_job_t *job, const tfw_doc_chart_t *chart, int fd);

#endif
