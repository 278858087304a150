#include "json_error.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KEY_SHOWN 64 /* bytes; each becomes at most 3 */

void tf_json_error(tf_buf_t *errors, const char *pointer, const char *fmt, ...)
{
    char detail[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    if (errors->len > 0 && errors->data[errors->len - 1] == '}') {
        tf_buf_addc(errors, ',');
    }
    tf_buf_addc(errors, '{');
    tf_json_kcstr(errors, "pointer", pointer);
    tf_json_kcstr(errors, "detail", detail);
    tf_buf_addc(errors, '}');
}

const char *tf_json_pointer(char out[TF_JSON_POINTER_SIZE], const char *parent, const char *key)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len = strnlen(parent, TF_JSON_POINTER_SIZE - 3 * KEY_SHOWN - 2);

    memcpy(out, parent, len);
    out[len++] = '/';
    for (const char *p = key; *p && p < key + KEY_SHOWN; p++) {
        unsigned char ch = (unsigned char)*p;

        if (ch == '~' || ch == '/') {
            out[len++] = '~';
            out[len++] = ch == '~' ? '0' : '1';
        } else if (isalnum(ch) || ch == '_' || ch == '-' || ch == '.') {
            out[len++] = (char)ch;
        } else {
            out[len++] = '%';
            out[len++] = hex[ch >> 4];
            out[len++] = hex[ch & 15];
        }
    }
    out[len] = '\0';
    return out;
}
