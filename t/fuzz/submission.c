/* Any bytes as the body of POST /jobs. What is accepted must be whole; what is refused must say why, in valid
 * JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submission.h"

static const tf_type_defaults_t *lookup(void *data, const char *type, size_t len)
{
    static const tf_type_defaults_t any = {"noop", 4, 3, NULL};

    return len < 8 ? &any : NULL;
}

static void must_be_json(const char *open, const tf_buf_t *members, const char *close)
{
    tf_buf_t list = TF_BUF_INIT;
    json_t *json;

    tf_buf_adds(&list, open);
    tf_buf_add(&list, members->data, members->len);
    tf_buf_adds(&list, close);
    json = json_loadb(list.data, list.len, 0, NULL);
    if (json == NULL) {
        abort();
    }
    json_decref(json);
    tf_buf_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tf_buf_t errors = TF_BUF_INIT, out = TF_BUF_INIT;
    char error[200] = "";
    json_t *body = tf_json_parse((const char *)data, size, error, sizeof(error));
    tf_job_t job;

    if (body == NULL) {
        if (error[0] == '\0') {
            abort();
        }
        return 0;
    }
    if (tf_submission_check(body, (tf_str_t){(const char *)data, size}, "#", 1795352400000000, lookup, NULL,
                            &job, &errors)) {
        if (errors.len != 0 || job.type.len == 0 || job.priority < TF_PRIORITY_MIN ||
            job.priority > TF_PRIORITY_MAX) {
            abort();
        }
        tf_job_write_json(&out, &job, true, false);
        must_be_json("", &out, "");
    } else {
        if (errors.len == 0) {
            abort();
        }
        must_be_json("[", &errors, "]");
    }
    json_decref(body);
    tf_buf_free(&errors);
    tf_buf_free(&out);
    return 0;
}
