/* Settings: file and environment, errors with their place, and never a secret in an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "settings.h"

typedef struct {
    char *database_url;
    char *pool;
    int64_t concurrency;
    int64_t port_key; /* a number under a secret name */
    bool verbose;
} target_t;

static const tf_setting_t table[] = {
    {"DATABASE_URL", TF_SETTING_TEXT, offsetof(target_t, database_url), NULL, 0, 0, "where PostgreSQL is"},
    {"TASKFORGE_WORKER_POOL", TF_SETTING_TEXT, offsetof(target_t, pool), "default", 0, 0, "name"},
    {"TASKFORGE_WORKER_CONCURRENCY", TF_SETTING_INT, offsetof(target_t, concurrency), "4", 1, 1024,
     "processes"},
    {"TASKFORGE_PIN_KEY", TF_SETTING_INT, offsetof(target_t, port_key), "0", 0, 9, "secret number"},
    {"TASKFORGE_VERBOSE", TF_SETTING_BOOL, offsetof(target_t, verbose), "off", 0, 0, "say more"},
};

#define COUNT (sizeof(table) / sizeof(table[0]))

static char path[] = "/tmp/tf-settings-XXXXXX";
static char error[512];

static int set_up(void **state)
{
    int fd = mkstemp(path);

    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    return unlink(path);
}

static bool load(const char *text, size_t len, target_t *target)
{
    FILE *file = fopen(path, "w");
    size_t i;

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    for (i = 0; i < COUNT; i++) {
        unsetenv(table[i].name);
    }
    memset(target, 0, sizeof(*target));
    error[0] = '\0';
    return tf_settings_load(table, COUNT, target, path, error, sizeof(error));
}

static void test_file(void **state)
{
    static const char text[] =
        "# comment\n\n  DATABASE_URL = postgresql:///x?host=/run \nTASKFORGE_WORKER_POOL='two words '\r\n"
        "TASKFORGE_WORKER_CONCURRENCY=\"8\"\nTASKFORGE_VERBOSE=Yes\nOTHER=ignored";
    target_t t;

    assert_true(load(text, strlen(text), &t));
    assert_string_equal(t.database_url, "postgresql:///x?host=/run");
    assert_string_equal(t.pool, "two words ");
    assert_int_equal(t.concurrency, 8);
    assert_true(t.verbose);
    tf_settings_free(table, COUNT, &t);
    assert_null(t.database_url);
    tf_settings_free(table, COUNT, &t); /* twice is harmless */
}

static void test_defaults(void **state)
{
    target_t t;

    assert_true(load("DATABASE_URL=x\n", 15, &t));
    assert_string_equal(t.pool, "default");
    assert_int_equal(t.concurrency, 4);
    assert_false(t.verbose);
    tf_settings_free(table, COUNT, &t);
}

static void test_environment_wins(void **state)
{
    target_t t = {0};

    assert_true(load("DATABASE_URL=file\nTASKFORGE_WORKER_POOL=file\n", 45, &t));
    tf_settings_free(table, COUNT, &t);
    setenv("DATABASE_URL", "env", 1);
    setenv("TASKFORGE_WORKER_CONCURRENCY", "9", 1);
    assert_true(tf_settings_load(table, COUNT, &t, path, error, sizeof(error)));
    assert_string_equal(t.database_url, "env");
    assert_string_equal(t.pool, "file");
    assert_int_equal(t.concurrency, 9);
    tf_settings_free(table, COUNT, &t);
    assert_true(tf_settings_load(table, COUNT, &t, NULL, error, sizeof(error))); /* no file at all */
    assert_string_equal(t.pool, "default");
    tf_settings_free(table, COUNT, &t);
    setenv("TASKFORGE_WORKER_CONCURRENCY", "many", 1);
    assert_false(tf_settings_load(table, COUNT, &t, NULL, error, sizeof(error)));
    assert_string_equal(
        error, "environment: TASKFORGE_WORKER_CONCURRENCY: \"many\" is not an integer from 1 to 1024");
    tf_settings_free(table, COUNT, &t);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *error; /* after the path */
    } cases[] = {
        {"DATABASE_URL=x\n\nTASKFORGE_WORKER_CONCURRENCY=x\n", 0,
         ":3: TASKFORGE_WORKER_CONCURRENCY: \"x\" is not an integer from 1 to 1024"},
        {"TASKFORGE_WORKER_CONCURRENCY=0\n", 0,
         ":1: TASKFORGE_WORKER_CONCURRENCY: \"0\" is not an integer from 1 to 1024"},
        {"TASKFORGE_WORKER_CONCURRENCY=1025\n", 0,
         ":1: TASKFORGE_WORKER_CONCURRENCY: \"1025\" is not an integer from 1 to 1024"},
        {"TASKFORGE_WORKER_CONCURRENCY=4 x\n", 0,
         ":1: TASKFORGE_WORKER_CONCURRENCY: \"4 x\" is not an integer from 1 to 1024"},
        {"TASKFORGE_WORKER_CONCURRENCY=\n", 0,
         ":1: TASKFORGE_WORKER_CONCURRENCY: \"\" is not an integer from 1 to 1024"},
        {"TASKFORGE_WORKER_CONCURRENCY=99999999999999999999\n", 0,
         ":1: TASKFORGE_WORKER_CONCURRENCY: \"99999999999999999999\" is not an integer from 1 to 1024"},
        {"TASKFORGE_VERBOSE=maybe\n", 0, ":1: TASKFORGE_VERBOSE: \"maybe\" is neither on nor off"},
        {"TASKFORGE_PIN_KEY=4711\n", 0,
         ":1: TASKFORGE_PIN_KEY: \"(not shown)\" is not an integer from 0 to 9"},
        {"DATABASE_URL=\"secret\n", 0, ":1: DATABASE_URL: a quote is not closed"},
        {"DATABASE_URL='\n", 0, ":1: DATABASE_URL: a quote is not closed"},
        {"just words\n", 0, ":1: expected NAME=value"},
        {"A=b\nDATABASE_URL=se\0cret\n", 25, ":2: a NUL byte"},
    };
    char expected[600];
    target_t t;
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(load(cases[i].text, cases[i].len ? cases[i].len : strlen(cases[i].text), &t));
        snprintf(expected, sizeof(expected), "%s%s", path, cases[i].error);
        assert_string_equal(error, expected);
        assert_null(strstr(error, "secret"));
        tf_settings_free(table, COUNT, &t);
    }
}

static void test_missing(void **state)
{
    target_t t;

    assert_false(load("", 0, &t));
    assert_non_null(strstr(error, "DATABASE_URL is required"));
    assert_non_null(strstr(error, path));
    tf_settings_free(table, COUNT, &t);
    assert_false(tf_settings_load(table, COUNT, &t, "/nonexistent/taskforge.env", error, sizeof(error)));
    assert_string_equal(error, "/nonexistent/taskforge.env: No such file or directory");
    tf_settings_free(table, COUNT, &t);
}

static void test_redis_urls(void **state)
{
    static const struct {
        const char *url;
        const char *socket_path, *host, *user, *password;
        int port, db;
    } good[] = {
        {"redis://h", NULL, "h", NULL, NULL, 6379, 0},
        {"redis://127.0.0.1:7000/3", NULL, "127.0.0.1", NULL, NULL, 7000, 3},
        {"redis://:pa%40ss@h/", NULL, "h", NULL, "pa@ss", 6379, 0},
        {"redis://u:p@h:1/2", NULL, "h", "u", "p", 1, 2},
        {"redis://u@h", NULL, "h", "u", NULL, 6379, 0},
        {"redis://:p@ss@h", NULL, "h", NULL, "p@ss", 6379, 0},
        {"redis://[::1]:7000/1", NULL, "::1", NULL, NULL, 7000, 1},
        {"redis://[::1]", NULL, "::1", NULL, NULL, 6379, 0},
        {"rediss://:p?q@h:7000/2?cacert=/ca", NULL, "h", NULL, "p?q", 7000, 2},
        {"unix:///run/redis.sock", "/run/redis.sock", NULL, NULL, NULL, 0, 0},
        {"unix:///run/redis.sock?db=5", "/run/redis.sock", NULL, NULL, NULL, 0, 5},
    };
    static const char *const bad[] = {
        "",
        "localhost:6379",
        "http://h",
        "redis://",
        "redis://:secret@",
        "redis://h:",
        "redis://h:x",
        "redis://h:70000",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/99999999",
        "redis://[::1",
        "redis://[::1]x",
        "redis://:%zz@h",
        "redis://:%00@h",
        "redis://:secret%4@h",
        "unix://relative",
        "unix://",
        "unix:///s?x=1",
        "unix:///s?db=",
        "unix:///s?db=a",
        "redis://h?cacert=/ca",
        "rediss://",
        "rediss://h:x",
        "rediss://h?",
        "rediss://h?ca=/ca",
        "rediss://h?cacert=",
        "rediss://h?cacert=/a&cacert=/b",
        "rediss://h?cacert=%zz",
        "rediss://h?cert=/c",
        "rediss://h?key=/k",
    };
    tf_redis_url_t url;
    size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (!tf_redis_url_parse(good[i].url, &url, error, sizeof(error))) {
            fail_msg("%s: %s", good[i].url, error);
        }
#define SAME(field)                                                                                          \
    (good[i].field == NULL ? url.field == NULL : url.field != NULL && strcmp(url.field, good[i].field) == 0)
        if (!SAME(socket_path) || !SAME(host) || !SAME(user) || !SAME(password) || url.db != good[i].db ||
            (url.host && url.port != good[i].port)) {
            fail_msg("%s is read wrongly", good[i].url);
        }
        tf_redis_url_free(&url);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = '\0';
        if (tf_redis_url_parse(bad[i], &url, error, sizeof(error))) {
            fail_msg("%s is taken", bad[i]);
        }
        assert_true(error[0] != '\0');
        assert_string_not_equal(error, "out of memory");
        assert_null(strstr(error, "secret"));
        assert_null(url.host);
        assert_null(url.password);
    }
}

static void test_redis_tls_urls(void **state)
{
    tf_redis_url_t url;

    assert_true(tf_redis_url_parse("redis://h", &url, error, sizeof(error)));
    assert_false(url.tls);
    tf_redis_url_free(&url);
    assert_true(tf_redis_url_parse("rediss://h", &url, error, sizeof(error)));
    assert_true(url.tls);
    assert_null(url.cacert);
    assert_null(url.cert);
    tf_redis_url_free(&url);
    assert_true(
        tf_redis_url_parse("rediss://u:p@h:1/2?key=/k%26&cacert=/ca&cert=/c", &url, error, sizeof(error)));
    assert_true(url.tls);
    assert_string_equal(url.cacert, "/ca");
    assert_string_equal(url.cert, "/c");
    assert_string_equal(url.key, "/k&");
    assert_int_equal(url.db, 2);
    tf_redis_url_free(&url);
}

/* A secret from a file of its own, named in the settings' file or in the environment. */
static void test_secret_file(void **state)
{
    char secret[] = "/tmp/tf-secret-XXXXXX", text[200];
    int fd = mkstemp(secret);
    target_t t;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "postgresql:///s \r\nsecond line", 29), 29);
    snprintf(text, sizeof(text), "DATABASE_URL_FILE=%s\n", secret);
    assert_true(load(text, strlen(text), &t));
    assert_string_equal(t.database_url, "postgresql:///s ");
    tf_settings_free(table, COUNT, &t);

    assert_int_equal(setenv("DATABASE_URL_FILE", secret, 1), 0);
    assert_true(load("DATABASE_URL=postgresql:///file\n", 32, &t));
    assert_string_equal(t.database_url, "postgresql:///s ");
    tf_settings_free(table, COUNT, &t);

    assert_int_equal(ftruncate(fd, 0), 0);
    assert_false(load("", 0, &t));
    assert_non_null(strstr(error, "environment: DATABASE_URL_FILE: "));
    assert_non_null(strstr(error, ": the file is empty"));
    tf_settings_free(table, COUNT, &t);
    unlink(secret);
    assert_false(load("", 0, &t));
    assert_non_null(strstr(error, ": No such file or directory"));
    tf_settings_free(table, COUNT, &t);
    unsetenv("DATABASE_URL_FILE");
    close(fd);

    /* only secrets do so: this is any other name, and ignored */
    assert_true(load("DATABASE_URL=x\nTASKFORGE_WORKER_POOL_FILE=/none\n", 48, &t));
    assert_string_equal(t.pool, "default");
    tf_settings_free(table, COUNT, &t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),       cmocka_unit_test(test_secret_file),
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_environment_wins),
        cmocka_unit_test(test_errors),     cmocka_unit_test(test_missing),
        cmocka_unit_test(test_redis_urls), cmocka_unit_test(test_redis_tls_urls),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
