/* smtp.h: mail transactions (RFC 5321) over connections that libcurl makes: names, TLS, STARTTLS and AUTH are
 * its part; what is said about one message is said here, so that each recipient's answer is known and nothing
 * waits but in transfer.h. Connections are kept for the next message. */
#ifndef TFW_SMTP_H
#define TFW_SMTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handler.h"

#define TFW_SMTP_TEXT_MAX 256 /* bytes of an answer's text that are kept */

typedef enum { TFW_STARTTLS_REQUIRED, TFW_STARTTLS_IF_OFFERED, TFW_STARTTLS_OFF } tfw_starttls_t;

/* The server. */
typedef struct {
    const char *url;      /* "smtp://host:port" or "smtps://host:port" */
    const char *shown;    /* "host:port", for errors */
    const char *user;     /* NULL: no login */
    const char *password; /* NULL: the same */
    const char *ca_file;  /* PEM; "": the system's */
    tfw_starttls_t starttls;
    int64_t timeout_ms;  /* of the connection with its login, and of each answer but the last */
    int64_t connections; /* of one executor at once; mails wait for one */
} tfw_smtp_server_t;

/* An answer of the server: 0 and "" when none came. */
typedef struct {
    int code;
    char text[TFW_SMTP_TEXT_MAX];
} tfw_smtp_answer_t;

typedef struct {
    const char *address; /* local@domain, ASCII, checked */
    tfw_smtp_answer_t answer;
} tfw_smtp_recipient_t;

typedef struct tfw_smtp_s tfw_smtp_t;

typedef struct {
    const char *from; /* of the envelope */
    tfw_smtp_recipient_t *recipients;
    size_t count;
    /* The message goes out though recipients are refused for now (4xx); else it goes to nobody then. */
    bool last;
    /* Writes the message with tfw_smtp_write. false: it cannot be read (the error of the run is set), or
     * tfw_smtp_write said so. */
    bool (*write)(void *data, tfw_smtp_t *smtp);
    void *data;
    tfw_smtp_answer_t answer; /* to the message; set when it was sent */
} tfw_smtp_message_t;

/* Sends it. TFW_OK: the server has it, for all recipients whose answer is below 400. Else it has been taken
 * for nobody, and the error is set: TFW_PERMANENT when the server will never take it, TFW_RETRY,
 * TFW_CANCELLED. Where the connection broke behind the last byte, nobody knows; that is TFW_RETRY. */
tfw_outcome_t tfw_smtp_send(tfw_run_t *run, const tfw_smtp_server_t *server, tfw_smtp_message_t *message);

/* Of the message, any bytes with CRLF at the ends of lines. false: the connection is broken. */
bool tfw_smtp_write(tfw_smtp_t *smtp, const char *bytes, size_t len);

#endif
