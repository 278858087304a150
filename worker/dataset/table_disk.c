#include "dataset/table_disk.h"

#include <sqlite3.h>
#include <stddef.h>

/* A file of ours, and behind it the file that does the work. */
typedef struct {
    sqlite3_file base;
    sqlite3_int64 size;
} file_t;

/* An executor runs one job at a time. */
static int64_t used, limit;
static bool exceeded;
static sqlite3_vfs vfs, *real_vfs;

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)((file_t *)file + 1);
}

static void resize(file_t *file, sqlite3_int64 size)
{
    used += size - file->size;
    file->size = size;
}

static int disk_close(sqlite3_file *file)
{
    resize((file_t *)file, 0);
    return real(file)->pMethods->xClose(real(file));
}

static int disk_read(sqlite3_file *file, void *bytes, int len, sqlite3_int64 at)
{
    return real(file)->pMethods->xRead(real(file), bytes, len, at);
}

static int disk_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    file_t *f = (file_t *)file;
    sqlite3_int64 end = at + len;
    int rc;

    exceeded = end > f->size && used + (end - f->size) > limit;
    if (exceeded) {
        return SQLITE_FULL;
    }
    rc = real(file)->pMethods->xWrite(real(file), bytes, len, at);
    if (rc == SQLITE_OK && end > f->size) {
        resize(f, end);
    }
    return rc;
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int rc = real(file)->pMethods->xTruncate(real(file), size);

    if (rc == SQLITE_OK && size < ((file_t *)file)->size) {
        resize((file_t *)file, size);
    }
    return rc;
}

static int disk_sync(sqlite3_file *file, int flags)
{
    return real(file)->pMethods->xSync(real(file), flags);
}

static int disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int disk_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int disk_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int disk_check_lock(sqlite3_file *file, int *locked)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), locked);
}

/* Not passed on: hints of sizes and memory maps would write past disk_write. */
static int disk_control(sqlite3_file *file, int op, void *arg)
{
    return SQLITE_NOTFOUND;
}

static int disk_sector(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int disk_traits(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int disk_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    /* version 1: no shared memory, no memory maps */
    static const sqlite3_io_methods methods = {
        .iVersion = 1,
        .xClose = disk_close,
        .xRead = disk_read,
        .xWrite = disk_write,
        .xTruncate = disk_truncate,
        .xSync = disk_sync,
        .xFileSize = disk_size,
        .xLock = disk_lock,
        .xUnlock = disk_unlock,
        .xCheckReservedLock = disk_check_lock,
        .xFileControl = disk_control,
        .xSectorSize = disk_sector,
        .xDeviceCharacteristics = disk_traits,
    };
    int rc = real_vfs->xOpen(real_vfs, name, real(file), flags, out_flags);

    file->pMethods = real(file)->pMethods != NULL ? &methods : NULL;
    ((file_t *)file)->size = 0;
    return rc;
}

bool tfw_table_disk_limit(int64_t max)
{
    limit = max;
    exceeded = false;
    if (real_vfs != NULL) {
        return true;
    }
    if (sqlite3_initialize() != SQLITE_OK) {
        return false;
    }
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.pNext = NULL;
    vfs.zName = TFW_TABLE_VFS;
    vfs.szOsFile = (int)sizeof(file_t) + real_vfs->szOsFile;
    vfs.xOpen = disk_open;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
}

bool tfw_table_disk_exceeded(void)
{
    return exceeded;
}
