/* A document: its blocks from top to bottom, once to count the pages and once more to write them. */
#include <cairo-pdf.h>

#include "page.h"

#define FACTS_A_ROW 4
#define FACT_HEIGHT 46.0
#define KEPT_WITH_HEADING 90.0 /* a heading is not left alone at the foot of a page */

static void draw_facts(tfw_page_t *p, const tfw_doc_fact_t *facts, size_t count)
{
    size_t a_row = count < FACTS_A_ROW ? count : FACTS_A_ROW;
    double width = (PAGE_TEXT_WIDTH - GAP * (double)(a_row - 1)) / (double)a_row;

    for (size_t i = 0; i < count; i++) {
        double x = PAGE_SIDE + (width + GAP) * (double)(i % a_row);
        tfw_text_t value = {.style = STYLE_FIGURE, .width = width - 2 * GAP, .lines = 1, .colour = INK};
        tfw_text_t label = {.style = STYLE_SMALL, .width = width - 2 * GAP, .lines = 1, .colour = MUTED};

        if (i % a_row == 0) {
            tfw_page_need(p, FACT_HEIGHT);
        }
        tfw_page_box(p, x, p->y, width, FACT_HEIGHT, TINT);
        tfw_text_draw(p, &value, x + GAP, p->y + 7, facts[i].value);
        tfw_text_draw(p, &label, x + GAP, p->y + 29, facts[i].label);
        if (i % a_row == a_row - 1 || i == count - 1) {
            p->y += FACT_HEIGHT + GAP;
        }
    }
    p->y += GAP;
}

static void draw_text(tfw_page_t *p, tfw_style_t style, uint32_t colour, const char *text)
{
    tfw_text_t how = {.style = style, .width = PAGE_TEXT_WIDTH, .colour = colour};

    tfw_page_need(p, tfw_text_height(p, &how, text));
    p->y += tfw_text_draw(p, &how, PAGE_SIDE, p->y, text) + GAP;
}

static void draw_block(tfw_page_t *p, const tfw_doc_block_t *block)
{
    switch (block->kind) {
    case TFW_BLOCK_HEADING:
        tfw_page_need(p, KEPT_WITH_HEADING);
        p->y += p->y > PAGE_TOP ? GAP : 0;
        draw_text(p, STYLE_HEADING, INK, block->text);
        break;
    case TFW_BLOCK_TEXT:
        draw_text(p, STYLE_BODY, INK, block->text);
        break;
    case TFW_BLOCK_NOTE:
        draw_text(p, STYLE_SMALL, MUTED, block->text);
        break;
    case TFW_BLOCK_FACTS:
        draw_facts(p, block->facts, block->nfacts);
        break;
    case TFW_BLOCK_TABLE:
        tfw_table_draw(p, block->table);
        break;
    case TFW_BLOCK_CHART:
        tfw_page_need(p, tfw_chart_height(block->chart));
        tfw_chart_draw(p, block->chart, PAGE_SIDE, p->y, PAGE_TEXT_WIDTH);
        p->y += tfw_chart_height(block->chart) + 2 * GAP;
        break;
    }
}

static void draw_title(tfw_page_t *p, const tfw_doc_t *doc)
{
    tfw_text_t title = {.style = STYLE_TITLE, .width = PAGE_TEXT_WIDTH, .lines = 3, .colour = INK};
    tfw_text_t subtitle = {.style = STYLE_BODY, .width = PAGE_TEXT_WIDTH, .lines = 3, .colour = MUTED};

    tfw_page_box(p, 0, 0, PAGE_WIDTH, 6, ACCENT);
    p->y += tfw_text_draw(p, &title, PAGE_SIDE, p->y, doc->title) + GAP / 2;
    p->y += tfw_text_draw(p, &subtitle, PAGE_SIDE, p->y, doc->subtitle) + 2 * GAP;
}

static bool draw(tfw_render_job_t *job, const tfw_doc_t *doc, int fd, int pages)
{
    tfw_page_t p;

    if (tfw_page_open(&p, job, fd, false, PAGE_WIDTH, PAGE_HEIGHT)) {
        p.of = pages;
        p.title = doc->title;
        p.footer = doc->footer;
        cairo_pdf_surface_set_metadata(p.surface, CAIRO_PDF_METADATA_TITLE, doc->title);
        cairo_pdf_surface_set_metadata(p.surface, CAIRO_PDF_METADATA_CREATOR, "TaskForge " TF_VERSION);
        tfw_page_begin(&p);
        draw_title(&p, doc);
        for (size_t i = 0; i < doc->count && tfw_page_go_on(&p); i++) {
            draw_block(&p, &doc->blocks[i]);
        }
    }
    return tfw_page_close(&p);
}

bool tfw_document_render(tfw_render_job_t *job, const tfw_doc_t *doc, int fd)
{
    return draw(job, doc, -1, 0) && draw(job, doc, fd, job->pages);
}
