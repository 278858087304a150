/* markdown.c: see markdown.h. */
#include "convert/markdown.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmark-gfm.h>
#include <cmark-gfm-core-extensions.h>

#define PIECE 65536
#define TEXT_WIDTH 78 /* columns */

/* No script, and nothing from elsewhere but the pictures and links of the text. */
static const char head[] =
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<style>\n"
    "body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1c2024; background: #fff;\n"
    "  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: break-word; }\n"
    "h1, h2, h3, h4, h5, h6 { line-height: 1.25; margin: 2rem 0 1rem; }\n"
    "a { color: #0b57d0; }\n"
    "img { max-width: 100%; }\n"
    "code, pre { font: 0.9em/1.5 ui-monospace, monospace; background: #f2f4f6; border-radius: 4px; }\n"
    "code { padding: 0.1em 0.3em; }\n"
    "pre { padding: 0.8rem 1rem; overflow-x: auto; }\n"
    "pre code { padding: 0; background: none; }\n"
    "blockquote { margin: 1rem 0; padding: 0 1rem; border-left: 4px solid #ccd2d8; color: #4a5158; }\n"
    "table { border-collapse: collapse; }\n"
    "th, td { border: 1px solid #ccd2d8; padding: 0.35rem 0.7rem; }\n"
    "</style>\n";

static void add_escaped(tf_buf_t *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            tf_buf_adds(out, "&amp;");
            break;
        case '<':
            tf_buf_adds(out, "&lt;");
            break;
        case '>':
            tf_buf_adds(out, "&gt;");
            break;
        default:
            tf_buf_addc(out, *text);
        }
    }
}

/* HTML becomes text: a block a paragraph of it. false: out of memory. */
static bool show_html(cmark_node *node)
{
    cmark_node *text = cmark_node_new(CMARK_NODE_TEXT), *paragraph;
    bool block = cmark_node_get_type(node) == CMARK_NODE_HTML_BLOCK;

    if (!text || !cmark_node_set_literal(text, cmark_node_get_literal(node))) {
        return false;
    }
    if (!block) {
        return cmark_node_replace(node, text);
    }
    paragraph = cmark_node_new(CMARK_NODE_PARAGRAPH);
    return paragraph && cmark_node_append_child(paragraph, text) && cmark_node_replace(node, paragraph);
}

static bool is_text(cmark_node_type type)
{
    return type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE;
}

/* Goes over the document: no HTML is left in it, and title has the words of its first heading. */
static bool walk(tfw_convert_t *c, cmark_node *document, tf_buf_t *title)
{
    cmark_iter *iter = cmark_iter_new(document);
    bool in_heading = false, titled = false, ok = true;
    cmark_event_type event;

    while (ok && (event = cmark_iter_next(iter)) != CMARK_EVENT_DONE) {
        cmark_node *node = cmark_iter_get_node(iter);
        cmark_node_type type = cmark_node_get_type(node);

        ok = tfw_convert_go_on(c);
        if (type == CMARK_NODE_HEADING && !titled) {
            in_heading = event == CMARK_EVENT_ENTER;
            titled = event == CMARK_EVENT_EXIT && title->len > 0;
        } else if (in_heading && is_text(type)) {
            tf_buf_adds(title, cmark_node_get_literal(node));
        } else if (in_heading && (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK)) {
            tf_buf_addc(title, ' ');
        }
        if (ok && (type == CMARK_NODE_HTML_BLOCK || type == CMARK_NODE_HTML_INLINE)) {
            ok = show_html(node);
            cmark_node_free(node);
        }
    }
    cmark_iter_free(iter);
    return ok || (c->outcome == TFW_OK && tfw_convert_memory(c));
}

/* Feeds the file to the parser; its memory is that of the text and its tree. */
static bool feed(tfw_convert_t *c, const tfw_input_t *in, cmark_parser *parser)
{
    char *buf = malloc(PIECE);
    off_t at = 0;
    ssize_t n;
    bool ok = buf || tfw_convert_memory(c);

    while (ok && (n = pread(in->fd, buf, PIECE, at)) != 0) {
        if (n < 0 && errno != EINTR) {
            ok = tfw_convert_fail(c, TFW_RETRY, "cannot read: %s", strerror(errno));
        } else if (n > 0) {
            cmark_parser_feed(parser, buf, (size_t)n);
            at += n;
            ok = tfw_convert_go_on(c);
        }
        if (ok && at > TFW_MARKDOWN_MAX) {
            ok = tfw_convert_fail(c, TFW_PERMANENT, "the text is longer than %d bytes", TFW_MARKDOWN_MAX);
        }
        tfw_convert_progress(c, (uint64_t)at, in->size, 0, 40);
    }
    free(buf);
    return ok;
}

static bool write_document(tfw_convert_t *c, int fd, const char *title, const char *body)
{
    tfw_output_t out = {.convert = c, .fd = fd};
    bool ok;

    tf_buf_adds(&out.buf, "<!DOCTYPE html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n<title>");
    add_escaped(&out.buf, title);
    tf_buf_adds(&out.buf, "</title>\n");
    tf_buf_adds(&out.buf, head);
    tf_buf_adds(&out.buf, "</head>\n<body>\n");
    tf_buf_adds(&out.buf, body);
    tf_buf_adds(&out.buf, "</body>\n</html>\n");
    ok = tfw_output_end(&out);
    tfw_output_free(&out);
    return ok;
}

static const int parse_options = CMARK_OPT_DEFAULT | CMARK_OPT_VALIDATE_UTF8; /* safe is the default */

static cmark_parser *new_parser(void)
{
    static const char *const extensions[] = {"table", "strikethrough", "autolink", "tasklist"};
    cmark_parser *parser;
    size_t i;

    cmark_gfm_core_extensions_ensure_registered();
    parser = cmark_parser_new(parse_options);
    for (i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        cmark_parser_attach_syntax_extension(parser, cmark_find_syntax_extension(extensions[i]));
    }
    return parser;
}

bool tfw_markdown_html(tfw_convert_t *c, const tfw_input_t *in, int out_fd, const char *title,
                       const char *fallback)
{
    tf_buf_t heading = {.limit = 1024};
    cmark_parser *parser = new_parser();
    cmark_node *document = feed(c, in, parser) ? cmark_parser_finish(parser) : NULL;
    bool ok = document && walk(c, document, &heading);
    char *body =
        ok ? cmark_render_html(document, parse_options, cmark_parser_get_syntax_extensions(parser)) : NULL;

    if (body) {
        heading.failed = false; /* a long one is cut */
        title = title ? title : heading.len > 0 ? tf_buf_cstr(&heading) : fallback;
        ok = write_document(c, out_fd, title, body);
    }
    free(body);
    if (document) {
        cmark_node_free(document);
    }
    cmark_parser_free(parser);
    tf_buf_free(&heading);
    return ok && c->outcome == TFW_OK;
}

bool tfw_markdown_text(tfw_convert_t *c, const tfw_input_t *in, int out_fd)
{
    tfw_output_t out = {.convert = c, .fd = out_fd};
    cmark_parser *parser = new_parser();
    cmark_node *document = feed(c, in, parser) ? cmark_parser_finish(parser) : NULL;
    char *text = document ? cmark_render_plaintext(document, parse_options, TEXT_WIDTH) : NULL;
    bool ok = text != NULL;

    if (ok) {
        tf_buf_adds(&out.buf, text);
        ok = tfw_output_end(&out);
    }
    free(text);
    if (document) {
        cmark_node_free(document);
    }
    cmark_parser_free(parser);
    tfw_output_free(&out);
    return ok && c->outcome == TFW_OK;
}
