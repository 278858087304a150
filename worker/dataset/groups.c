/* groups.c: see groups.h. */
#include <stdlib.h>
#include <string.h>

#include "dataset/groups.h"

#define SLOTS_FIRST 64 /* a power of two */

/* FNV-1a. No defence against chosen collisions: the caller's `max` bounds what they can cost. */
static uint32_t hash_of(const char *s, size_t len)
{
    uint32_t h = 2166136261u;
    size_t i;

    for (i = 0; i < len; i++) {
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    }
    return h;
}

/* The slot that holds the value, or the free one where it belongs. */
static size_t slot_of(const tfw_groups_t *g, const char *value, size_t len, uint32_t hash)
{
    size_t slot = hash & (g->slots_size - 1);
    const tfw_group_t *item;

    while (g->slots[slot] != 0) {
        item = &g->items[g->slots[slot] - 1];
        if (item->hash == hash && item->len == len && memcmp(item->value, value, len) == 0) {
            break;
        }
        slot = (slot + 1) & (g->slots_size - 1);
    }
    return slot;
}

/* Twice the slots, and items for half of them. */
static tfw_groups_status_t grow(tfw_groups_t *g)
{
    size_t size = g->slots_size == 0 ? SLOTS_FIRST : g->slots_size * 2, i, slot;
    tfw_group_t *items = realloc(g->items, size / 2 * sizeof(*items));
    uint32_t *slots = calloc(size, sizeof(*slots));

    if (items != NULL) {
        g->items = items;
    }
    if (items == NULL || slots == NULL) {
        free(slots);
        return TFW_GROUPS_MEMORY;
    }
    for (i = 0; i < g->count; i++) {
        for (slot = g->items[i].hash & (size - 1); slots[slot] != 0; slot = (slot + 1) & (size - 1)) {
        }
        slots[slot] = (uint32_t)i + 1;
    }
    free(g->slots);
    g->slots = slots;
    g->slots_size = size;
    return TFW_GROUPS_OK;
}

tfw_groups_status_t tfw_groups_find(tfw_groups_t *g, const char *value, size_t len, size_t max,
                                    uint32_t *number)
{
    uint32_t hash = hash_of(value, len);
    tfw_group_t *item;
    size_t slot;

    if (g->count == g->slots_size / 2 && grow(g) != TFW_GROUPS_OK) {
        return TFW_GROUPS_MEMORY;
    }
    slot = slot_of(g, value, len, hash);
    if (g->slots[slot] == 0) {
        if (g->count >= max) {
            return TFW_GROUPS_FULL;
        }
        item = &g->items[g->count];
        item->value = malloc(len + 1);
        if (item->value == NULL) {
            return TFW_GROUPS_MEMORY;
        }
        memcpy(item->value, value, len);
        item->len = (uint32_t)len;
        item->hash = hash;
        g->slots[slot] = (uint32_t)++g->count;
    }
    *number = g->slots[slot] - 1;
    return TFW_GROUPS_OK;
}

static int compare(const void *a, const void *b, void *data)
{
    const tfw_group_t *items = data;
    const tfw_group_t *x = &items[*(const uint32_t *)a], *y = &items[*(const uint32_t *)b];
    int order = memcmp(x->value, y->value, x->len < y->len ? x->len : y->len);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

uint32_t *tfw_groups_sorted(const tfw_groups_t *g)
{
    uint32_t *numbers = malloc((g->count + 1) * sizeof(*numbers)), i;

    if (numbers == NULL) {
        return NULL;
    }
    for (i = 0; i < g->count; i++) {
        numbers[i] = i;
    }
    if (g->count > 1) {
        qsort_r(numbers, g->count, sizeof(*numbers), compare, g->items);
    }
    return numbers;
}

void tfw_groups_free(tfw_groups_t *g)
{
    size_t i;

    for (i = 0; i < g->count; i++) {
        free(g->items[i].value);
    }
    free(g->items);
    free(g->slots);
}
