/* platform_bench.h -- a platform that answers what a test scripted. */
#pragma once
#include "fake_server.h"
#include "platform/platform_answer.h"
#include "unit.h"
#include <signal.h>

enum { BENCH_STEPS = 4 };

#define BENCH_KEY "HyVFkGl5F5OQWJZZaNzBBg=="

/* What the server does with the first, the second ... request; the last step
 * serves all that follow. */
struct bench_step {
    int status; /* 0: 200; -1: never answers; -2: closes unanswered */
    const char *type, *body;
};

static struct {
    struct fake_server server;
    uv_loop_t loop;
    struct client *client;
    struct bench_step steps[BENCH_STEPS];
    char request[FAKE_REQUEST]; /* the last one */
    struct platform_call login;
    unsigned done;
} bench;

static inline bool bench_answer(struct fake_conn *c)
{
    unsigned i = c->server->requests - 1;
    while (i >= BENCH_STEPS ||
           (i && !bench.steps[i].body && bench.steps[i].status >= 0))
        i--;
    const struct bench_step *step = &bench.steps[i];
    memcpy(bench.request, c->in, c->len + 1);
    if (step->status == -1)
        return fake_hang(c);
    if (step->status == -2)
        return false;
    return fake_reply(c, step->status ? step->status : 200,
                      step->type ? step->type : "text/plain", step->body);
}

static inline void bench_done(struct platform_call *login)
{
    assert_ptr_equal(login, &bench.login);
    bench.done++;
}

static inline int bench_start(void **state)
{
    (void)state;
    memset(&bench, 0, sizeof bench);
    signal(SIGPIPE, SIG_IGN);
    fake_start(&bench.server, bench_answer);
    uv_loop_init(&bench.loop);
    return client_new(&bench.client, &bench.loop) != OK;
}

static inline int bench_stop(void **state)
{
    (void)state;
    platform_call_clear(&bench.login);
    client_free(bench.client, NULL, NULL);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bench.loop), 0);
    fake_stop(&bench.server);
    return 0;
}

static inline const char *bench_base(void)
{
    static char base[64];
    snprintf(base, sizeof base, "http://127.0.0.1:%u/", bench.server.port);
    return base;
}

/* A login of p with usual values and a code. */
static inline struct platform_call *bench_login(const struct platform *p)
{
    platform_call_clear(&bench.login);
    bench.server.requests = 0;
    bench.done = 0;
    bench.login = (struct platform_call){
        .platform = p,
        .base = bench_base(),
        .api = p->apis,
        .values = { [PLATFORM_APPID] = SLICE("app01"),
                    [PLATFORM_SECRET] = SLICE("5ecre7"),
                    [PLATFORM_CODE] = SLICE("c0de"),
                    [PLATFORM_OPENID] = SLICE("o-1"),
                    [PLATFORM_TOKEN] = SLICE("t0ken"),
                    [PLATFORM_SIGNATURE] = SLICE("51gn") },
        .timeout_ms = 1000,
        .on_done = bench_done,
    };
    return &bench.login;
}

static inline struct platform_call *bench_run(void)
{
    assert_int_equal(platform_call_start(bench.client, &bench.login), PENDING);
    assert_int_equal(bench.done, 0);
    while (!bench.done)
        uv_run(&bench.loop, UV_RUN_ONCE);
    return &bench.login;
}

/* One login of p, answered with body. */
static inline struct platform_call *bench_get(const struct platform *p,
                                              const char *body)
{
    bench.steps[0] = (struct bench_step){ .body = body };
    memset(bench.steps + 1, 0, sizeof bench.steps - sizeof *bench.steps);
    bench_login(p);
    return bench_run();
}

/* One call of p, answered with body. */
static inline struct platform_call *bench_ask(const struct platform *p,
                                              const char *api, const char *body)
{
    bench.steps[0] = (struct bench_step){ .body = body };
    memset(bench.steps + 1, 0, sizeof bench.steps - sizeof *bench.steps);
    bench_login(p)->api = platform_api(p, slice_str(api));
    assert_non_null(bench.login.api);
    return bench_run();
}

#define BENCH(f) cmocka_unit_test_setup_teardown(f, bench_start, bench_stop)
