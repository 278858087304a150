/* The table of zone.h: names and files. */
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zone.h"

#define FILE_MAX 65536 /* bytes of a zone's file; the longest of 2025 has 3,585 */
#define NAMES_MAX 4096 /* of 2025: 599 */
#define NAMES_STEP 256

typedef struct {
    char *name;
    tf_zone_t *zone;
    dev_t device; /* several names may be one file */
    ino_t inode;
    bool owner; /* of zone */
} entry_t;

struct tf_zones_s {
    entry_t *entries; /* by name, once loaded */
    size_t count, size;
};

static const char *const not_zones[] = {"posix", "right", "localtime", "posixrules", "Factory"};

static bool excluded(const char *name)
{
    for (size_t i = 0; i < sizeof(not_zones) / sizeof(not_zones[0]); i++) {
        if (strcmp(name, not_zones[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool name_valid(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= TF_ZONE_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == len;
}

/* false: out of memory, and the zone is freed. */
static bool add(tf_zones_t *zones, const char *name, tf_zone_t *zone, const struct stat *st, bool owner)
{
    if (zones->count == zones->size) {
        entry_t *more = realloc(zones->entries, (zones->size + NAMES_STEP) * sizeof(entry_t));

        if (more == NULL) {
            goto failed;
        }
        zones->entries = more;
        zones->size += NAMES_STEP;
    }
    zones->entries[zones->count] = (entry_t){
        .name = strdup(name), .zone = zone, .device = st->st_dev, .inode = st->st_ino, .owner = owner};
    if (zones->entries[zones->count].name == NULL) {
        goto failed;
    }
    zones->count++;
    return true;

failed:
    if (owner) {
        tf_zone_free(zone);
    }
    return false;
}

static tf_zone_t *read_file(const char *path)
{
    static const size_t size = FILE_MAX;
    char *data = malloc(size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    tf_zone_t *zone = NULL;
    size_t len = 0;
    ssize_t n = -1;

    while (data && fd >= 0 && len < size && (n = read(fd, data + len, size - len)) > 0) {
        len += (size_t)n;
    }
    if (n == 0) {
        zone = tf_zone_read(data, len);
    }
    if (fd >= 0) {
        close(fd);
    }
    free(data);
    return zone;
}

/* A file may be a zone, or another name of one. false: out of memory. */
static bool take_file(tf_zones_t *zones, const char *path, const char *name, const struct stat *st)
{
    tf_zone_t *zone;

    if (!name_valid(name) || excluded(name) || zones->count == NAMES_MAX) {
        return true;
    }
    for (size_t i = 0; i < zones->count; i++) {
        if (zones->entries[i].inode == st->st_ino && zones->entries[i].device == st->st_dev) {
            return add(zones, name, zones->entries[i].zone, st, false);
        }
    }
    zone = st->st_size < FILE_MAX ? read_file(path) : NULL;
    return zone == NULL || add(zones, name, zone, st, true);
}

static bool take_directory(tf_zones_t *zones, const char *directory)
{
    char *paths[] = {(char *)directory, NULL};
    FTS *fts = fts_open(paths, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    size_t skip = strlen(directory) + 1;
    bool ok = true;
    FTSENT *e;

    if (fts == NULL) {
        return false;
    }
    while (ok && (e = fts_read(fts))) {
        if (e->fts_info == FTS_D && e->fts_level == 1 && excluded(e->fts_name)) {
            fts_set(fts, e, FTS_SKIP);
        } else if (e->fts_info == FTS_F && e->fts_pathlen > skip) {
            ok = take_file(zones, e->fts_path, e->fts_path + skip, e->fts_statp);
        }
    }
    fts_close(fts);
    return ok;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry_t *)a)->name, ((const entry_t *)b)->name);
}

static const entry_t *find(const tf_zones_t *zones, const char *name)
{
    entry_t wanted = {.name = (char *)name};

    return bsearch(&wanted, zones->entries, zones->count, sizeof(entry_t), by_name);
}

tf_zones_t *tf_zones_load(const char *directory)
{
    tf_zones_t *zones = calloc(1, sizeof(*zones));
    static const struct stat nowhere;

    if (zones == NULL) {
        return NULL;
    }
    if (!take_directory(zones, directory)) {
        tf_zones_free(zones);
        return NULL;
    }
    if (zones->count) {
        qsort(zones->entries, zones->count, sizeof(entry_t), by_name);
    }
    if (zones->count == 0 || find(zones, "UTC") == NULL) {
        tf_zone_t *zone = tf_zone_utc();

        if (zone == NULL || !add(zones, "UTC", zone, &nowhere, true)) {
            tf_zones_free(zones);
            return NULL;
        }
        qsort(zones->entries, zones->count, sizeof(entry_t), by_name);
    }
    return zones;
}

void tf_zones_free(tf_zones_t *zones)
{
    if (zones == NULL) {
        return;
    }
    for (size_t i = 0; i < zones->count; i++) {
        free(zones->entries[i].name);
        if (zones->entries[i].owner) {
            tf_zone_free(zones->entries[i].zone);
        }
    }
    free(zones->entries);
    free(zones);
}

const tf_zone_t *tf_zones_find(const tf_zones_t *zones, const char *name, size_t len)
{
    char text[TF_ZONE_NAME_MAX + 1];
    const entry_t *entry;

    if (len == 0 || len > TF_ZONE_NAME_MAX || memchr(name, '\0', len)) {
        return NULL;
    }
    memcpy(text, name, len);
    text[len] = '\0';
    entry = find(zones, text);
    return entry ? entry->zone : NULL;
}

size_t tf_zones_count(const tf_zones_t *zones)
{
    return zones->count;
}

const char *tf_zones_name(const tf_zones_t *zones, size_t index)
{
    return index < zones->count ? zones->entries[index].name : NULL;
}
