#include "crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "symbols.h"

#define HANDLER_FRAMES 2 /* usually: on_signal itself, and what the kernel made it return to */

static tfw_board_t *crash_board;

/* NULL where this is not known of the machine. */
static void *interrupted_at(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (void *)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (void *)context->uc_mcontext.pc;
#else
    (void)context;
    return NULL;
#endif
}

/* Async-signal-safe: backtrace(3) has loaded what it needs. The handler's own frames are left out: how many
 * they are depends on who else wraps signals (sanitizers do). Returning ends the process: the signal is at
 * its default again, and waits for the mask to be lifted. */
static void on_signal(int signum, siginfo_t *info, void *context)
{
    void *pc = interrupted_at(context);
    int depth = backtrace(crash_board->crash_frames, TFW_CRASH_FRAMES_MAX), first = 0;

    (void)info;
    while (first < depth && crash_board->crash_frames[first] != pc) {
        first++;
    }
    if (first == depth) {
        first = depth < HANDLER_FRAMES ? depth : HANDLER_FRAMES;
    }
    memmove(crash_board->crash_frames, crash_board->crash_frames + first,
            (size_t)(depth - first) * sizeof(crash_board->crash_frames[0]));
    crash_board->crash_depth = depth - first;
    raise(signum);
}

void tfw_crash_watch(tfw_board_t *board)
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_ONSTACK | SA_RESETHAND | SA_SIGINFO};
    static char alternate[64 * 1024];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    void *frame;

    crash_board = board;
    backtrace(&frame, 1); /* the first call loads libgcc_s, which a signal handler may not */
    sigaltstack(&stack, NULL);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
}

size_t tfw_crash_text(const tfw_board_t *board, char *out, size_t size)
{
    size_t len = 0;

    out[0] = '\0';
    for (int i = 0; i < board->crash_depth && i < TFW_CRASH_FRAMES_MAX; i++) {
        /* A frame's address is where it will go on, which may be the next function already. */
        const char *address = (const char *)board->crash_frames[i] - (i > 0);
        tfw_symbol_t symbol;
        int n;

        if (!tfw_symbol_find(address, &symbol)) {
            n = snprintf(out + len, size - len, "#%d %p\n", i, board->crash_frames[i]);
        } else {
            n = snprintf(out + len, size - len, "#%d %s+0x%zx (%s)\n", i,
                         symbol.function[0] ? symbol.function : "?", symbol.offset, symbol.file);
        }
        if (n < 0 || (size_t)n >= size - len) {
            out[len] = '\0'; /* whole lines only */
            break;
        }
        len += (size_t)n;
    }
    return len;
}
