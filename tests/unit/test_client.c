/* test_client.c -- the HTTP client against a server that misbehaves. */
#define _GNU_SOURCE
#include "fake_server.h"
#include "net/client.h"
#include "unit.h"
#include <dlfcn.h>
#include <netdb.h>
#include <signal.h>
#include <time.h>

struct bench {
    struct fake_server server;
    uv_loop_t loop;
    struct client *client;
    unsigned done, closed;
};

static struct bench b;
static char folder[] = "/tmp/test_client.XXXXXX";

/* In libc's place, also for curl: "A_B_C" has these addresses, and "slow.test"
 * takes its time to be unknown. */
int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints,
                struct addrinfo **restrict out)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    char names[128], *rest = names, *one;
    int rc = EAI_NONAME;
    if (name && !strcmp(name, "slow.test"))
        sleep(1);
    if (!name || !strchr(name, '_'))
        return real(name, service, hints, out);
    snprintf(names, sizeof names, "%s", name);
    while ((one = strsep(&rest, "_")) && !(rc = real(one, service, hints, out)))
        while (*out)
            out = &(*out)->ai_next;
    return rc;
}

static bool answer(struct fake_conn *c)
{
    if (fake_is(c, "/hello"))
        return fake_reply(c, 200, "text/plain; charset=utf-8", "hello");
    if (fake_is(c, "/echo"))
        return fake_reply(c, 200, "text/x", c->in);
    if (fake_is(c, "/status"))
        return fake_reply(c, 503, "text/html", "<b>busy</b>");
    if (fake_is(c, "/redirect"))
        return fake_text(c, "HTTP/1.1 302 X\r\nLocation: /hello\r\n"
                            "Content-Length: 0\r\n\r\n");
    if (fake_is(c, "/slow"))
        return fake_hang(c);
    if (fake_is(c, "/half")) {
        fake_text(c, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf");
        return fake_hang(c);
    }
    if (fake_is(c, "/first")) /* a kept connection dies under the second */
        return c->requests == 1 && fake_reply(c, 200, "text/plain", "first");
    if (fake_is(c, "/short"))
        fake_text(c, "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nshort");
    if (fake_is(c, "/long"))
        return fake_text(c, "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\n"
                            "long and longer than it said");
    if (fake_is(c, "/big"))
        fake_text(c, "HTTP/1.1 200 X\r\nContent-Length: 99999999999\r\n\r\n");
    if (fake_is(c, "/huge"))
        fake_text(c, "HTTP/1.1 200 X\r\n\r\n");
    if (fake_is(c, "/big") || fake_is(c, "/huge"))
        while (fake_text(c, "0123456789abcdef0123456789abcdef"))
            ;
    if (fake_is(c, "/lines")) {
        fake_text(c, "HTTP/1.1 200 X\r\n");
        while (fake_text(c, "X-Line: 0123456789abcdef0123456789\r\n"))
            ;
    }
    if (fake_is(c, "/garbage"))
        fake_text(c, "\1\2\3 this is no HTTP\r\n\r\n");
    return false;
}

static void on_done(struct client_request *req)
{
    b.done++;
    (void)req;
}

static void on_closed(void *user)
{
    b.closed++;
    assert_ptr_equal(user, &b);
}

static struct client_request *ask(struct client_request *req, const char *path)
{
    static char urls[64][256];
    static unsigned next;
    char *url = urls[next++ % 64];
    snprintf(url, sizeof urls[0], "http%s://127.0.0.1:%u%s",
             b.server.tls ? "s" : "", b.server.port, path);
    req->url = url;
    req->on_done = on_done;
    return req;
}

static void run_until(unsigned done)
{
    while (b.done < done)
        uv_run(&b.loop, UV_RUN_ONCE);
}

static enum err get(struct client_request *req, const char *path)
{
    unsigned before = b.done;
    assert_int_equal(client_send(b.client, ask(req, path)), PENDING);
    assert_int_equal(b.done, before); /* never from inside */
    run_until(before + 1);
    return req->result;
}

static int start(void **state)
{
    (void)state;
    SSL_CTX *tls = b.server.tls;
    memset(&b, 0, sizeof b);
    b.server.tls = tls;
    fake_start(&b.server, answer);
    uv_loop_init(&b.loop);
    return client_new(&b.client, &b.loop) != OK;
}

static int stop(void **state)
{
    (void)state;
    client_free(b.client, on_closed, &b);
    uv_run(&b.loop, UV_RUN_DEFAULT);
    assert_int_equal(b.closed, 1);
    assert_int_equal(uv_loop_close(&b.loop), 0);
    fake_stop(&b.server);
    return 0;
}

static void an_answer_comes_whole(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/hello"), OK);
    assert_int_equal(req.status, 200);
    assert_slice(buf_slice(&req.body_in), "hello");
    assert_slice(req.content_type_in, "text/plain; charset=utf-8");
    assert_true(req.sent);
    assert_true(req.seconds > 0);
    client_clear(&req);
    assert_int_equal(get(&req, "/status"), OK); /* any status is an answer */
    assert_int_equal(req.status, 503);
    client_clear(&req);
}

static void a_request_says_what_was_asked_and_no_more(void **state)
{
    (void)state;
    const char *lines[] = { "Content-Type: application/json", "X-A: 1", NULL };
    struct client_request req = { .method = "POST",
                                  .body = SLICE("{\"a\":1}"),
                                  .headers = lines };
    assert_int_equal(get(&req, "/echo?q=%25"), OK);
    const char *text = buf_str(&req.body_in);
    assert_true(strstr(text, "POST /echo?q=%25 HTTP/1.1\r\n") == text);
    assert_non_null(strstr(text, "\r\nX-A: 1\r\n"));
    assert_non_null(strstr(text, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(text, "\r\n\r\n{\"a\":1}"));
    assert_null(strstr(text, "Expect"));
    assert_null(strstr(text, "Accept-Encoding"));
    client_clear(&req);
}

static void a_body_without_a_type_gets_none(void **state)
{
    (void)state;
    struct client_request req = { .method = "PUT", .body = SLICE("x") };
    assert_int_equal(get(&req, "/echo"), OK);
    assert_null(strstr(buf_str(&req.body_in), "Content-Type"));
    client_clear(&req);
}

static void an_empty_post_says_so(void **state)
{
    (void)state;
    struct client_request req = { .method = "POST" };
    assert_int_equal(get(&req, "/echo"), OK);
    assert_non_null(strstr(buf_str(&req.body_in), "Content-Length: 0\r\n"));
    client_clear(&req);
}

static void a_head_request_waits_for_no_body(void **state)
{
    (void)state;
    struct client_request req = { .method = "HEAD", .timeout_ms = 1000 };
    assert_int_equal(get(&req, "/hello"), OK);
    assert_int_equal(req.body_in.len, 0);
    client_clear(&req);
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/redirect"), OK);
    assert_int_equal(req.status, 302);
    assert_int_equal(b.server.requests, 1);
}

static void requests_share_a_kept_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        struct client_request req = { 0 };
        assert_int_equal(get(&req, "/hello"), OK);
        client_clear(&req);
    }
    assert_int_equal(b.server.requests, 50);
    assert_int_equal(b.server.accepted, 1);
}

static void requests_at_once_use_as_many_connections_and_keep_them(void **state)
{
    (void)state;
    struct client_request reqs[8] = { 0 };
    for (int round = 0; round < 10; round++) {
        unsigned before = b.done;
        for (int i = 0; i < 8; i++)
            client_send(b.client, ask(&reqs[i], "/hello"));
        run_until(before + 8);
        for (int i = 0; i < 8; i++)
            assert_int_equal(reqs[i].result, OK);
    }
    assert_int_equal(b.server.requests, 80);
    assert_true(b.server.accepted <= 8);
    for (int i = 0; i < 8; i++)
        client_clear(&reqs[i]);
}

static struct client_request *ask_host(struct client_request *req,
                                       const char *host)
{
    static char url[128];
    snprintf(url, sizeof url, "http://%s:%u/hello", host, b.server.port);
    req->url = url;
    req->on_done = on_done;
    assert_int_equal(client_send(b.client, req), PENDING);
    return req;
}

static void a_host_with_dead_addresses_is_reached_at_the_last(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    ask_host(&req, "127.0.0.2_127.0.0.3_127.0.0.1");
    run_until(1);
    assert_int_equal(req.result, OK);
    assert_true(req.seconds < 1);
    client_clear(&req);
}

static int bind_silent(const char *address, int queue[4])
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)b.server.port) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, address, &at.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 0), 0);
    for (int i = 0; i < 4; i++) { /* fill the queue: no more get an answer */
        queue[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(queue[i], (struct sockaddr *)&at, sizeof at);
    }
    return fd;
}

static void an_address_that_is_silent_leaves_time_for_the_next(void **state)
{
    (void)state;
    int queue[4], silent = bind_silent("127.0.0.4", queue);
    struct client_request req = { .timeout_ms = 1000 };
    ask_host(&req, "127.0.0.4_127.0.0.1");
    run_until(1);
    assert_int_equal(req.result, OK);
    assert_true(req.seconds > 0.3 && req.seconds < 0.9);
    client_clear(&req);
    req = (struct client_request){ .timeout_ms = 2000,
                                   .connect_timeout_ms = 100 };
    ask_host(&req, "127.0.0.4");
    run_until(2);
    assert_int_equal(req.result, ERR_CONNECT); /* not all time ran out */
    assert_false(req.sent);
    for (int i = 0; i < 4; i++)
        close(queue[i]);
    close(silent);
}

static void a_slow_name_does_not_stop_the_loop(void **state)
{
    (void)state;
    struct client_request slow[2] = { { .timeout_ms = 50 } }, fast = { 0 };
    uint64_t start_at = uv_hrtime();
    for (int i = 0; i < 2; i++) {
        slow[i].url = "http://slow.test/";
        slow[i].on_done = on_done;
        client_send(b.client, &slow[i]);
    }
    run_until(1);
    assert_false(slow[0].sent);
    client_cancel(&slow[1]);
    assert_int_equal(get(&fast, "/hello"), OK);
    assert_true(uv_hrtime() - start_at < 800000000u);
    client_clear(&fast);
    sleep(1); /* the resolver's threads are through */
}

static void a_refused_connection_sent_nothing(void **state)
{
    (void)state;
    struct client_request req = { .url = "http://127.0.0.1:1/x?code=sesame",
                                  .on_done = on_done };
    assert_int_equal(client_send(b.client, &req), PENDING);
    run_until(1);
    assert_int_equal(req.result, ERR_CONNECT);
    assert_false(req.sent);
    assert_non_null(strstr(err_text(), "127.0.0.1:1: "));
    assert_null(strstr(err_text(), "sesame"));
}

static void a_name_that_does_not_exist_sent_nothing(void **state)
{
    (void)state;
    struct client_request req = { .url = "http://nowhere.invalid/",
                                  .on_done = on_done,
                                  .timeout_ms = 3000 };
    assert_int_equal(client_send(b.client, &req), PENDING);
    run_until(1);
    assert_true(req.result == ERR_CONNECT || req.result == ERR_TIMEOUT);
    assert_false(req.sent);
}

static void a_timeout_after_sending_is_ambiguous(void **state)
{
    (void)state;
    struct client_request req = { .timeout_ms = 100 };
    assert_int_equal(get(&req, "/slow"), ERR_TIMEOUT);
    assert_true(req.sent);
    assert_true(req.seconds >= 0.09 && req.seconds < 2);
    assert_int_equal(get(&req, "/half"), ERR_TIMEOUT);
    assert_null(req.body_in.data); /* whole, or nothing */
}

static void a_connection_closed_unanswered_is_ambiguous(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/close"), ERR_CLOSED);
    assert_true(req.sent);
    assert_int_equal(b.server.requests, 1);
}

static void a_kept_connection_that_dies_is_not_sent_to_again(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/first"), OK);
    client_clear(&req);
    assert_int_equal(get(&req, "/first"), ERR_CLOSED);
    assert_true(req.sent);
    assert_int_equal(b.server.requests, 2); /* curl alone would make it 3 */
}

static void a_connection_that_died_idle_is_replaced_unseen(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/hello"), OK);
    client_clear(&req);
    shutdown(b.server.conns[0]->fd, SHUT_RDWR);
    nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
    assert_int_equal(get(&req, "/hello"), OK);
    assert_int_equal(b.server.accepted, 2);
    client_clear(&req);
}

static void too_much_is_refused_while_it_comes(void **state)
{
    (void)state;
    const char *paths[] = { "/huge", "/big", "/lines" };
    for (int i = 0; i < 3; i++) {
        struct client_request req = { .timeout_ms = 4000 };
        assert_int_equal(get(&req, paths[i]), ERR_TOO_LARGE);
        assert_null(req.body_in.data);
    }
    struct client_request req = { .max_body = 5 };
    assert_int_equal(get(&req, "/hello"), OK);
    client_clear(&req);
    req.max_body = 4;
    assert_int_equal(get(&req, "/hello"), ERR_TOO_LARGE);
}

static void a_lying_length_is_seen_through(void **state)
{
    (void)state;
    struct client_request req = { .timeout_ms = 2000 };
    assert_int_equal(get(&req, "/short"), ERR_CLOSED);
    assert_null(req.body_in.data);
    assert_int_equal(get(&req, "/long"), OK);
    assert_slice(buf_slice(&req.body_in), "long");
    client_clear(&req);
    assert_int_equal(get(&req, "/hello"), OK); /* the rest is no answer */
    assert_slice(buf_slice(&req.body_in), "hello");
    client_clear(&req);
}

static void what_is_not_http_is_an_error(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/garbage"), ERR_IO);
    assert_true(req.sent);
}

static void a_wrong_request_is_not_started(void **state)
{
    (void)state;
    const char *urls[] = {
        "",           "ftp://127.0.0.1/",     "file:///etc/passwd",
        "127.0.0.1/", "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y"
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct client_request req = { .url = urls[i], .on_done = on_done };
        assert_int_equal(client_send(b.client, &req), ERR_INVALID);
    }
    const char *lines[] = { "X: a\r\nY: b", NULL };
    struct client_request req = { .headers = lines };
    assert_int_equal(client_send(b.client, ask(&req, "/")), ERR_INVALID);
    req = (struct client_request){ .method = "GET /x" };
    assert_int_equal(client_send(b.client, ask(&req, "/")), ERR_INVALID);
}

static void a_url_that_curl_rejects_is_invalid(void **state)
{
    (void)state;
    struct client_request req = { .url = "http://127.0.0.1:99999999/?c=sesame",
                                  .on_done = on_done };
    assert_int_equal(client_send(b.client, &req), PENDING);
    run_until(1);
    assert_int_equal(req.result, ERR_INVALID);
    assert_null(strstr(err_text(), "sesame"));
}

static void a_request_can_be_canceled_at_any_moment(void **state)
{
    (void)state;
    const char *paths[] = { "/hello", "/slow", "/half", "/huge", "/close" };
    for (int steps = 0; steps < 40; steps++) {
        struct client_request *req = calloc(1, sizeof *req);
        struct client_request other = { 0 };
        client_send(b.client, ask(req, paths[steps % 5]));
        client_send(b.client, ask(&other, "/hello"));
        unsigned before = b.done;
        for (int i = 0; i < steps / 5; i++)
            uv_run(&b.loop, UV_RUN_NOWAIT);
        client_cancel(req);
        client_clear(req);
        free(req); /* ASan sees who still has it */
        while (other.client)
            uv_run(&b.loop, UV_RUN_ONCE);
        assert_int_equal(other.result, OK);
        client_clear(&other);
        assert_true(b.done - before <= 2);
    }
}

static void cancel_others(struct client_request *req)
{
    struct client_request *others = req->user;
    b.done++;
    for (int i = 0; i < 4; i++)
        client_cancel(&others[i]);
}

static void a_callback_may_cancel_the_others(void **state)
{
    (void)state;
    struct client_request reqs[4] = { 0 };
    for (int i = 0; i < 4; i++) {
        client_send(b.client, ask(&reqs[i], i ? "/slow" : "/hello"));
        reqs[i].on_done = cancel_others;
        reqs[i].user = reqs;
    }
    run_until(1);
    for (int i = 0; i < 5; i++)
        uv_run(&b.loop, UV_RUN_NOWAIT);
    assert_int_equal(b.done, 1);
    client_clear(&reqs[0]);
}

static void send_again(struct client_request *req)
{
    if (++b.done < 5)
        assert_int_equal(client_send(b.client, req), PENDING);
}

static void a_callback_may_send_the_same_request_again(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    ask(&req, "/hello")->on_done = send_again;
    client_send(b.client, &req);
    run_until(5);
    assert_int_equal(b.server.requests, 5);
    client_clear(&req);
}

static void free_client(struct client_request *req)
{
    b.done++;
    client_free(req->user, NULL, NULL);
}

static void a_callback_may_free_the_client(void **state)
{
    (void)state;
    struct client *c;
    struct client_request reqs[3] = { 0 };
    assert_int_equal(client_new(&c, &b.loop), OK);
    for (int i = 0; i < 3; i++) {
        ask(&reqs[i], "/hello")->on_done = free_client;
        reqs[i].user = c;
        client_send(c, &reqs[i]);
    }
    uv_run(&b.loop, UV_RUN_DEFAULT);
    assert_int_equal(b.done, 1); /* the others were canceled */
    for (int i = 0; i < 3; i++)
        client_clear(&reqs[i]);
}

static void make_certificate(void)
{
    char command[512];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt "
             "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test "
             "-addext subjectAltName=IP:127.0.0.1 -keyout %s/key.pem "
             "-out %s/cert.pem 2>/dev/null",
             folder, folder);
    assert_int_equal(system(command), 0);
}

static int start_tls(void **state)
{
    char cert[64], key[64];
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    b.server.tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_file(b.server.tls, cert, 1), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(b.server.tls, key, 1), 1);
    return start(state);
}

static int start_trusted(void **state)
{
    char cert[64];
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    setenv("CURL_CA_BUNDLE", cert, 1);
    return start_tls(state);
}

static int stop_tls(void **state)
{
    stop(state);
    unsetenv("CURL_CA_BUNDLE");
    SSL_CTX_free(b.server.tls);
    b.server.tls = NULL;
    return 0;
}

static void a_trusted_certificate_is_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct client_request req = { 0 };
        assert_int_equal(get(&req, "/hello"), OK);
        assert_slice(buf_slice(&req.body_in), "hello");
        client_clear(&req);
    }
    assert_int_equal(b.server.accepted, 1);
}

static void a_certificate_of_another_name_is_refused(void **state)
{
    (void)state;
    char url[64];
    snprintf(url, sizeof url, "https://localhost:%u/hello", b.server.port);
    struct client_request req = { .url = url, .on_done = on_done };
    client_send(b.client, &req);
    run_until(1);
    assert_int_equal(req.result, ERR_CONNECT);
    assert_int_equal(b.server.requests, 0);
}

static void an_unknown_certificate_is_refused(void **state)
{
    (void)state;
    struct client_request req = { 0 };
    assert_int_equal(get(&req, "/hello"), ERR_CONNECT);
    assert_false(req.sent);
    assert_int_equal(b.server.requests, 0);
}

static int make_folder(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(folder));
    make_certificate();
    return 0;
}

static int remove_folder(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/cert.pem", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/key.pem", folder);
    unlink(path);
    return rmdir(folder);
}

#define PLAIN(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(an_answer_comes_whole),
        PLAIN(a_request_says_what_was_asked_and_no_more),
        PLAIN(a_body_without_a_type_gets_none),
        PLAIN(an_empty_post_says_so),
        PLAIN(a_head_request_waits_for_no_body),
        PLAIN(a_redirect_is_not_followed),
        PLAIN(requests_share_a_kept_connection),
        PLAIN(requests_at_once_use_as_many_connections_and_keep_them),
        PLAIN(a_host_with_dead_addresses_is_reached_at_the_last),
        PLAIN(an_address_that_is_silent_leaves_time_for_the_next),
        PLAIN(a_slow_name_does_not_stop_the_loop),
        PLAIN(a_refused_connection_sent_nothing),
        PLAIN(a_name_that_does_not_exist_sent_nothing),
        PLAIN(a_timeout_after_sending_is_ambiguous),
        PLAIN(a_connection_closed_unanswered_is_ambiguous),
        PLAIN(a_kept_connection_that_dies_is_not_sent_to_again),
        PLAIN(a_connection_that_died_idle_is_replaced_unseen),
        PLAIN(too_much_is_refused_while_it_comes),
        PLAIN(a_lying_length_is_seen_through),
        PLAIN(what_is_not_http_is_an_error),
        PLAIN(a_wrong_request_is_not_started),
        PLAIN(a_url_that_curl_rejects_is_invalid),
        PLAIN(a_request_can_be_canceled_at_any_moment),
        PLAIN(a_callback_may_cancel_the_others),
        PLAIN(a_callback_may_send_the_same_request_again),
        PLAIN(a_callback_may_free_the_client),
        cmocka_unit_test_setup_teardown(a_trusted_certificate_is_taken,
                                        start_trusted, stop_tls),
        cmocka_unit_test_setup_teardown(
            a_certificate_of_another_name_is_refused, start_trusted, stop_tls),
        cmocka_unit_test_setup_teardown(an_unknown_certificate_is_refused,
                                        start_tls, stop_tls),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
