/* A plain text, line by line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "page.h"

#define PIECE 2048 /* bytes of a line that are broken into rows together; pango takes time by the square */
#define TAB 8      /* columns */

typedef struct {
    tfw_page_t page;
    PangoLayout *layout; /* of the lines */
    FILE *in;
    char line[PIECE];
    size_t len;
    int64_t lines;
} plain_t;

/* The next line, without its end, or as much of it as there is room for; a form feed ends one too, and stays
 * in *end. false: there is none. */
static bool next_line(plain_t *t, int *end)
{
    int c = EOF;

    t->len = 0;
    *end = 0;
    while (t->len < sizeof(t->line) - 4 && (c = getc_unlocked(t->in)) != EOF && c != '\n' && c != '\f') {
        t->line[t->len++] = (char)c;
    }
    /* not in the middle of a character */
    while (t->len >= sizeof(t->line) - 4 && t->len < sizeof(t->line) && (c = getc_unlocked(t->in)) != EOF) {
        if ((c & 0xC0) != 0x80) {
            ungetc(c, t->in);
            break;
        }
        t->line[t->len++] = (char)c;
    }
    if (c == EOF && t->len == 0) {
        return false;
    }
    if (t->len > 0 && t->line[t->len - 1] == '\r') {
        t->len--;
    }
    *end = c;
    return true;
}

/* Each row that it takes by itself, so that it may go on over a page. */
static void draw_line(plain_t *t, const char *text)
{
    tfw_page_t *p = &t->page;
    pango_layout_set_text(t->layout, text, -1);
    for (int i = 0; i < pango_layout_get_line_count(t->layout) && tfw_page_go_on(p); i++) {
        PangoLayoutLine *row = pango_layout_get_line_readonly(t->layout, i);
        PangoRectangle box;

        pango_layout_line_get_extents(row, NULL, &box);
        tfw_page_need(p, (double)box.height / PANGO_SCALE);
        tfw_page_colour(p, INK);
        cairo_move_to(p->cr, PAGE_SIDE, p->y - (double)box.y / PANGO_SCALE);
        pango_cairo_show_layout_line(p->cr, row);
        p->y += (double)box.height / PANGO_SCALE;
    }
}

static void set_up(plain_t *t)
{
    PangoTabArray *tabs = pango_tab_array_new(1, FALSE);
    double column = tfw_text_width(&t->page, STYLE_FIXED, "0");

    t->layout = tfw_page_layout(&t->page);
    pango_tab_array_set_tab(tabs, 0, PANGO_TAB_LEFT, (int)(column * TAB * PANGO_SCALE));
    pango_layout_set_tabs(t->layout, tabs);
    pango_tab_array_free(tabs);
    pango_layout_set_font_description(t->layout, t->page.fonts[STYLE_FIXED]);
    pango_layout_set_width(t->layout, (int)(PAGE_TEXT_WIDTH * PANGO_SCALE));
}

static void draw(plain_t *t)
{
    tfw_page_t *p = &t->page;
    int end;

    set_up(t);
    while (next_line(t, &end) && tfw_page_go_on(p)) {
        char *text;

        if (t->lines++ == 0 && t->len >= 3 && memcmp(t->line, "\xEF\xBB\xBF", 3) == 0) {
            t->len -= 3;
            memmove(t->line, t->line + 3, t->len);
        }
        text = g_utf8_make_valid(t->line, (gssize)t->len);
        draw_line(t, text);
        g_free(text);
        if (end == '\f') {
            tfw_page_begin(p);
        }
    }
    if (ferror(t->in)) {
        tfw_page_fail(p, strerror(errno));
    }
    g_object_unref(t->layout);
}

bool tfw_plain_render(tfw_render_job_t *job, int in_fd, const char *title, int fd)
{
    plain_t *t = malloc(sizeof(*t));
    bool ok;

    if (!t) {
        snprintf(job->error, sizeof(job->error), "out of memory");
        return false;
    }
    t->lines = 0;
    t->in = NULL;
    if (tfw_page_open(&t->page, job, fd, false, PAGE_WIDTH, PAGE_HEIGHT)) {
        int own = dup(in_fd);

        t->in = own >= 0 ? fdopen(own, "rb") : NULL;
        t->page.footer = title;
        if (!t->in || fseek(t->in, 0, SEEK_SET) != 0) {
            tfw_page_fail(&t->page, strerror(errno));
        } else {
            tfw_page_begin(&t->page);
            draw(t);
        }
    }
    ok = tfw_page_close(&t->page);
    if (t->in) {
        fclose(t->in);
    }
    free(t);
    return ok;
}
