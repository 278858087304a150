/* Any schema and any payload, apart by a line feed: compiling and checking end, within their bounds; what is
 * said is JSON; and the same question has the same answer. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"
#include "submission.h"

static void check(const tf_schema_t *schema, const json_t *value)
{
    tf_buf_t errors = TF_BUF_INIT, again = TF_BUF_INIT, list = TF_BUF_INIT;
    bool ok = tf_schema_check(schema, value, "#/payload", &errors);
    json_t *parsed;

    tf_buf_addc(&list, '[');
    tf_buf_add(&list, errors.data, errors.len);
    tf_buf_addc(&list, ']');
    parsed = json_loadb(list.data, list.len, JSON_REJECT_DUPLICATES, NULL);
    if (parsed == NULL || json_array_size(parsed) > TF_SCHEMA_ERRORS_MAX + 1 ||
        ok != (json_array_size(parsed) == 0)) {
        abort();
    }
    if (json_is_object(value) && tf_schema_is_open(schema) && !ok) {
        abort();
    }
    if (tf_schema_check(schema, value, "#/payload", &again) != ok || again.len != errors.len) {
        abort();
    }
    json_decref(parsed);
    tf_buf_free(&errors);
    tf_buf_free(&again);
    tf_buf_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
    size_t len = line ? (size_t)(line - text) : size;
    char error[256];
    tf_schema_t *schema = tf_schema_compile(text, len, error, sizeof(error));
    json_t *value;

    if (schema == NULL) {
        return 0;
    }
    value = line ? tf_json_parse_any(line + 1, size - len - 1, error, sizeof(error)) : NULL;
    if (value) {
        check(schema, value);
    }
    json_decref(value);
    tf_schema_free(schema);
    return 0;
}
