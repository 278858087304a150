/* main.c: taskforge-worker [-c FILE] [-t] [-V] */
#include <stdio.h>

#include "catalogue.h"
#include "connections.h"
#include "custom.h"
#include "daemon/start.h"
#include "options.h"
#include "plugins.h"
#include "policies.h"
#include "worker.h"

/* The job types: what is built in, what the settings add, what they may use, how many of each. */
static bool load_types(tfw_types_t *types, const tfw_options_t *options, char *error, size_t error_size)
{
    return tfw_catalogue_init(error, error_size) &&
           tfw_custom_load(options->handlers_dir, options->outgoing_deny, error, error_size) &&
           tfw_plugins_load(options->plugin_dir, error, error_size) &&
           tfw_connections_load(options->connections_dir, options->outgoing_deny, error, error_size) &&
           tfw_policies_init(options->type_retry, error, error_size) &&
           tfw_types_init(types, options->type_concurrency, error, error_size);
}

int main(int argc, char **argv)
{
    static tfw_worker_t worker; /* large, and there is one */
    tfd_command_line_t line;
    tfw_options_t options;
    char error[1024];
    int status = tfd_command_line("taskforge-worker", argc, argv, &line);

    if (status >= 0) {
        return status;
    }
    if (!tfw_options_load(&options, line.path, error, sizeof(error))) {
        fprintf(stderr, "taskforge-worker: %s\n", error);
        return 1;
    }
    if (!load_types(&worker.pool.types, &options, error, sizeof(error))) {
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
