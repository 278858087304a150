/* email.h: the payload of the types email and send_email, read and checked: email_payload.c. The handler
 * itself is email.c. */
#ifndef TFW_EMAIL_H
#define TFW_EMAIL_H

#include "handler.h"
#include "mail/mail_message.h"
#include "mail/smtp.h"

/* The settings of both types (docs/handlers.md). */
typedef struct {
    char *url, *password, *starttls, *ca_file, *from, *templates_dir, *domains;
    int64_t recipients_max;
    int64_t message_max_bytes;
    int64_t timeout_seconds;

    /* derived when the worker starts */
    tfw_smtp_server_t server; /* url NULL: no mail server is set */
    tfw_mail_address_t sender;
} tfw_email_settings_t;

extern tfw_email_settings_t tfw_email_settings;

#define TFW_EMAIL_ATTACHMENTS_MAX 20

/* What is to be sent. */
typedef struct {
    tfw_mail_address_t *addresses; /* those of To, then Cc, then Bcc; none twice */
    size_t count, nto, ncc;
    tfw_mail_address_t reply_to; /* address NULL: none */
    const json_t *to;            /* of the payload, as it was given */
    tf_buf_t subject, text, html;
    bool has_text, has_html;
    tfw_mail_attachment_t attachments[TFW_EMAIL_ATTACHMENTS_MAX];
    size_t nattachments;
} tfw_email_t;

/* Reads the payload, renders its template and opens its attachments. The email is to be freed in any case.
 * false: all that is wrong is the run's error, and trying again cannot help. */
bool tfw_email_read(tfw_run_t *run, tfw_email_t *email);

void tfw_email_free(tfw_email_t *email);

#endif
