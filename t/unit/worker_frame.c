/* Frames between the daemon and an executor: over a real socket pair, small and large, taken back, and
 * nonsense. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "frame.h"
#include "run.h"

static tfw_frame_buffer_t buffer;

static int setup(void **state)
{
    static int pair[2];

    *state = pair;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state)
{
    int *pair = *state;

    close(pair[0]);
    close(pair[1]);
    return 0;
}

static tfw_frame_out_t frame_of(uint32_t seq, const char *a, size_t a_len, const char *b, size_t b_len)
{
    tfw_frame_out_t out = {
        .head = {.kind = TFW_FRAME_JOB, .seq = seq, .body_len = (uint32_t)(a_len + b_len)}};

    out.body[0] = (struct iovec){(void *)a, a_len};
    out.body[1] = (struct iovec){(void *)b, b_len};
    return out;
}

static void a_frame_arrives_whole(void **state)
{
    int *pair = *state;
    tfw_frame_out_t out = frame_of(7, "abc", 3, "defg", 4);
    tfw_frame_in_t in;

    assert_true(tfw_frame_send(pair[0], &out));
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, &in, 1, true), 1);
    assert_int_equal(in.head.seq, 7);
    assert_int_equal(in.head.body_len, 7);
    assert_memory_equal(in.body, "abcdefg", 7);
    tfw_frame_release(&in);
}

static void a_large_body_travels_beside_the_socket(void **state)
{
    int *pair = *state;
    size_t len = 5 << 20;
    char *body = malloc(len);
    tfw_frame_in_t in;
    tfw_frame_out_t out;

    assert_non_null(body);
    for (size_t i = 0; i < len; i++) {
        body[i] = (char)(i * 2654435761u >> 13);
    }
    out = frame_of(1, "head", 4, body, len);
    assert_true(tfw_frame_send(pair[0], &out));
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, &in, 1, true), 1);
    assert_int_equal(in.head.body_len, len + 4);
    assert_memory_equal(in.body, "head", 4);
    assert_memory_equal(in.body + 4, body, len);
    tfw_frame_release(&in);
    free(body);
}

static void many_go_at_once_until_the_socket_is_full(void **state)
{
    int *pair = *state;
    char *body = calloc(1, TFW_FRAME_INLINE_MAX);
    tfw_frame_out_t out[TFW_FRAME_BATCH];
    tfw_frame_in_t in[TFW_FRAME_BATCH];
    uint32_t sent = 0, received = 0;
    int n;

    do {
        for (uint32_t i = 0; i < TFW_FRAME_BATCH; i++) {
            out[i] = frame_of(sent + i, body, TFW_FRAME_INLINE_MAX, NULL, 0);
        }
        n = tfw_frame_send_many(pair[0], out, TFW_FRAME_BATCH);
        assert_true(n >= 0);
        sent += (uint32_t)n;
    } while (n == TFW_FRAME_BATCH);
    assert_true(sent > 0);
    while ((n = tfw_frame_receive(pair[1], &buffer, in, TFW_FRAME_BATCH, false)) > 0) {
        for (int i = 0; i < n; i++) {
            assert_int_equal(in[i].head.seq, received++);
            tfw_frame_release(&in[i]);
        }
    }
    assert_int_equal(n, 0);
    assert_int_equal(received, sent);
    free(body);
}

static void what_was_not_read_can_be_taken_back(void **state)
{
    int *pair = *state;
    tfw_frame_out_t out[3] = {frame_of(1, "a", 1, NULL, 0), frame_of(2, "b", 1, NULL, 0),
                              frame_of(3, "c", 1, NULL, 0)};
    tfw_frame_in_t in[TFW_FRAME_BATCH];
    int far = dup(pair[1]);

    assert_int_equal(tfw_frame_send_many(pair[0], out, 3), 3);
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, in, 1, true), 1);
    assert_int_equal(in[0].head.seq, 1);
    assert_int_equal(tfw_frame_receive(far, &buffer, in, TFW_FRAME_BATCH, false), 2);
    assert_int_equal(in[0].head.seq, 2);
    assert_int_equal(in[1].head.seq, 3);
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, in, 1, false), 0);
    close(far);
}

static void the_end_of_the_other_side_is_no_frame(void **state)
{
    int *pair = *state;
    tfw_frame_in_t in;

    shutdown(pair[0], SHUT_WR);
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, &in, 1, true), 0);
}

static void nonsense_is_refused(void **state)
{
    int *pair = *state;
    tfw_frame_t lies = {.kind = TFW_FRAME_RESULT, .body_len = 100};
    tfw_frame_t no_memfd = {.kind = TFW_FRAME_RESULT, .body_len = 100, .in_memfd = 1};
    tfw_frame_in_t in;

    assert_int_equal(send(pair[0], "x", 1, 0), 1);
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, &in, 1, true), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(send(pair[0], &lies, sizeof(lies), 0), sizeof(lies));
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, &in, 1, true), -1);
    assert_int_equal(send(pair[0], &no_memfd, sizeof(no_memfd), 0), sizeof(no_memfd));
    assert_int_equal(tfw_frame_receive(pair[1], &buffer, &in, 1, true), -1);
}

static void check_clean(const char *from, size_t len, size_t max, const char *to)
{
    char text[64];

    memcpy(text, from, len);
    assert_int_equal(tfw_text_clean(text, len, max), strlen(to));
    assert_memory_equal(text, to, strlen(to));
}

static void texts_are_made_fit_for_the_database(void **state)
{
    (void)state;
    check_clean("plain", 5, 64, "plain");
    check_clean("a\0b", 3, 64, "a?b");
    check_clean("\xff\xc3", 2, 64, "??");
    check_clean("\xc3\xa4", 2, 64, "\xc3\xa4");
    check_clean("\xed\xa0\x80", 3, 64, "???");      /* a surrogate */
    check_clean("\xf4\x90\x80\x80", 4, 64, "????"); /* above U+10FFFF */
    check_clean("\xe0\x80\x80", 3, 64, "???");      /* overlong */
    check_clean("ab\xe2\x82\xac", 5, 4, "ab");      /* a character is not split */
    check_clean("ab\xe2\x82\xac", 5, 5, "ab\xe2\x82\xac");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_frame_arrives_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_body_travels_beside_the_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(many_go_at_once_until_the_socket_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_read_can_be_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_the_other_side_is_no_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_refused, setup, teardown),
        cmocka_unit_test(texts_are_made_fit_for_the_database),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
