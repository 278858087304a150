/* groups.h: the different values of a column, numbered from 0 in the order they are met. */
#ifndef TFW_GROUPS_H
#define TFW_GROUPS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *value; /* not NUL-terminated */
    uint32_t len;
    uint32_t hash;
} tfw_group_t;

/* Begins as { 0 }. */
typedef struct {
    tfw_group_t *items;
    size_t count;
    uint32_t *slots; /* open addressing: item number + 1, 0 where free */
    size_t slots_size;
} tfw_groups_t;

typedef enum { TFW_GROUPS_OK, TFW_GROUPS_FULL, TFW_GROUPS_MEMORY } tfw_groups_status_t;

/* The number of a value; a new one is copied and numbered, unless there are `max` already (TFW_GROUPS_FULL).
 */
tfw_groups_status_t tfw_groups_find(tfw_groups_t *g, const char *value, size_t len, size_t max,
                                    uint32_t *number);

/* The numbers sorted by the bytes of their values, malloc'd, the caller frees. NULL: out of memory. */
uint32_t *tfw_groups_sorted(const tfw_groups_t *g);

void tfw_groups_free(tfw_groups_t *g);

#endif
