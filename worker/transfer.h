/* transfer.h: one libcurl transfer that one job waits for. */
#ifndef TFW_TRANSFER_H
#define TFW_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>

#include "handler.h"

/* Connections that are kept for the next transfer are kept apart: what was let through to one place must not
 * be found open by calls that were not. */
typedef enum {
    TFW_TRANSFER_CALLER,   /* a URL of a caller, judged by the settings of all calls */
    TFW_TRANSFER_OPERATOR, /* a place of the settings: a mail server, a service, an object store */
    TFW_TRANSFER_KINDS
} tfw_transfer_kind_t;

/* A handle with CURLOPT_NOSIGNAL set; the caller's to clean up. NULL: out of memory. */
CURL *tfw_transfer_handle(void);

/* The transfers of this executor, with their connections. NULL: out of memory. */
CURLM *tfw_transfer_multi(tfw_transfer_kind_t kind);

/* Makes the transfer: as curl_easy_perform, but it ends within a second of the job's cancel. *cancelled: it
 * did. In an I/O executor other jobs run meanwhile; CURLOPT_PRIVATE is taken, and callbacks must not make
 * transfers. */
CURLcode tfw_transfer(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled);

/* Lets so much time pass; 0: gives other jobs of the process their turn. false: the job was cancelled. */
bool tfw_run_wait(tfw_run_t *run, int64_t ms);

/* ---- connections of one's own: libcurl makes them (names, TLS, login), the handler talks over them ---- */

/* The same for a handle with CURLOPT_CONNECT_ONLY: it stays connected, for curl_easy_send and curl_easy_recv
 * in this job and later ones, until tfw_transfer_close. If it could not be connected, it is to be closed too.
 */
CURLcode tfw_transfer_open(tfw_run_t *run, CURL *curl, tfw_transfer_kind_t kind, bool *cancelled);

/* Waits until the socket (CURLINFO_ACTIVESOCKET) can be read (POLLIN) or written (POLLOUT); an error of it is
 * found by doing that. false: not within timeout_ms, or the job was cancelled. */
bool tfw_transfer_wait(tfw_run_t *run, curl_socket_t socket, short events, int64_t timeout_ms,
                       bool *cancelled);

/* Cleans the handle up, and closes its connection. */
void tfw_transfer_close(CURL *curl, tfw_transfer_kind_t kind);

#endif
