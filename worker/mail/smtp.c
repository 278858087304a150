#include "mail/smtp.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "held.h"
#include "places.h"
#include "transfer.h"

#define IDLE_MAX 32             /* connections that are kept */
#define IDLE_US (20 * 1000000L) /* for so long at most */
#define IN_MAX 4096             /* bytes of an answer's line; RFC 5321: 512 */
#define LINES_MAX 100           /* of an answer */
#define OUT_MAX 16384           /* bytes that are sent at once */
#define END_TIMEOUT_MS 600000   /* RFC 5321, 4.5.3.2.6: to the end of the message */

enum { READY_FOR_DATA = 354, CLOSING = 421 };

/* One connection. */
struct tfw_smtp_s {
    CURL *curl;
    curl_socket_t socket;
    TAILQ_ENTRY(tfw_smtp_s) link; /* while idle */
    int64_t idle_since_us;
    bool reused;
    bool greeted; /* this message has been answered to */
    tfw_run_t *run;
    const tfw_smtp_server_t *server;
    bool cancelled;
    bool line_start; /* the next byte of the message begins a line */
    size_t in_len, out_len;
    char in[IN_MAX];
    char out[OUT_MAX];
    char error[CURL_ERROR_SIZE]; /* of libcurl */
    char why[160];               /* what broke; "": nothing */
};

static TAILQ_HEAD(connections_s,
                  tfw_smtp_s) idle = TAILQ_HEAD_INITIALIZER(idle); /* of this process, the newest first */
static int nidle;

/* ---- bytes ---- */

static bool broken(tfw_smtp_t *s, const char *why)
{
    if (!s->why[0]) {
        snprintf(s->why, sizeof(s->why), "%s", why);
    }
    return false;
}

static bool wait_for(tfw_smtp_t *s, short events, int64_t timeout_ms)
{
    if (tfw_transfer_wait(s->run, s->socket, events, timeout_ms, &s->cancelled)) {
        return true;
    }
    return broken(s, s->cancelled ? "cancelled" : "no answer in time");
}

static bool flush(tfw_smtp_t *s)
{
    size_t sent = 0;

    while (sent < s->out_len && !s->why[0]) {
        size_t n = 0;
        CURLcode code = curl_easy_send(s->curl, s->out + sent, s->out_len - sent, &n);

        sent += n;
        if (code == CURLE_AGAIN) {
            wait_for(s, POLLOUT, s->server->timeout_ms);
        } else if (code != CURLE_OK) {
            broken(s, curl_easy_strerror(code));
        }
    }
    s->out_len = 0;
    return !s->why[0];
}

static bool put(tfw_smtp_t *s, const char *bytes, size_t len)
{
    while (len && !s->why[0]) {
        size_t room = sizeof(s->out) - s->out_len, n = len < room ? len : room;

        memcpy(s->out + s->out_len, bytes, n);
        s->out_len += n;
        bytes += n;
        len -= n;
        if (s->out_len == sizeof(s->out)) {
            flush(s);
        }
    }
    return !s->why[0];
}

/* RFC 5321, 4.5.2: a point at the beginning of a line is doubled. */
bool tfw_smtp_write(tfw_smtp_t *s, const char *bytes, size_t len)
{
    while (len && !s->why[0]) {
        const char *end = memchr(bytes, '\n', len);
        size_t n = end ? (size_t)(end - bytes) + 1 : len;

        if (s->line_start && *bytes == '.') {
            put(s, ".", 1);
        }
        put(s, bytes, n);
        s->line_start = end != NULL;
        bytes += n;
        len -= n;
    }
    return !s->why[0];
}

/* ---- answers ---- */

/* More of the server's bytes. */
static bool fill(tfw_smtp_t *s, int64_t timeout_ms)
{
    while (!s->why[0]) {
        size_t n = 0;
        CURLcode code = curl_easy_recv(s->curl, s->in + s->in_len, sizeof(s->in) - s->in_len, &n);

        if (code == CURLE_OK && n) {
            s->in_len += n;
            return true;
        }
        if (code == CURLE_AGAIN) {
            wait_for(s, POLLIN, timeout_ms);
        } else {
            broken(s, code == CURLE_OK ? "the connection was closed" : curl_easy_strerror(code));
        }
    }
    return false;
}

/* Adds the text of a line to an answer, without what is not fit to be shown. */
static void keep_text(tfw_smtp_answer_t *answer, const char *text, size_t len)
{
    size_t n = strlen(answer->text);

    for (size_t i = 0; i < len && n + 2 < sizeof(answer->text); i++) {
        if (i == 0 && n) {
            answer->text[n++] = ' ';
        }
        answer->text[n++] = text[i];
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) {
            answer->text[n - 1] = ' ';
        }
    }
    answer->text[n] = '\0';
}

/* One answer, of one or several lines (RFC 5321, 4.2.1). false: none came, or nonsense. */
static bool read_answer(tfw_smtp_t *s, int64_t timeout_ms, tfw_smtp_answer_t *answer)
{
    bool more = true;

    *answer = (tfw_smtp_answer_t){0};
    for (int lines = 0; more && lines < LINES_MAX;) {
        char *end = memchr(s->in, '\n', s->in_len);
        size_t len = end ? (size_t)(end - s->in) : 0;

        if (!end) {
            if (s->in_len == sizeof(s->in)) {
                return broken(s, "an answer has a line that is too long");
            }
            if (!fill(s, timeout_ms)) {
                return false;
            }
            continue;
        }
        while (len && isspace((unsigned char)s->in[len - 1])) {
            len--;
        }
        if (len < 3 || s->in[0] < '2' || s->in[0] > '5' || !isdigit((unsigned char)s->in[1]) ||
            !isdigit((unsigned char)s->in[2])) {
            return broken(s, "an answer is none of SMTP");
        }
        answer->code = (s->in[0] - '0') * 100 + (s->in[1] - '0') * 10 + (s->in[2] - '0');
        more = len > 3 && s->in[3] == '-';
        if (len > 4) {
            keep_text(answer, s->in + 4, len - 4);
        }
        s->in_len -= (size_t)(end + 1 - s->in);
        memmove(s->in, end + 1, s->in_len);
        lines++;
    }
    return !more || broken(s, "an answer has too many lines");
}

/* Says "<before><argument><after>" and reads the answer. */
static bool ask(tfw_smtp_t *s, const char *before, const char *argument, const char *after,
                tfw_smtp_answer_t *answer)
{
    *answer = (tfw_smtp_answer_t){0};
    put(s, before, strlen(before));
    put(s, argument, strlen(argument));
    put(s, after, strlen(after));
    return flush(s) && read_answer(s, s->server->timeout_ms, answer);
}

/* ---- connections ---- */

/* bye: it is in a state in which QUIT may be said. The answer is not waited for. */
static void close_connection(tfw_smtp_t *s, bool bye)
{
    size_t n;

    if (bye) {
        curl_easy_send(s->curl, "QUIT\r\n", 6, &n);
    }
    tfw_transfer_close(s->curl, TFW_TRANSFER_OPERATOR);
    free(s);
}

static void set_options(tfw_smtp_t *s, const tfw_smtp_server_t *server)
{
    static const long use[] = {CURLUSESSL_ALL, CURLUSESSL_TRY, CURLUSESSL_NONE};
    CURL *curl = s->curl;

    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, s->error);
    curl_easy_setopt(curl, CURLOPT_URL, server->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_USE_SSL, use[server->starttls]);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)server->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)(server->timeout_ms / 1000));
    if (*server->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, server->ca_file);
    }
    if (server->user) {
        curl_easy_setopt(curl, CURLOPT_USERNAME, server->user);
        curl_easy_setopt(curl, CURLOPT_PASSWORD, server->password);
    }
}

static tfw_outcome_t report(const tfw_smtp_t *s, CURLcode code, bool cancelled)
{
    const char *shown = s->server->shown, *why = *s->error ? s->error : curl_easy_strerror(code);
    long os_errno = 0;

    curl_easy_getinfo(s->curl, CURLINFO_OS_ERRNO, &os_errno);
    if (cancelled) {
        return TFW_CANCELLED;
    }
    if (code == CURLE_COULDNT_CONNECT && os_errno == ECONNREFUSED) {
        tfw_run_error(s->run, "SMTP connection refused: %s", shown);
    } else if (code == CURLE_USE_SSL_FAILED) {
        tfw_run_error(s->run, "SMTP server %s: no encrypted connection (STARTTLS): %s", shown, why);
    } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
        tfw_run_error(s->run, "SMTP server %s: its certificate is not to be trusted: %s", shown, why);
    } else if (code == CURLE_LOGIN_DENIED) {
        tfw_run_error(s->run, "SMTP server %s: it refused the user and password of the settings", shown);
    } else {
        tfw_run_error(s->run, "SMTP server %s: no connection: %s", shown, why);
    }
    return TFW_RETRY;
}

static tfw_smtp_t *new_connection(tfw_run_t *run, const tfw_smtp_server_t *server, tfw_outcome_t *outcome)
{
    tfw_smtp_t *s = calloc(1, sizeof(*s));
    CURLcode code = CURLE_OUT_OF_MEMORY;
    bool cancelled = false;

    *outcome = TFW_RETRY;
    if (!s || !(s->curl = tfw_transfer_handle())) {
        free(s);
        tfw_run_error(run, "out of memory");
        return NULL;
    }
    s->run = run;
    s->server = server;
    set_options(s, server);
    code = tfw_transfer_open(run, s->curl, TFW_TRANSFER_OPERATOR, &cancelled);
    if (code == CURLE_OK && !cancelled &&
        curl_easy_getinfo(s->curl, CURLINFO_ACTIVESOCKET, &s->socket) == CURLE_OK &&
        s->socket != CURL_SOCKET_BAD) {
        return s;
    }
    *outcome = report(s, code, cancelled);
    close_connection(s, false);
    return NULL;
}

/* One that is idle: nothing came over it since, not even its end. NULL: there is none. */
static tfw_smtp_t *old_connection(tfw_run_t *run)
{
    tfw_smtp_t *s;
    size_t n;

    while ((s = TAILQ_FIRST(&idle)) != NULL) {
        TAILQ_REMOVE(&idle, s, link);
        nidle--;
        if (tfw_monotonic_us() - s->idle_since_us < IDLE_US &&
            curl_easy_recv(s->curl, s->in, sizeof(s->in), &n) == CURLE_AGAIN) {
            s->run = run;
            s->reused = true;
            return s;
        }
        close_connection(s, true);
    }
    return NULL;
}

static void keep_connection(tfw_smtp_t *s)
{
    s->idle_since_us = tfw_monotonic_us();
    s->run = NULL;
    TAILQ_INSERT_HEAD(&idle, s, link);
    if (++nidle > IDLE_MAX) {
        s = TAILQ_LAST(&idle, connections_s);
        TAILQ_REMOVE(&idle, s, link);
        nidle--;
        close_connection(s, true);
    }
}

/* ---- the transaction ---- */

static tfw_outcome_t refuse(const tfw_smtp_t *s, const char *what, const tfw_smtp_answer_t *answer)
{
    tfw_run_error(s->run, "SMTP server %s refused %s: %d %s", s->server->shown, what, answer->code,
                  answer->text);
    return answer->code >= 500 ? TFW_PERMANENT : TFW_RETRY;
}

/* What the answers to all recipients mean: TFW_OK: the message may go. */
static tfw_outcome_t judge(const tfw_smtp_t *s, const tfw_smtp_message_t *m)
{
    size_t accepted = 0, later = 0;
    const tfw_smtp_recipient_t *example = NULL;

    for (size_t i = 0; i < m->count; i++) {
        const tfw_smtp_recipient_t *r = &m->recipients[i];

        accepted += r->answer.code < 400;
        later += r->answer.code >= 400 && r->answer.code < 500;
        if (r->answer.code >= 400 && (!example || r->answer.code < example->answer.code)) {
            example = r;
        }
    }
    if (!example || (accepted && (!later || m->last))) {
        return TFW_OK;
    }
    tfw_run_error(s->run, "SMTP server %s refused %zu of %zu recipients%s: %s: %d %s", s->server->shown,
                  m->count - accepted, m->count, later ? ", some of them for now" : "", example->address,
                  example->answer.code, example->answer.text);
    return later ? TFW_RETRY : TFW_PERMANENT;
}

/* The connection broke, or the server is about to break it: outcome TFW_RETRY. */
static tfw_outcome_t break_off(tfw_smtp_t *s, const tfw_smtp_answer_t *answer)
{
    if (s->cancelled) {
        return TFW_CANCELLED;
    }
    if (answer && answer->code == CLOSING && !s->why[0]) {
        snprintf(s->why, sizeof(s->why), "%d %.140s", answer->code, answer->text);
    }
    tfw_run_error(s->run, "SMTP server %s: %s", s->server->shown, s->why);
    return TFW_RETRY;
}

/* Sender and recipients. TFW_OK: the server waits for the message. */
static tfw_outcome_t say_envelope(tfw_smtp_t *s, tfw_smtp_message_t *m)
{
    tfw_smtp_answer_t answer;
    tfw_outcome_t outcome;

    if (!ask(s, "MAIL FROM:<", m->from, ">\r\n", &answer) || answer.code == CLOSING) {
        return break_off(s, &answer);
    }
    s->greeted = true;
    if (answer.code >= 300) {
        return refuse(s, "the sender", &answer);
    }
    for (size_t i = 0; i < m->count; i++) {
        tfw_smtp_answer_t *to = &m->recipients[i].answer;

        if (!ask(s, "RCPT TO:<", m->recipients[i].address, ">\r\n", to) || to->code == CLOSING) {
            return break_off(s, to);
        }
    }
    outcome = judge(s, m);
    if (outcome != TFW_OK) {
        return outcome;
    }
    if (!ask(s, "DATA", "", "\r\n", &answer) || answer.code == CLOSING) {
        return break_off(s, &answer);
    }
    return answer.code == READY_FOR_DATA ? TFW_OK : refuse(s, "the message", &answer);
}

/* TFW_OK: it is sent. *in_data: the server takes what comes for a part of the message. */
static tfw_outcome_t transact(tfw_smtp_t *s, tfw_smtp_message_t *m, bool *in_data)
{
    tfw_outcome_t outcome = say_envelope(s, m);

    if (outcome != TFW_OK) {
        return outcome;
    }
    *in_data = true;
    s->line_start = true;
    if (!m->write(m->data, s)) {
        return s->why[0] ? break_off(s, NULL) : TFW_RETRY;
    }
    if (!put(s, s->line_start ? ".\r\n" : "\r\n.\r\n", s->line_start ? 3 : 5) || !flush(s) ||
        !read_answer(s, END_TIMEOUT_MS, &m->answer)) {
        return break_off(s, NULL);
    }
    *in_data = false;
    return m->answer.code < 300 ? TFW_OK : refuse(s, "the message", &m->answer);
}

/* After a message that was refused, the connection is fit for another. */
static bool start_over(tfw_smtp_t *s)
{
    tfw_smtp_answer_t answer;

    return ask(s, "RSET", "", "\r\n", &answer) && answer.code < 300;
}

/* Over one of the connections that it may take. */
static tfw_outcome_t send_over_one(tfw_run_t *run, const tfw_smtp_server_t *server,
                                   tfw_smtp_message_t *message)
{
    tfw_outcome_t outcome;
    bool in_data = false, again;
    tfw_smtp_t *s;

    do {
        s = old_connection(run);
        if (!s) {
            s = new_connection(run, server, &outcome);
        }
        if (!s) {
            return outcome;
        }
        s->greeted = false;
        s->cancelled = false;
        s->in_len = s->out_len = 0;
        outcome = transact(s, message, &in_data);
        /* Servers end connections that were idle or had enough messages, and the first to know is who asks.
         */
        again = outcome == TFW_RETRY && s->reused && !s->greeted;
        if (outcome == TFW_OK || (!s->why[0] && !in_data && start_over(s))) {
            keep_connection(s);
        } else {
            close_connection(s, !in_data && !s->why[0]);
        }
    } while (again);
    return outcome;
}

tfw_outcome_t tfw_smtp_send(tfw_run_t *run, const tfw_smtp_server_t *server, tfw_smtp_message_t *message)
{
    static tfw_places_t places = TFW_PLACES_INIT(places);
    tfw_outcome_t outcome;

    if (!tfw_places_take(&places, (int)server->connections, run)) {
        return TFW_CANCELLED;
    }
    outcome = send_over_one(run, server, message);
    tfw_places_leave(&places);
    return outcome;
}
