/* number.h: decimal numbers as they stand in data files. */
#ifndef TFW_NUMBER_H
#define TFW_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#define TFW_NUMBER_LEN_MAX 400 /* bytes; longer texts are not taken for numbers */

/* Reads [+-] digits [. digits] [e [+-] digits], the whole text, with at least one digit before or after the
 * point. No spaces, no hexadecimal, no "inf" or "nan", whatever the locale. The value is the double nearest
 * to the text. false: not such a number, or too large for a double; *value is then unchanged. */
bool tfw_number_parse(const char *text, size_t len, double *value);

#endif
