/* test_wechat.c -- WeChat's call and every answer of its tables. */
#include "platform_bench.h"

static struct platform_call *wechat(const char *body)
{
    return bench_get(&platform_wechat, body);
}

static void a_login_gives_identity_and_key(void **state)
{
    (void)state;
    struct platform_call *l =
        wechat("{\"session_key\":\"" BENCH_KEY "\",\"openid\":\"oGZUI0egBJY1\","
               "\"unionid\":\"ocMvos6NjeKLIBqg5\"}");
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_string_equal(platform_answer_text(l, "openid"), "oGZUI0egBJY1");
    assert_string_equal(platform_answer_text(l, "unionid"),
                        "ocMvos6NjeKLIBqg5");
    assert_string_equal(platform_answer_text(l, "anonymous_openid"), "");
    assert_string_equal(platform_answer_text(l, "key"), BENCH_KEY);
    assert_int_equal(l->errcode, 0);
    assert_int_equal(l->status, 200);
    assert_int_equal(l->attempts, 1);
    assert_false(l->ambiguous);
    assert_true(l->seconds >= 0);
    platform_call_clear(l);
    assert_string_equal(platform_answer_text(l, "key"), "");
}

static void the_call_is_a_flat_get(void **state)
{
    (void)state;
    wechat("{}");
    assert_true(strstr(bench.request,
                       "GET /sns/jscode2session?appid=app01&secret=5ecre7&"
                       "js_code=c0de&grant_type=authorization_code HTTP/1.1"
                       "\r\n") == bench.request);
}

static void a_code_arrives_as_it_was(void **state)
{
    (void)state;
    bench.steps[0] = (struct bench_step){ .body = "{}" };
    bench_login(&platform_wechat)->values[PLATFORM_CODE] =
        SLICE("a%2B&=+ #?/\n\0\xe4\xbd\xa0");
    bench_run();
    assert_non_null(strstr(
        bench.request,
        "&js_code=a%252B%26%3D%2B%20%23%3F%2F%0A%00%E4%BD%A0&grant_type="));
}

static void zero_is_success_as_number_and_as_text(void **state)
{
    (void)state;
    static const char *const zeros[] = { "0", "\"0\"", "null" };
    for (int i = 0; i < 3; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"errcode\":%s,\"errmsg\":\"ok\",\"openid\":\"o1\","
                 "\"session_key\":\"" BENCH_KEY "\"}",
                 zeros[i]);
        assert_int_equal(wechat(body)->reason, PLATFORM_OK);
    }
}

static void every_code_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        long code;
        const char *reason;
    } table[] = {
        { 40029, "code_invalid" },   { 40163, "code_used" },
        { 45009, "rate_limited" },   { 45011, "rate_limited" },
        { 40226, "user_blocked" },   { 50002, "user_blocked" },
        { 40013, "misconfigured" },  { 40125, "misconfigured" },
        { 41002, "misconfigured" },  { 41004, "misconfigured" },
        { 40164, "misconfigured" },  { 89503, "misconfigured" },
        { 40001, "misconfigured" },  { 42001, "platform_error" },
        { 41008, "platform_error" }, { 7, "platform_error" },
        { -2, "platform_error" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (int quoted = 0; quoted < 2; quoted++) {
            char body[128];
            snprintf(body, sizeof body,
                     quoted ? "{\"errcode\":\"%ld\",\"errmsg\":\"no\"}"
                            : "{\"errcode\":%ld,\"errmsg\":\"no\"}",
                     table[i].code);
            struct platform_call *l = wechat(body);
            assert_string_equal(platform_reason_name(l->reason),
                                table[i].reason);
            assert_int_equal(l->errcode, table[i].code);
            assert_string_equal(l->errmsg, "no");
            assert_int_equal(l->attempts, 1); /* none is tried again */
        }
}

static void busy_is_tried_twice_more(void **state)
{
    (void)state;
    struct platform_call *l =
        wechat("{\"errcode\":-1,\"errmsg\":\"system error\"}");
    assert_int_equal(l->reason, PLATFORM_BUSY);
    assert_int_equal(l->errcode, -1);
    assert_int_equal(l->attempts, 3);
    assert_int_equal(bench.server.requests, 3);
    assert_true(l->seconds >= 0.14 && l->seconds < 1);
}

static void a_message_keeps_its_request_id(void **state)
{
    (void)state;
    static const char rid[] = ", rid: 6552e3da-6397437b-3f0d4f01";
    char body[1024], filler[400];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    struct platform_call *l =
        wechat("{\"errcode\":40029,\"errmsg\":\"invalid code, rid: "
               "6552e3da-6397437b-3f0d4f01\"}");
    assert_string_equal(l->errmsg,
                        "invalid code, rid: 6552e3da-6397437b-3f0d4f01");
    snprintf(body, sizeof body, "{\"errcode\":40029,\"errmsg\":\"%s%s\"}",
             filler, rid);
    l = wechat(body);
    size_t len = strlen(l->errmsg);
    assert_true(len <= PLATFORM_MESSAGE - 1);
    assert_string_equal(l->errmsg + len - strlen(rid), rid);
}

static void a_message_is_safe_to_log(void **state)
{
    (void)state;
    struct platform_call *l = wechat("{\"errcode\":40029,\"errmsg\":"
                                     "\"a\\nb\\u0007\\u001b[31mc\"}");
    assert_string_equal(l->errmsg, "ab[31mc");
    l = wechat("{\"errcode\":40029,\"errmsg\":\"bad code c0de, sorry\"}");
    assert_null(strstr(l->errmsg, "c0de"));
    l = wechat("{\"errcode\":40029,\"errmsg\":\"bad code c0\\nde\"}");
    assert_null(strstr(l->errmsg, "c0de"));
    l = wechat("{\"errcode\":40125,\"errmsg\":\"secret 5ecre7 is wrong\"}");
    assert_null(strstr(l->errmsg, "5ecre7"));
    assert_int_equal(l->errcode, 40125);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    char body[1024] = "{\"errcode\":1,\"errmsg\":\"";
    for (unsigned shift = 0; shift < 3; shift++) {
        size_t at = 23 + shift;
        memset(body + 23, 'x', shift);
        for (int i = 0; i < 100; i++, at += 3)
            memcpy(body + at, "\xe4\xbd\xa0", 3);
        strcpy(body + at, "\"}");
        struct platform_call *l = wechat(body);
        assert_true(strlen(l->errmsg) > 100);
        /* whole characters, and the dots */
        const char *dots = strstr(l->errmsg, "...");
        assert_non_null(dots);
        assert_int_equal((size_t)(dots - l->errmsg - (ptrdiff_t)shift) % 3, 0);
        assert_int_equal(strlen(dots) % 3, 0);
    }
}

/* Each must be a platform error, leave nothing behind, and not crash. */
static void what_makes_no_sense_is_an_error(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        " ",
        "<html><body>502 Bad Gateway</body></html>",
        "{",
        "[]",
        "null",
        "\"text\"",
        "{}",
        "{\"openid\":\"o1\"}",
        "{\"openid\":\"o1\",\"session_key\":\"\"}",
        "{\"openid\":\"o1\",\"session_key\":null}",
        "{\"session_key\":\"" BENCH_KEY "\"}",
        "{\"openid\":\"\",\"session_key\":\"" BENCH_KEY "\"}",
        "{\"openid\":7,\"session_key\":\"" BENCH_KEY "\"}",
        "{\"openid\":{\"a\":1},\"session_key\":\"" BENCH_KEY "\"}",
        "{\"openid\":\"o\\n1\",\"session_key\":\"" BENCH_KEY "\"}",
        "{\"openid\":\"o\\u00001\",\"session_key\":\"" BENCH_KEY "\"}",
        "{\"openid\":\"o1\",\"session_key\":7}",
        "{\"openid\":\"o1\",\"session_key\":\"HyVFkGl5F5OQWJZZaNzB\"}",
        "{\"openid\":\"o1\",\"session_key\":\"HyVFkGl5F5OQWJZZaNzBBg\"}",
        "{\"openid\":\"o1\",\"session_key\":\"not base64 at all !!==\"}",
        "{\"openid\":\"o1\",\"openid\":\"o2\",\"session_key\":\"" BENCH_KEY
        "\"}",
        "{\"openid\":\"o1\",\"session_key\":\"" BENCH_KEY "\"} trailing",
        "{\"openid\":\"o1\",\"session_key\":\"" BENCH_KEY "\"",
        "{\"openid\":\"o1\",\"unionid\":[],\"session_key\":\"" BENCH_KEY "\"}",
        "{\"errcode\":true,\"openid\":\"o1\",\"session_key\":\"" BENCH_KEY
        "\"}",
        "{\"errcode\":\"\",\"openid\":\"o1\",\"session_key\":\"" BENCH_KEY
        "\"}",
        "{\"errcode\":\"ok\",\"openid\":\"o1\",\"session_key\":\"" BENCH_KEY
        "\"}",
        "{\"errcode\":40029.5}",
        "{\"errcode\":{}}",
        "{\"errcode\":1e400}",
        "{\"errcode\":99999999999999999999999999}",
        "{\"errcode\":\"99999999999999999999999999\"}",
        "{\"errcode\":\" 40029\"}",
        "{\"errcode\":\"40029x\"}",
        "{\"errcode\":40029,\"errcode\":0}",
        "{\"openid\":\"\xff\xfe\",\"session_key\":\"" BENCH_KEY "\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct platform_call *l = wechat(bodies[i]);
        if (l->reason != PLATFORM_ERROR)
            fail_msg("%s: %s", bodies[i], platform_reason_name(l->reason));
        assert_int_equal(l->attempts, 1);
        assert_string_equal(platform_answer_text(l, "openid"), "");
        assert_string_equal(platform_answer_text(l, "key"), "");
        assert_true(*l->errmsg);
    }
}

static void an_openid_that_is_too_long_is_an_error(void **state)
{
    (void)state;
    char body[512], id[PLATFORM_ID + 2];
    memset(id, 'o', sizeof id);
    for (size_t len = PLATFORM_ID; len <= PLATFORM_ID + 1; len++) {
        snprintf(body, sizeof body,
                 "{\"openid\":\"%.*s\",\"session_key\":\"" BENCH_KEY "\"}",
                 (int)len, id);
        assert_int_equal(wechat(body)->reason,
                         len <= PLATFORM_ID ? PLATFORM_OK : PLATFORM_ERROR);
    }
}

static void deep_nesting_and_a_flood_are_errors(void **state)
{
    (void)state;
    static char nest[60001], flood[200 * 1024]; /* the server may still read */
    memset(nest, '[', sizeof nest - 1);
    assert_int_equal(wechat(nest)->reason, PLATFORM_ERROR);
    memset(flood, ' ', sizeof flood - 1);
    assert_int_equal(wechat(flood)->reason, PLATFORM_ERROR);
    assert_non_null(strstr(bench.login.errmsg, "too large"));
}

static void it_knows_no_anonymous_login(void **state)
{
    (void)state;
    struct platform_call *l = bench_login(&platform_wechat);
    l->values[PLATFORM_CODE] = SLICE_NONE;
    l->values[PLATFORM_ANONYMOUS_CODE] = SLICE("an0n");
    assert_int_equal(platform_call_start(bench.client, l), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(a_login_gives_identity_and_key),
        BENCH(the_call_is_a_flat_get),
        BENCH(a_code_arrives_as_it_was),
        BENCH(zero_is_success_as_number_and_as_text),
        BENCH(every_code_has_its_reason),
        BENCH(busy_is_tried_twice_more),
        BENCH(a_message_keeps_its_request_id),
        BENCH(a_message_is_safe_to_log),
        BENCH(a_long_message_is_cut_between_characters),
        BENCH(what_makes_no_sense_is_an_error),
        BENCH(an_openid_that_is_too_long_is_an_error),
        BENCH(deep_nesting_and_a_flood_are_errors),
        BENCH(it_knows_no_anonymous_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
