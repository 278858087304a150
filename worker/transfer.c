#include "transfer.h"

#include <poll.h>

#include "fiber.h"
#include "held.h"
#include "io_loop.h"

#define LOOK_MS 100 /* so often a waiting job looks for its cancel */

CURL *tfw_transfer_handle(void)
{
    static bool ready;
    CURL *curl;

    if (!ready && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return NULL;
    }
    ready = true;
    curl = curl_easy_init();
    if (curl) {
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        /* Else the end of a transfer waits, with all the others of the process, for the thread that looks its
         * name up, which may be as long as a name server does not answer. So the thread ends by itself. */
        curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
    }
    return curl;
}

CURLM *tfw_transfer_multi(tfw_transfer_kind_t kind)
{
    static CURLM *multis[TFW_TRANSFER_KINDS];

    if (!multis[kind]) {
        multis[kind] = curl_multi_init();
    }
    return multis[kind];
}

/* false: it has not ended. */
static bool ended(CURLM *multi, CURLcode *code)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(multi, &left);

    if (message && message->msg == CURLMSG_DONE) {
        *code = message->data.result;
        return true;
    }
    return false;
}

/* The handle stays among the transfers of its kind. */
static CURLcode make(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled)
{
    CURLM *multi = tfw_transfer_multi(kind);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    CURLMcode state;
    int running;

    if (tfw_fiber_current()) {
        return tfw_io_transfer(run, curl, kind, cancelled);
    }
    *cancelled = false;
    if (!multi || curl_multi_add_handle(multi, curl) != CURLM_OK) {
        return code;
    }
    do {
        state = curl_multi_perform(multi, &running);
        if (ended(multi, &code)) {
            break;
        }
        *cancelled = tfw_run_cancelled(run);
        if (*cancelled) {
            code = CURLE_ABORTED_BY_CALLBACK;
            break;
        }
        if (state == CURLM_OK) {
            state = curl_multi_poll(multi, NULL, 0, LOOK_MS, NULL);
        }
    } while (state == CURLM_OK);
    return code;
}

CURLcode tfw_transfer(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled)
{
    CURLcode code = make(run, curl, kind, cancelled);

    curl_multi_remove_handle(tfw_transfer_multi(kind), curl);
    return code;
}

CURLcode tfw_transfer_open(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled)
{
    return make(run, curl, kind, cancelled);
}

bool tfw_transfer_wait(tfw_run_t *run, curl_socket_t socket, short events, int64_t timeout_ms,
                       bool *cancelled)
{
    struct pollfd polled = {.fd = socket, .events = events};
    int64_t end_us = tfw_monotonic_us() + timeout_ms * 1000;
    bool ready = false;

    if (tfw_fiber_current()) {
        ready = tfw_io_wait(run, socket, events, timeout_ms);
        *cancelled = !ready && tfw_run_cancelled(run);
        return ready;
    }
    *cancelled = false;
    while (!ready && !*cancelled && tfw_monotonic_us() < end_us) {
        ready = poll(&polled, 1, LOOK_MS) > 0;
        *cancelled = !ready && tfw_run_cancelled(run);
    }
    return ready;
}

void tfw_transfer_close(CURL *curl, tfw_transfer_kind_t kind)
{
    curl_multi_remove_handle(tfw_transfer_multi(kind), curl);
    curl_easy_cleanup(curl);
}

bool tfw_run_wait(tfw_run_t *run, int64_t ms)
{
    int64_t end = tfw_monotonic_us() + ms * 1000, left;

    if (tfw_fiber_current()) {
        tfw_io_wait(run, -1, 0, ms);
        return !tfw_run_cancelled(run);
    }
    while (!tfw_run_cancelled(run)) {
        left = (end - tfw_monotonic_us()) / 1000;
        if (left <= 0) {
            return true;
        }
        poll(NULL, 0, (int)(left < LOOK_MS ? left : LOOK_MS));
    }
    return false;
}
