#include "orphans.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "read_text.h"

void tfw_orphans_adopt(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* -1: no such process. */
static pid_t parent_of(int proc, const char *pid)
{
    char path[32], text[256], *end;

    snprintf(path, sizeof(path), "%.16s/stat", pid);
    if (!tfw_read_text(proc, path, text, sizeof(text))) {
        return -1;
    }
    end = strrchr(text, ')'); /* "pid (name) state parent": the name may hold anything */
    return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : -1;
}

void tfw_orphans_kill(tfw_orphans_keep_fn keep, const void *data)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    pid_t self = getpid();

    while (proc && (entry = readdir(proc)) != NULL) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

        if (pid > 0 && parent_of(dirfd(proc), entry->d_name) == self && (!keep || !keep(data, pid))) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, WNOHANG);
        }
    }
    if (proc) {
        closedir(proc);
    }
}

void tfw_orphans_end(void)
{
    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        tfw_orphans_kill(NULL, NULL);
        while (waitpid(-1, NULL, 0) < 0 && errno == EINTR) {
        }
    }
}
