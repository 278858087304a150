/* executor.h: one executor process as the daemon sees it: started, given jobs, listened to, killed, buried.
 */
#ifndef TFW_EXECUTOR_H
#define TFW_EXECUTOR_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "held.h"
#include "run.h"

struct tfw_worker_s;

/* Why an executor is being killed: what its death means for the job it runs. */
typedef enum {
    TFW_DOOM_NONE,      /* nobody is killing it: a crash, the attempt failed */
    TFW_DOOM_TIMEOUT,   /* the attempt failed */
    TFW_DOOM_HANG,      /* many jobs at once: the attempt of the one that keeps the others waiting failed */
    TFW_DOOM_CANCEL,    /* the job is CANCELLED */
    TFW_DOOM_GIVE_BACK, /* the worker is leaving: the job is QUEUED again, no attempt is burnt */
    TFW_DOOM_DROP       /* the job is no longer ours: say nothing */
} tfw_doom_t;

typedef struct tfw_executor_s {
    struct tfw_worker_s *worker;
    int index;
    pid_t pid;     /* 0: not running */
    int places;    /* of an I/O executor: jobs at once; 0: one after the other */
    int fd;        /* the daemon's end of the pair */
    int far_fd;    /* the executor's end, kept to take back what it has not read */
    int output_fd; /* its standard output and error */
    uint32_t last_seq;
    uv_poll_t *poll, *output_poll;
    tfw_board_t *board; /* shared memory; lives as long as the daemon */
    tfw_jobs_t jobs;    /* sent and not ended, in the order sent; no places: the first runs or is about to */
    int njobs;
    tfw_doom_t doom;
    int64_t payload_bytes; /* of all of them */
    int64_t heard_us;      /* when it was listened to again after a pause */
    int64_t kill_at_us;    /* SIGKILL then; 0: not being killed, or killed already */
    /* I/O executor: the jobs by the bits of seq in mask; the earliest of their deadlines; TFW_DOOM_HANG: the
     * job whose code ran then, 0: none */
    tfw_job_t **by_seq;
    int64_t look_us;
    uint32_t mask, blamed;
    uint32_t cancel_seq; /* no places: its handler was asked to stop; 0: none was */
    bool slow;           /* no places: the first runs long, nothing is queued behind it */
    bool paused;         /* not listened to for now */
    bool leaving;        /* it was told to end, as there are to be fewer */
    int64_t spawned_us;
    int64_t cpu_us;        /* processor time of this process that was seen: usage.h */
    int64_t respawn_at_us; /* not running: start it then */
    int64_t output_second;
    int output_lines; /* logged within the current second */
} tfw_executor_t;

/* Prepares the shared memory; false with errno. */
bool tfw_executor_init(tfw_executor_t *ex, struct tfw_worker_s *worker, int index, int places);

/* Forks the process. false: logged; respawn_at_us says when to try again. */
bool tfw_executor_spawn(tfw_executor_t *ex);

/* Sends jobs from the front of `from`, at most `most`; returns how many went. */
int tfw_executor_send(tfw_executor_t *ex, tfw_jobs_t *from, int most);

/* The job that was sent with that seq and has not ended; without places: if it is the first. Else NULL. */
tfw_job_t *tfw_executor_job(const tfw_executor_t *ex, uint32_t seq);

/* The job is over, or not the executor's any more: without places, the next one begins. */
void tfw_executor_remove(tfw_executor_t *ex, tfw_job_t *job);

/* Asks the handler of a job that runs to stop. What is done when it does not within grace_ms is up to who
 * looks at its deadline. */
void tfw_executor_ask_to_stop(tfw_executor_t *ex, tfw_job_t *job, int64_t grace_ms);

/* The same once more, if its socket was full: sets job->told. */
void tfw_executor_tell(tfw_executor_t *ex, tfw_job_t *job);

/* Takes what the executor has said by now. */
void tfw_executor_listen(tfw_executor_t *ex);

/* Takes back every job that the executor has not read yet, in their order, to the end of `to`; returns how
 * many. None from an I/O executor: they have begun. */
int tfw_executor_take_back(tfw_executor_t *ex, tfw_jobs_t *to);

/* SIGTERM, and SIGKILL after grace_ms. What its handlers have started goes with it. */
void tfw_executor_kill(tfw_executor_t *ex, tfw_doom_t doom, int64_t grace_ms);

/* It has no job: it shall end by itself. */
void tfw_executor_end(tfw_executor_t *ex);

/* Its status as of wait(2), if it has died. */
bool tfw_executor_reap(tfw_executor_t *ex, int *status);

/* SIGKILL if the grace is over. */
void tfw_executor_kill_overdue(tfw_executor_t *ex, int64_t now_us);

/* Listens again after a pause. */
void tfw_executor_resume(tfw_executor_t *ex);

/* After waitpid: reads what it still said and closes everything. Jobs that have not ended stay in ex->jobs.
 */
void tfw_executor_bury(tfw_executor_t *ex);

/* Frees the shared memory; the process must be gone. */
void tfw_executor_free(tfw_executor_t *ex);

#endif
