/* orphans.h: processes that a command has left behind. The daemon and its executors are subreapers
 * (prctl(2)): whatever the processes below them do, setsid(2) included, those that lose their parent become
 * their children, and are ended here. */
#ifndef TFW_ORPHANS_H
#define TFW_ORPHANS_H

#include <stdbool.h>
#include <sys/types.h>

/* From here on this process is the parent of those below it that lose theirs. */
void tfw_orphans_adopt(void);

/* Whether a child is none of those. */
typedef bool (*tfw_orphans_keep_fn)(const void *data, pid_t pid);

/* Kills every child but those to be kept (keep NULL: none is), and buries the dead among them. What they
 * leave behind comes to this process when they are gone: SIGCHLD tells. Does not wait. */
void tfw_orphans_kill(tfw_orphans_keep_fn keep, const void *data);

/* For a process that should have no children: returns when it has none. */
void tfw_orphans_end(void);

#endif
