/* How a daemon starts: the command line, the settings that both daemons have, and those of the worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "daemon/start.h"
#include "job.h"
#include "options.h"

static char library[] = "/tmp/tf-unit-library-XXXXXX";

static void set_good(void)
{
    clearenv();
    setenv("DATABASE_URL", "postgresql://u:secret@h/d", 1);
    setenv("REDIS_URL", "redis://:hidden@h:6380/2", 1);
    setenv("TASKFORGE_REDIS_LIBRARY", library, 1);
    setenv("TASKFORGE_DATA_DIR", "/tmp/../tmp", 1);
}

static int write_library(void **state)
{
    int fd = mkstemp(library);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (!file) {
        return 1;
    }
    fputs("#!lua name=taskforge\nlocal x = 1\n", file);
    return fclose(file);
}

static int remove_library(void **state)
{
    return unlink(library);
}

static int command_line(tfd_command_line_t *out, const char *a, const char *b, const char *c)
{
    char *argv[] = {(char *)"taskforge-x", (char *)a, (char *)b, (char *)c, NULL};
    int argc = 1 + !!a + !!b + !!c;

    optind = 0; /* glibc: getopt begins anew */
    opterr = 0;
    return tfd_command_line("taskforge-x", argc, argv, out);
}

static void the_command_line_is_read(void **state)
{
    tfd_command_line_t line;

    assert_int_equal(command_line(&line, NULL, NULL, NULL), -1);
    assert_null(line.path);
    assert_false(line.check);
    assert_int_equal(command_line(&line, "-t", "-c", "f.env"), -1);
    assert_string_equal(line.path, "f.env");
    assert_true(line.check);
    assert_int_equal(command_line(&line, "-x", NULL, NULL), 2);
    assert_int_equal(command_line(&line, "-c", NULL, NULL), 2);
    assert_int_equal(command_line(&line, "more", NULL, NULL), 2);
}

static void good_settings_are_loaded(void **state)
{
    tfd_settings_t s;
    char error[512];

    set_good();
    assert_true(tfd_settings_load(&s, NULL, "x", error, sizeof(error)));
    assert_string_equal(s.redis.host, "h");
    assert_int_equal(s.redis.port, 6380);
    assert_int_equal(s.redis.db, 2);
    assert_string_equal(s.log_level, "info");
    assert_int_equal(s.library.len, strlen("#!lua name=taskforge\nlocal x = 1\n"));
    tfd_settings_free(&s);
    tfd_settings_free(&s); /* harmless */
}

static void bad_settings_are_named(void **state)
{
    static const struct {
        const char *name, *value, *says;
    } bad[] = {
        {"DATABASE_URL", NULL, "DATABASE_URL is required"},
        {"DATABASE_URL", "postgresql://u:secret@h:port:1/%", "DATABASE_URL is not a valid"},
        {"REDIS_URL", "http://hidden", "REDIS_URL: "},
        {"TASKFORGE_LOG_LEVEL", "loud", "TASKFORGE_LOG_LEVEL: \"loud\" is not debug"},
        {"TASKFORGE_REDIS_LIBRARY", "/nonexistent", "TASKFORGE_REDIS_LIBRARY: /nonexistent: No such file"},
        {"TASKFORGE_REDIS_LIBRARY", "/etc/passwd", "does not begin with \"#!lua name=taskforge\""},
        {"TASKFORGE_REDIS_LIBRARY", "/dev/zero", "does not begin with"},
        {"TASKFORGE_REDIS_LIBRARY", "/tmp", "/tmp cannot be read"},
    };
    tfd_settings_t s;
    char error[512];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_good();
        if (bad[i].value) {
            setenv(bad[i].name, bad[i].value, 1);
        } else {
            unsetenv(bad[i].name);
        }
        error[0] = '\0';
        assert_false(tfd_settings_load(&s, NULL, "x", error, sizeof(error)));
        if (!strstr(error, bad[i].says)) {
            fail_msg("\"%s\" does not say \"%s\"", error, bad[i].says);
        }
        assert_null(strstr(error, "secret"));
        assert_null(strstr(error, "hidden"));
    }
}

static void queues_of_the_worker(void **state)
{
    tfw_options_t o;
    char error[512], many[TFW_PATTERNS_MAX * 4 + 8] = "";

    set_good();
    assert_true(tfw_options_load(&o, NULL, error, sizeof(error)));
    assert_int_equal(o.nqueues, 3);
    assert_string_equal(o.queues[0], "default");
    assert_string_equal(o.queues[1], TF_QUEUE_OWN);
    assert_string_equal(o.queues[2], TF_QUEUE_WEBHOOKS);
    assert_string_equal(o.data_dir, "/tmp");
    assert_true(o.hostname[0] != '\0');
    tfw_options_free(&o);

    setenv("TASKFORGE_WORKER_INTERNAL", "false", 1);
    setenv("TASKFORGE_WORKER_QUEUES", "a,b.c,d_1-2", 1);
    assert_true(tfw_options_load(&o, NULL, error, sizeof(error)));
    assert_int_equal(o.nqueues, 3);
    assert_string_equal(o.queues[1], "b.c");
    assert_string_equal(o.queues[2], "d_1-2");
    tfw_options_free(&o);

    for (int i = 0; i <= TFW_PATTERNS_MAX; i++) {
        char name[24];

        snprintf(name, sizeof(name), "%sq%d", i ? "," : "", i);
        memcpy(many + strlen(many), name, strlen(name) + 1);
    }
    setenv("TASKFORGE_WORKER_QUEUES", many, 1);
    assert_false(tfw_options_load(&o, NULL, error, sizeof(error)));
    assert_non_null(strstr(error, "more than 64 queues"));
    *strrchr(many, ',') = '\0';
    setenv("TASKFORGE_WORKER_QUEUES", many, 1);
    assert_true(tfw_options_load(&o, NULL, error, sizeof(error)));
    assert_int_equal(o.nqueues, TFW_PATTERNS_MAX);
    tfw_options_free(&o);
}

static void bad_settings_of_the_worker(void **state)
{
    static const struct {
        const char *name, *value, *says;
    } bad[] = {
        {"TASKFORGE_WORKER_QUEUES", "a,b,a", "\"a\" is there twice"},
        {"TASKFORGE_WORKER_QUEUES", "a,,b", "\"\" is not a name"},
        {"TASKFORGE_WORKER_QUEUES", "a, b", "\" b\" is not a name"},
        {"TASKFORGE_WORKER_POOL", "p{1}", "TASKFORGE_WORKER_POOL: \"p{1}\" is not a name"},
        {"TASKFORGE_DATA_DIR", "/etc/passwd", "TASKFORGE_DATA_DIR: /etc/passwd: not a directory"},
        {"TASKFORGE_DATA_DIR", "/nonexistent", "TASKFORGE_DATA_DIR: /nonexistent: No such file"},
        {"TASKFORGE_WORKER_CONCURRENCY", "0", "TASKFORGE_WORKER_CONCURRENCY"},
        {"TASKFORGE_WORKER_CONCURRENCY", "1025", "TASKFORGE_WORKER_CONCURRENCY"},
    };
    tfw_options_t o;
    char error[512];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set_good();
        setenv(bad[i].name, bad[i].value, 1);
        assert_false(tfw_options_load(&o, NULL, error, sizeof(error)));
        if (!strstr(error, bad[i].says)) {
            fail_msg("\"%s\" does not say \"%s\"", error, bad[i].says);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_is_read),   cmocka_unit_test(good_settings_are_loaded),
        cmocka_unit_test(bad_settings_are_named),     cmocka_unit_test(queues_of_the_worker),
        cmocka_unit_test(bad_settings_of_the_worker),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("daemon_start", tests, write_library, remove_library);
}
