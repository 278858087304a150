#include "page.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "worker/write_all.h"

/* Of the fonts that the machine has; conf/packages brings DejaVu. */
#define SANS "DejaVu Sans, sans-serif"
#define FIXED "DejaVu Sans Mono, monospace"

static const struct {
    const char *family;
    double size;
    bool bold;
} styles[STYLES] = {
    [STYLE_SMALL] = {SANS, 7.5, false}, [STYLE_SMALL_BOLD] = {SANS, 7.5, true},
    [STYLE_BODY] = {SANS, 9, false},    [STYLE_STRONG] = {SANS, 9, true},
    [STYLE_HEADING] = {SANS, 12, true}, [STYLE_FIGURE] = {SANS, 16, true},
    [STYLE_TITLE] = {SANS, 23, true},   [STYLE_FIXED] = {FIXED, 9, false},
};

bool tfw_page_fail(tfw_page_t *p, const char *why)
{
    if (!p->job->error[0] && !p->job->cancelled) {
        snprintf(p->job->error, sizeof(p->job->error), "%s", why);
    }
    return false;
}

bool tfw_page_go_on(tfw_page_t *p)
{
    if (p->job->error[0] || p->job->cancelled) {
        return false;
    }
    p->job->cancelled = !p->job->go_on(p->job->data);
    return !p->job->cancelled;
}

static cairo_status_t write_out(void *closure, const unsigned char *data, unsigned int length)
{
    tfw_page_t *p = closure;

    p->written += length;
    if (p->written > p->job->bytes_max) {
        tfw_page_fail(p, "the document has too many bytes");
        return CAIRO_STATUS_WRITE_ERROR;
    }
    if (p->fd >= 0 && !tfw_write_all(p->fd, data, length)) {
        tfw_page_fail(p, strerror(errno));
        return CAIRO_STATUS_WRITE_ERROR;
    }
    return CAIRO_STATUS_SUCCESS;
}

/* What the libraries have to say is nobody's log. */
static void be_quiet(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer data)
{
}

PangoLayout *tfw_page_layout(tfw_page_t *p)
{
    PangoLayout *layout = pango_cairo_create_layout(p->cr);
    PangoAttrList *attributes = pango_attr_list_new();

    pango_attr_list_insert(attributes, pango_attr_insert_hyphens_new(FALSE));
    pango_layout_set_attributes(layout, attributes);
    pango_attr_list_unref(attributes);
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
    return layout;
}

bool tfw_page_open(tfw_page_t *p, tfw_render_job_t *job, int fd, bool svg, double width, double height)
{
    memset(p, 0, sizeof(*p));
    p->job = job;
    p->fd = fd;
    g_log_set_default_handler(be_quiet, NULL);
    p->surface = svg ? cairo_svg_surface_create_for_stream(write_out, p, width, height)
                     : cairo_pdf_surface_create_for_stream(write_out, p, width, height);
    p->cr = cairo_create(p->surface);
    p->layout = tfw_page_layout(p);
    for (int i = 0; i < STYLES; i++) {
        p->fonts[i] = pango_font_description_new();
        pango_font_description_set_family_static(p->fonts[i], styles[i].family);
        pango_font_description_set_absolute_size(p->fonts[i], styles[i].size * PANGO_SCALE);
        pango_font_description_set_weight(p->fonts[i],
                                          styles[i].bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    }
    return cairo_status(p->cr) == CAIRO_STATUS_SUCCESS ||
           tfw_page_fail(p, cairo_status_to_string(cairo_status(p->cr)));
}

bool tfw_page_close(tfw_page_t *p)
{
    cairo_status_t status;

    if (p->page > 0) {
        cairo_show_page(p->cr);
    }
    g_object_unref(p->layout);
    for (int i = 0; i < STYLES; i++) {
        pango_font_description_free(p->fonts[i]);
    }
    status = cairo_status(p->cr);
    cairo_destroy(p->cr);
    cairo_surface_finish(p->surface);
    if (status == CAIRO_STATUS_SUCCESS) {
        status = cairo_surface_status(p->surface);
    }
    cairo_surface_destroy(p->surface);
    if (status != CAIRO_STATUS_SUCCESS) {
        tfw_page_fail(p, cairo_status_to_string(status));
    }
    p->job->pages = p->page;
    return !p->job->error[0] && !p->job->cancelled;
}

/* ---- pages ---- */

static void furnish(tfw_page_t *p)
{
    tfw_text_t how = {.style = STYLE_SMALL, .colour = MUTED, .width = PAGE_TEXT_WIDTH - 90, .lines = 1};
    double y = PAGE_HEIGHT - PAGE_BOTTOM + 3 * GAP;
    char number[40];

    if (p->page > 1 && p->title) {
        tfw_text_draw(p, &how, PAGE_SIDE, 4 * GAP, p->title);
    }
    tfw_page_rule(p, PAGE_SIDE, y - GAP, PAGE_TEXT_WIDTH, RULE);
    if (p->footer) {
        tfw_text_draw(p, &how, PAGE_SIDE, y, p->footer);
    }
    snprintf(number, sizeof(number), p->of ? "Page %d of %d" : "Page %d", p->page, p->of);
    how.place = PLACE_RIGHT;
    how.width = 0;
    tfw_text_draw(p, &how, PAGE_WIDTH - PAGE_SIDE, y, number);
}

void tfw_page_begin(tfw_page_t *p)
{
    if (p->page > 0) {
        cairo_show_page(p->cr);
    }
    if (p->page == p->job->pages_max) {
        tfw_page_fail(p, "the document has too many pages");
        return;
    }
    p->page++;
    furnish(p);
    p->y = PAGE_TOP;
}

bool tfw_page_need(tfw_page_t *p, double height)
{
    if (p->y + height <= PAGE_HEIGHT - PAGE_BOTTOM || p->y <= PAGE_TOP) {
        return false;
    }
    tfw_page_begin(p);
    return true;
}

void tfw_page_colour(tfw_page_t *p, uint32_t rgb)
{
    cairo_set_source_rgb(p->cr, (double)(rgb >> 16 & 0xff) / 255, (double)(rgb >> 8 & 0xff) / 255,
                         (double)(rgb & 0xff) / 255);
}

void tfw_page_box(tfw_page_t *p, double x, double y, double width, double height, uint32_t rgb)
{
    tfw_page_colour(p, rgb);
    cairo_rectangle(p->cr, x, y, width, height);
    cairo_fill(p->cr);
}

void tfw_page_rule(tfw_page_t *p, double x, double y, double width, uint32_t rgb)
{
    tfw_page_box(p, x, y, width, 0.5, rgb);
}

/* ---- texts ---- */

static void set(tfw_page_t *p, const tfw_text_t *how, const char *text)
{
    static const PangoAlignment alignments[] = {
        [PLACE_LEFT] = PANGO_ALIGN_LEFT,
        [PLACE_RIGHT] = PANGO_ALIGN_RIGHT,
        [PLACE_MIDDLE] = PANGO_ALIGN_CENTER,
    };

    pango_layout_set_font_description(p->layout, p->fonts[how->style]);
    pango_layout_set_width(p->layout, how->width > 0 ? (int)(how->width * PANGO_SCALE) : -1);
    pango_layout_set_ellipsize(p->layout, how->lines ? PANGO_ELLIPSIZE_END : PANGO_ELLIPSIZE_NONE);
    pango_layout_set_height(p->layout, how->lines ? -how->lines : -1);
    pango_layout_set_alignment(p->layout, alignments[how->place]);
    pango_layout_set_text(p->layout, text ? text : "", -1);
}

double tfw_text_height(tfw_page_t *p, const tfw_text_t *how, const char *text)
{
    int height;

    set(p, how, text);
    pango_layout_get_size(p->layout, NULL, &height);
    return (double)height / PANGO_SCALE;
}

double tfw_text_width(tfw_page_t *p, tfw_style_t style, const char *text)
{
    tfw_text_t how = {.style = style};
    int width;

    set(p, &how, text);
    pango_layout_get_size(p->layout, &width, NULL);
    return (double)width / PANGO_SCALE;
}

double tfw_text_draw(tfw_page_t *p, const tfw_text_t *how, double x, double y, const char *text)
{
    int width, height;

    set(p, how, text);
    pango_layout_get_size(p->layout, &width, &height);
    if (how->width <= 0 && how->place != PLACE_LEFT) {
        x -= (double)width / PANGO_SCALE / (how->place == PLACE_MIDDLE ? 2 : 1);
    }
    tfw_page_colour(p, how->colour);
    cairo_move_to(p->cr, x, y);
    pango_cairo_show_layout(p->cr, p->layout);
    return (double)height / PANGO_SCALE;
}
