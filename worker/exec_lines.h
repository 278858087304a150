/* exec_lines.h: what a command says on its standard error, line by line: directives ("::progress 40") and the
 * job's log. */
#ifndef TFW_EXEC_LINES_H
#define TFW_EXEC_LINES_H

#include <stddef.h>

#include "handler.h"
#include "run.h"

#define TFW_EXEC_LAST_MAX 600 /* bytes */

typedef struct {
    tfw_run_t *run;
    size_t len;
    char line[TFW_LOG_LINE_MAX]; /* begun, and not ended yet; a longer one is cut in pieces */
    char last[TFW_EXEC_LAST_MAX];
} tfw_exec_lines_t;

/* No lines yet. */
void tfw_exec_lines_init(tfw_exec_lines_t *lines, tfw_run_t *run);

/* More bytes; every line that they complete is acted upon. */
void tfw_exec_lines_add(tfw_exec_lines_t *lines, const char *bytes, size_t len);

/* No more will come: the last line may lack its end. */
void tfw_exec_lines_end(tfw_exec_lines_t *lines);

/* The last line of the log, or what fits of it; "": there was none. */
const char *tfw_exec_lines_last(const tfw_exec_lines_t *lines);

#endif
