/* crash.h: where an executor was when a signal ended it. The executor notes the addresses of its stack on the
 * board as it dies; the daemon, which runs the same program at the same addresses, puts names to them. */
#ifndef TFW_CRASH_H
#define TFW_CRASH_H

#include <stddef.h>

#include "run.h"

#define TFW_TRACEBACK_MAX 8192 /* bytes */

/* In the executor: from here on SIGSEGV, SIGABRT, SIGBUS, SIGFPE and SIGILL leave their frames on the board
 * before they end the process. The handler runs on a stack of its own, so an overflow of the stack is told
 * too. */
void tfw_crash_watch(tfw_board_t *board);

/* In the daemon, after the executor's death: one line per frame, innermost first: function, offset and file
 * where there are symbols, else the address. Returns its length, 0 when the board holds no frames. out is
 * NUL-terminated. */
size_t tfw_crash_text(const tfw_board_t *board, char *out, size_t size);

#endif
