/* main.c: taskforge-worker [-c FILE] [-t] [-V] */
#include <stdio.h>

#include "catalogue.h"
#include "daemon/start.h"
#include "options.h"
#include "policies.h"
#include "worker.h"

int main(int argc, char **argv)
{
    static tfw_worker_t worker; /* large, and there is one */
    tfd_command_line_t line;
    tfw_options_t options;
    char error[512];
    int status = tfd_command_line("taskforge-worker", argc, argv, &line);

    if (status >= 0) {
        return status;
    }
    if (!tfw_options_load(&options, line.path, error, sizeof(error))) {
        fprintf(stderr, "taskforge-worker: %s\n", error);
        return 1;
    }
    if (!tfw_catalogue_init(error, sizeof(error)) ||
        !tfw_policies_init(options.type_retry, error, sizeof(error)) ||
        !tfw_types_init(&worker.pool.types, options.type_concurrency, error, sizeof(error))) {
        fprintf(stderr, "taskforge-worker: %s\n", error);
        tfw_options_free(&options);
        return 1;
    }
    if (line.check) {
        fprintf(stderr, "taskforge-worker: the settings are ok\n");
        tfw_options_free(&options);
        return 0;
    }
    return tfw_worker_run(&worker, &options);
}
