/* symbols.h: names of functions, read from the symbol tables of the files that are mapped into this process:
 * what backtrace_symbols(3) does, but with functions that are not exported. */
#ifndef TFW_SYMBOLS_H
#define TFW_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

#define TFW_SYMBOL_MAX 128

typedef struct {
    char function[TFW_SYMBOL_MAX]; /* "": the file has no symbol for it */
    char file[TFW_SYMBOL_MAX];     /* without its directory */
    size_t offset;                 /* bytes into the function, or into the file's image */
} tfw_symbol_t;

/* What is at an address of this process. false: nothing is mapped there. */
bool tfw_symbol_find(const void *address, tfw_symbol_t *symbol);

#endif
