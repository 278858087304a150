/* exec_child.h: from fork(2) to execve(2). */
#ifndef TFW_EXEC_CHILD_H
#define TFW_EXEC_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "exec.h"

/* A started command, and our ends of what connects us. */
typedef struct {
    pid_t pid; /* also of its group */
    int pid_fd;
    int output; /* its standard output, non-blocking */
    int errors; /* its standard error, non-blocking */
} tfw_exec_child_t;

/* Starts the command with `message` on its standard input and the environment (ends with NULL). false: error
 * says why; then there is nothing to close. */
bool tfw_exec_start(const tfw_exec_t *exec, const char *message, size_t len, char **environment,
                    tfw_exec_child_t *child, char *error, size_t error_size);

#endif
