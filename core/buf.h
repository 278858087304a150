/* buf.h: a growing text buffer and the one JSON writer. All functions are no-ops once `failed` is set (out of
 * memory or over the limit), so a caller checks once, at the end. */
#ifndef TF_BUF_H
#define TF_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *data; /* malloc; not NUL-terminated unless tf_buf_cstr was called */
    size_t len;
    size_t size;
    size_t limit; /* bytes; 0: none */
    bool failed;
} tf_buf_t;

#define TF_BUF_INIT                                                                                          \
    {                                                                                                        \
        NULL, 0, 0, 0, false                                                                                 \
    }

void tf_buf_free(tf_buf_t *b);

/* Keeps the memory, forgets the content and the failure. */
void tf_buf_reset(tf_buf_t *b);

/* Makes room for n more bytes; NULL on failure. The caller may write there and add to len. */
char *tf_buf_reserve(tf_buf_t *b, size_t n);

void tf_buf_add(tf_buf_t *b, const void *data, size_t len);
void tf_buf_adds(tf_buf_t *b, const char *cstr);
void tf_buf_addc(tf_buf_t *b, char c);
void tf_buf_addf(tf_buf_t *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tf_buf_addi(tf_buf_t *b, int64_t value);

/* NUL-terminates (the NUL is not counted in len). Returns "" for an empty or failed buffer. */
const char *tf_buf_cstr(tf_buf_t *b);

/* Length of the longest beginning that is valid UTF-8 (RFC 3629) without NUL; len if all of it is. */
size_t tf_utf8_span(const char *s, size_t len);

/* true: the text is valid UTF-8 (RFC 3629) without NUL, so PostgreSQL takes it. */
bool tf_utf8_valid(const char *s, size_t len);

/* A JSON string with quotes. Invalid UTF-8 becomes U+FFFD, so the output is always valid JSON. */
void tf_json_str(tf_buf_t *b, const char *s, size_t len);

/* ,"key": — the comma only when the last byte is not one of { [ : , or the buffer is empty. key needs no
 * escaping. */
void tf_json_key(tf_buf_t *b, const char *key);

void tf_json_kstr(tf_buf_t *b, const char *key, const char *s, size_t len); /* s == NULL: null */
void tf_json_kcstr(tf_buf_t *b, const char *key, const char *s);            /* s == NULL: null */
void tf_json_kint(tf_buf_t *b, const char *key, int64_t value);
void tf_json_kbool(tf_buf_t *b, const char *key, bool value);
void tf_json_kraw(tf_buf_t *b, const char *key, const char *json, size_t len); /* json == NULL: null */
/* RFC 3339 UTC with microseconds and Z, e.g. 2026-11-22T13:00:00.123456Z; TF_TIME_NONE: null. */
void tf_json_ktime(tf_buf_t *b, const char *key, int64_t us);
/* A finite double in the shortest form that reads back the same; NaN and infinities: null. */
void tf_json_kdouble(tf_buf_t *b, const char *key, double value);

/* The bare values of the two above. */
void tf_json_time(tf_buf_t *b, int64_t us);
void tf_json_double(tf_buf_t *b, double value);

#endif
