/* The slice of the processor that a thread asks for, as the kernel tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <cmocka.h>

#include "slice.h"

static uint64_t runtime(void)
{
    uint64_t attributes[7] = {0}; /* struct sched_attr: runtime stands after 24 bytes */

    assert_int_equal(syscall(SYS_sched_getattr, 0, attributes, sizeof(attributes), 0), 0);
    return attributes[3];
}

static bool slices(void)
{
    struct utsname name;
    int major = 0, minor = 0;

    return uname(&name) == 0 && sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 12));
}

static void short_and_back(void **state)
{
    uint64_t usual = runtime();

    (void)state;
    assert_int_equal(setpriority(PRIO_PROCESS, 0, 5), 0);
    assert_true(tf_slice_set(TF_SLICE_SHORT));
    if (slices()) {
        assert_int_equal(runtime(), TF_SLICE_SHORT);
    }
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);
    assert_true(tf_slice_set(TF_SLICE_DEFAULT));
    assert_int_equal(runtime(), usual);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(short_and_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
