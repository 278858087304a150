/* What tf_json_check passes, tf_json_parse takes; and a body parsed the quick way is the body parsed the slow
 * way, but for its payloads. */
#include <stdlib.h>
#include <string.h>

#include "json_check.h"
#include "json_slice.h"
#include "submission.h"

static void forget_payload(json_t *job)
{
    json_t *payload = json_object_get(job, "payload");

    if (json_is_object(payload)) {
        json_object_clear(payload);
    }
}

static void forget_payloads(json_t *body, bool batch)
{
    json_t *job;
    size_t i;

    if (!batch) {
        forget_payload(body);
        return;
    }
    json_array_foreach(json_object_get(body, "jobs"), i, job)
    {
        forget_payload(job);
    }
}

static void compare(tf_str_t text, bool batch)
{
    char error[200];
    json_t *slow = tf_json_parse(text.data, text.len, error, sizeof(error));
    json_t *quick = tf_submission_parse(text, batch, error, sizeof(error));

    if ((slow == NULL) != (quick == NULL)) {
        abort();
    }
    if (slow) {
        forget_payloads(slow, batch);
        forget_payloads(quick, batch);
        if (!json_equal(slow, quick)) {
            abort();
        }
    }
    json_decref(slow);
    json_decref(quick);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tf_str_t text = {(const char *)data, size};
    char error[200];
    json_t *value;

    if (tf_json_check(text.data, size)) {
        value = tf_json_parse(text.data, size, error, sizeof(error));
        if (value == NULL) {
            abort();
        }
        json_decref(value);
    }
    compare(text, false);
    compare(text, true);
    return 0;
}
