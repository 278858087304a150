/* test_greedy: takes "memory_mb" megabytes of memory, or writes as many as "file_mb" says into a file; its
 * result is how many it had. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "handler.h"

#define MEGABYTE (1 << 20)

typedef struct piece_s {
    struct piece_s *next;
    char bytes[MEGABYTE];
} piece_t;

static json_int_t take_memory(json_int_t most)
{
    piece_t *pieces = NULL, *piece;
    json_int_t had = 0;

    while (had < most && (piece = malloc(sizeof(*piece))) != NULL) {
        memset(piece->bytes, 'x', sizeof(piece->bytes));
        piece->next = pieces;
        pieces = piece;
        had++;
    }
    while (pieces) {
        piece = pieces;
        pieces = piece->next;
        free(piece);
    }
    return had;
}

static json_int_t write_file(json_int_t most)
{
    static char bytes[MEGABYTE];
    int fd = memfd_create("greedy", MFD_CLOEXEC);
    json_int_t had = 0;

    while (had < most && write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes)) {
        had++;
    }
    close(fd);
    return had;
}

static tfw_outcome_t greedy_run(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    json_int_t memory = json_integer_value(json_object_get(payload, "memory_mb")),
               file = json_integer_value(json_object_get(payload, "file_mb"));
    char text[32];
    json_int_t had;
    int n;

    errno = 0;
    had = memory ? take_memory(memory) : write_file(file);
    if (had < memory + file) {
        tfw_run_error(run, "%s after %lld MB", errno == EFBIG ? "File too large" : "out of memory",
                      (long long)had);
        return TFW_PERMANENT;
    }
    n = snprintf(text, sizeof(text), "%lld", (long long)had);
    tfw_run_result(run, text, (size_t)n);
    return TFW_OK;
}

TF_HANDLER(test_greedy) = {
    .type = "test_greedy",
    .description = "Takes what it is told to.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 0,
    .timeout_seconds = 60,
    .retry = {1000, 60000, false},
    .run = greedy_run,
};
