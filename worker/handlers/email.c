/* email, send_email: a mail through the operator's SMTP server. docs/handlers.md says what goes in and comes
 * out. */
#include "mail/email.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uuid.h"

#define URL_TEXT_MAX 400 /* bytes */

tfw_email_settings_t tfw_email_settings;

/* ---- settings ---- */

#define AT(field) offsetof(tfw_email_settings_t, field)

static const tf_setting_t table[] = {
    {"TASKFORGE_SMTP_URL", TF_SETTING_TEXT, AT(url), "", 0, 0, "smtp://user@host:587 or smtps://user@host"},
    {"TASKFORGE_SMTP_PASSWORD", TF_SETTING_TEXT, AT(password), "", 0, 0, "of the user in the URL"},
    {"TASKFORGE_SMTP_STARTTLS", TF_SETTING_TEXT, AT(starttls), "required", 0, 0,
     "required, if-offered or off"},
    {"TASKFORGE_SMTP_CA_FILE", TF_SETTING_TEXT, AT(ca_file), "", 0, 0, "PEM; default: the system's"},
    {"TASKFORGE_SMTP_TIMEOUT_SECONDS", TF_SETTING_INT, AT(timeout_seconds), "60", 1, 600, "seconds"},
    {"TASKFORGE_SMTP_CONNECTIONS", TF_SETTING_INT, AT(server.connections), "50", 1, 10000, "at once"},
    {"TASKFORGE_EMAIL_FROM", TF_SETTING_TEXT, AT(from), "", 0, 0, "the sender: Name <address>"},
    {"TASKFORGE_EMAIL_TEMPLATES_DIR", TF_SETTING_TEXT, AT(templates_dir), "", 0, 0, "directory"},
    {"TASKFORGE_EMAIL_DOMAINS", TF_SETTING_TEXT, AT(domains), "", 0, 0, "of recipients; default: any"},
    {"TASKFORGE_EMAIL_RECIPIENTS_MAX", TF_SETTING_INT, AT(recipients_max), "100", 1, 1000, "of one mail"},
    {"TASKFORGE_EMAIL_MESSAGE_MAX_BYTES", TF_SETTING_INT, AT(message_max_bytes), "20971520", 1024, 128 << 20,
     "bytes"},
};

/* The parts of TASKFORGE_SMTP_URL. NULL: it is fine; else what is wrong. */
static const char *read_url(tfw_smtp_server_t *server, CURLU *url)
{
    static char text[URL_TEXT_MAX + 16], shown[URL_TEXT_MAX];
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *password = NULL;
    const char *why = NULL;

    if (curl_url_set(url, CURLUPART_URL, tfw_email_settings.url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "smtp") != 0 && strcmp(scheme, "smtps") != 0) ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || strlen(host) > 255) {
        why = "is not smtp://user@host:587 or smtps://user@host";
    } else if (curl_url_get(url, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK) {
        why = "must not hold the password: that is TASKFORGE_SMTP_PASSWORD";
    } else {
        bool tls = strcmp(scheme, "smtps") == 0;

        curl_url_get(url, CURLUPART_USER, &user, CURLU_URLDECODE);
        curl_url_get(url, CURLUPART_PORT, &port, 0);
        snprintf(shown, sizeof(shown), "%s:%s", host, port ? port : tls ? "465" : "25");
        snprintf(text, sizeof(text), "%s://%s/", scheme, shown);
        server->url = text;
        server->shown = shown;
        server->user = user ? strdup(user) : NULL;
        server->starttls = tls ? TFW_STARTTLS_OFF : server->starttls;
        if (user && !*tfw_email_settings.password) {
            why = "names a user, but TASKFORGE_SMTP_PASSWORD is not set";
        } else if (!user && *tfw_email_settings.password) {
            why = "names no user, but TASKFORGE_SMTP_PASSWORD is set";
        } else if (user && !tls && server->starttls != TFW_STARTTLS_REQUIRED) {
            why = "names a user: the password must not go over the network as it is, so "
                  "TASKFORGE_SMTP_STARTTLS must be required";
        }
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_free(password);
    return why;
}

static bool read_server(char *error, size_t error_size)
{
    tfw_email_settings_t *s = &tfw_email_settings;
    CURLU *url = curl_url();
    const char *why = url ? read_url(&s->server, url) : "cannot be read: out of memory";

    curl_url_cleanup(url);
    s->server.password = s->password;
    s->server.ca_file = s->ca_file;
    s->server.timeout_ms = s->timeout_seconds * 1000;
    if (why) {
        snprintf(error, error_size, "TASKFORGE_SMTP_URL %s", why);
        return false;
    }
    if (!*s->from) {
        snprintf(error, error_size, "TASKFORGE_EMAIL_FROM is needed with TASKFORGE_SMTP_URL");
        return false;
    }
    return true;
}

static bool check(char *error, size_t error_size)
{
    static const char *const words[] = {"required", "if-offered", "off"};
    tfw_email_settings_t *s = &tfw_email_settings;
    const char *why = *s->from ? tfw_mail_address_parse(s->from, strlen(s->from), &s->sender) : NULL;
    size_t word = 0;

    if (why || !tf_utf8_valid(s->from, strlen(s->from))) {
        snprintf(error, error_size, "TASKFORGE_EMAIL_FROM: \"%.80s\" %s", s->from,
                 why ? why : "is not UTF-8");
        return false;
    }
    while (word < 3 && strcmp(s->starttls, words[word]) != 0) {
        word++;
    }
    if (word == 3) {
        snprintf(error, error_size,
                 "TASKFORGE_SMTP_STARTTLS: \"%.40s\" is none of required, if-offered and off", s->starttls);
        return false;
    }
    s->server.starttls = (tfw_starttls_t)word;
    if (*s->ca_file && access(s->ca_file, R_OK) != 0) {
        snprintf(error, error_size, "TASKFORGE_SMTP_CA_FILE: %.200s: %s", s->ca_file, strerror(errno));
        return false;
    }
    if (*s->templates_dir && access(s->templates_dir, R_OK | X_OK) != 0) {
        snprintf(error, error_size, "TASKFORGE_EMAIL_TEMPLATES_DIR: %.200s: %s", s->templates_dir,
                 strerror(errno));
        return false;
    }
    return !*s->url || read_server(error, error_size);
}

TF_HANDLER_SETTINGS(email) = {table, sizeof(table) / sizeof(table[0]), &tfw_email_settings, check};

/* ---- the handler ---- */

/* One mail on its way. */
typedef struct {
    tfw_run_t *run;
    tfw_email_t email;
    tfw_mail_message_t message;
    tfw_smtp_message_t transaction;
    char id[TF_UUID_TEXT_LEN + 1];
} work_t;

static bool put(void *smtp, const char *bytes, size_t len)
{
    return tfw_smtp_write(smtp, bytes, len);
}

static bool write_message(void *data, tfw_smtp_t *smtp)
{
    work_t *w = data;
    char error[300];
    bool ok = tfw_mail_message_write(&w->message, put, smtp, error, sizeof(error));

    if (*error) {
        tfw_run_error(w->run, "%s", error);
    }
    return ok;
}

static void compose(work_t *w)
{
    tfw_email_t *e = &w->email;

    tf_uuid_format(tfw_run_id(w->run), w->id);
    w->message = (tfw_mail_message_t){
        .id = w->id,
        .id_domain = tfw_mail_address_domain(&tfw_email_settings.sender),
        .date = time(NULL),
        .from = &tfw_email_settings.sender,
        .to = e->addresses,
        .nto = e->nto,
        .cc = e->addresses + e->nto,
        .ncc = e->ncc,
        .reply_to = e->reply_to.address ? &e->reply_to : NULL,
        .subject = tf_buf_cstr(&e->subject),
        .text = e->has_text ? tf_buf_cstr(&e->text) : NULL,
        .text_len = e->text.len,
        .html = e->has_html ? tf_buf_cstr(&e->html) : NULL,
        .html_len = e->html.len,
        .attachments = e->attachments,
        .nattachments = e->nattachments,
    };
}

/* Who got it and who did not, with the server's words. */
static void write_answers(const work_t *w, tf_buf_t *out)
{
    const tfw_smtp_message_t *t = &w->transaction;

    tf_json_key(out, "accepted");
    tf_buf_addc(out, '[');
    for (size_t i = 0; i < t->count; i++) {
        if (t->recipients[i].answer.code < 400) {
            tf_buf_adds(out, out->data[out->len - 1] == '[' ? "" : ",");
            tf_json_str(out, t->recipients[i].address, strlen(t->recipients[i].address));
        }
    }
    tf_buf_addc(out, ']');
    tf_json_key(out, "rejected");
    tf_buf_addc(out, '[');
    for (size_t i = 0; i < t->count; i++) {
        const tfw_smtp_recipient_t *r = &t->recipients[i];

        if (r->answer.code >= 400) {
            tf_buf_adds(out, out->data[out->len - 1] == '[' ? "{" : ",{");
            tf_json_kcstr(out, "recipient", r->address);
            tf_json_kint(out, "code", r->answer.code);
            tf_json_kcstr(out, "message", r->answer.text);
            tf_buf_addc(out, '}');
        }
    }
    tf_buf_addc(out, ']');
    tf_json_kcstr(out, "server_message", t->answer.text);
}

/* to: as the payload has it, in JSON; NULL: left out, as is everything that grows with the recipients. */
static void write_result(const work_t *w, const char *to, tf_buf_t *out)
{
    const tfw_smtp_message_t *t = &w->transaction;
    size_t rejected = 0;

    for (size_t i = 0; i < t->count; i++) {
        rejected += t->recipients[i].answer.code >= 400;
    }
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "status", rejected ? "partial" : "sent");
    if (to) {
        tf_json_kraw(out, "to", to, strlen(to));
    }
    tf_json_kcstr(out, "subject", w->message.subject);
    tf_json_kcstr(out, "message_id", w->id);
    if (to) {
        write_answers(w, out);
    } else {
        tf_json_kint(out, "accepted_count", (int64_t)(t->count - rejected));
        tf_json_kint(out, "rejected_count", (int64_t)rejected);
        tf_json_kbool(out, "truncated", true);
    }
    tf_buf_addc(out, '}');
}

/* The mail is out: that many got it must not make a failure of it. */
static void give_result(const work_t *w)
{
    tf_buf_t out = TF_BUF_INIT;
    char *to = json_dumps(w->email.to, JSON_COMPACT | JSON_ENCODE_ANY);

    write_result(w, to, &out);
    if (out.failed || out.len > tfw_run_result_max(w->run)) {
        tf_buf_reset(&out);
        write_result(w, NULL, &out);
    }
    tfw_run_result(w->run, tf_buf_cstr(&out), out.len);
    tf_buf_free(&out);
    free(to);
}

static tfw_outcome_t send_it(work_t *w)
{
    tfw_smtp_message_t *t = &w->transaction;
    tfw_outcome_t outcome;

    t->from = tfw_email_settings.sender.address;
    t->count = w->email.count;
    t->recipients = calloc(t->count, sizeof(*t->recipients));
    t->last = !tf_retry_left(tfw_run_attempt(w->run), tfw_run_max_retries(w->run));
    t->write = write_message;
    t->data = w;
    if (!t->recipients) {
        tfw_run_error(w->run, "out of memory");
        return TFW_RETRY;
    }
    for (size_t i = 0; i < t->count; i++) {
        t->recipients[i].address = w->email.addresses[i].address;
    }
    compose(w);
    outcome = tfw_smtp_send(w->run, &tfw_email_settings.server, t);
    for (size_t i = 0; i < t->count; i++) {
        if (t->recipients[i].answer.code >= 400) {
            tfw_run_log(w->run, "warning", "%s: %d %s", t->recipients[i].address,
                        t->recipients[i].answer.code, t->recipients[i].answer.text);
        }
    }
    if (outcome == TFW_OK) {
        tfw_run_log(w->run, "info", "%s took it: %d %s", tfw_email_settings.server.shown, t->answer.code,
                    t->answer.text);
        give_result(w);
    }
    free(t->recipients);
    return outcome;
}

static tfw_outcome_t email_run(tfw_run_t *run)
{
    work_t *w = calloc(1, sizeof(*w));
    tfw_outcome_t outcome = TFW_PERMANENT;

    if (!w) {
        tfw_run_error(run, "out of memory");
        return TFW_RETRY;
    }
    w->run = run;
    if (!tfw_email_settings.server.url) {
        tfw_run_error(run, "no mail server is set: TASKFORGE_SMTP_URL");
    } else if (tfw_email_read(run, &w->email)) {
        outcome = send_it(w);
    }
    tfw_email_free(&w->email);
    free(w);
    return outcome;
}

/* ---- schemas ---- */

/* clang-format off */
#define ADDRESSES(title, more) \
    "{\"type\":[\"string\",\"array\"],\"minLength\":3,\"minItems\":1,\"items\":{\"type\":\"string\",\"minLength\":3}," \
        "\"title\":\"" title "\",\"description\":\"an address, or a list of them: ada@example.com, Ada <ada@example.com>\"" more "}"

#define PROPERTIES \
    "\"to\":" ADDRESSES("To", "") "," \
    "\"subject\":{\"type\":\"string\",\"maxLength\":998,\"title\":\"Subject\"}," \
    "\"body\":{\"type\":\"string\",\"title\":\"Text\",\"description\":\"plain text\"}," \
    "\"html\":{\"type\":\"string\",\"title\":\"HTML\",\"description\":\"beside or instead of the text\"}," \
    "\"cc\":" ADDRESSES("Cc", "") "," \
    "\"bcc\":" ADDRESSES("Bcc", "") "," \
    "\"reply_to\":{\"type\":\"string\",\"minLength\":3,\"title\":\"Reply to\",\"format\":\"email\"}," \
    "\"template\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,\"title\":\"Template\"," \
        "\"description\":\"a name in the directory of templates, instead of texts here\"}," \
    "\"variables\":{\"type\":\"object\",\"title\":\"Variables of the template\"}," \
    "\"attachments\":{\"type\":\"array\",\"maxItems\":20,\"title\":\"Attachments\",\"items\":{\"type\":\"object\",\"properties\":{" \
        "\"path\":{\"type\":\"string\",\"minLength\":1,\"description\":\"a file in the data directory\"}," \
        "\"name\":{\"type\":\"string\",\"minLength\":1,\"description\":\"default: that of the file\"}," \
        "\"content_type\":{\"type\":\"string\",\"default\":\"application/octet-stream\"}}," \
        "\"required\":[\"path\"],\"additionalProperties\":false}}," \
    "\"recipients\":" ADDRESSES("More recipients, as to", "") "," \
    "\"recipient\":" ADDRESSES("The same as to", ",\"deprecated\":true") "," \
    "\"text\":{\"type\":\"string\",\"description\":\"the same as body\",\"deprecated\":true}"

#define SCHEMA(rest) \
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{" PROPERTIES "}," \
    "\"additionalProperties\":false," rest "}"
/* clang-format on */

#define TIMEOUT_SECONDS 900 /* a server may take ten minutes for the last answer */

TF_HANDLER(email) = {
    .type = "email",
    .description = "Sends a mail: text, HTML, templates, attachments.",
    .payload_schema = SCHEMA("\"allOf\":[{\"anyOf\":[{\"required\":[\"to\"]},{\"required\":[\"recipients\"]},"
                             "{\"required\":[\"recipient\"]}]},{\"anyOf\":[{\"required\":[\"subject\"]},{"
                             "\"required\":[\"template\"]}]}]"),
    .max_retries = 3,
    .timeout_seconds = TIMEOUT_SECONDS,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = email_run,
    .io_bound = true,
};

TF_HANDLER(send_email) = {
    .type = "send_email",
    .description = "Sends a mail. The same as email, with retries after 2, 4, 8, 16 and 32 seconds.",
    .payload_schema = SCHEMA("\"required\":[\"to\",\"subject\",\"body\"]"),
    .max_retries = 5,
    .timeout_seconds = TIMEOUT_SECONDS,
    .retry = TFW_RETRY_POWERS_OF_TWO,
    .run = email_run,
    .io_bound = true,
};
