/* test_douyin.c -- Douyin's call and every answer of its tables. */
#include "platform_bench.h"

#define DATA(openid, key, anonymous)                                           \
    "\"data\":{\"session_key\":\"" key "\",\"openid\":\"" openid               \
    "\",\"unionid\":\"u-1\",\"anonymous_openid\":\"" anonymous "\"}}"

static struct platform_call *douyin(const char *body)
{
    return bench_get(&platform_douyin, body);
}

static void a_login_gives_identity_and_key(void **state)
{
    (void)state;
    struct platform_call *l = douyin(
        "{\"err_no\":0,\"err_tips\":\"success\",\"log_id\":\"2023\"," DATA(
            "_000nHq5DzNNx9", BENCH_KEY, ""));
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_string_equal(platform_answer_text(l, "openid"), "_000nHq5DzNNx9");
    assert_string_equal(platform_answer_text(l, "unionid"), "u-1");
    assert_string_equal(platform_answer_text(l, "anonymous_openid"), "");
    assert_string_equal(platform_answer_text(l, "key"), BENCH_KEY);
}

static void the_call_is_json_without_what_is_not_there(void **state)
{
    (void)state;
    douyin("{}");
    assert_true(strstr(bench.request,
                       "POST /api/apps/v2/jscode2session HTTP/1.1\r\n") ==
                bench.request);
    assert_non_null(
        strstr(bench.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(bench.request,
                           "\r\n\r\n{\"appid\":\"app01\",\"secret\":"
                           "\"5ecre7\",\"code\":\"c0de\"}"));
    assert_null(strstr(bench.request, "5ecre7 "));
}

static void codes_arrive_as_they_were(void **state)
{
    (void)state;
    bench.steps[0] = (struct bench_step){ .body = "{}" };
    struct platform_call *l = bench_login(&platform_douyin);
    l->values[PLATFORM_CODE] = SLICE("q\"\\/\n\0\xe4\xbd\xa0%&");
    l->values[PLATFORM_ANONYMOUS_CODE] = SLICE("an0n");
    bench_run();
    const char *code = strstr(bench.request, "\"code\":\"q\\\"\\\\");
    assert_non_null(code);
    assert_non_null(strstr(code, "\\n\\u0000\xe4\xbd\xa0%&\""));
    assert_non_null(strstr(code, ",\"anonymous_code\":\"an0n\"}"));
}

static void a_code_that_is_no_text_is_not_sent(void **state)
{
    (void)state;
    bench_login(&platform_douyin)->values[PLATFORM_CODE] = SLICE("\xff");
    assert_int_equal(platform_call_start(bench.client, &bench.login),
                     ERR_INVALID);
    bench_login(&platform_douyin)->values[PLATFORM_CODE] = SLICE_NONE;
    assert_int_equal(platform_call_start(bench.client, &bench.login),
                     ERR_INVALID);
}

static struct platform_call *anonymous(const char *body)
{
    bench.steps[0] = (struct bench_step){ .body = body };
    struct platform_call *l = bench_login(&platform_douyin);
    l->values[PLATFORM_CODE] = SLICE_NONE;
    l->values[PLATFORM_ANONYMOUS_CODE] = SLICE("an0n");
    return bench_run();
}

static void an_anonymous_login_needs_no_key(void **state)
{
    (void)state;
    struct platform_call *l =
        anonymous("{\"err_no\":0," DATA("", "", "anon-1"));
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_string_equal(platform_answer_text(l, "anonymous_openid"), "anon-1");
    assert_string_equal(platform_answer_text(l, "openid"), "");
    assert_null(strstr(bench.request, "\"code\""));
    l = anonymous("{\"err_no\":0," DATA("", BENCH_KEY, "anon-1"));
    assert_int_equal(l->reason, PLATFORM_OK); /* but may have one */
    l = anonymous("{\"err_no\":0," DATA("o-1", BENCH_KEY, ""));
    assert_int_equal(l->reason, PLATFORM_ERROR);
    l = douyin("{\"err_no\":0," DATA("", "", "anon-1"));
    assert_int_equal(l->reason, PLATFORM_ERROR); /* a code was sent */
}

static void every_code_has_its_reason(void **state)
{
    (void)state;
    static const struct {
        long code;
        const char *reason;
    } table[] = {
        { 40018, "code_invalid" },    { 40019, "code_invalid" },
        { 40014, "misconfigured" },   { 40015, "misconfigured" },
        { 40017, "misconfigured" },   { 10003, "misconfigured" },
        { 10013, "misconfigured" },   { 28001016, "misconfigured" },
        { 10020, "rate_limited" },    { 28003018, "rate_limited" },
        { 28003017, "rate_limited" }, { 28005139, "rate_limited" },
        { 28005187, "code_invalid" }, { 28001003, "platform_error" },
        { 74077, "platform_error" },
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"err_no\":%ld,\"err_tips\":\"bad code\"," DATA("", "", ""),
                 table[i].code);
        struct platform_call *l = douyin(body);
        assert_string_equal(platform_reason_name(l->reason), table[i].reason);
        assert_int_equal(l->errcode, table[i].code);
        assert_string_equal(l->errmsg, "bad code");
        assert_int_equal(l->attempts, 1);
    }
}

static void busy_is_tried_twice_more(void **state)
{
    (void)state;
    static const char *const bodies[] = { "{\"err_no\":-1}",
                                          "{\"err_no\":28001005}",
                                          "{\"err_no\":28001006}" };
    for (int i = 0; i < 3; i++) {
        struct platform_call *l = douyin(bodies[i]);
        assert_int_equal(l->reason, PLATFORM_BUSY);
        assert_int_equal(l->attempts, 3);
    }
}

static void what_makes_no_sense_is_an_error(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"err_no\":0}",
        "{\"err_no\":0,\"data\":null}",
        "{\"err_no\":0,\"data\":[]}",
        "{\"err_no\":0,\"data\":\"text\"}",
        "{\"err_no\":0,\"openid\":\"o-1\",\"session_key\":\"" BENCH_KEY "\"}",
        "{\"err_no\":[],\"data\":{}}",
        "{\"err_no\":0," DATA("o-1", "", ""),
        "{\"err_no\":0," DATA("o-1", "QUJD", ""),
        "{\"err_no\":0," DATA("", BENCH_KEY, ""),
        "{\"err_no\":0,\"data\":{\"openid\":\"o-1\",\"anonymous_openid\":3,"
        "\"session_key\":\"" BENCH_KEY "\"}}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct platform_call *l = douyin(bodies[i]);
        if (l->reason != PLATFORM_ERROR)
            fail_msg("%s: %s", bodies[i], platform_reason_name(l->reason));
        assert_string_equal(platform_answer_text(l, "key"), "");
    }
}

static struct platform_call *ask(const char *api, const char *body)
{
    return bench_ask(&platform_douyin, api, body);
}

static void a_client_token_has_numbers_in_two_kinds(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"data\":{\"access_token\":\"clt.x\",\"expires_in\":7200,"
        "\"error_code\":0,\"description\":\"\"},\"message\":\"success\"}",
        "{\"data\":{\"access_token\":\"clt.x\",\"expires_in\":\"7200\","
        "\"error_code\":\"0\",\"description\":\"\"},\"message\":\"\"}",
    };
    for (int i = 0; i < 2; i++) {
        struct platform_call *l = ask("client_token", bodies[i]);
        assert_int_equal(l->reason, PLATFORM_OK);
        assert_string_equal(platform_answer_text(l, "access_token"), "clt.x");
        assert_int_equal(platform_answer_number(l, "expires_in"), 7200);
    }
    assert_non_null(strstr(bench.request, "POST /oauth/client_token/ HTTP"));
    assert_non_null(strstr(bench.request,
                           "\r\n\r\n{\"client_key\":\"app01\","
                           "\"client_secret\":\"5ecre7\",\"grant_type\":"
                           "\"client_credential\"}"));
}

static void a_refused_client_token_is_told_inside_its_data(void **state)
{
    (void)state;
    struct platform_call *l =
        ask("client_token", "{\"data\":{\"error_code\":10013,\"description\":"
                            "\"no\",\"access_token\":\"\","
                            "\"expires_in\":0},\"message\":\"error\"}");
    assert_int_equal(l->reason, PLATFORM_MISCONFIGURED);
    assert_int_equal(l->errcode, 10013);
    assert_string_equal(l->errmsg, "no");
    l = ask("client_token", "{\"data\":{\"error_code\":2100005,"
                            "\"description\":\"Parameter error\"},"
                            "\"extra\":{\"logid\":\"1\",\"now\":1}}");
    assert_int_equal(l->reason, PLATFORM_ERROR);
    assert_string_equal(l->errmsg, "Parameter error, log_id: 1");
    assert_int_equal(ask("client_token", "{}")->reason, PLATFORM_ERROR);
}

static void a_phone_code_goes_with_the_token_in_a_header(void **state)
{
    (void)state;
    struct platform_call *l = ask(
        "phone_number", "{\"err_no\":0,\"err_msg\":\"\",\"data\":\"AA==\"}");
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_non_null(
        strstr(bench.request, "POST /api/apps/v1/get_phonenumber_info/ HTTP"));
    assert_non_null(strstr(bench.request, "\r\naccess-token: t0ken\r\n"));
    assert_non_null(strstr(bench.request, "\r\n\r\n{\"code\":\"c0de\"}"));
    l = ask("phone_number", "{\"err_no\":0,\"data\":{\"encrypted_data\":"
                            "\"AA==\"}}");
    assert_int_equal(l->reason, PLATFORM_OK);
    l = ask("phone_number", "{\"err_no\":28001008,\"err_msg\":\"old\"}");
    assert_true(l->refresh);
    assert_string_equal(l->errmsg, "old");
    assert_int_equal(ask("phone_number", "{\"err_no\":28005187}")->reason,
                     PLATFORM_PHONE_CODE_INVALID);
    assert_int_equal(ask("phone_number", "{\"err_no\":0}")->reason,
                     PLATFORM_ERROR);
}

static void a_token_with_a_line_break_is_not_sent(void **state)
{
    (void)state;
    bench_login(&platform_douyin)->api =
        platform_api(&platform_douyin, SLICE("phone_number"));
    bench.login.values[PLATFORM_TOKEN] = SLICE("a\r\nX: y");
    assert_int_equal(platform_call_start(bench.client, &bench.login),
                     ERR_INVALID);
}

static void mini_games_check_and_reset(void **state)
{
    (void)state;
    struct platform_call *l = ask("check_session", "{\"err_no\":0}");
    assert_int_equal(l->reason, PLATFORM_OK);
    assert_non_null(strstr(bench.request,
                           "GET /mgplatform/api/apps/check_session_key?"
                           "access_token=t0ken&openid=o-1&sig_method="
                           "hmac_sha256&signature=51gn HTTP"));
    assert_int_equal(ask("check_session", "{\"err_no\":28001039}")->reason,
                     PLATFORM_KEY_STALE);
    l = ask("reset_session_key", "{\"err_no\":0,\"openid\":\"o-1\","
                                 "\"session_key\":\"" BENCH_KEY "\"}");
    assert_string_equal(platform_answer_text(l, "key"), BENCH_KEY);
    assert_non_null(strstr(bench.request, "\"signature\":\"51gn\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(a_login_gives_identity_and_key),
        BENCH(the_call_is_json_without_what_is_not_there),
        BENCH(codes_arrive_as_they_were),
        BENCH(a_code_that_is_no_text_is_not_sent),
        BENCH(an_anonymous_login_needs_no_key),
        BENCH(every_code_has_its_reason),
        BENCH(busy_is_tried_twice_more),
        BENCH(what_makes_no_sense_is_an_error),
        BENCH(a_client_token_has_numbers_in_two_kinds),
        BENCH(a_refused_client_token_is_told_inside_its_data),
        BENCH(a_phone_code_goes_with_the_token_in_a_header),
        BENCH(a_token_with_a_line_break_is_not_sent),
        BENCH(mini_games_check_and_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
