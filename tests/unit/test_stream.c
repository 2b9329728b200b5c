/* test_stream.c -- connections that nobody blocks on, and pools of them. */
#include "net/stream.h"
#include "net/stream_pool.h"
#include "unit.h"
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fixture {
    uv_loop_t loop;
    struct stream_pools pools;
    unsigned called;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    *state = f;
    f->pools.loop = &f->loop;
    return f ? uv_loop_init(&f->loop) : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stream_pools_fini(&f->pools);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int left = uv_loop_close(&f->loop);
    free(f);
    return left;
}

/* A stream, and the other end of it. */
static struct stream *open_pair(struct fixture *f, int *peer)
{
    int fds[2];
    struct stream *s = NULL;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds),
                     0);
    assert_int_equal(stream_adopt(&s, &f->loop, fds[0]), OK);
    *peer = fds[1];
    return s;
}

static void count(void *user)
{
    ((struct fixture *)user)->called++;
}

static void bytes_are_read_when_they_have_come(void **state)
{
    struct fixture *f = *state;
    int peer;
    struct stream *s = open_pair(f, &peer);
    assert_int_equal(stream_read(s, 100), PENDING);
    stream_wait(s, STREAM_IN, count, f);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->called, 0);
    assert_int_equal(write(peer, "hello", 5), 5);
    uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->called, 1);
    assert_int_equal(stream_read(s, 3), OK);
    assert_slice(stream_pending(s), "hel");
    stream_take(s, 2);
    assert_int_equal(stream_read(s, 100), OK);
    assert_slice(stream_pending(s), "llo");
    close(peer);
    stream_wait(s, STREAM_IN, count, f);
    uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->called, 2);
    assert_int_equal(stream_read(s, 100), ERR_CLOSED);
    assert_slice(stream_pending(s), "llo");
    stream_close(s);
}

static void what_comes_while_nobody_waits_is_found_later(void **state)
{
    struct fixture *f = *state;
    int peer;
    struct stream *s = open_pair(f, &peer);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(stream_read(s, 100), PENDING);
        stream_wait(s, STREAM_IN, count, f);
        assert_int_equal(write(peer, "a", 1), 1);
        uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(f->called, i);
        assert_int_equal(stream_read(s, 100), OK);
        assert_int_equal(write(peer, "b", 1), 1);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        assert_false(uv_is_active((uv_handle_t *)&s->poll));
        assert_int_equal(stream_read(s, 100), OK);
        assert_slice(stream_pending(s), "ab");
        stream_take(s, 2);
    }
    assert_int_equal(f->called, 3);
    close(peer);
    stream_close(s);
}

static void a_full_socket_takes_the_rest_later(void **state)
{
    struct fixture *f = *state;
    static char big[1 << 20], sink[1 << 16];
    int peer;
    size_t got = 0;
    struct stream *s = open_pair(f, &peer);
    struct slice rest = SLICE_OF(big, sizeof big);
    assert_int_equal(stream_write(s, &rest), PENDING);
    assert_true(rest.len > 0 && rest.len < sizeof big);
    while (got < sizeof big) {
        ssize_t n = read(peer, sink, sizeof sink);
        got += n > 0 ? (size_t)n : 0;
        enum err e = stream_write(s, &rest);
        assert_true(e == OK || e == PENDING);
    }
    assert_int_equal(stream_write(s, &rest), OK);
    close(peer);
    rest = SLICE("x");
    assert_int_equal(stream_write(s, &rest), ERR_IO);
    char reason[64];
    assert_string_equal(stream_reason(s, reason, sizeof reason), "broken pipe");
    stream_close(s);
}

static void close_it(void *user)
{
    stream_close(user);
}

static void a_reader_may_close_what_a_writer_waits_for(void **state)
{
    struct fixture *f = *state;
    int peer;
    struct stream *s = open_pair(f, &peer);
    assert_int_equal(write(peer, "x", 1), 1);
    stream_wait(s, STREAM_IN, close_it, s);
    stream_wait(s, STREAM_OUT, count, f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->called, 0);
    close(peer);
}

static void nobody_is_called_after_unwait(void **state)
{
    struct fixture *f = *state;
    int peer;
    struct stream *s = open_pair(f, &peer);
    stream_wait(s, STREAM_OUT, count, f);
    stream_unwait(s, STREAM_OUT);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->called, 0);
    close(peer);
    stream_close(s);
}

static void a_refused_connection_says_so(void **state)
{
    struct fixture *f = *state;
    struct address to;
    struct stream *s;
    char reason[64];
    assert_int_equal(address_parse(SLICE("127.0.0.1"), 1, &to), OK);
    assert_int_equal(stream_open(&s, &f->loop, AF_INET, SOCK_STREAM), OK);
    enum err e = stream_connect(s, &to);
    if (e == PENDING) {
        stream_wait(s, STREAM_OUT, count, f);
        uv_run(&f->loop, UV_RUN_ONCE);
        e = stream_connected(s);
    }
    assert_int_equal(e, ERR_CONNECT);
    assert_string_equal(stream_reason(s, reason, sizeof reason),
                        "connection refused");
    stream_close(s);
}

/* ---- pools ------------------------------------------------------------------
 */

static void the_connection_used_last_is_taken_first(void **state)
{
    struct fixture *f = *state;
    int peers[3];
    struct stream *made[3];
    struct stream_pool *pool = stream_pool_new(&f->pools, SLICE("a:1"), 2, -1);
    for (int i = 0; i < 3; i++) {
        made[i] = open_pair(f, &peers[i]);
        assert_true(stream_pool_keep(pool, made[i], 0, false));
    }
    assert_ptr_equal(stream_pool_find(&f->pools, SLICE("a:1")), pool);
    assert_int_equal(pool->idle_count, 2); /* the first had to go */
    assert_int_equal(read(peers[0], &(char){ 0 }, 1), 0);
    assert_ptr_equal(stream_pool_take(pool), made[2]);
    assert_int_equal(made[2]->reused, 1);
    assert_ptr_equal(stream_pool_take(pool), made[1]);
    assert_null(stream_pool_take(pool));
    stream_close(made[1]);
    stream_pool_leave(pool);
    stream_close(made[2]);
    stream_pool_leave(pool);
    assert_null(stream_pool_find(&f->pools, SLICE("a:1")));
    for (int i = 0; i < 3; i++)
        close(peers[i]);
}

static void an_idle_connection_goes_with_its_peer_or_its_time(void **state)
{
    struct fixture *f = *state;
    int peers[3];
    struct stream_pool *pool = stream_pool_new(&f->pools, SLICE("a:1"), 5, -1);
    struct stream *s = open_pair(f, &peers[0]);
    assert_true(stream_pool_keep(pool, s, 0, false));
    s = open_pair(f, &peers[1]);
    assert_true(stream_pool_keep(pool, s, 1, false));
    s = open_pair(f, &peers[2]);
    assert_int_equal(write(peers[2], "x", 1), 1);
    assert_false(stream_pool_keep(pool, s, 0, false)); /* nobody asked */
    close(peers[0]);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_null(stream_pool_find(&f->pools, SLICE("a:1")));
    close(peers[1]);
    close(peers[2]);
}

struct guest {
    struct stream_turn turn;
    bool granted;
};

static void on_granted(struct stream_turn *turn)
{
    ((struct guest *)turn)->granted = true;
}

static void who_comes_too_many_waits_in_turn(void **state)
{
    struct fixture *f = *state;
    struct guest guests[4] = { 0 };
    static const enum err outcomes[] = { OK, PENDING, PENDING, ERR_TOO_LARGE };
    struct stream_pool *pool = stream_pool_new(&f->pools, SLICE("p"), 1, 2);
    for (int i = 0; i < 4; i++) {
        guests[i].turn.granted = on_granted;
        assert_int_equal(stream_pool_join(pool, &guests[i].turn), outcomes[i]);
    }
    stream_pool_leave(pool);
    assert_true(guests[1].granted && !guests[2].granted);
    stream_pool_withdraw(&guests[2].turn);
    stream_pool_leave(pool);
    assert_false(guests[2].granted);
    assert_null(stream_pool_find(&f->pools, SLICE("p")));
}

static void addresses_are_told_from_names(void **state)
{
    (void)state;
    struct address a;
    char text[ADDRESS_TEXT];
    assert_int_equal(address_parse(SLICE("127.0.0.1"), 80, &a), OK);
    assert_string_equal(address_text(&a, text), "127.0.0.1:80");
    assert_int_equal(address_parse(SLICE("[::1]"), 8080, &a), OK);
    assert_string_equal(address_text(&a, text), "[::1]:8080");
    assert_int_equal(address_parse(SLICE("unix:/a/b"), 0, &a), OK);
    assert_string_equal(address_text(&a, text), "unix:/a/b");
    assert_int_equal(address_parse(SLICE("example.com"), 80, &a),
                     ERR_NOT_FOUND);
    assert_int_equal(address_parse(SLICE(""), 80, &a), ERR_INVALID);
    assert_int_equal(address_parse(SLICE("a/b"), 80, &a), ERR_INVALID);
    assert_int_equal(address_parse(SLICE("[::x]"), 80, &a), ERR_INVALID);
    assert_int_equal(address_parse(SLICE("unix:"), 80, &a), ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_are_read_when_they_have_come),
        TEST(what_comes_while_nobody_waits_is_found_later),
        TEST(a_full_socket_takes_the_rest_later),
        TEST(a_reader_may_close_what_a_writer_waits_for),
        TEST(nobody_is_called_after_unwait),
        TEST(a_refused_connection_says_so),
        TEST(the_connection_used_last_is_taken_first),
        TEST(an_idle_connection_goes_with_its_peer_or_its_time),
        TEST(who_comes_too_many_waits_in_turn),
        cmocka_unit_test(addresses_are_told_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
