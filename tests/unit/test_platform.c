/* test_platform.c -- the engine: other drivers, retries, time, leaving. */
#include "platform_bench.h"

#define GOOD "{\"openid\":\"o-1\",\"session_key\":\"" BENCH_KEY "\"}"
#define BUSY "{\"errcode\":-1,\"errmsg\":\"busy\"}"
#define USED "{\"errcode\":40163,\"errmsg\":\"code been used\"}"
#define STALE "{\"errcode\":40029,\"errmsg\":\"invalid code\"}"

static const struct platform_param mp_params[] = {
    { "js_code", PLATFORM_CODE, NULL, 0 },
    { "app_id", PLATFORM_APPID, NULL, 0 },
    { "app_secret", PLATFORM_SECRET, NULL, 0 },
    { NULL, 0, NULL, 0 },
};

static const struct platform_error mp_errors[] = {
    { 100200101, PLATFORM_CODE_INVALID, PLATFORM_FINAL },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

static const struct platform_field mp_fields[] = {
    { "openid", "open_id", PLATFORM_TEXT, PLATFORM_CODE, 0, 0 },
    { "key", "session_key", PLATFORM_KEY_BASE64, PLATFORM_CODE, 0, 16 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_api mp_apis[] = {
    { .name = "code2session",
      .path = "/oauth2/mp/code2session",
      .form = PLATFORM_FORM,
      .params = mp_params,
      .answer = { .status = { "result" },
                  .ok = 1,
                  .message = { "error_msg", "error" },
                  .fields = mp_fields } },
    { .name = NULL },
};

/* A form, and 1 is success: Kuaishou. */
static const struct platform kuaishou = {
    .name = "kuaishou",
    .hosts = { "https://open.kuaishou.com" },
    .apis = mp_apis,
    .errors = mp_errors,
};

static const struct platform_error game_errors[] = {
    { 40018, PLATFORM_CODE_INVALID, PLATFORM_FINAL },
    { 0, PLATFORM_OK, PLATFORM_FINAL },
};

static const struct platform_field game_fields[] = {
    { "openid", "openid", PLATFORM_TEXT, PLATFORM_CODE, 0, 0 },
    { "key", "session_key", PLATFORM_KEY_HEX, PLATFORM_CODE, 0, 4 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_api game_apis[] = {
    { .name = "code2session",
      .path = "/api/apps/jscode2session",
      .form = PLATFORM_QUERY,
      .params = mp_params,
      .answer = { .status = { "errcode", "error" },
                  .message = { "errmsg", "message" },
                  .fields = game_fields } },
    { .name = NULL },
};

/* Flat, and two pairs of errors at once: Douyin's version 1. */
static const struct platform game = {
    .name = "game",
    .hosts = { "https://minigame.zijieapi.com/mgplatform" },
    .apis = game_apis,
    .errors = game_errors,
};

static const struct platform_field keyless_fields[] = {
    { "openid", "user_id", PLATFORM_TEXT, PLATFORM_CODE, 0, 0 },
    { NULL, NULL, 0, 0, 0, 0 },
};

static const struct platform_api keyless_apis[] = {
    { .name = "token",
      .path = "/token",
      .form = PLATFORM_FORM,
      .params = mp_params,
      .answer = { .status = { "code" }, .fields = keyless_fields } },
    { .name = NULL },
};

/* No key at all, as where a login gives tokens. */
static const struct platform keyless = {
    .name = "keyless",
    .hosts = { "https://example.com" },
    .apis = keyless_apis,
};

static void script(struct bench_step a, struct bench_step b,
                   struct bench_step c)
{
    memset(bench.steps, 0, sizeof bench.steps);
    bench.steps[0] = a;
    bench.steps[1] = b;
    bench.steps[2] = c;
    bench_login(&platform_wechat)->timeout_ms = 400;
}

#define SAYS(text) ((struct bench_step){ .body = text })
#define STATUS(n, text) ((struct bench_step){ .status = n, .body = text })
#define HANGS ((struct bench_step){ .status = -1 })
#define CLOSES ((struct bench_step){ .status = -2 })
#define SAME ((struct bench_step){ 0 })

static void platforms_are_found_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(platform_find(SLICE("wechat")), &platform_wechat);
    assert_ptr_equal(platform_find(SLICE("douyin")), &platform_douyin);
    assert_null(platform_find(SLICE("WeChat")));
    assert_null(platform_find(SLICE("")));
    for (unsigned i = 0; i < PLATFORM_REASONS; i++)
        assert_non_null(platform_reason_name((enum platform_reason)i));
}

static struct platform_error error_of(const struct platform *p, const char *api,
                                      long code)
{
    return platform_error(p, platform_api(p, slice_str(api)), code);
}

static void a_code_means_what_its_call_is_about(void **state)
{
    (void)state;
    static const struct {
        const struct platform *platform;
        const char *api;
        long code;
        enum platform_reason reason;
    } rows[] = {
        { &platform_wechat, "code2session", 50002, PLATFORM_USER_BLOCKED },
        { &platform_wechat, "stable_token", 50002, PLATFORM_MISCONFIGURED },
        { &platform_wechat, "token", 40226, PLATFORM_MISCONFIGURED },
        { &platform_wechat, "stable_token", 40029, PLATFORM_ERROR },
        { &platform_wechat, "stable_token", 45009, PLATFORM_RATE_LIMITED },
        { &platform_wechat, "stable_token", 40001, PLATFORM_MISCONFIGURED },
        { &platform_wechat, "code2session", 87009, PLATFORM_ERROR },
        { &platform_wechat, "phone_number", 87009, PLATFORM_ERROR },
        { &platform_wechat, "check_session", 87009, PLATFORM_KEY_STALE },
        { &platform_wechat, "check_session", 40029, PLATFORM_ERROR },
        { &platform_wechat, "phone_number", 40163,
          PLATFORM_PHONE_CODE_INVALID },
        { &platform_wechat, "phone_number", 40029,
          PLATFORM_PHONE_CODE_INVALID },
        { &platform_wechat, "phone_number", 48001, PLATFORM_MISCONFIGURED },
        { &platform_wechat, "code2session", 99999, PLATFORM_ERROR },
        { &platform_wechat, "code2session", 0, PLATFORM_ERROR },
        { &platform_douyin, "code2session", 28005187, PLATFORM_CODE_INVALID },
        { &platform_douyin, "code2session", 28001039, PLATFORM_ERROR },
        { &platform_douyin, "client_token", 40018, PLATFORM_ERROR },
        { &platform_douyin, "client_token", 28005187, PLATFORM_ERROR },
        { &platform_douyin, "phone_number", 40018,
          PLATFORM_PHONE_CODE_INVALID },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(
            error_of(rows[i].platform, rows[i].api, rows[i].code).reason,
            rows[i].reason);
}

static void only_a_call_that_took_a_token_asks_for_another(void **state)
{
    (void)state;
    assert_int_equal(error_of(&platform_wechat, "phone_number", 42001).retry,
                     PLATFORM_REFRESH);
    assert_int_equal(error_of(&platform_wechat, "stable_token", 40001).retry,
                     PLATFORM_FINAL);
    assert_int_equal(error_of(&platform_wechat, "code2session", 40014).retry,
                     PLATFORM_FINAL);
}

static void a_driver_may_post_a_form_and_count_one_as_success(void **state)
{
    (void)state;
    struct platform_call *l =
        bench_get(&kuaishou, "{\"result\":1,\"open_id\":\"k-1\","
                             "\"session_key\":\"" BENCH_KEY "\"}");
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_string_equal(platform_answer_text(l, "openid"), "k-1");
    assert_non_null(strstr(bench.request, "POST /oauth2/mp/code2session HTTP"));
    assert_non_null(strstr(bench.request, "application/x-www-form-urlencoded"));
    assert_string_equal(strstr(bench.request, "\r\n\r\n") + 4,
                        "js_code=c0de&app_id=app01&app_secret=5ecre7");
    l = bench_get(&kuaishou, "{\"result\":100200101,\"error\":\"bad_code\"}");
    assert_int_equal(l->reason, PLATFORM_CODE_INVALID);
    assert_string_equal(l->errmsg, "bad_code");
    l = bench_get(&kuaishou, "{\"result\":0}");
    assert_int_equal(l->reason, PLATFORM_ERROR);
    l = bench_get(&kuaishou,
                  "{\"open_id\":\"k-1\",\"session_key\":\"" BENCH_KEY "\"}");
    assert_int_equal(l->reason, PLATFORM_ERROR); /* silence is no success */
}

static void a_driver_may_have_two_error_codes(void **state)
{
    (void)state;
    struct platform_call *l =
        bench_get(&game, "{\"error\":3,\"errcode\":40018,\"errmsg\":\"bad "
                         "code\",\"message\":\"x\"}");
    assert_int_equal(l->reason, PLATFORM_CODE_INVALID);
    assert_int_equal(l->errcode, 40018);
    assert_string_equal(l->errmsg, "bad code");
    l = bench_get(&game, "{\"error\":3,\"message\":\"x\"}");
    assert_int_equal(l->reason, PLATFORM_ERROR);
    assert_int_equal(l->errcode, 3);
    assert_string_equal(l->errmsg, "x");
    l = bench_get(&game, "{\"error\":0,\"openid\":\"o\","
                         "\"session_key\":\"00ff00ff\"}");
    assert_int_equal(l->reason, PLATFORM_OK);
    l = bench_get(&game, "{\"error\":0,\"openid\":\"o\","
                         "\"session_key\":\"00ff00\"}");
    assert_int_equal(l->reason, PLATFORM_ERROR);
}

static void a_driver_may_have_no_key(void **state)
{
    (void)state;
    struct platform_call *l = bench_get(&keyless, "{\"user_id\":\"2088\"}");
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_string_equal(platform_answer_text(l, "openid"), "2088");
    assert_string_equal(platform_answer_text(l, "key"), "");
}

static void busy_then_well_is_well(void **state)
{
    (void)state;
    script(SAYS(BUSY), STATUS(502, "<h1>Bad Gateway</h1>"), SAYS(GOOD));
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_int_equal(l->attempts, 3);
    assert_int_equal(l->errcode, 0);
    assert_string_equal(l->errmsg, "");
}

static void a_server_error_is_busy(void **state)
{
    (void)state;
    script(STATUS(503, GOOD), SAME, SAME);
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_BUSY);
    assert_int_equal(l->status, 503);
    assert_int_equal(l->attempts, 3);
}

static void a_success_with_an_http_error_is_none(void **state)
{
    (void)state;
    script(STATUS(404, GOOD), SAME, SAME);
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_ERROR);
    assert_string_equal(platform_answer_text(l, "key"), "");
    script(STATUS(403, USED), SAME, SAME);
    assert_int_equal(bench_run()->reason, PLATFORM_CODE_USED);
    script(STATUS(429, ""), SAME, SAME);
    assert_int_equal(bench_run()->reason, PLATFORM_RATE_LIMITED);
    script(STATUS(302, ""), SAME, SAME);
    assert_int_equal(bench_run()->reason, PLATFORM_ERROR);
}

static void a_refused_connection_is_busy_and_not_ambiguous(void **state)
{
    (void)state;
    script(SAME, SAME, SAME);
    bench.login.base = "http://127.0.0.1:1";
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_BUSY);
    assert_int_equal(l->attempts, 3);
    assert_false(l->ambiguous);
    assert_int_equal(l->status, 0);
    assert_true(l->seconds >= 0.14 && l->seconds <= 0.8);
    assert_true(*l->errmsg);
}

static void silence_is_tried_once_more_within_the_time(void **state)
{
    (void)state;
    script(HANGS, HANGS, HANGS);
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_TIMEOUT);
    assert_int_equal(l->attempts, 2);
    assert_true(l->ambiguous);
    assert_true(l->seconds >= 0.5 && l->seconds <= 0.9);
}

static void a_lost_answer_may_come_the_second_time(void **state)
{
    (void)state;
    script(CLOSES, SAYS(GOOD), SAME);
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_int_equal(l->attempts, 2);
    script(HANGS, SAYS(GOOD), SAME);
    assert_int_equal(bench_run()->reason, PLATFORM_OK);
}

static void a_code_that_we_may_have_spent_is_invalid(void **state)
{
    (void)state;
    const struct bench_step first[] = { HANGS, CLOSES, STATUS(500, ""),
                                        SAYS(BUSY) };
    const char *const then[] = { USED, STALE };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 2; k++) {
            script(first[i], SAYS(then[k]), SAME);
            struct platform_call *l = bench_run();
            assert_int_equal(l->reason, PLATFORM_CODE_INVALID);
            assert_int_equal(l->errcode, k ? 40029 : 40163);
            assert_true(l->ambiguous);
            assert_int_equal(l->attempts, 2);
        }
    script(SAYS(USED), SAME, SAME); /* by someone else */
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_CODE_USED);
    assert_false(l->ambiguous);
}

static void two_lost_answers_are_the_end(void **state)
{
    (void)state;
    script(CLOSES, CLOSES, SAYS(GOOD));
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_TIMEOUT);
    assert_int_equal(bench.server.requests, 2);
    script(CLOSES, SAYS(BUSY), SAYS(GOOD));
    l = bench_run(); /* the code may be gone: not merely busy */
    assert_int_equal(l->reason, PLATFORM_TIMEOUT);
    assert_int_equal(bench.server.requests, 2);
    script(SAYS(BUSY), SAYS(BUSY), CLOSES);
    assert_int_equal(bench_run()->reason, PLATFORM_TIMEOUT);
}

static void a_wrong_base_is_our_mistake(void **state)
{
    (void)state;
    bench_login(&platform_wechat)->base = "no url";
    assert_int_equal(platform_call_start(bench.client, &bench.login),
                     ERR_INVALID);
    bench_login(&platform_wechat)->base = "http://127.0.0.1:99999999";
    assert_int_equal(bench_run()->reason, PLATFORM_MISCONFIGURED);
    assert_int_equal(bench.login.attempts, 1);
}

static void on_other_done(struct platform_call *login)
{
    (void)login;
    bench.done++;
}

static void a_login_can_be_canceled_at_any_moment(void **state)
{
    (void)state;
    for (int steps = 0; steps < 24; steps++) {
        script(steps % 3 ? SAYS(BUSY) : HANGS, SAYS(BUSY), SAYS(BUSY));
        struct platform_call *l = malloc(sizeof *l);
        assert_non_null(l);
        *l = bench.login;
        l->on_done = on_other_done;
        assert_int_equal(platform_call_start(bench.client, l), PENDING);
        for (int i = 0; i < steps; i++)
            uv_run(&bench.loop, steps % 2 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        unsigned done = bench.done;
        platform_call_cancel(l);
        platform_call_clear(l);
        free(l); /* ASan sees who still has it */
        uv_run(&bench.loop, UV_RUN_NOWAIT);
        assert_int_equal(bench.done, done);
    }
}

static void nothing_secret_is_left_after_clear(void **state)
{
    (void)state;
    script(SAYS(GOOD), SAME, SAME);
    struct platform_call *l = bench_run();
    platform_call_clear(l);
    assert_null(l->url.data);
    assert_null(l->body.data);
    assert_null(l->header.data);
    assert_null(l->answer);
    assert_null(l->request.body_in.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(platforms_are_found_by_name),
        cmocka_unit_test(a_code_means_what_its_call_is_about),
        cmocka_unit_test(only_a_call_that_took_a_token_asks_for_another),
        BENCH(a_driver_may_post_a_form_and_count_one_as_success),
        BENCH(a_driver_may_have_two_error_codes),
        BENCH(a_driver_may_have_no_key),
        BENCH(busy_then_well_is_well),
        BENCH(a_server_error_is_busy),
        BENCH(a_success_with_an_http_error_is_none),
        BENCH(a_refused_connection_is_busy_and_not_ambiguous),
        BENCH(silence_is_tried_once_more_within_the_time),
        BENCH(a_lost_answer_may_come_the_second_time),
        BENCH(a_code_that_we_may_have_spent_is_invalid),
        BENCH(two_lost_answers_are_the_end),
        BENCH(a_wrong_base_is_our_mistake),
        BENCH(a_login_can_be_canceled_at_any_moment),
        BENCH(nothing_secret_is_left_after_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
