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

static struct platform_call *ask(const char *api, const char *body)
{
    return bench_ask(&platform_wechat, api, body);
}

#define STARTS(text)                                                           \
    assert_ptr_equal(strstr(bench.request, text), bench.request)
#define ENDS(text)                                                             \
    assert_string_equal(strstr(bench.request, "\r\n\r\n") + 4, text)

static void tokens_come_in_two_ways(void **state)
{
    (void)state;
    static const char good[] =
        "{\"access_token\":\"88_x\",\"expires_in\":7200}";
    struct platform_call *l = ask("stable_token", good);
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_string_equal(platform_answer_text(l, "access_token"), "88_x");
    assert_int_equal(platform_answer_number(l, "expires_in"), 7200);
    STARTS("POST /cgi-bin/stable_token HTTP/1.1\r\n");
    ENDS("{\"grant_type\":\"client_credential\",\"appid\":\"app01\","
         "\"secret\":\"5ecre7\"}");
    bench_login(&platform_wechat)->api =
        platform_api(&platform_wechat, SLICE("stable_token"));
    bench.login.values[PLATFORM_FORCE] = SLICE("true");
    bench_run();
    assert_non_null(strstr(bench.request, ",\"force_refresh\":true}"));
    assert_int_equal(ask("token", good)->reason, PLATFORM_OK);
    STARTS("GET /cgi-bin/token?grant_type=client_credential&appid=app01&"
           "secret=5ecre7 HTTP/1.1\r\n");
}

static void a_token_may_have_512_characters(void **state)
{
    (void)state;
    char token[513], body[640];
    memset(token, 'x', 512);
    token[512] = '\0';
    snprintf(body, sizeof body, "{\"access_token\":\"%s\",\"expires_in\":1}",
             token);
    struct platform_call *l = ask("stable_token", body);
    assert_string_equal(platform_answer_text(l, "access_token"), token);
}

static void no_token_is_an_error(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "{\"access_token\":\"x\"}",
        "{\"expires_in\":7200}",
        "{\"access_token\":\"\",\"expires_in\":7200}",
        "{\"access_token\":7,\"expires_in\":7200}",
        "{\"access_token\":\"x\",\"expires_in\":\"soon\"}",
        "{\"access_token\":\"x\",\"expires_in\":7.5}",
        "{\"access_token\":\"x\\n\",\"expires_in\":7200}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        assert_int_equal(ask("stable_token", bodies[i])->reason,
                         PLATFORM_ERROR);
    assert_int_equal(ask("token", "{\"errcode\":40001}")->reason,
                     PLATFORM_MISCONFIGURED); /* the secret */
}

static void a_check_is_signed_in_the_query(void **state)
{
    (void)state;
    struct platform_call *l =
        ask("check_session", "{\"errcode\":0,\"errmsg\":\"ok\"}");
    assert_int_equal(l->reason, PLATFORM_OK);
    STARTS("GET /wxa/checksession?access_token=t0ken&openid=o-1&"
           "signature=51gn&sig_method=hmac_sha256 HTTP/1.1\r\n");
    l = ask("check_session", "{\"errcode\":87009}");
    assert_int_equal(l->reason, PLATFORM_KEY_STALE);
    assert_false(l->refresh);
    assert_int_equal(ask("check_session", "{}")->reason, PLATFORM_ERROR);
    l = ask("reset_session_key", "{\"errcode\":0,\"openid\":\"o-1\","
                                 "\"session_key\":\"" BENCH_KEY "\"}");
    assert_string_equal(platform_answer_text(l, "key"), BENCH_KEY);
    STARTS("GET /wxa/resetusersessionkey?access_token=t0ken&");
}

static void a_refused_token_asks_for_another(void **state)
{
    (void)state;
    static const long codes[] = { 40001, 40014, 41001, 42001 };
    static const char *const apis[] = { "check_session", "reset_session_key",
                                        "phone_number" };
    char body[64];
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 3; k++) {
            snprintf(body, sizeof body, "{\"errcode\":%ld}", codes[i]);
            struct platform_call *l = ask(apis[k], body);
            assert_true(l->refresh);
            assert_int_equal(l->reason, PLATFORM_ERROR);
            assert_int_equal(bench.server.requests, 1);
        }
}

static void a_phone_code_goes_with_its_openid(void **state)
{
    (void)state;
    struct platform_call *l =
        ask("phone_number", "{\"errcode\":0,\"phone_info\":{}}");
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_true(json_is_object(platform_answer_json(l, "phone")));
    STARTS("POST /wxa/business/getuserphonenumber?access_token=t0ken "
           "HTTP/1.1\r\n");
    ENDS("{\"code\":\"c0de\",\"openid\":\"o-1\"}");
    static const long invalid[] = { 40029, 40163, 40003, 40013 };
    char body[64];
    for (int i = 0; i < 4; i++) {
        snprintf(body, sizeof body, "{\"errcode\":%ld}", invalid[i]);
        assert_int_equal(ask("phone_number", body)->reason,
                         PLATFORM_PHONE_CODE_INVALID);
    }
    assert_int_equal(ask("phone_number", "{\"errcode\":0}")->reason,
                     PLATFORM_ERROR);
}

static void what_costs_is_repeated_only_where_it_was_not_served(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        enum platform_reason reason;
        unsigned requests;
    } table[] = {
        { -1, NULL, PLATFORM_TIMEOUT, 1 },
        { -2, NULL, PLATFORM_TIMEOUT, 1 },
        { 500, "", PLATFORM_BUSY, 1 },
        { 200, "", PLATFORM_ERROR, 1 },
        { 200, "{\"errcode\":-1}", PLATFORM_BUSY, 3 },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        memset(bench.steps, 0, sizeof bench.steps);
        bench.steps[0] = (struct bench_step){ .status = table[i].status,
                                              .body = table[i].body };
        bench_login(&platform_wechat)->api =
            platform_api(&platform_wechat, SLICE("phone_number"));
        bench.login.timeout_ms = 300;
        assert_int_equal(bench_run()->reason, table[i].reason);
        assert_int_equal(bench.server.requests, table[i].requests);
    }
    bench_login(&platform_wechat)->api =
        platform_api(&platform_wechat, SLICE("phone_number"));
    bench.login.base = "http://127.0.0.1:1";
    assert_int_equal(bench_run()->attempts, 3); /* it never got there */
}

static void all_of_it_ends_within_the_time_given(void **state)
{
    (void)state;
    memset(bench.steps, 0, sizeof bench.steps);
    bench.steps[0] = (struct bench_step){ .status = -1 };
    bench_login(&platform_wechat)->within_ms = 300;
    struct platform_call *l = bench_run();
    assert_int_equal(l->reason, PLATFORM_TIMEOUT);
    assert_true(l->seconds >= 0.25 && l->seconds < 0.6);
}

static void a_message_does_not_tell_a_token(void **state)
{
    (void)state;
    struct platform_call *l =
        ask("check_session", "{\"errcode\":40001,\"errmsg\":\"t0ken is bad\"}");
    assert_string_equal(l->errmsg, "");
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
        BENCH(tokens_come_in_two_ways),
        BENCH(a_token_may_have_512_characters),
        BENCH(no_token_is_an_error),
        BENCH(a_check_is_signed_in_the_query),
        BENCH(a_refused_token_asks_for_another),
        BENCH(a_phone_code_goes_with_its_openid),
        BENCH(what_costs_is_repeated_only_where_it_was_not_served),
        BENCH(all_of_it_ends_within_the_time_given),
        BENCH(a_message_does_not_tell_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
