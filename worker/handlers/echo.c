/* echo: gives its payload back, after delay_ms if there is one: to try queues, clients and webhooks with. */
#include "handler.h"
#include "transfer.h"
#include "uuid.h"

#define DELAY_MS_MAX 3600000

static tfw_outcome_t echo_run(tfw_run_t *run)
{
    const json_t *delay = json_object_get(tfw_run_payload(run), "delay_ms");
    json_int_t ms = json_integer_value(delay);
    char id[TF_UUID_TEXT_LEN + 1] = "";
    tf_buf_t result = TF_BUF_INIT;
    const char *payload;
    size_t len;

    if (delay && (!json_is_integer(delay) || ms < 0 || ms > DELAY_MS_MAX)) {
        tfw_run_error(run, "payload: \"delay_ms\" must be an integer from 0 to %d", DELAY_MS_MAX);
        return TFW_PERMANENT;
    }
    if (ms > 0 && !tfw_run_wait(run, ms)) {
        return TFW_CANCELLED;
    }
    tf_uuid_format(tfw_run_id(run), id);
    payload = tfw_run_payload_text(run, &len);
    tf_buf_addc(&result, '{');
    tf_json_kbool(&result, "ok", true);
    tf_json_kcstr(&result, "task_id", id);
    tf_json_kraw(&result, "payload", payload, len);
    tf_buf_addc(&result, '}');
    tfw_run_result(run, tf_buf_cstr(&result), result.len);
    tf_buf_free(&result);
    return TFW_OK;
}

TF_HANDLER(echo) = {
    .type = "echo",
    .description = "Gives its payload back, after delay_ms milliseconds.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\","
        "\"properties\":{\"delay_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":3600000,"
        "\"title\":\"Delay\",\"description\":\"milliseconds\",\"default\":0,\"examples\":[100]}}}",
    .max_retries = 3,
    .timeout_seconds = 3700,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = echo_run,
    .io_bound = true,
};
