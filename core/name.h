/* name.h: what names of queues and of files are made of. */
#ifndef TF_NAME_H
#define TF_NAME_H

#include <stdbool.h>

/* A letter of ASCII, a digit, '_', '.' or '-'. */
static inline bool tf_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

#endif
