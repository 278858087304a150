#include "catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "schema.h"
#include "submission.h"

/* The section that TF_HANDLER fills; weak, so that a program without a handler links too. */
extern const tfw_handler_t *const __start_tfw_handlers[] __attribute__((weak));
extern const tfw_handler_t *const __stop_tfw_handlers[] __attribute__((weak));

/* Sorted by type. */
static struct {
    const tfw_handler_t *handler;
    char *source; /* malloc */
} entries[TFW_HANDLERS_MAX];
static tfw_handler_t changed[TFW_HANDLERS_MAX]; /* those of them that the settings change */
static size_t count;

/* What is wrong with the handler, or NULL; in detail what is wrong with its schema. */
static const char *fault(const tfw_handler_t *h, char *detail, size_t detail_size)
{
    tf_schema_t *schema;

    if (!h->run || !h->description) {
        return "has no description or no run function";
    }
    if (h->max_retries < 0 || h->max_retries > TF_MAX_RETRIES_MAX || h->timeout_seconds < 1 ||
        h->timeout_seconds > TF_TIMEOUT_SECONDS_MAX) {
        return "needs max_retries from 0 to 100 and timeout_seconds from 1 to 86400";
    }
    if (h->retry.base_ms < 0 || h->retry.max_ms < h->retry.base_ms || h->retry.max_ms > INT32_MAX) {
        return "needs 0 <= retry.base_ms <= retry.max_ms";
    }
    if (!h->payload_schema) {
        return "has no payload_schema";
    }
    schema = tf_schema_compile(h->payload_schema, strlen(h->payload_schema), detail, detail_size);
    if (!schema) {
        return "has a payload_schema that cannot be used: ";
    }
    tf_schema_free(schema);
    return NULL;
}

bool tfw_catalogue_add(const tfw_handler_t *handler, const char *source, char *error, size_t error_size)
{
    const char *type = handler->type, *why;
    char detail[256] = "";
    size_t at = 0;

    if (!type || !tf_queue_name_valid(type, strlen(type)) || count == TFW_HANDLERS_MAX) {
        snprintf(
            error, error_size,
            "%s: a handler whose type is not a name of 1 to %d letters, digits, '_', '.' or '-', or more "
            "than %d handlers",
            source, TF_QUEUE_NAME_MAX, TFW_HANDLERS_MAX);
        return false;
    }
    why = fault(handler, detail, sizeof(detail));
    if (why) {
        snprintf(error, error_size, "%s: the handler of %s %s%s", source, type, why, detail);
        return false;
    }
    while (at < count && strcmp(entries[at].handler->type, type) < 0) {
        at++;
    }
    if (at < count && strcmp(entries[at].handler->type, type) == 0) {
        snprintf(error, error_size, "%s: the type %s is there already, from %s", source, type,
                 entries[at].source);
        return false;
    }
    memmove(&entries[at + 1], &entries[at], (count - at) * sizeof(entries[0]));
    entries[at].handler = handler;
    entries[at].source = strdup(source);
    count++;
    return entries[at].source != NULL;
}

bool tfw_catalogue_init(char *error, size_t error_size)
{
    const tfw_handler_t *const *p = __start_tfw_handlers;

    while (count) {
        free(entries[--count].source);
    }
    /* cppcheck-suppress comparePointers ; the linker makes one array of both ends */
    for (; p < __stop_tfw_handlers; p++) {
        /* NULL: padding, as AddressSanitizer puts between objects */
        if (*p && !tfw_catalogue_add(*p, "taskforge-worker", error, error_size)) {
            return false;
        }
    }
    return true;
}

size_t tfw_catalogue_count(void)
{
    return count;
}

const tfw_handler_t *tfw_catalogue_at(size_t index)
{
    return entries[index].handler;
}

void tfw_catalogue_set_retry(int index, int max_retries, tf_retry_policy_t retry)
{
    changed[index] = *entries[index].handler;
    changed[index].max_retries = max_retries;
    changed[index].retry = retry;
    entries[index].handler = &changed[index];
}

int tfw_catalogue_find(const char *type, size_t len)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *other = entries[middle].handler->type;
        int order = strncmp(type, other, len);

        if (order == 0 && other[len] != '\0') {
            order = -1;
        }
        if (order == 0) {
            return (int)middle;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return -1;
}
