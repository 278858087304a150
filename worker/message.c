#include "message.h"

#include <string.h>

#include "submission.h"
#include "uuid.h"

#define BLANKS " \t\r\n"

void tfw_message_write(tf_buf_t *out, tfw_run_t *run)
{
    char id[TF_UUID_TEXT_LEN];
    const char *text;
    size_t len;

    tf_uuid_format(tfw_run_id(run), id);
    tf_buf_addc(out, '{');
    tf_json_kstr(out, "id", id, sizeof(id));
    tf_json_kcstr(out, "type", tfw_run_type(run));
    tf_json_kint(out, "attempt", tfw_run_attempt(run));
    tf_json_kint(out, "max_retries", tfw_run_max_retries(run));
    text = tfw_run_payload_text(run, &len);
    tf_json_kraw(out, "payload", text, len);
    text = tfw_run_metadata_text(run, &len);
    tf_json_kraw(out, "metadata", text, len);
    tf_json_kcstr(out, "traceparent", tfw_run_traceparent(run));
    tf_buf_addc(out, '}');
}

void tfw_message_result(tfw_run_t *run, const char *text, size_t len)
{
    tf_buf_t quoted = TF_BUF_INIT;
    json_t *parsed;
    char why[200];

    while (len && memchr(BLANKS, text[len - 1], strlen(BLANKS))) {
        len--;
    }
    if (len == 0) {
        return;
    }
    parsed = tf_json_parse_any(text, len, why, sizeof(why));
    if (parsed) {
        tfw_run_result(run, text, len);
    } else {
        tf_json_str(&quoted, text, len);
        tfw_run_result(run, tf_buf_cstr(&quoted), quoted.len);
    }
    json_decref(parsed);
    tf_buf_free(&quoted);
}
