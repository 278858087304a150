#include "catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The section that TF_HANDLER fills; weak, so that a program without a handler links too. */
extern const tfw_handler_t *const __start_tfw_handlers[] __attribute__((weak));
extern const tfw_handler_t *const __stop_tfw_handlers[] __attribute__((weak));

static const tfw_handler_t *handlers[TFW_HANDLERS_MAX];
static tfw_handler_t changed[TFW_HANDLERS_MAX]; /* those of them that the settings change */
static size_t handler_count;

static int by_type(const void *a, const void *b)
{
    return strcmp((*(const tfw_handler_t *const *)a)->type, (*(const tfw_handler_t *const *)b)->type);
}

/* What is wrong with the handler, or NULL. */
static const char *fault(const tfw_handler_t *h)
{
    json_t *schema;

    if (!h->run || !h->description) {
        return "has no description or no run function";
    }
    if (h->max_retries < 0 || h->timeout_seconds < 1) {
        return "needs max_retries >= 0 and timeout_seconds >= 1";
    }
    if (h->retry.base_ms < 0 || h->retry.max_ms < h->retry.base_ms || h->retry.max_ms > INT32_MAX) {
        return "needs 0 <= retry.base_ms <= retry.max_ms";
    }
    schema = h->payload_schema ? json_loads(h->payload_schema, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (!json_is_object(schema)) {
        json_decref(schema);
        return "has a payload_schema that is not a JSON object";
    }
    json_decref(schema);
    return NULL;
}

bool tfw_catalogue_init(char *error, size_t error_size)
{
    const tfw_handler_t *const *p = __start_tfw_handlers;

    handler_count = 0;
    /* cppcheck-suppress comparePointers ; the linker makes one array of both ends */
    for (; p < __stop_tfw_handlers; p++) {
        const char *why;

        if (!*p) {
            continue; /* padding, as AddressSanitizer puts between objects */
        }
        if (!(*p)->type || !*(*p)->type || handler_count == TFW_HANDLERS_MAX) {
            snprintf(error, error_size, "a handler without a type, or more than %d handlers",
                     TFW_HANDLERS_MAX);
            return false;
        }
        why = fault(*p);
        if (why) {
            snprintf(error, error_size, "handler %s %s", (*p)->type, why);
            return false;
        }
        handlers[handler_count++] = *p;
    }
    qsort(handlers, handler_count, sizeof(handlers[0]), by_type);
    for (size_t i = 1; i < handler_count; i++) {
        if (strcmp(handlers[i - 1]->type, handlers[i]->type) == 0) {
            snprintf(error, error_size, "two handlers for the type %s", handlers[i]->type);
            return false;
        }
    }
    return true;
}

size_t tfw_catalogue_count(void)
{
    return handler_count;
}

const tfw_handler_t *tfw_catalogue_at(size_t index)
{
    return handlers[index];
}

void tfw_catalogue_set_retry(int index, int max_retries, tf_retry_policy_t retry)
{
    changed[index] = *handlers[index];
    changed[index].max_retries = max_retries;
    changed[index].retry = retry;
    handlers[index] = &changed[index];
}

int tfw_catalogue_find(const char *type, size_t len)
{
    size_t low = 0, high = handler_count;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *other = handlers[middle]->type;
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
