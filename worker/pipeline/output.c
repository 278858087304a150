#include "pipeline/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PARTS ".parts" /* in the output directory */
#define BUSY_SECONDS 5 /* a run that comes too late notices within a batch */
#define UUID_TEXT_LEN 36

static int open_beneath(int dir, const char *path, int flags, bool links)
{
    struct open_how how = {.flags = (unsigned long long)(flags | O_CLOEXEC),
                           .resolve =
                               RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links ? 0 : RESOLVE_NO_SYMLINKS)};

    return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* A directory in dir, made if it is not there. */
static int open_dir(int dir, const char *name, bool links)
{
    if (mkdirat(dir, name, 0755) != 0 && errno != EEXIST) {
        return -1;
    }
    return open_beneath(dir, name, O_RDONLY | O_DIRECTORY, links);
}

/* What errno says of a path, and whether another attempt may find it otherwise. */
static tfw_outcome_t fail(const tfw_pipeline_t *p, const char *path)
{
    int code = errno;

    tfw_run_error(p->run, "destination: %s: %s", path,
                  code == EXDEV || code == ELOOP ? "leads out of the output directory" : strerror(code));
    return code == EXDEV || code == ELOOP || code == ENOTDIR || code == EISDIR || code == ENAMETOOLONG ||
                   code == EACCES || code == EROFS || code == ENOTEMPTY
               ? TFW_PERMANENT
               : TFW_RETRY;
}

/* Steps down to the directory of the file, whose name is what remains. */
static tfw_outcome_t open_target(tfw_output_t *o, const tfw_pipeline_t *p, const char *path)
{
    char part[TFW_PLACE_PATH_MAX + 1];
    const char *slash;

    o->target = dup(o->dir);
    for (; (slash = strchr(path, '/')) != NULL && o->target >= 0; path = slash + 1) {
        int next;

        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        if (strcmp(part, PARTS) == 0) { /* where the files of running jobs are */
            break;
        }
        next = open_dir(o->target, part, false);
        close(o->target);
        o->target = next;
    }
    if (o->target < 0) {
        return fail(p, p->destination.path);
    }
    if (slash || !*path || strcmp(path, ".") == 0 || strcmp(path, "..") == 0 || strcmp(path, PARTS) == 0) {
        tfw_run_error(p->run, "destination: %s: is no name of a file", p->destination.path);
        return TFW_PERMANENT;
    }
    snprintf(o->name, sizeof(o->name), "%s", path);
    return TFW_OK;
}

tfw_outcome_t tfw_output_open(tfw_output_t *o, tfw_pipeline_t *p, const char *path)
{
    int data = open(tfw_run_data_dir(p->run), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *o = (tfw_output_t){.dir = -1, .target = -1, .parts = -1, .fd = -1, .part = p->name};
    if (data >= 0) {
        o->dir = open_dir(data, p->settings->output_dir, true);
    }
    if (o->dir >= 0) {
        o->parts = open_dir(o->dir, PARTS, false);
    }
    if (o->parts < 0) {
        tfw_outcome_t outcome = fail(p, p->settings->output_dir);

        if (data >= 0) {
            close(data);
        }
        return outcome;
    }
    close(data);
    if (path[0] == '/') {
        tfw_run_error(p->run, "destination: %s: leads out of the output directory", path);
        return TFW_PERMANENT;
    }
    return open_target(o, p, path);
}

/* Of this job's earlier lives, and of jobs that nobody will go on with. */
static void sweep(const tfw_output_t *o)
{
    int fd = dup(o->parts);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    struct stat st;

    if (!dir) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        bool ours = strncmp(name, o->part, UUID_TEXT_LEN) == 0;

        if (name[0] == '.' || strcmp(name, o->part) == 0 ||
            fstatat(o->parts, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (ours || st.st_mtime < time(NULL) - TFW_LEFT_BEHIND_SECONDS) {
            unlinkat(o->parts, name, 0);
        }
    }
    closedir(dir);
}

tfw_outcome_t tfw_output_begin(tfw_output_t *o, tfw_pipeline_t *p)
{
    o->fd = openat(o->parts, o->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (o->fd < 0) {
        return fail(p, o->part);
    }
    if (flock(o->fd, LOCK_EX | LOCK_NB) != 0) {
        tfw_outcome_t outcome =
            errno == EWOULDBLOCK ? tfw_run_snooze(p->run, BUSY_SECONDS) : fail(p, o->part);

        close(o->fd);
        o->fd = -1;
        return outcome;
    }
    sweep(o);
    return TFW_OK;
}

tfw_outcome_t tfw_output_finish(tfw_output_t *o, tfw_pipeline_t *p)
{
    /* ENOENT: an earlier run did it, and did not come to say so */
    if (renameat(o->parts, o->part, o->target, o->name) != 0 &&
        (errno != ENOENT || faccessat(o->target, o->name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)) {
        return fail(p, p->destination.path);
    }
    return fsync(o->target) == 0 ? TFW_OK : fail(p, p->destination.path);
}

void tfw_output_abandon(tfw_output_t *o)
{
    if (o->fd >= 0) {
        unlinkat(o->parts, o->part, 0);
    }
}

void tfw_output_close(tfw_output_t *o)
{
    int *const fds[] = {&o->fd, &o->parts, &o->target, &o->dir};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
            *fds[i] = -1;
        }
    }
}
