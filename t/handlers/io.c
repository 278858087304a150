/* test_io: a type that shares its process. Takes "take_mb" megabytes of memory and keeps them, says that
 * it has come as far as "progress", calls "url", where there is one, waits "wait_ms", then does what "how"
 * says: "segv", "overflow", "spin" (for ever, deaf to everything), else nothing. Its result is the process
 * that it ran in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http_call.h"
#include "run.h"
#include "transfer.h"

#define MEGABYTE (1 << 20)

typedef struct piece_s {
    struct piece_s *next;
    char bytes[MEGABYTE];
} piece_t;

#pragma GCC diagnostic ignored "-Winfinite-recursion"

__attribute__((noinline)) static int io_overflow(volatile int depth)
{
    volatile char room[4096];

    room[0] = (char)depth;
    return io_overflow(depth + 1) + room[0];
}

__attribute__((noinline)) static void io_as_told(const char *how)
{
    volatile int *volatile nowhere = (volatile int *)16;
    volatile bool forever = true;

    if (strcmp(how, "segv") == 0) {
        *nowhere = 1;
    } else if (strcmp(how, "overflow") == 0) {
        io_overflow(0);
    } else if (strcmp(how, "spin") == 0) {
        while (forever) {
        }
    }
}

static tfw_outcome_t call(tfw_run_t *run, const char *url)
{
    tfw_http_request_t request = {.url = url, .timeout_ms = 60000, .keep_max = 1000, .read_max = 1000};
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;

    tfw_http_call(run, &request, &answer);
    outcome = answer.cancelled ? TFW_CANCELLED : answer.status == 200 ? TFW_OK : TFW_RETRY;
    tfw_run_error(run, "HTTP %d %s", answer.status, answer.error);
    tfw_http_answer_free(&answer);
    return outcome;
}

static void give_back(piece_t *pieces)
{
    while (pieces) {
        piece_t *piece = pieces;

        pieces = piece->next;
        free(piece);
    }
}

/* false: there is not so much. */
static bool take_memory(tfw_run_t *run, json_int_t megabytes, piece_t **pieces)
{
    for (json_int_t i = 0; i < megabytes; i++) {
        piece_t *piece = malloc(sizeof(*piece));

        if (!piece) {
            tfw_run_error(run, "out of memory");
            return false;
        }
        piece->next = *pieces;
        *pieces = piece;
    }
    return true;
}

static tfw_outcome_t do_it(tfw_run_t *run)
{
    const json_t *payload = tfw_run_payload(run);
    const char *url = json_string_value(json_object_get(payload, "url")),
               *how = json_string_value(json_object_get(payload, "how"));
    tfw_outcome_t outcome = TFW_OK;
    char text[32];
    int n;

    tfw_run_log(run, "info", "it begins");
    tfw_run_progress(run, (int)json_integer_value(json_object_get(payload, "progress")));
    if (url) {
        outcome = call(run, url);
    }
    if (!tfw_run_wait(run, json_integer_value(json_object_get(payload, "wait_ms")))) {
        outcome = TFW_CANCELLED;
    }
    if (outcome != TFW_OK) {
        tfw_run_result(run, "\"stopped\"", 9);
        return outcome;
    }
    io_as_told(how ? how : "");
    n = snprintf(text, sizeof(text), "%d", (int)getpid());
    tfw_run_result(run, text, (size_t)n);
    return TFW_OK;
}

static tfw_outcome_t io_run(tfw_run_t *run)
{
    json_int_t megabytes = json_integer_value(json_object_get(tfw_run_payload(run), "take_mb"));
    piece_t *pieces = NULL;
    tfw_outcome_t outcome = TFW_RETRY;

    if (take_memory(run, megabytes, &pieces)) {
        outcome = do_it(run);
    }
    give_back(pieces);
    return outcome;
}

TF_HANDLER(test_io) = {
    .type = "test_io",
    .description = "Shares its process.",
    .payload_schema = "{\"type\":\"object\"}",
    .max_retries = 0,
    .timeout_seconds = 600,
    .retry = {1000, 60000, false},
    .run = io_run,
    .io_bound = true,
};
