/* mail_message.h: one mail as it goes over the wire: header and MIME body (RFC 5322, 2045, 2046), 7 bits,
 * lines of up to 76 characters, CRLF. */
#ifndef TFW_MAIL_MESSAGE_H
#define TFW_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "mail/mail_text.h"

typedef struct {
    const char *name;         /* one line of UTF-8 */
    const char *content_type; /* "type/subtype" */
    const char *path;         /* for errors */
    int fd;                   /* read from its beginning to its end */
} tfw_mail_attachment_t;

/* Nothing in it is changed or freed. Texts are UTF-8 with any line ends. */
typedef struct {
    const char *id;        /* letters, digits and '-': Message-ID and the boundaries are made from it */
    const char *id_domain; /* behind the '@' of Message-ID */
    time_t date;
    const tfw_mail_address_t *from;
    const tfw_mail_address_t *to, *cc;
    size_t nto, ncc;
    const tfw_mail_address_t *reply_to; /* NULL: none */
    const char *subject;                /* one line */
    const char *text, *html;            /* NULL: none; one of them must be there */
    size_t text_len, html_len;
    const tfw_mail_attachment_t *attachments;
    size_t nattachments;
} tfw_mail_message_t;

/* Takes the next bytes; false: no more. */
typedef bool (*tfw_mail_put_fn)(void *data, const char *bytes, size_t len);

/* Hands the message over piece by piece. false: put said so, or an attachment could not be read; then error
 * says which and why, else it is "". */
bool tfw_mail_message_write(const tfw_mail_message_t *message, tfw_mail_put_fn put, void *data, char *error,
                            size_t error_size);

#endif
