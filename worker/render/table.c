/* A table: columns as wide as what is in them, the first line again on every page. */
#include "page.h"

#define COLUMNS_MAX 32
#define MEASURED_MAX 400 /* rows that decide how wide the columns are */
#define CELL_SIDE 5.0
#define CELL_TOP 3.5
#define CELL_LINES 3
#define NARROWEST 28.0
#define TOGETHER 12 /* rows of a table that stays on one page */

typedef struct {
    tfw_page_t *page;
    const tfw_doc_table_t *table;
    size_t columns;
    double widths[COLUMNS_MAX]; /* with CELL_SIDE on both sides */
} grid_t;

static const char *cell(const grid_t *g, size_t row, size_t column)
{
    const char *text = g->table->cells[row * g->table->columns + column];

    return text ? text : "";
}

static double natural_width(const grid_t *g, size_t column)
{
    double widest = tfw_text_width(g->page, STYLE_SMALL_BOLD, g->table->names[column]);

    for (size_t r = 0; r < g->table->rows && r < MEASURED_MAX; r++) {
        double width = tfw_text_width(g->page, STYLE_SMALL, cell(g, r, column));

        widest = width > widest ? width : widest;
    }
    widest += 2 * CELL_SIDE + 1;
    return widest < NARROWEST ? NARROWEST : widest;
}

/* As wide as the widest cell, where all columns fit. Else those that need less than an equal share of the
 * room get what they need, and the others share the rest. */
static void measure(grid_t *g)
{
    bool settled[COLUMNS_MAX] = {false}, more = true;
    double sum = 0, room = PAGE_TEXT_WIDTH, share = 0;
    size_t open = g->columns;

    for (size_t c = 0; c < g->columns; c++) {
        g->widths[c] = natural_width(g, c);
        sum += g->widths[c];
    }
    while (sum > PAGE_TEXT_WIDTH && more && open > 0) {
        more = false;
        share = room / (double)open;
        for (size_t c = 0; c < g->columns; c++) {
            if (!settled[c] && g->widths[c] <= share) {
                settled[c] = more = true;
                room -= g->widths[c];
                open--;
            }
        }
    }
    for (size_t c = 0; c < g->columns; c++) {
        if (sum <= PAGE_TEXT_WIDTH) {
            g->widths[c] *= PAGE_TEXT_WIDTH / sum;
        } else if (!settled[c]) {
            g->widths[c] = share;
        }
    }
}

static double row_height(const grid_t *g, size_t row)
{
    double highest = 0;

    for (size_t c = 0; c < g->columns; c++) {
        tfw_text_t how = {.style = STYLE_SMALL, .width = g->widths[c] - 2 * CELL_SIDE, .lines = CELL_LINES};
        double height = tfw_text_height(g->page, &how, cell(g, row, c));

        highest = height > highest ? height : highest;
    }
    return highest + 2 * CELL_TOP;
}

static void draw_cells(const grid_t *g, tfw_style_t style, uint32_t colour,
                       const char *(*of)(const grid_t *, size_t, size_t), size_t row)
{
    double x = PAGE_SIDE;

    for (size_t c = 0; c < g->columns; c++) {
        tfw_text_t how = {.style = style,
                          .place = g->table->numbers[c] ? PLACE_RIGHT : PLACE_LEFT,
                          .width = g->widths[c] - 2 * CELL_SIDE,
                          .lines = CELL_LINES,
                          .colour = colour};

        tfw_text_draw(g->page, &how, x + CELL_SIDE, g->page->y + CELL_TOP, of(g, row, c));
        x += g->widths[c];
    }
}

static const char *name(const grid_t *g, size_t row, size_t column)
{
    return g->table->names[column];
}

static double head_height(const grid_t *g)
{
    double highest = 0;

    for (size_t c = 0; c < g->columns; c++) {
        tfw_text_t how = {
            .style = STYLE_SMALL_BOLD, .width = g->widths[c] - 2 * CELL_SIDE, .lines = CELL_LINES};
        double height = tfw_text_height(g->page, &how, g->table->names[c]);

        highest = height > highest ? height : highest;
    }
    return highest + 2 * CELL_TOP;
}

static void draw_head(const grid_t *g, double height)
{
    tfw_page_box(g->page, PAGE_SIDE, g->page->y, PAGE_TEXT_WIDTH, height, TINT);
    draw_cells(g, STYLE_SMALL_BOLD, MUTED, name, 0);
    g->page->y += height;
    tfw_page_rule(g->page, PAGE_SIDE, g->page->y, PAGE_TEXT_WIDTH, MUTED);
}

void tfw_table_draw(tfw_page_t *p, const tfw_doc_table_t *table)
{
    grid_t g = {
        .page = p, .table = table, .columns = table->columns < COLUMNS_MAX ? table->columns : COLUMNS_MAX};
    double head, height;

    measure(&g);
    head = head_height(&g);
    height = head;
    for (size_t r = 0; r < table->rows && (r == 0 || table->rows <= TOGETHER); r++) {
        height += row_height(&g, r);
    }
    tfw_page_need(p, height);
    draw_head(&g, head);
    for (size_t r = 0; r < table->rows && tfw_page_go_on(p); r++) {
        height = row_height(&g, r);
        if (tfw_page_need(p, height)) {
            draw_head(&g, head);
        }
        draw_cells(&g, STYLE_SMALL, INK, cell, r);
        p->y += height;
        tfw_page_rule(p, PAGE_SIDE, p->y, PAGE_TEXT_WIDTH, RULE);
    }
    p->y += 2 * GAP;
}
