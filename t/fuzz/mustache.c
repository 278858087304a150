/* Any bytes as a template. What is rendered for HTML holds no markup of a variable. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/mustache.h"

#define OUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *variables;
    tf_buf_t out = {.limit = OUT_MAX};
    char error[200] = "";
    bool ok;

    if (!variables) {
        variables = json_loads(
            "{\"a\": [1, 2, {\"b\": \"<\"}], \"b\": {\"c\": {\"d\": \"\\u0001\"}}, \"e\": [[], [[1]]]}", 0,
            NULL);
    }
    ok = tfw_mustache_render((const char *)data, size, variables, true, &out, error, sizeof(error));
    if (ok == (error[0] != '\0') || out.len > OUT_MAX) {
        abort();
    }
    /* what stands in a variable alone */
    if (ok && !memchr(data, '<', size) && !memmem(data, size, "{{{", 3) && !memmem(data, size, "{{&", 3) &&
        out.len && memchr(out.data, '<', out.len)) {
        abort();
    }
    tf_buf_free(&out);
    return 0;
}
