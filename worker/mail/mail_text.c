#include "mail/mail_text.h"

#include <ctype.h>
#include <idn2.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_MAX 64    /* bytes, RFC 5321, 4.5.3.1.1 */
#define ADDRESS_MAX 254 /* a path without its brackets */
#define LABEL_MAX 63
#define LINE_MAX_WANTED 76 /* RFC 2047, 2; of a line of any field at most 998 */
#define WORD_AROUND 12     /* bytes of an encoded word beside its base64 */
#define WORD_BYTES 45      /* in an encoded word: 60 in base64 */
#define WORD_BYTES_MIN 12  /* less room than that is not used */

bool tfw_mail_one_line(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        /* C0 and DEL; C1 (U+0080 to U+009F); the separators of lines and paragraphs (U+2028, U+2029) */
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < len && (unsigned char)text[i + 1] < 0xa0) ||
            (c == 0xe2 && i + 2 < len && (unsigned char)text[i + 1] == 0x80 &&
             ((unsigned char)text[i + 2] & 0xfe) == 0xa8)) {
            return false;
        }
    }
    return true;
}

/* ---- addresses ---- */

/* RFC 5322, 3.2.3 */
static bool is_atext(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_string(const char *text, size_t len)
{
    bool dot = true;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' ? dot : !is_atext(text[i])) {
            return false;
        }
        dot = text[i] == '.';
    }
    return !dot;
}

static bool is_ascii(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool is_domain(const char *text)
{
    size_t label = 0;
    const char *c = text;

    for (; *c; c++) {
        if (*c == '.' ? label == 0 || c[-1] == '-' : !isalnum((unsigned char)*c) && (*c != '-' || !label)) {
            return false;
        }
        label = *c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX) {
            return false;
        }
    }
    return label > 0 && c[-1] != '-';
}

/* IDNA (RFC 5891, UTS 46); malloc, NULL: there is none. */
static char *domain_to_ascii(const char *domain)
{
    char *ascii = NULL, *copy = NULL;

    if (idn2_to_ascii_8z(domain, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) == IDN2_OK) {
        copy = strdup(ascii);
    }
    idn2_free(ascii);
    return copy;
}

/* "local@domain" alone. */
static const char *read_address(const char *text, size_t len, char **out)
{
    const char *at = memrchr(text, '@', len);
    size_t local = at ? (size_t)(at - text) : 0, size;
    char *domain;

    if (!at) {
        return "has no @";
    }
    if (local == 0 || local > LOCAL_MAX) {
        return local ? "has more than 64 characters before the @" : "has nothing before the @";
    }
    if (!is_dot_string(text, local)) {
        return "has characters before the @ that are not supported there: letters of ASCII, digits, "
               "!#$%&'*+-/=?^_`{|}~ and single points are";
    }
    domain = strndup(at + 1, len - local - 1);
    if (domain && !is_ascii(domain)) {
        char *ascii = domain_to_ascii(domain);

        free(domain);
        domain = ascii;
    }
    if (!domain || !is_domain(domain)) {
        free(domain);
        return "has no valid domain behind the @";
    }
    size = local + 1 + strlen(domain) + 1;
    *out = size - 1 <= ADDRESS_MAX ? malloc(size) : NULL;
    if (!*out) {
        free(domain);
        return "has more than 254 characters";
    }
    memcpy(*out, text, local + 1);
    for (size_t i = 0; i <= strlen(domain); i++) {
        (*out)[local + 1 + i] = (char)tolower((unsigned char)domain[i]);
    }
    free(domain);
    return NULL;
}

/* What stands before "<...>"; malloc, NULL: wrong quotes. */
static char *read_name(const char *text, size_t len)
{
    char *name = malloc(len + 1);
    bool quoted;
    size_t n = 0;

    while (len && text[len - 1] == ' ') {
        len--;
    }
    quoted = len && text[0] == '"';
    if (quoted && (len < 2 || text[len - 1] != '"')) {
        free(name);
        return NULL;
    }
    for (size_t i = quoted; name && i < len - quoted; i++) {
        if (quoted && text[i] == '"') {
            free(name);
            return NULL;
        }
        if (quoted && text[i] == '\\' && i + 1 < len - 1) {
            i++;
        }
        name[n++] = text[i];
    }
    if (name) {
        name[n] = '\0';
    }
    return name;
}

const char *tfw_mail_address_parse(const char *text, size_t len, tfw_mail_address_t *address)
{
    const char *open, *why;

    *address = (tfw_mail_address_t){NULL, NULL};
    if (!tfw_mail_one_line(text, len)) {
        return "has a line end or another control character";
    }
    while (len && *text == ' ') {
        text++;
        len--;
    }
    while (len && text[len - 1] == ' ') {
        len--;
    }
    open = len && text[len - 1] == '>' ? memrchr(text, '<', len) : NULL;
    address->name = open ? read_name(text, (size_t)(open - text)) : strdup("");
    if (!address->name) {
        return "has a name with quotes that are not closed";
    }
    why = open ? read_address(open + 1, len - 2 - (size_t)(open - text), &address->address)
               : read_address(text, len, &address->address);
    if (why) {
        tfw_mail_address_free(address);
    }
    return why;
}

void tfw_mail_address_free(tfw_mail_address_t *address)
{
    free(address->name);
    free(address->address);
    *address = (tfw_mail_address_t){NULL, NULL};
}

const char *tfw_mail_address_domain(const tfw_mail_address_t *address)
{
    return strrchr(address->address, '@') + 1;
}

/* ---- fields ---- */

/* Bytes in the line that is being written. */
static size_t column(const tf_buf_t *out)
{
    const char *end = out->data ? memrchr(out->data, '\n', out->len) : NULL;

    return end ? (size_t)(out->data + out->len - end - 1) : out->len;
}

/* As a line of ASCII with blanks to fold it at. */
static bool foldable(const char *text)
{
    size_t word = 0;

    if (!is_ascii(text) || strstr(text, "=?") || *text == ' ') {
        return false;
    }
    for (; *text; text++) {
        word = *text == ' ' ? 0 : word + 1;
        if (word > LINE_MAX_WANTED - 16 || (*text == ' ' && (text[1] == ' ' || !text[1]))) {
            return false;
        }
    }
    return true;
}

static void put_folded(tf_buf_t *out, const char *text)
{
    while (*text) {
        size_t word = strcspn(text + 1, " ") + 1; /* with the blank before it, from the second on */

        if (*text == ' ' && column(out) + word > LINE_MAX_WANTED) {
            tf_buf_adds(out, "\r\n");
        }
        tf_buf_add(out, text, word);
        text += word;
    }
}

/* Encoded words (RFC 2047), whole characters in each. */
static void put_encoded(tf_buf_t *out, const char *text)
{
    unsigned char base64[(WORD_BYTES + 2) / 3 * 4 + 1];
    size_t left = strlen(text);

    for (bool first = true; left; first = false) {
        size_t used = column(out) + WORD_AROUND,
               room = used < LINE_MAX_WANTED ? (LINE_MAX_WANTED - used) / 4 * 3 : 0, n;

        if (!first || room < WORD_BYTES_MIN) {
            tf_buf_adds(out, "\r\n ");
            room = WORD_BYTES;
        }
        n = left < room ? left : room;
        while (n < left && ((unsigned char)text[n] & 0xc0) == 0x80) {
            n--;
        }
        EVP_EncodeBlock(base64, (const unsigned char *)text, (int)n);
        tf_buf_addf(out, "=?utf-8?B?%s?=", base64);
        text += n;
        left -= n;
    }
}

void tfw_mail_field_text(tf_buf_t *out, const char *name, const char *text)
{
    tf_buf_addf(out, "%s: ", name);
    if (foldable(text)) {
        put_folded(out, text);
    } else {
        put_encoded(out, text);
    }
}

/* A display name: words, a quoted string or encoded words. */
static void put_name(tf_buf_t *out, const char *name)
{
    bool words = true;

    for (const char *c = name; *c; c++) {
        words = words && (is_atext(*c) || *c == ' ');
    }
    if (!foldable(name)) {
        put_encoded(out, name);
    } else if (words) {
        put_folded(out, name);
    } else {
        tf_buf_addc(out, '"');
        for (const char *c = name; *c; c++) {
            if (*c == '"' || *c == '\\') {
                tf_buf_addc(out, '\\');
            }
            tf_buf_addc(out, *c);
        }
        tf_buf_addc(out, '"');
    }
}

void tfw_mail_field_addresses(tf_buf_t *out, const char *name, const tfw_mail_address_t *addresses,
                              size_t count)
{
    tf_buf_addf(out, "%s:", name);
    for (size_t i = 0; i < count; i++) {
        const tfw_mail_address_t *a = &addresses[i];

        tf_buf_adds(out, i ? ",\r\n " : " ");
        if (*a->name) {
            put_name(out, a->name);
            tf_buf_adds(out, column(out) + strlen(a->address) + 3 > LINE_MAX_WANTED ? "\r\n " : " ");
            tf_buf_addf(out, "<%s>", a->address);
        } else {
            tf_buf_adds(out, a->address);
        }
    }
}

void tfw_mail_field_attachment(tf_buf_t *out, const char *filename)
{
    bool plain = true;

    for (const char *c = filename; *c; c++) {
        plain = plain && (isalnum((unsigned char)*c) || strchr(" .-_", *c));
    }
    tf_buf_adds(out, "Content-Disposition: attachment;\r\n ");
    if (plain && strlen(filename) < LINE_MAX_WANTED) {
        tf_buf_addf(out, "filename=\"%s\"", filename);
        return;
    }
    tf_buf_adds(out, "filename*=utf-8''"); /* RFC 2231 */
    for (const char *c = filename; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-._", *c)) {
            tf_buf_addc(out, *c);
        } else {
            tf_buf_addf(out, "%%%02X", (unsigned char)*c);
        }
    }
}
