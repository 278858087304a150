/* taskforge-slice COMMAND [ARGUMENT...]: runs a server that answers many small requests (PostgreSQL, Redis)
 * with a short slice of the processor; see core/slice.h. TaskForge's own processes ask for theirs themselves.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "slice.h"

int main(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-') {
        fputs("usage: taskforge-slice COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    (void)tf_slice_set(TF_SLICE_SHORT); /* the server does its work without, too */
    execvp(argv[1], argv + 1);
    fprintf(stderr, "taskforge-slice: %s: %s\n", argv[1], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}
