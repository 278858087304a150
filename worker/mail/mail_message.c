#include "mail/mail_message.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define QP_LINE_MAX 75  /* and a '=' behind it */
#define BASE64_BYTES 57 /* of a line: 76 characters */
#define BASE64_LINES 64 /* read at once */
#define PIECE_MAX 8192  /* bytes that are put at once */

typedef struct {
    const tfw_mail_message_t *message;
    tfw_mail_put_fn put;
    void *data;
    tf_buf_t out; /* not put yet */
    bool stopped; /* by put */
} writer_t;

static void flush(writer_t *w)
{
    if (!w->stopped && !w->out.failed && w->out.len) {
        w->stopped = !w->put(w->data, w->out.data, w->out.len);
    }
    w->out.len = 0;
}

static void end_line(writer_t *w)
{
    tf_buf_adds(&w->out, "\r\n");
    if (w->out.len > PIECE_MAX) {
        flush(w);
    }
}

/* ---- bodies ---- */

/* RFC 2045, 6.7. Blanks before a line end are encoded, as they may be lost on the way. */
static void put_quoted_printable(writer_t *w, const char *text, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t width = 0;

    for (size_t i = 0; i < len && !w->stopped; i++) {
        unsigned char c = (unsigned char)text[i];
        bool crlf = c == '\r' && i + 1 < len && text[i + 1] == '\n', plain;
        const char *next = i + 1 < len ? &text[i + 1] : "\n";

        if (c == '\n' || c == '\r') {
            i += crlf;
            end_line(w);
            width = 0;
            continue;
        }
        plain =
            (c > ' ' && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && *next != '\n' && *next != '\r');
        if (width + (plain ? 1 : 3) > QP_LINE_MAX) {
            tf_buf_addc(&w->out, '=');
            end_line(w);
            width = 0;
        }
        if (plain) {
            tf_buf_addc(&w->out, (char)c);
            width++;
        } else {
            char code[3] = {'=', hex[c >> 4], hex[c & 15]};

            tf_buf_add(&w->out, code, sizeof(code));
            width += 3;
        }
    }
    end_line(w);
}

/* false: it cannot be read. */
static bool put_base64(writer_t *w, int fd)
{
    unsigned char bytes[BASE64_BYTES * BASE64_LINES], line[BASE64_BYTES / 3 * 4 + 1];
    ssize_t n = 1;

    if (lseek(fd, 0, SEEK_SET) != 0) {
        return false;
    }
    while (n > 0 && !w->stopped) {
        size_t have = 0;

        while (have < sizeof(bytes) && (n = read(fd, bytes + have, sizeof(bytes) - have)) != 0) {
            if (n < 0 && errno != EINTR) {
                return false;
            }
            have += n > 0 ? (size_t)n : 0;
        }
        for (size_t at = 0; at < have; at += BASE64_BYTES) {
            size_t part = have - at < BASE64_BYTES ? have - at : BASE64_BYTES;

            tf_buf_add(&w->out, line, (size_t)EVP_EncodeBlock(line, bytes + at, (int)part));
            end_line(w);
        }
    }
    return true;
}

/* ---- structure ----
 * "=_" is in no quoted-printable and in no base64, so boundaries that begin with it are in no part. */

static void put_boundary(writer_t *w, char kind, const char *end)
{
    tf_buf_addf(&w->out, "--=_%c_%s%s", kind, w->message->id, end);
    end_line(w);
}

static void put_multipart(writer_t *w, char kind, const char *subtype)
{
    tf_buf_addf(&w->out, "Content-Type: multipart/%s;\r\n boundary=\"=_%c_%s\"\r\n", subtype, kind,
                w->message->id);
    end_line(w);
}

static void put_text(writer_t *w, const char *subtype, const char *text, size_t len)
{
    tf_buf_addf(&w->out,
                "Content-Type: text/%s; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n",
                subtype);
    end_line(w);
    put_quoted_printable(w, text, len);
}

static void put_texts(writer_t *w)
{
    const tfw_mail_message_t *m = w->message;

    if (!m->text || !m->html) {
        put_text(w, m->text ? "plain" : "html", m->text ? m->text : m->html,
                 m->text ? m->text_len : m->html_len);
        return;
    }
    put_multipart(w, 'a', "alternative");
    put_boundary(w, 'a', "");
    put_text(w, "plain", m->text, m->text_len);
    put_boundary(w, 'a', "");
    put_text(w, "html", m->html, m->html_len);
    put_boundary(w, 'a', "--");
}

static bool put_attachment(writer_t *w, const tfw_mail_attachment_t *attachment, char *error,
                           size_t error_size)
{
    put_boundary(w, 'm', "");
    tf_buf_addf(&w->out, "Content-Type: %s\r\nContent-Transfer-Encoding: base64\r\n",
                attachment->content_type);
    tfw_mail_field_attachment(&w->out, attachment->name);
    end_line(w);
    end_line(w);
    if (!put_base64(w, attachment->fd)) {
        snprintf(error, error_size, "%s: %s", attachment->path, strerror(errno));
        return false;
    }
    return true;
}

static void put_header(writer_t *w)
{
    const tfw_mail_message_t *m = w->message;
    struct tm tm;
    char date[64];

    gmtime_r(&m->date, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm); /* the locale is C */
    tf_buf_addf(&w->out, "Date: %s\r\n", date);
    tfw_mail_field_addresses(&w->out, "From", m->from, 1);
    end_line(w);
    if (m->nto) {
        tfw_mail_field_addresses(&w->out, "To", m->to, m->nto);
    } else {
        tf_buf_adds(&w->out, "To: undisclosed-recipients:;");
    }
    end_line(w);
    if (m->ncc) {
        tfw_mail_field_addresses(&w->out, "Cc", m->cc, m->ncc);
        end_line(w);
    }
    if (m->reply_to) {
        tfw_mail_field_addresses(&w->out, "Reply-To", m->reply_to, 1);
        end_line(w);
    }
    tfw_mail_field_text(&w->out, "Subject", m->subject);
    tf_buf_addf(&w->out,
                "\r\nMessage-ID: <%s@%s>\r\n"
                "Auto-Submitted: auto-generated\r\n" /* RFC 3834: no vacation notice is wanted */
                "MIME-Version: 1.0",
                m->id, m->id_domain);
    end_line(w);
}

bool tfw_mail_message_write(const tfw_mail_message_t *message, tfw_mail_put_fn put, void *data, char *error,
                            size_t error_size)
{
    writer_t w = {.message = message, .put = put, .data = data};
    bool ok = true;

    error[0] = '\0';
    put_header(&w);
    if (message->nattachments) {
        put_multipart(&w, 'm', "mixed");
        put_boundary(&w, 'm', "");
    }
    put_texts(&w);
    for (size_t i = 0; i < message->nattachments && ok; i++) {
        ok = put_attachment(&w, &message->attachments[i], error, error_size);
    }
    if (message->nattachments) {
        put_boundary(&w, 'm', "--");
    }
    flush(&w);
    if (w.out.failed) {
        snprintf(error, error_size, "out of memory");
    }
    ok = ok && !w.stopped && !w.out.failed;
    tf_buf_free(&w.out);
    return ok;
}
