#include "remote.h"

#include "message.h"
#include "run.h"
#include "signed_post.h"
#include "uuid.h"

#define ERROR_KEPT 600 /* bytes of an answer that is an error */

enum { REQUEST_TIMEOUT = 408, TOO_EARLY = 425, TOO_MANY_REQUESTS = 429 };

/* Whether the service may do it if it is asked again. */
static bool passing(int status)
{
    return status >= 500 || status == REQUEST_TIMEOUT || status == TOO_EARLY || status == TOO_MANY_REQUESTS;
}

static tfw_outcome_t judge(tfw_run_t *run, tfw_http_answer_t *answer)
{
    size_t kept = answer->body.len < ERROR_KEPT ? answer->body.len : ERROR_KEPT;

    if (answer->cancelled) {
        return TFW_CANCELLED;
    }
    if (answer->status == 0) {
        tfw_run_error(run, "no answer after %lld ms: %s", (long long)(answer->duration_us / 1000),
                      answer->error);
        return answer->refused ? TFW_PERMANENT : TFW_RETRY;
    }
    if (answer->status >= 200 && answer->status < 300) {
        if (answer->cut) {
            tfw_run_error(run, "the answer has more than %zu bytes", tfw_run_result_max(run));
            return TFW_PERMANENT;
        }
        tfw_message_result(run, answer->body.data, answer->body.len);
        return TFW_OK;
    }
    kept = kept ? tfw_text_clean(answer->body.data, answer->body.len, kept) : 0;
    tfw_run_error(run, "HTTP %d%s%.*s", answer->status, kept ? ": " : "", (int)kept,
                  kept ? answer->body.data : "");
    if (answer->retry_after_seconds >= 0) {
        tfw_run_retry_after(run, answer->retry_after_seconds);
    }
    return passing(answer->status) ? TFW_RETRY : TFW_PERMANENT;
}

tfw_outcome_t tfw_remote_run(tfw_run_t *run)
{
    const tfw_remote_t *remote = tfw_run_context(run);
    tfw_http_request_t request = {.url = remote->url,
                                  .timeout_ms = remote->timeout_ms,
                                  .keep_max = tfw_run_result_max(run),
                                  .read_max = tfw_run_result_max(run),
                                  .lists = &remote->lists};
    char id[TF_UUID_TEXT_LEN + 1] = "";
    tfw_signed_message_t message = {
        .id = id, .traceparent = tfw_run_traceparent(run), .secrets = remote->secrets};
    tf_buf_t body = TF_BUF_INIT;
    tfw_outcome_t outcome = TFW_RETRY;
    tfw_http_answer_t answer;

    tf_uuid_format(tfw_run_id(run), id);
    tfw_message_write(&body, run);
    message.body = tf_buf_cstr(&body);
    message.body_len = body.len;
    if (!body.failed && tfw_signed_post(run, &message, &request, &answer)) {
        outcome = judge(run, &answer);
        tfw_http_answer_free(&answer);
    } else {
        tfw_run_error(run, "out of memory");
    }
    tf_buf_free(&body);
    return outcome;
}
