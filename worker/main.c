/* main.c: taskforge-worker [-c FILE] [-t] [-V] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue.h"
#include "log.h"
#include "options.h"
#include "worker.h"

static int usage(FILE *out, int status)
{
    fputs("usage: taskforge-worker [-c FILE] [-t] [-V]\n"
          "  -c FILE  settings, KEY=value lines; the environment wins over it\n"
          "  -t       check the settings and leave\n"
          "  -V       print the version and leave\n",
          out);
    return status;
}

int main(int argc, char **argv)
{
    static tfw_worker_t worker; /* large, and there is one */
    const char *path = NULL;
    tfw_options_t options;
    char error[512];
    bool check = false;
    int c;

    while ((c = getopt(argc, argv, "c:tVh")) != -1) {
        switch (c) {
        case 'c':
            path = optarg;
            break;
        case 't':
            check = true;
            break;
        case 'V':
            puts("taskforge-worker " TF_VERSION);
            return 0;
        case 'h':
            return usage(stdout, 0);
        default:
            return usage(stderr, 2);
        }
    }
    if (optind != argc) {
        return usage(stderr, 2);
    }
    if (!tfw_options_load(&options, path, error, sizeof(error))) {
        fprintf(stderr, "taskforge-worker: %s\n", error);
        return 1;
    }
    if (!tf_log_init("worker", options.log_level)) {
        fprintf(stderr,
                "taskforge-worker: TASKFORGE_LOG_LEVEL: \"%s\" is not debug, info, warning or error\n",
                options.log_level);
        tfw_options_free(&options);
        return 1;
    }
    if (!tfw_catalogue_init(error, sizeof(error))) {
        fprintf(stderr, "taskforge-worker: %s\n", error);
        tfw_options_free(&options);
        return 1;
    }
    if (check) {
        fprintf(stderr, "taskforge-worker: the settings are good\n");
        tfw_options_free(&options);
        return 0;
    }
    return tfw_worker_run(&worker, &options);
}
