/* mail_text.h: addresses and header fields of mail (RFC 5321, 5322, 2047, 2231). */
#ifndef TFW_MAIL_TEXT_H
#define TFW_MAIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

typedef struct {
    char *name;    /* what people read, UTF-8, malloc; "": none */
    char *address; /* local@domain in ASCII, the domain in lower case, malloc */
} tfw_mail_address_t;

/* Reads "ada@example.com", "Ada Lovelace <ada@example.com>" or "\"Lovelace, Ada\" <ada@example.com>" (UTF-8):
 * a part of RFC 5321. The local part is a dot-string of up to 64 ASCII characters, not a quoted one (nor is
 * there SMTPUTF8); the domain is names with points between them, no address literal; one of other letters
 * than ASCII becomes its IDNA form. NULL: it is fine, and *address is to be freed; else what is wrong ("has
 * ..."). */
const char *tfw_mail_address_parse(const char *text, size_t len, tfw_mail_address_t *address);

void tfw_mail_address_free(tfw_mail_address_t *address);

/* The part behind the '@'. */
const char *tfw_mail_address_domain(const tfw_mail_address_t *address);

/* true: neither a control character nor anything else that could begin another line. */
bool tfw_mail_one_line(const char *text, size_t len);

/* ---- fields: "Name: value", folded, without the last line end. The text is UTF-8 and of one line. ---- */

/* Unstructured, as Subject is. */
void tfw_mail_field_text(tf_buf_t *out, const char *name, const char *text);

/* A list of addresses. */
void tfw_mail_field_addresses(tf_buf_t *out, const char *name, const tfw_mail_address_t *addresses,
                              size_t count);

/* "Content-Disposition: attachment; filename=...". */
void tfw_mail_field_attachment(tf_buf_t *out, const char *filename);

#endif
