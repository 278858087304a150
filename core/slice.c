#include "slice.h"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* sched_setattr(2); glibc has no wrapper before 2.41, and linux/sched/types.h clashes with sched.h. */
typedef struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
} attributes_t;

bool tf_slice_set(uint64_t ns)
{
    attributes_t attributes;

    memset(&attributes, 0, sizeof(attributes));
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) {
        return false;
    }
    attributes.size = sizeof(attributes);
    attributes.runtime = ns;
    attributes.deadline = 0;
    attributes.period = 0;
    return syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}
