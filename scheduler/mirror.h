/* mirror.h: copies to Redis which queues are paused, as PostgreSQL has it. Who pauses a queue tells Redis at
 * once; this is for what Redis did not hear, or has lost. */
#ifndef TFS_MIRROR_H
#define TFS_MIRROR_H

struct tfs_scheduler_s;

typedef struct {
    struct tfs_scheduler_s *scheduler;
    int outstanding; /* answers of Redis */
    void (*done)(void *data);
    void *data;
} tfs_mirror_t;

/* Calls done once, later or from within this call, when Redis has answered for every queue, or cannot. Not to
 * be called again before. */
void tfs_mirror_run(tfs_mirror_t *mirror, struct tfs_scheduler_s *scheduler, void (*done)(void *),
                    void *data);

#endif
