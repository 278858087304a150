/* process_payment: charges a customer through the operator's payment gateway, over HTTP. docs/handlers.md
 * says what goes in and comes out, and what is asked of a gateway. The job's id is the idempotency key of all
 * of its attempts, manual retries included: however often the job is run, the customer pays once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "handler.h"
#include "mail/mail_text.h"
#include "payment/money.h"
#include "http_call.h"
#include "json_slice.h"
#include "run.h"
#include "submission.h"
#include "uuid.h"

#define ANSWER_MAX 65536 /* bytes */
#define ID_MAX 128       /* bytes of a user id, a reference or a transaction's id */
#define AMOUNT_MAX 64    /* bytes of a number in JSON */
#define DESCRIPTION_MAX 500
#define KEY_MAX 512
#define REASON_SIZE 300

/* ---- settings ---- */

typedef struct {
    char *url, *key;
    int64_t timeout_seconds;
    tf_outgoing_t lists; /* derived: the gateway's own host, wherever it is */
} settings_t;

static settings_t settings;

static const tf_setting_t table[] = {
    {"TASKFORGE_PAYMENT_URL", TF_SETTING_TEXT, offsetof(settings_t, url), "", 0, 0, "where charges are made"},
    {"TASKFORGE_PAYMENT_KEY", TF_SETTING_TEXT, offsetof(settings_t, key), "", 0, 0, "secret of the gateway"},
    {"TASKFORGE_PAYMENT_TIMEOUT_SECONDS", TF_SETTING_INT, offsetof(settings_t, timeout_seconds), "30", 1, 300,
     "seconds"},
};

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 || strcasecmp(host, "localhost") == 0;
}

static bool key_valid(const char *key)
{
    for (const char *c = key; *c; c++) {
        if (*c <= ' ' || *c > '~') {
            return false;
        }
    }
    return *key && strlen(key) <= KEY_MAX;
}

static bool check(char *error, size_t error_size)
{
    char host[TF_URL_MAX + 1], why[200];
    const char *wrong;
    tf_url_t url;

    if (!*settings.url) {
        return true;
    }
    wrong = tf_url_parse(settings.url, strlen(settings.url), &url);
    snprintf(host, sizeof(host), "%.*s", wrong ? 0 : (int)url.host.len, wrong ? "" : url.host.data);
    if (!wrong && !url.https && !is_loopback(host)) {
        wrong = "must begin with https://: what is said there is not for the network between";
    }
    if (wrong) {
        snprintf(error, error_size, "TASKFORGE_PAYMENT_URL %s", wrong);
        return false;
    }
    if (!key_valid(settings.key)) {
        snprintf(error, error_size, "TASKFORGE_PAYMENT_KEY must have 1 to %d printable characters of ASCII",
                 KEY_MAX);
        return false;
    }
    if (!tf_outgoing_init(&settings.lists, host, "", why, sizeof(why))) {
        snprintf(error, error_size, "TASKFORGE_PAYMENT_URL: %s", why);
        return false;
    }
    return true;
}

TF_HANDLER_SETTINGS(process_payment) = {table, sizeof(table) / sizeof(table[0]), &settings, check};

/* ---- the payload ---- */

/* One charge. Texts are the payload's, but for user. */
typedef struct {
    tfw_run_t *run;
    tf_str_t user_id, amount;                       /* as the caller wrote them, in JSON */
    char user[ID_MAX + 1];                          /* the same as a text */
    const char *currency, *reference, *description; /* description NULL: none */
    int64_t minor;
    char id[TF_UUID_TEXT_LEN + 1];
} charge_t;

/* A text of one line of at most max bytes, not empty. */
static bool is_line(const json_t *value, size_t max)
{
    size_t len = json_string_length(value);

    return len && len <= max && tfw_mail_one_line(json_string_value(value), len);
}

static bool read_user(charge_t *c, const json_t *value)
{
    if (json_is_integer(value)) {
        snprintf(c->user, sizeof(c->user), "%lld", (long long)json_integer_value(value));
    } else if (is_line(value, ID_MAX)) {
        snprintf(c->user, sizeof(c->user), "%s", json_string_value(value));
    } else {
        tfw_run_error(c->run,
                      "payload: \"user_id\" must be a whole number, or a text of one line of 1 to %d bytes",
                      ID_MAX);
        return false;
    }
    return true;
}

static bool read_amount(charge_t *c, const json_t *value)
{
    int digits = tfw_currency_digits(c->currency);
    const char *why;

    if (digits < 0) {
        tfw_run_error(c->run, "payload: \"currency\" must be a currency of ISO 4217, like USD");
        return false;
    }
    if (!json_is_string(value) && !json_is_number(value)) {
        tfw_run_error(c->run, "payload: \"amount\" must be a decimal number like 19.99, or a text of one");
        return false;
    }
    if (json_is_number(value) && c->amount.len > AMOUNT_MAX) {
        tfw_run_error(c->run, "payload: \"amount\" must have at most %d characters", AMOUNT_MAX);
        return false;
    }
    /* the number as it was written: in binary, 19.99 is another one */
    why = json_is_string(value)
              ? tfw_money_minor(json_string_value(value), json_string_length(value), digits, &c->minor)
              : tfw_money_minor(c->amount.data, c->amount.len, digits, &c->minor);
    if (why) {
        tfw_run_error(c->run, "payload: \"amount\" %s", why);
        return false;
    }
    return true;
}

static bool refuse_unknown(charge_t *c, const json_t *payload)
{
    static const char known[] = " user_id amount currency reference description ";
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)payload, key, value)
    {
        const char *at = strchr(key, ' ') ? NULL : strstr(known, key);

        if (!at || !*key || at[-1] != ' ' || at[strlen(key)] != ' ') {
            tf_buf_t name = TF_BUF_INIT;

            tf_json_str(&name, key, strnlen(key, 64));
            tfw_run_error(c->run, "payload: unknown field %s", tf_buf_cstr(&name));
            tf_buf_free(&name);
            return false;
        }
    }
    return true;
}

static bool read_charge(charge_t *c)
{
    const json_t *payload = tfw_run_payload(c->run), *currency = json_object_get(payload, "currency"),
                 *reference = json_object_get(payload, "reference"),
                 *description = json_object_get(payload, "description");
    tf_str_t text;

    tf_uuid_format(tfw_run_id(c->run), c->id);
    text.data = tfw_run_payload_text(c->run, &text.len);
    c->user_id = tf_json_slice_member(text, "user_id");
    c->amount = tf_json_slice_member(text, "amount");
    c->currency = currency ? json_string_value(currency) : "USD";
    c->currency = c->currency ? c->currency : "";
    if (!refuse_unknown(c, payload) || !read_user(c, json_object_get(payload, "user_id")) ||
        !read_amount(c, json_object_get(payload, "amount"))) {
        return false;
    }
    if ((reference && !is_line(reference, ID_MAX)) ||
        (description && !is_line(description, DESCRIPTION_MAX))) {
        tfw_run_error(c->run,
                      "payload: \"reference\" and \"description\" must be texts of one line, of at most %d "
                      "and %d bytes",
                      ID_MAX, DESCRIPTION_MAX);
        return false;
    }
    c->reference = reference ? json_string_value(reference) : c->id;
    c->description = json_string_value(description);
    return true;
}

/* ---- the call ---- */

static void write_request(const charge_t *c, tf_buf_t *out)
{
    tf_buf_addc(out, '{');
    tf_json_kint(out, "amount", c->minor);
    tf_json_kcstr(out, "currency", c->currency);
    tf_json_kcstr(out, "customer", c->user);
    tf_json_kcstr(out, "reference", c->reference);
    if (c->description) {
        tf_json_kcstr(out, "description", c->description);
    }
    tf_buf_addc(out, '}');
}

static void call_gateway(const charge_t *c, const tf_buf_t *body, tfw_http_answer_t *answer)
{
    static const char agent[] = "user-agent: TaskForge/" TF_VERSION;
    char key[64], authorization[KEY_MAX + 32];
    const char *headers[] = {
        "content-type: application/json", "accept: application/json", agent, key, authorization, NULL};
    tfw_http_request_t request = {.url = settings.url,
                                  .headers = headers,
                                  .body = body->data,
                                  .body_len = body->len,
                                  .timeout_ms = settings.timeout_seconds * 1000,
                                  .keep_max = ANSWER_MAX,
                                  .read_max = ANSWER_MAX,
                                  .lists = &settings.lists};

    snprintf(key, sizeof(key), "idempotency-key: %s", c->id);
    snprintf(authorization, sizeof(authorization), "authorization: Bearer %s", settings.key);
    tfw_http_call(c->run, &request, answer);
    explicit_bzero(authorization, sizeof(authorization));
}

/* gateway: its answer, as it came; empty: left out. */
static void write_result(const charge_t *c, const json_t *answer, const char *transaction, tf_str_t gateway,
                         tf_buf_t *out)
{
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "status", "approved");
    tf_json_kraw(out, "user_id", c->user_id.data, c->user_id.len);
    tf_json_kraw(out, "amount", c->amount.data, c->amount.len);
    tf_json_kcstr(out, "currency", c->currency);
    tf_json_kcstr(out, "transaction_id", transaction);
    tf_json_kint(out, "amount_minor", c->minor);
    if (json_is_true(json_object_get(answer, "sandbox"))) {
        tf_json_kbool(out, "sandbox", true); /* nobody has paid anything */
    }
    if (gateway.len) {
        tf_json_kraw(out, "gateway", gateway.data, gateway.len);
    } else {
        tf_json_kbool(out, "truncated", true);
    }
    tf_buf_addc(out, '}');
}

/* The customer has paid: that the gateway was wordy must not make a failure of it. */
static void give_result(const charge_t *c, const json_t *answer, const char *transaction, const char *text,
                        size_t len)
{
    tf_buf_t out = TF_BUF_INIT;

    write_result(c, answer, transaction, (tf_str_t){text, len}, &out);
    if (out.len > tfw_run_result_max(c->run)) {
        tf_buf_reset(&out);
        write_result(c, answer, transaction, (tf_str_t){NULL, 0}, &out);
    }
    tfw_run_result(c->run, tf_buf_cstr(&out), out.len);
    tf_buf_free(&out);
}

/* What the gateway says about it; "": nothing. Fit for an error. */
static void read_reason(const json_t *answer, char reason[REASON_SIZE])
{
    static const char *const names[] = {"reason", "decline_code", "detail", "message", "error", "title"};
    const json_t *error = json_object_get(answer, "error"), *from = json_is_object(error) ? error : answer;
    const char *text = NULL;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !text; i++) {
        text = json_string_value(json_object_get(from, names[i]));
    }
    snprintf(reason, REASON_SIZE, "%s%s", text ? ": " : "", text ? text : "");
    reason[tfw_text_clean(reason, strlen(reason), REASON_SIZE - 1)] = '\0';
    for (char *c = reason; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = ' ';
        }
    }
}

static tfw_outcome_t declined(const charge_t *c, const char *reason)
{
    tfw_run_error(c->run, "Payment gateway rejected transaction for user %s%s", c->user, reason);
    return TFW_PERMANENT;
}

/* An answer of 200 to 299. What cannot be made out is asked for again: with the same key that costs nothing.
 */
static tfw_outcome_t judge_success(const charge_t *c, const tfw_http_answer_t *http, const json_t *answer,
                                   const char *reason)
{
    const char *status = json_string_value(json_object_get(answer, "status")),
               *transaction = json_string_value(json_object_get(answer, "transaction_id"));

    transaction = transaction ? transaction : json_string_value(json_object_get(answer, "id"));
    if (status && transaction && strlen(transaction) <= ID_MAX &&
        (strcmp(status, "approved") == 0 || strcmp(status, "succeeded") == 0)) {
        give_result(c, answer, transaction, http->body.data, http->body.len);
        return TFW_OK;
    }
    if (status && (strcmp(status, "declined") == 0 || strcmp(status, "rejected") == 0)) {
        return declined(c, reason);
    }
    tfw_run_error(c->run,
                  "the payment gateway's answer (HTTP %d) %s; whether user %s was charged is not known yet",
                  http->status, status ? "says that it is not decided" : "has no status", c->user);
    return TFW_RETRY;
}

enum {
    PAYMENT_REQUIRED = 402,
    REQUEST_TIMEOUT = 408,
    CONFLICT = 409, /* the same key is at work */
    TOO_EARLY = 425,
    TOO_MANY_REQUESTS = 429
};

static tfw_outcome_t judge(const charge_t *c, const tfw_http_answer_t *http, const json_t *answer)
{
    int status = http->status;
    char reason[REASON_SIZE];

    if (http->cancelled) {
        tfw_run_error(c->run,
                      "cancelled while the payment gateway was asked: user %s may have been charged "
                      "(idempotency key %s)",
                      c->user, c->id);
        return TFW_CANCELLED;
    }
    if (http->refused) { /* nobody was asked */
        tfw_run_error(c->run, "TASKFORGE_PAYMENT_URL: %s", http->error);
        return TFW_PERMANENT;
    }
    if (status == 0) {
        tfw_run_error(c->run,
                      "no answer from the payment gateway after %lld ms: %s; whether user %s was charged is "
                      "not known yet",
                      (long long)(http->duration_us / 1000), http->error, c->user);
        return TFW_RETRY;
    }
    read_reason(answer, reason);
    if (status >= 200 && status < 300) {
        return judge_success(c, http, answer, reason);
    }
    if (status == PAYMENT_REQUIRED) {
        return declined(c, reason);
    }
    tfw_run_error(c->run, "Payment gateway: HTTP %d%s", status, reason);
    if (status < 500 && status != REQUEST_TIMEOUT && status != CONFLICT && status != TOO_EARLY &&
        status != TOO_MANY_REQUESTS) {
        return TFW_PERMANENT;
    }
    if (http->retry_after_seconds >= 0) {
        tfw_run_retry_after(c->run, http->retry_after_seconds);
    }
    return TFW_RETRY;
}

static tfw_outcome_t process_payment_run(tfw_run_t *run)
{
    charge_t charge = {.run = run};
    tf_buf_t body = TF_BUF_INIT;
    tfw_http_answer_t http;
    tfw_outcome_t outcome;
    json_t *answer = NULL;
    char why[100];

    if (!read_charge(&charge)) {
        return TFW_PERMANENT;
    }
    if (!*settings.url) {
        tfw_run_error(run, "no payment gateway is set: TASKFORGE_PAYMENT_URL");
        return TFW_PERMANENT;
    }
    write_request(&charge, &body);
    if (body.failed) {
        tfw_run_error(run, "out of memory");
        tf_buf_free(&body);
        return TFW_RETRY;
    }
    tfw_run_log(run, "info", "asking the gateway for %lld minor units of %s, idempotency key %s",
                (long long)charge.minor, charge.currency, charge.id);
    call_gateway(&charge, &body, &http);
    tf_buf_free(&body);
    if (http.status) {
        tfw_run_log(run, "info", "the gateway: HTTP %d after %lld ms", http.status,
                    (long long)(http.duration_us / 1000));
    }
    if (http.status && http.body.len && !http.cut) {
        answer = tf_json_parse(http.body.data, http.body.len, why, sizeof(why));
    }
    outcome = judge(&charge, &http, answer);
    json_decref(answer);
    tfw_http_answer_free(&http);
    return outcome;
}

TF_HANDLER(process_payment) = {
    .type = "process_payment",
    .description = "Charges a customer through the payment gateway of the settings, once.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"user_id\":{\"type\":[\"string\",\"integer\"],\"minLength\":1,\"maxLength\":128,\"title\":\"User\","
        "\"description\":\"the customer, as the gateway knows them\",\"examples\":[\"usr_1001\"]},"
        "\"amount\":{\"type\":[\"number\",\"string\"],\"exclusiveMinimum\":0,\"minLength\":1,\"maxLength\":"
        "32,"
        "\"title\":\"Amount\",\"description\":\"a decimal number, or a text of one; nothing is rounded\","
        "\"examples\":[19.99,\"19.99\"]},"
        "\"currency\":{\"type\":\"string\",\"minLength\":3,\"maxLength\":3,\"default\":\"USD\",\"title\":"
        "\"Currency\",\"description\":\"ISO 4217\"},"
        "\"reference\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128,\"description\":\"of the "
        "invoice or "
        "order; default: the job's id\"},"
        "\"description\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":500}},"
        "\"required\":[\"user_id\",\"amount\"],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 310,
    .retry = TFW_RETRY_POWERS_OF_TWO,
    .run = process_payment_run,
    .io_bound = true,
};
