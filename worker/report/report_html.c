/* A report as one HTML file: its style is in it, its charts are pictures in it, and it runs nothing. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/report.h"
#include "worker/files.h"
#include "worker/write_all.h"

#define FLUSH_BYTES 65536
#define CHART_MAX (1024 * 1024)

typedef struct {
    tfw_run_t *run;
    const tfw_render_t *render;
    int fd;
    tf_buf_t out;
    bool failed; /* the reason is set */
} page_t;

static const char style[] =
    "body{font:15px/1.5 system-ui,'DejaVu Sans',sans-serif;color:#1b2733;max-width:60rem;margin:0 "
    "auto;padding:2rem 1.5rem 4rem;"
    "border-top:6px solid #2b6cb0}"
    "h1{font-size:2.2rem;line-height:1.2;margin:0}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}"
    ".sub,.note,footer{color:#66727f}.note,footer{font-size:.8rem}"
    "footer{margin-top:3rem;border-top:1px solid #d8dee5;padding-top:.75rem}"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem;margin:1.5rem 0}"
    ".facts div{background:#f3f6f9;padding:.7rem .9rem}.facts "
    "b{display:block;font-size:1.5rem;line-height:1.3}"
    ".facts span{font-size:.8rem;color:#66727f}"
    "img{display:block;width:100%;height:auto;margin:1.2rem 0}"
    "table{border-collapse:collapse;width:100%;font-size:.85rem;font-variant-numeric:tabular-nums}"
    "th{background:#f3f6f9;color:#66727f;border-bottom:1px solid #66727f;text-align:left}"
    "th,td{padding:.35rem .5rem;vertical-align:top;overflow-wrap:anywhere}td{border-bottom:1px solid #d8dee5}"
    ".n{text-align:right;white-space:nowrap}"
    "@media print{thead{display:table-header-group}tr,img{break-inside:avoid}}";

static void flush(page_t *p, size_t least)
{
    if (p->failed || (p->out.len < least && !p->out.failed)) {
        return;
    }
    if (!tfw_write_all(p->fd, p->out.data, p->out.len)) {
        tfw_run_error(p->run, "the report cannot be written: %s", strerror(errno));
        p->failed = true;
        return;
    }
    if (p->out.failed) {
        tfw_run_error(p->run, "out of memory");
        p->failed = true;
    }
    tf_buf_reset(&p->out);
}

static void escaped(page_t *p, const char *text)
{
    for (; text && *text; text++) {
        switch (*text) {
        case '<':
            tf_buf_adds(&p->out, "&lt;");
            break;
        case '>':
            tf_buf_adds(&p->out, "&gt;");
            break;
        case '&':
            tf_buf_adds(&p->out, "&amp;");
            break;
        case '"':
            tf_buf_adds(&p->out, "&quot;");
            break;
        default:
            tf_buf_addc(&p->out, *text);
        }
    }
}

static void element(page_t *p, const char *name, const char *attributes, const char *text)
{
    tf_buf_addf(&p->out, "<%s%s>", name, attributes);
    escaped(p, text);
    tf_buf_addf(&p->out, "</%s>\n", name);
}

static void table(page_t *p, const tfw_doc_table_t *t)
{
    tf_buf_adds(&p->out, "<table><thead><tr>");
    for (size_t c = 0; c < t->columns; c++) {
        element(p, "th", t->numbers[c] ? " class=n" : "", t->names[c]);
    }
    tf_buf_adds(&p->out, "</tr></thead><tbody>\n");
    for (size_t r = 0; r < t->rows; r++) {
        tf_buf_adds(&p->out, "<tr>");
        for (size_t c = 0; c < t->columns; c++) {
            element(p, "td", t->numbers[c] ? " class=n" : "", t->cells[r * t->columns + c]);
        }
        tf_buf_adds(&p->out, "</tr>\n");
        flush(p, FLUSH_BYTES);
    }
    tf_buf_adds(&p->out, "</tbody></table>\n");
}

/* The bytes of a small file, in base64. */
static bool add_base64(page_t *p, int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);
    unsigned char *bytes = size > 0 ? malloc((size_t)size) : NULL;
    char *room = bytes ? tf_buf_reserve(&p->out, (size_t)(size + 2) / 3 * 4 + 1) : NULL;
    bool ok = room && pread(fd, bytes, (size_t)size, 0) == (ssize_t)size;

    if (ok) {
        p->out.len += (size_t)EVP_EncodeBlock((unsigned char *)room, bytes, (int)size);
    }
    free(bytes);
    return ok;
}

static void chart(page_t *p, const tfw_doc_chart_t *c)
{
    tfw_render_job_t job = {
        .go_on = tfw_report_go_on, .data = p->run, .pages_max = 1, .bytes_max = CHART_MAX};
    int fd = tfw_run_temp_file(p->run);

    if (fd < 0) {
        p->failed = true;
        return;
    }
    tf_buf_adds(&p->out, "<img alt=\"");
    escaped(p, c->title);
    tf_buf_adds(&p->out, "\" src=\"data:image/svg+xml;base64,");
    if (!p->render->chart(&job, c, fd) || !add_base64(p, fd)) {
        tfw_run_error(p->run, "a chart cannot be drawn: %s", job.error[0] ? job.error : "out of memory");
        p->failed = true;
    }
    tf_buf_adds(&p->out, "\">\n");
    close(fd);
    flush(p, FLUSH_BYTES);
}

static void block(page_t *p, const tfw_doc_block_t *b)
{
    switch (b->kind) {
    case TFW_BLOCK_HEADING:
        element(p, "h2", "", b->text);
        break;
    case TFW_BLOCK_TEXT:
        element(p, "p", "", b->text);
        break;
    case TFW_BLOCK_NOTE:
        element(p, "p", " class=note", b->text);
        break;
    case TFW_BLOCK_FACTS:
        tf_buf_adds(&p->out, "<div class=facts>\n");
        for (size_t i = 0; i < b->nfacts; i++) {
            tf_buf_adds(&p->out, "<div>");
            element(p, "b", "", b->facts[i].value);
            element(p, "span", "", b->facts[i].label);
            tf_buf_adds(&p->out, "</div>\n");
        }
        tf_buf_adds(&p->out, "</div>\n");
        break;
    case TFW_BLOCK_TABLE:
        table(p, b->table);
        break;
    case TFW_BLOCK_CHART:
        chart(p, b->chart);
        break;
    }
}

tfw_outcome_t tfw_report_html(tfw_run_t *run, const tfw_render_t *render, const tfw_report_t *report, int fd)
{
    page_t p = {.run = run, .render = render, .fd = fd, .out = TF_BUF_INIT};

    tf_buf_adds(&p.out, "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
                        "<meta name=viewport content=\"width=device-width\">\n"
                        "<meta http-equiv=Content-Security-Policy "
                        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n");
    element(&p, "title", "", report->doc.title);
    tf_buf_addf(&p.out, "<style>%s</style></head><body>\n", style);
    element(&p, "h1", "", report->doc.title);
    element(&p, "p", " class=sub", report->doc.subtitle);
    for (size_t i = 0; i < report->doc.count && !p.failed && !tfw_run_cancelled(run); i++) {
        block(&p, &report->doc.blocks[i]);
    }
    element(&p, "footer", "", report->doc.footer);
    tf_buf_adds(&p.out, "</body></html>\n");
    flush(&p, 0);
    tf_buf_free(&p.out);
    return tfw_run_cancelled(run) ? TFW_CANCELLED : p.failed ? TFW_RETRY : TFW_OK;
}
