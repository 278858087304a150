/* zone.h: time zones as the system has them: compiled files of the IANA database (TZif, RFC 9636), read once
 * and then only looked at. The scheduler and the module read the same files, and so do Debian's PostgreSQL
 * and libc. */
#ifndef TF_ZONE_H
#define TF_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define TF_ZONE_DIRECTORY "/usr/share/zoneinfo" /* Debian: tzdata */
#define TF_ZONE_NAME_MAX 64                     /* bytes */

typedef struct tf_zone_s tf_zone_t;

/* One zone from the content of a TZif file of version 2 or later. Changes before 1970 are left out. NULL: it
 * is none, or out of memory. */
tf_zone_t *tf_zone_read(const void *data, size_t len);
/* UTC. NULL: out of memory. */
tf_zone_t *tf_zone_utc(void);
void tf_zone_free(tf_zone_t *zone);

/* Seconds east of UTC at an instant (seconds since 1970-01-01 UTC). */
int32_t tf_zone_offset(const tf_zone_t *zone, int64_t at);

/* The first instant after `at` when the offset may change; INT64_MAX: never again. */
int64_t tf_zone_next_change(const tf_zone_t *zone, int64_t at);

/* All zones of a directory by their names. */
typedef struct tf_zones_s tf_zones_t;

/* Reads the directory and all below it: some 600 names and a quarter of a megabyte. What is no zone is left
 * out. "UTC" is there even when the directory is not. NULL: out of memory. */
tf_zones_t *tf_zones_load(const char *directory);
void tf_zones_free(tf_zones_t *zones);

/* A zone by its name, as IANA spells it ("Europe/Berlin"). NULL: there is none. It lives as long as zones. */
const tf_zone_t *tf_zones_find(const tf_zones_t *zones, const char *name, size_t len);

/* How many names there are. */
size_t tf_zones_count(const tf_zones_t *zones);

/* The name at a place of the sorted list, for whoever shows them all. */
const char *tf_zones_name(const tf_zones_t *zones, size_t index);

#endif
