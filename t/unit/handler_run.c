/* The handlers as an executor process runs them: payload in, result or error out. */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "catalogue.h"
#include "frame.h"
#include "handler.h"
#include "run.h"

static char data_dir[] = "/tmp/tf-handlers-XXXXXX";
static int executor_fd = -1;
static pid_t executor_pid;
static tfw_board_t *board;
static tfw_frame_buffer_t receive_buffer;
static uint32_t last_seq;

/* What a run said. Texts are NUL-terminated. */
typedef struct {
    tfw_outcome_t outcome;
    char error[TFW_ERROR_MAX];
    char *result; /* malloc */
    double seconds;
    int progress_count;
    int progress_last;
    bool progress_fell;
} answer_t;

static int write_file(const char *name, const char *text, size_t len)
{
    char path[256];
    int fd, ok;

    snprintf(path, sizeof(path), "%s/%s", data_dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ok = fd >= 0 && write(fd, text, len) == (ssize_t)len && close(fd) == 0;
    return ok ? 0 : -1;
}

/* $BUILD/gen-sales beside $BUILD/unit/handler_run */
static int make_sales(void)
{
    char self[512], command[1200];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;
    int i;

    if (n <= 0) {
        return -1;
    }
    self[n] = '\0';
    for (i = 0; i < 2; i++) {
        slash = strrchr(self, '/');
        if (slash == NULL) {
            return -1;
        }
        *slash = '\0';
    }
    snprintf(command, sizeof(command), "'%s/gen-sales' >%s/sales_q1.csv", self, data_dir);
    return system(command) == 0 ? 0 : -1;
}

static int set_up(void **state)
{
    static const char escapes[] = "n\n1\n";
    tfw_executor_env_t env = {.data_dir = data_dir, .result_max_bytes = 1048576, .log_lines_max = 100};
    char error[256], path[256];
    int pair[2];

    if (!tfw_catalogue_init(error, sizeof(error)) || mkdtemp(data_dir) == NULL || make_sales() != 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/folder", data_dir);
    if (mkdir(path, 0755) != 0 || write_file("folder/inner.csv", escapes, strlen(escapes)) != 0) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/out.csv", data_dir);
    if (symlink("/etc/passwd", path) != 0) {
        return -1;
    }
    board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return -1;
    }
    executor_pid = fork();
    if (executor_pid == 0) {
        close(pair[0]);
        env.fd = pair[1];
        env.board = board;
        _exit(tfw_executor_main(&env));
    }
    close(pair[1]);
    executor_fd = pair[0];
    return executor_pid > 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[300];
    int status;

    close(executor_fd);
    if (waitpid(executor_pid, &status, 0) != executor_pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the executor did not end well\n");
        return -1;
    }
    snprintf(command, sizeof(command), "rm -rf '%s'", data_dir);
    return system(command);
}

static void send_job(const char *type, const char *payload)
{
    tfw_frame_out_t job = {.head = {.kind = TFW_FRAME_JOB, .seq = ++last_seq}};
    int handler = tfw_catalogue_find(type, strlen(type));

    assert_true(handler >= 0);
    job.head.u.job.handler = (uint32_t)handler;
    job.head.u.job.attempt = 1;
    job.head.body_len = (uint32_t)strlen(payload);
    job.body[0] = (struct iovec){(void *)payload, strlen(payload)};
    assert_true(tfw_frame_send(executor_fd, &job));
}

static void take_progress(answer_t *a, int percent)
{
    a->progress_fell = a->progress_fell || percent < a->progress_last;
    a->progress_last = percent;
    a->progress_count++;
}

static void take_result(answer_t *a, const tfw_frame_in_t *frame)
{
    uint32_t error_len = frame->head.u.result.error_len, result_len = frame->head.body_len - error_len;

    a->outcome = (tfw_outcome_t)frame->head.u.result.outcome;
    a->seconds = (double)(frame->head.u.result.finished_us - frame->head.u.result.started_us) / 1e6;
    assert_true(error_len < sizeof(a->error));
    memcpy(a->error, frame->body, error_len);
    a->error[error_len] = '\0';
    a->result = strndup(frame->body + error_len, result_len);
    assert_non_null(a->result);
}

static answer_t wait_for_answer(void)
{
    answer_t a = {.progress_last = -1};
    tfw_frame_in_t frame;

    while (a.result == NULL) {
        assert_int_equal(tfw_frame_receive(executor_fd, &receive_buffer, &frame, 1, true), 1);
        assert_int_equal(frame.head.seq, last_seq);
        if (frame.head.kind == TFW_FRAME_PROGRESS) {
            take_progress(&a, frame.head.u.progress.percent);
        } else if (frame.head.kind == TFW_FRAME_RESULT) {
            take_result(&a, &frame);
        }
        tfw_frame_release(&frame);
    }
    assert_false(a.progress_fell);
    return a;
}

static answer_t run(const char *type, const char *payload)
{
    send_job(type, payload);
    return wait_for_answer();
}

static void expect_result(const char *type, const char *payload, const char *result)
{
    answer_t a = run(type, payload);

    assert_string_equal(a.error, "");
    assert_int_equal(a.outcome, TFW_OK);
    assert_string_equal(a.result, result);
    free(a.result);
}

static void expect_permanent(const char *type, const char *payload, const char *error)
{
    answer_t a = run(type, payload);

    assert_string_equal(a.error, error);
    assert_int_equal(a.outcome, TFW_PERMANENT);
    assert_string_equal(a.result, "");
    free(a.result);
}

static void test_noop(void **state)
{
    expect_result("noop", "{}", "");
    expect_result("noop", "{\"anything\":[1,2,3]}", "");
}

static void test_sleep(void **state)
{
    answer_t a;

    expect_result("sleep", "{\"seconds\":0}", "{\"seconds\":0}");
    a = run("sleep", "{\"seconds\":1.5}"); /* fifteen looks at the clock, if the machine is not slow */
    assert_int_equal(a.outcome, TFW_OK);
    assert_string_equal(a.result, "{\"seconds\":1.5}");
    assert_true(a.seconds >= 1.5 && a.seconds < 20);
    assert_true(a.progress_count >= 2);
    assert_true(a.progress_last < 100);
    free(a.result);
}

static void test_sleep_is_cancelled(void **state)
{
    struct timespec wait = {.tv_nsec = 200000000};
    answer_t a;

    send_job("sleep", "{\"seconds\":60}");
    nanosleep(&wait, NULL);
    atomic_store(&board->cancel_seq, last_seq);
    a = wait_for_answer();
    assert_int_equal(a.outcome, TFW_CANCELLED);
    assert_true(a.seconds < 30);
    free(a.result);
    atomic_store(&board->cancel_seq, 0);
}

static void test_sleep_payload(void **state)
{
    static const char range[] = "payload: \"seconds\" must be a number from 0 to 3600";

    expect_permanent("sleep", "{}", range);
    expect_permanent("sleep", "{\"seconds\":\"1\"}", range);
    expect_permanent("sleep", "{\"seconds\":null}", range);
    expect_permanent("sleep", "{\"seconds\":-0.1}", "payload: \"seconds\" must be from 0 to 3600");
    expect_permanent("sleep", "{\"seconds\":3600.1}", "payload: \"seconds\" must be from 0 to 3600");
    expect_permanent("sleep", "{\"seconds\":1,\"minutes\":2}",
                     "payload: unknown field \"minutes\"; sleep knows only \"seconds\"");
}

/* The same numbers from whole cents, which add up exactly. */
static void test_sales(void **state)
{
    char path[300], line[256];
    FILE *file;
    long long whole, cents, id, sum = 0, min = INT64_MAX, max = 0, rows = 0;
    answer_t a = run("data_processing", "{\"dataset\":\"sales_q1\",\"columns\":[\"revenue\",\"region\"]}");
    json_t *result, *revenue;

    assert_string_equal(a.error, "");
    assert_int_equal(a.outcome, TFW_OK);
    result = json_loads(a.result, JSON_REJECT_DUPLICATES, NULL);
    revenue = json_object_get(json_object_get(result, "columns"), "revenue");
    assert_non_null(revenue);

    snprintf(path, sizeof(path), "%s/sales_q1.csv", data_dir);
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    while (fgets(line, sizeof(line), file) != NULL) {
        char *last = strrchr(line, ',');

        assert_non_null(last);
        assert_int_equal(sscanf(line, "%lld,", &id), 1);
        assert_int_equal(id, 100000 + rows);
        assert_int_equal(sscanf(last, ",%lld.%2lld", &whole, &cents), 2);
        cents += whole * 100;
        sum += cents;
        min = cents < min ? cents : min;
        max = cents > max ? cents : max;
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 50000);
    assert_int_equal(json_integer_value(json_object_get(result, "rows")), 50000);
    assert_int_equal(json_integer_value(json_object_get(revenue, "count")), 50000);
    assert_true(fabs(json_number_value(json_object_get(revenue, "sum")) - (double)sum / 100) < 1e-6);
    assert_true(json_number_value(json_object_get(revenue, "min")) == (double)min / 100);
    assert_true(json_number_value(json_object_get(revenue, "max")) == (double)max / 100);
    assert_string_equal(json_string_value(json_object_get(result, "dataset")), "sales_q1");
    assert_string_equal(json_string_value(json_object_get(result, "operation")), "aggregate");
    assert_string_equal(json_string_value(json_array_get(json_object_get(result, "text_columns"), 0)),
                        "region");
    json_decref(result);
    free(a.result);
}

static void test_first_rows_and_paths(void **state)
{
    static const char one[] =
        "\"operation\":\"aggregate\",\"rows\":1,\"columns\":{\"n\":{\"count\":1,\"sum\":1,"
        "\"mean\":1,\"min\":1,\"max\":1,\"stddev\":null,\"median\":1}},\"text_columns\":[]}";
    char expected[512];

    assert_int_equal(write_file("few.csv", "n\n1\n2\n\"\n", 9),
                     0); /* broken, but behind the rows asked for */
    snprintf(expected, sizeof(expected), "{\"dataset\":\"few\",%s", one);
    expect_result("data_processing", "{\"dataset\":\"few\",\"operation\":\"aggregate\",\"rows\":1}",
                  expected);
    snprintf(expected, sizeof(expected), "{\"dataset\":\"folder/inner\",%s", one);
    expect_result("data_processing", "{\"dataset\":\"folder/inner\"}", expected);
    snprintf(expected, sizeof(expected), "{\"dataset\":\"folder/inner.csv\",%s", one);
    expect_result("data_processing", "{\"dataset\":\"folder/inner.csv\",\"rows\":100}", expected);
}

static void test_payload_errors(void **state)
{
    expect_permanent("data_processing", "{}", "payload: \"dataset\" is missing");
    expect_permanent("data_processing", "{\"dataset\":7}",
                     "payload: \"dataset\" must be a name of 1 to 255 bytes without control characters");
    expect_permanent("data_processing", "{\"dataset\":\"a\\nb\"}",
                     "payload: \"dataset\" must be a name of 1 to 255 bytes without control characters");
    expect_permanent(
        "data_processing", "{\"dataset\":\"sales_q1\",\"operation\":\"shuffle\"}",
        "payload: \"operation\" must be \"aggregate\", \"group\", \"filter\", \"sort\", \"dedupe\", "
        "\"describe\", \"join\" or \"sql\"");
    expect_permanent("data_processing",
                     "{\"dataset\":\"sales_q1\",\"operation\":\"sort\",\"group_by\":\"region\"}",
                     "payload: \"group_by\" is not for \"sort\"; \"sort\" is missing");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"url\":\"http://example.com/x.csv\"}",
                     "payload: only one of \"dataset\", \"url\" and \"records\" can be there");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"rows\":0}",
                     "payload: \"rows\" must be an integer of at least 1");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"rows\":1.5}",
                     "payload: \"rows\" must be an integer of at least 1");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"columns\":[]}",
                     "payload: \"columns\" must be a list of 1 to 1024 column names");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"columns\":[\"units\",3]}",
                     "payload: \"columns\"[1] must be a column name");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"group_by\":\"\"}",
                     "payload: \"group_by\" must be a column name");
    /* all at once */
    expect_permanent(
        "data_processing", "{\"datset\":\"x\",\"rows\":-1,\"l\\u000ai\\\"ne\":1}",
        "payload: \"dataset\" is missing; unknown field \"datset\"; \"rows\" must be an integer of at "
        "least 1; unknown field \"l\\ni\\\"ne\"");
}

static void test_column_errors(void **state)
{
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"group_by\":\"regoin\"}",
                     "sales_q1.csv: there is no column \"regoin\"");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"columns\":[\"units\",\"cost\"]}",
                     "sales_q1.csv: there is no column \"cost\"");
    expect_permanent("data_processing", "{\"dataset\":\"sales_q1\",\"group_by\":\"order_id\"}",
                     "sales_q1.csv: line 10002: the group column has more than 10000 different values");
}

/* A file that cannot be had is a permanent failure whose text shows the path as it was given, not the host's.
 */
static void test_unreachable_files(void **state)
{
    static const char *const datasets[] = {"missing",
                                           "../etc/passwd",
                                           "/etc/passwd.csv",
                                           "folder/../../x.csv",
                                           "out.csv",
                                           "folder/.",
                                           "no/such/file",
                                           "..",
                                           "/proc/self/environ.csv"};
    char payload[128];
    size_t i;

    for (i = 0; i < sizeof(datasets) / sizeof(datasets[0]); i++) {
        answer_t a;

        snprintf(payload, sizeof(payload), "{\"dataset\":\"%s\"}", datasets[i]);
        a = run("data_processing", payload);
        assert_int_equal(a.outcome, TFW_PERMANENT);
        if (strncmp(a.error, datasets[i], strlen(datasets[i])) != 0 || strstr(a.error, data_dir) != NULL) {
            fail_msg("%s: the error is \"%s\"", datasets[i], a.error);
        }
        assert_string_equal(a.result, "");
        free(a.result);
    }
}

static void test_broken_files(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *error;
    } files[] = {
        {"", 0, "bad.csv: the file is empty; a first line with the column names is needed"},
        {"\xEF\xBB\xBF", 3, "bad.csv: the file is empty; a first line with the column names is needed"},
        {"a,a\n1,2\n", 8, "bad.csv: line 1: two columns are named \"a\""},
        {"a,\n1,2\n", 7, "bad.csv: line 1: column 2 has no name"},
        {"a,b\n1,2\n3\n", 10, "bad.csv: line 3: 1 field where the first line has 2"},
        {"a\n\"1\n2\n", 7, "bad.csv: line 2: a quote is opened and never closed"},
        {"a\n1\n\0\n", 6, "bad.csv: line 3: a NUL byte"},
        {"a\n\xFF\n", 4, "bad.csv: line 2: byte 0xFF is not valid UTF-8"},
    };
    size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        assert_int_equal(write_file("bad.csv", files[i].text, files[i].len), 0);
        expect_permanent("data_processing", "{\"dataset\":\"bad\"}", files[i].error);
    }
    assert_int_equal(write_file("head.csv", "a,b\n", 4), 0);
    expect_result("data_processing", "{\"dataset\":\"head\"}",
                  "{\"dataset\":\"head\",\"operation\":\"aggregate\",\"rows\":0,\"columns\":{},"
                  "\"text_columns\":[\"a\",\"b\"]}");
}

static void test_data_processing_is_cancelled(void **state)
{
    answer_t a;

    /* asked for before it starts: the very first look sees it */
    atomic_store(&board->cancel_seq, last_seq + 1);
    a = run("data_processing", "{\"dataset\":\"sales_q1\"}");
    assert_int_equal(a.outcome, TFW_CANCELLED);
    assert_string_equal(a.result, "");
    free(a.result);
    atomic_store(&board->cancel_seq, 0);
}

static void test_catalogue(void **state)
{
    static const struct {
        const char *type;
        int max_retries;
        int timeout_seconds;
    } types[] = {{"data_processing", 3, 300}, {"noop", 3, 60}, {"sleep", 3, 3700}};
    size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const tfw_handler_t *h =
            tfw_catalogue_at((size_t)tfw_catalogue_find(types[i].type, strlen(types[i].type)));
        json_t *schema = json_loads(h->payload_schema, JSON_REJECT_DUPLICATES, NULL);

        assert_string_equal(h->type, types[i].type);
        assert_int_equal(h->max_retries, types[i].max_retries);
        assert_int_equal(h->timeout_seconds, types[i].timeout_seconds);
        assert_int_equal(h->retry.base_ms, 60000);
        assert_int_equal(h->retry.max_ms, 3600000);
        assert_true(h->retry.jitter);
        assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
                            "https://json-schema.org/draft/2020-12/schema");
        json_decref(schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_catalogue),
        cmocka_unit_test(test_noop),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_sleep_is_cancelled),
        cmocka_unit_test(test_sleep_payload),
        cmocka_unit_test(test_sales),
        cmocka_unit_test(test_first_rows_and_paths),
        cmocka_unit_test(test_payload_errors),
        cmocka_unit_test(test_column_errors),
        cmocka_unit_test(test_unreachable_files),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_data_processing_is_cancelled),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
