/* exec.h: job types whose handler is a command (docs/handlers.md): the job as JSON on its standard input, the
 * result from its standard output, lines on its standard error are the job's log. Settings: custom.h. */
#ifndef TFW_EXEC_H
#define TFW_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "handler.h"

/* The limits of setrlimit(2) that settings name. */
typedef enum {
    TFW_EXEC_CPU_SECONDS,
    TFW_EXEC_MEMORY, /* bytes of address space */
    TFW_EXEC_FILE,   /* bytes of one file */
    TFW_EXEC_FILES,  /* open at once */
    TFW_EXEC_PROCESSES,
    TFW_EXEC_LIMITS
} tfw_exec_limit_t;

/* The context of such a type's handler. */
typedef struct {
    char **argv;        /* ends with NULL; argv[0] is an absolute path */
    char **environment; /* "NAME=value", ends with NULL */
    int nenvironment;
    const char *directory;           /* absolute: where it starts */
    int64_t limits[TFW_EXEC_LIMITS]; /* 0: none of ours */
    bool permanent[256];             /* exit statuses for which trying again cannot help */
} tfw_exec_t;

/* The run function. The command has a process group of its own, and nothing else of the worker. Whatever it
 * leaves behind when it ends is ended too. A cancel is SIGTERM for its group; SIGTERM for the executor too,
 * after which the executor dies of it, so that the daemon, which has sent it, knows. */
tfw_outcome_t tfw_exec_run(tfw_run_t *run);

#endif
