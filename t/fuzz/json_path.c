/* Any bytes as a JSON path and, behind the first NUL, a JSON value. What a path finds is in the value; a path
 * that is put together from what was taken apart finds the same. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "call/json_path.h"

/* Every value of the tree is found by its own path, quoted as JSON. */
static void find_all(const json_t *root, const json_t *here, tf_buf_t *path, int depth)
{
    size_t len = path->len, at, i;
    const json_t *found;
    const char *key;
    json_t *value;

    if (len > TFW_JSON_PATH_MAX || depth > 8) {
        return;
    }
    if (tfw_json_path(path->data, path->len, root, &found, &at) != NULL || found != here || at != len) {
        abort();
    }
    json_object_foreach((json_t *)here, key, value)
    {
        tf_buf_addc(path, '[');
        tf_json_str(path, key, strlen(key));
        tf_buf_adds(path, " ]");
        find_all(root, value, path, depth + 1);
        path->len = len;
    }
    json_array_foreach(here, i, value)
    {
        tf_buf_addf(path, "\n[%zu]", i);
        find_all(root, value, path, depth + 1);
        path->len = len;
        tf_buf_addf(path, "[-%zu]", json_array_size(here) - i);
        find_all(root, value, path, depth + 1);
        path->len = len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t len = nul ? (size_t)(nul - data) : size, at, again;
    const char *path = size ? (const char *)data : "", *wrong;
    json_t *root = nul ? json_loadb((const char *)nul + 1, size - len - 1, JSON_DECODE_ANY, NULL) : NULL;
    const json_t *found, *nothing;
    tf_buf_t own = TF_BUF_INIT;

    wrong = tfw_json_path(path, len, root, &found, &at);
    if (at > len || (wrong && found) || (!wrong && at != len) || (!root && found)) {
        abort();
    }
    /* whether a path is one does not depend on the value */
    if (tfw_json_path(path, len, NULL, &nothing, &again) != wrong || again != at || nothing) {
        abort();
    }
    if (root) {
        tf_buf_addc(&own, '$');
        find_all(root, root, &own, 0);
    }
    tf_buf_free(&own);
    json_decref(root);
    return 0;
}
