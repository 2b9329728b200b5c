/* test_opendata.c -- what opens, what does not, and why. */
#include "base/text.h"
#include "crypto/cipher.h"
#include "crypto/secret.h"
#include "login/opendata.h"
#include "unit.h"

#define KEY_A "AAAAAAAAAAAAAAAAAAAAAA=="
#define KEY_B "AQEBAQEBAQEBAQEBAQEBAQ=="
#define IV "MDEyMzQ1Njc4OTo7PD0+Pw=="
#define PHONE                                                                  \
    "{\"phoneNumber\":\"+113800000000\",\"purePhoneNumber\":\"13800000000\","  \
    "\"countryCode\":\"86\",\"watermark\":{\"timestamp\":1000000,"             \
    "\"appid\":\"wx1\"}}"

static const struct opendata_rules usual = {
    .appid = { "wx1", 3 },
    .openid = { "o1", 2 },
    .now = 1000000,
    .max_age = 600,
    .skew = 120,
    .need_watermark = true,
};

/* Seals whole text under a key and IV; base64, to be freed. */
static struct buf seal(const char *key, struct slice text)
{
    struct buf bytes = { 0 }, iv = { 0 }, raw = { 0 }, out = { 0 };
    assert_true(text_unbase64(&bytes, slice_str(key)));
    assert_true(text_unbase64(&iv, slice_str(IV)));
    assert_int_equal(
        cipher_cbc_encrypt(buf_slice(&bytes), (uint8_t *)iv.data, text, &raw),
        OK);
    text_base64(&out, buf_slice(&raw));
    buf_free(&bytes);
    buf_free(&iv);
    buf_free(&raw);
    return out;
}

static struct keyring ring_of(const char *older, const char *newer)
{
    struct keyring ring = { 0 };
    assert_true(keyring_push(&ring, slice_str(older), 1));
    if (newer)
        assert_true(keyring_push(&ring, slice_str(newer), 2));
    return ring;
}

/* The cause of opening text, sealed under KEY_A, by a ring of KEY_A. */
static enum opendata_cause cause_by(struct slice text,
                                    const struct opendata_rules *rules)
{
    struct keyring ring = ring_of(KEY_A, NULL);
    struct buf data = seal(KEY_A, text);
    struct opendata out;
    enum err e = opendata_open(&ring, buf_slice(&data), SLICE(IV), rules, &out);
    assert_int_equal(e, out.cause == OPENDATA_OPEN ? OK : ERR_REFUSED);
    assert_int_equal(out.object != NULL, e == OK);
    json_decref(out.object);
    buf_free(&data);
    return out.cause;
}

static enum opendata_cause cause_of(const char *text)
{
    return cause_by(slice_str(text), &usual);
}

static enum opendata_cause cause_at(const char *timestamp, uint64_t now)
{
    struct opendata_rules rules = usual;
    char text[200];
    rules.now = now;
    snprintf(text, sizeof text,
             "{\"watermark\":{\"appid\":\"wx1\",\"timestamp\":%s}}", timestamp);
    return cause_by(slice_str(text), &rules);
}

static void each_key_of_the_ring_is_tried(void **state)
{
    (void)state;
    struct buf data = seal(KEY_A, SLICE(PHONE));
    struct keyring rings[] = { ring_of(KEY_A, NULL), ring_of(KEY_B, KEY_A),
                               ring_of(KEY_A, KEY_B),
                               ring_of(KEY_A, "not base64 at all") };
    static const int ranks[] = { 0, 0, 1, 1 };
    for (size_t i = 0; i < 4; i++) {
        struct opendata out;
        assert_int_equal(
            opendata_open(&rings[i], buf_slice(&data), SLICE(IV), &usual, &out),
            OK);
        assert_int_equal(out.rank, ranks[i]);
        assert_non_null(json_object_get(out.object, "watermark"));
        json_decref(out.object);
    }
    buf_free(&data);
}

/* KEY_A and IV in another writing. */
static void keys_and_iv_may_be_in_hex(void **state)
{
    (void)state;
    struct buf data = seal(KEY_A, SLICE(PHONE)), iv = { 0 }, bytes = { 0 };
    struct keyring ring = ring_of("00000000000000000000000000000000", KEY_B);
    struct opendata_rules rules = usual;
    struct opendata out;
    rules.hex = true;
    assert_true(text_unbase64(&bytes, SLICE(IV)));
    text_hex(&iv, buf_slice(&bytes));
    assert_int_equal(
        opendata_open(&ring, buf_slice(&data), buf_slice(&iv), &rules, &out),
        OK);
    assert_int_equal(out.rank, 1);
    json_decref(out.object);
    assert_int_equal(
        opendata_open(&ring, buf_slice(&data), SLICE(IV), &rules, &out),
        ERR_INVALID);
    assert_string_equal(err_text(), "iv is not hex");
    buf_free(&data);
    buf_free(&iv);
    buf_free(&bytes);
}

static void without_the_key_it_stays_closed(void **state)
{
    (void)state;
    struct buf data = seal(KEY_A, SLICE(PHONE));
    struct keyring ring = ring_of(KEY_B, "c3RpbGwgbm90IHRoZSBrZXk=");
    struct opendata out;
    assert_int_equal(
        opendata_open(&ring, buf_slice(&data), SLICE(IV), &usual, &out),
        ERR_REFUSED);
    assert_int_equal(out.cause, OPENDATA_KEY_STALE);
    assert_int_equal(out.rank, -1);
    keyring_wipe(&ring);
    assert_int_equal(
        opendata_open(&ring, buf_slice(&data), SLICE(IV), &usual, &out),
        ERR_REFUSED);
    assert_int_equal(out.cause, OPENDATA_NO_KEY);
    buf_free(&data);
}

static void keys_beyond_the_rules_do_not_count(void **state)
{
    (void)state;
    struct buf data = seal(KEY_A, SLICE(PHONE));
    struct keyring ring = ring_of(KEY_A, KEY_B); /* learnt at 1 and 2 */
    struct opendata_rules none = usual, one = usual, window = usual;
    none.window = usual.now - 3;
    one.keep = 1;
    window.window = usual.now - 2;
    struct opendata out;
    opendata_open(&ring, buf_slice(&data), SLICE(IV), &none, &out);
    assert_int_equal(out.cause, OPENDATA_NO_KEY);
    opendata_open(&ring, buf_slice(&data), SLICE(IV), &one, &out);
    assert_int_equal(out.cause, OPENDATA_KEY_STALE);
    opendata_open(&ring, buf_slice(&data), SLICE(IV), &window, &out);
    assert_int_equal(out.cause, OPENDATA_KEY_STALE);
    window.window++;
    opendata_open(&ring, buf_slice(&data), SLICE(IV), &window, &out);
    assert_int_equal(out.rank, 1);
    json_decref(out.object);
    buf_free(&data);
}

/* KEY_A is zeros, as is what stands in for a text that is no key. */
static void a_text_that_is_no_key_opens_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = { "724edcafc423d167724edcbe", "AAAA",
                                         "AAAAAAAAAAAAAAAAAAAAAA", "!" };
    struct buf data = seal(KEY_A, SLICE(PHONE));
    for (size_t i = 0; i < 4; i++) {
        struct keyring ring = ring_of(texts[i], NULL);
        struct opendata out;
        assert_int_equal(
            opendata_open(&ring, buf_slice(&data), SLICE(IV), &usual, &out),
            ERR_REFUSED);
        assert_int_equal(out.cause, OPENDATA_KEY_STALE);
    }
    buf_free(&data);
}

static void two_hundred_thousand_wrong_keys_open_nothing(void **state)
{
    (void)state;
    char key[16];
    struct opendata_rules lax = { .appid = usual.appid };
    struct buf text = { 0 }, data = seal(KEY_A, SLICE(PHONE));
    for (int i = 0; i < 200000; i++) {
        struct keyring ring = { 0 };
        struct opendata out;
        buf_clear(&text);
        assert_true(secret_random(key, sizeof key));
        text_base64(&text, SLICE_OF(key, sizeof key));
        keyring_push(&ring, buf_slice(&text), 1);
        if (opendata_open(&ring, buf_slice(&data), SLICE(IV), &lax, &out) !=
                ERR_REFUSED ||
            out.cause != OPENDATA_KEY_STALE)
            fail_msg("a random key opened it");
    }
    buf_free(&text);
    buf_free(&data);
}

static void text_that_is_no_json_object_is_odd(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "x",
        "[]",
        "\"text\"",
        "7",
        "null",
        "{",
        "{}{}",
        "{} x",
        "{'a'}",
        "{\"a\"",
        "{\"a\":}",
        "{}\1",
        "{a:1}",
        "NaN{}",
        "{\"a\":-}",
        "[{\"watermark\":{}}]",
        "{\"a\":NaN}",
        "{\"a\":0x10}",
        "\xef\xbb\xbf",
        "{\"nickName\":\"cut in the middle of what the platform se",
    };
    struct opendata_rules lax = { .appid = usual.appid };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(cause_by(slice_str(texts[i]), &lax),
                         OPENDATA_DATA_ODD);
    assert_int_equal(cause_by(SLICE("{}\0x"), &lax), OPENDATA_DATA_ODD);
}

static void what_a_platform_can_send_is_opened(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "{\"a\":1,\"a\":2}",
        "\xef\xbb\xbf{}",
        " \r\n\t{ } \n",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\ud83d \\ude00\\udc00\"}",
        "{\"a\":\"\\ud83d\\ud83d\\ude00\"}",
        "{\"a\":\"\\uD83D\\uDE00\"}",
        "{\"a\":\"\t\n\r\x01\x1f\x7f\"}",
        "{\"a\tb\":1}",
        "{\"a\":12345678901234567890123,\"b\":-1e999,\"c\":1E400}",
        "{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
        "{\"a\":\"\xe4\xb8\xad\"}",
    };
    struct opendata_rules lax = { .appid = usual.appid };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (cause_by(slice_str(texts[i]), &lax) != OPENDATA_OPEN)
            fail_msg("%s", texts[i]);
    assert_int_equal(cause_by(SLICE("{}\0"), &lax), OPENDATA_OPEN);
    assert_int_equal(cause_by(SLICE("{}\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), &lax),
                     OPENDATA_OPEN);
    assert_int_equal(cause_by(SLICE("{\"a\":\"\0b\"}"), &lax), OPENDATA_OPEN);
}

static void what_is_odd_keeps_its_values(void **state)
{
    (void)state;
    json_t *object = opendata_parse(
        SLICE("\xef\xbb\xbf{\"t\":\"a\tb\",\"n\":\"x\\u0000y\",\"h\":"
              "\"\\ud83d!\",\"i\":9223372036854775807,\"big\":"
              "12345678901234567890,\"huge\":1e999,\"p\":\"\\ud83d\\ude00\","
              "\"d\":1,\"d\":2}\0\0"));
    assert_non_null(object);
    const json_t *n = json_object_get(object, "n");
    assert_int_equal(json_string_length(n), 3);
    assert_memory_equal(json_string_value(n), "x\0y", 3);
    assert_string_equal(json_string_value(json_object_get(object, "t")),
                        "a\tb");
    assert_string_equal(json_string_value(json_object_get(object, "h")),
                        "\xef\xbf\xbd!");
    assert_string_equal(json_string_value(json_object_get(object, "p")),
                        "\xf0\x9f\x98\x80");
    assert_true(json_integer_value(json_object_get(object, "i")) == INT64_MAX);
    assert_true(json_real_value(json_object_get(object, "big")) ==
                12345678901234567890.0);
    assert_true(json_real_value(json_object_get(object, "huge")) > 1e308);
    assert_int_equal(json_integer_value(json_object_get(object, "d")), 2);
    json_decref(object);
}

/* The cause where data, sealed under KEY_A, comes with the iv of another. */
static enum opendata_cause cause_with_iv(struct slice text, const char *iv)
{
    struct keyring ring = ring_of(KEY_A, KEY_B);
    struct buf data = seal(KEY_A, text);
    struct opendata out;
    opendata_open(&ring, buf_slice(&data), slice_str(iv), &usual, &out);
    json_decref(out.object);
    buf_free(&data);
    return out.cause;
}

static void the_iv_of_another_tap_is_told(void **state)
{
    (void)state;
    static const char *const ivs[] = { "AAAAAAAAAAAAAAAAAAAAAA==",
                                       "/////////////////////w==",
                                       "eHh4eHh4eHh4eHh4eHh4eA==" };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(cause_with_iv(SLICE(PHONE), ivs[i]),
                         OPENDATA_IV_MISMATCH);
        assert_int_equal(
            cause_with_iv(SLICE("{\"nickName\":\"\xe4\xb8\xad\xe6\x96\x87"
                                "\xe4\xb8\xad\xe6\x96\x87\",\"watermark\":{"
                                "\"appid\":\"wx1\",\"timestamp\":1000000}}"),
                          ivs[i]),
            OPENDATA_IV_MISMATCH);
        assert_int_equal(cause_with_iv(SLICE("{}"), ivs[i]),
                         OPENDATA_KEY_STALE);
    }
    assert_int_equal(cause_with_iv(SLICE(PHONE), IV), OPENDATA_OPEN);
}

static void bad_utf8_is_odd(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",         /* cut off */
        "{\"a\":\"\xc0\xaf\"}",     /* overlong */
        "{\"a\":\"\xed\xa0\x80\"}", /* a surrogate */
        "{\"a\":\"\xf4\x90\x80\x80\"}",
        "{\"a\":\"\xff\xfe\xff\",\"b\":\"somewhere\"}",
    };
    struct opendata_rules lax = { .appid = usual.appid };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(cause_by(slice_str(texts[i]), &lax),
                         OPENDATA_DATA_ODD);
}

static void text_without_padding_is_refused(void **state)
{
    (void)state;
    /* Sixteen bytes of JSON, then the block of padding cut off. */
    struct buf data = seal(KEY_A, SLICE("{\"abcdefgh\":123}")), cut = { 0 };
    struct buf raw = { 0 };
    assert_true(text_unbase64(&raw, buf_slice(&data)));
    text_base64(&cut, SLICE_OF(raw.data, 16));
    struct keyring ring = ring_of(KEY_A, NULL);
    struct opendata_rules lax = { .appid = usual.appid };
    struct opendata out;
    assert_int_equal(
        opendata_open(&ring, buf_slice(&cut), SLICE(IV), &lax, &out),
        ERR_REFUSED);
    assert_int_equal(out.cause, OPENDATA_KEY_STALE);
    buf_free(&data);
    buf_free(&cut);
    buf_free(&raw);
}

static void deep_nesting_is_refused_and_harmless(void **state)
{
    (void)state;
    struct buf deep = { 0 };
    for (int i = 0; i < 1600; i++)
        buf_add_str(&deep, "{\"\":");
    buf_add_str(&deep, "1");
    for (int i = 0; i < 1590; i++)
        buf_add_char(&deep, '}');
    assert_int_equal(cause_by(SLICE_OF(deep.data, 8000), &usual),
                     OPENDATA_DATA_ODD);
    buf_free(&deep);
}

static void the_watermark_must_be_ours(void **state)
{
    (void)state;
    assert_int_equal(cause_of(PHONE), OPENDATA_OPEN);
    assert_int_equal(
        cause_of("{\"watermark\":{\"appid\":\"wx2\",\"timestamp\":1000000}}"),
        OPENDATA_WRONG_APP);
    assert_int_equal(
        cause_of("{\"watermark\":{\"appid\":\"wx11\",\"timestamp\":1000000}}"),
        OPENDATA_WRONG_APP);
    assert_int_equal(cause_of("{\"watermark\":{\"timestamp\":1000000}}"),
                     OPENDATA_WRONG_APP);
    assert_int_equal(cause_of("{\"watermark\":{\"appid\":7}}"),
                     OPENDATA_WRONG_APP);
    assert_int_equal(cause_of("{\"watermark\":\"wx1\"}"), OPENDATA_WRONG_APP);
    assert_int_equal(cause_of("{\"watermark\":null}"), OPENDATA_WRONG_APP);
}

static void only_where_it_is_needed_must_there_be_a_watermark(void **state)
{
    (void)state;
    struct opendata_rules lax = usual;
    lax.need_watermark = false;
    struct slice none = SLICE("{\"openGId\":\"g\"}");
    struct slice other = SLICE("{\"watermark\":{\"appid\":\"wx2\"}}");
    assert_int_equal(cause_by(none, &usual), OPENDATA_WRONG_APP);
    assert_int_equal(cause_by(none, &lax), OPENDATA_OPEN);
    assert_int_equal(cause_by(other, &lax), OPENDATA_WRONG_APP);
}

static void another_users_data_is_refused(void **state)
{
    (void)state;
    struct opendata_rules any = usual;
    any.openid = SLICE_NONE;
#define FOR(who)                                                               \
    "{\"openId\":" who ","                                                     \
    "\"watermark\":{\"appid\":\"wx1\",\"timestamp\":1000000}}"
    assert_int_equal(cause_of(FOR("\"o1\"")), OPENDATA_OPEN);
    assert_int_equal(cause_of(FOR("\"o2\"")), OPENDATA_WRONG_USER);
    assert_int_equal(cause_of(FOR("\"\"")), OPENDATA_WRONG_USER);
    assert_int_equal(cause_of(FOR("1")), OPENDATA_WRONG_USER);
    assert_int_equal(cause_by(SLICE(FOR("\"o2\"")), &any), OPENDATA_OPEN);
#undef FOR
}

static void age_is_bounded_on_both_sides(void **state)
{
    (void)state;
    assert_int_equal(cause_at("1000000", 1000000), OPENDATA_OPEN);
    assert_int_equal(cause_at("1000000", 1000600), OPENDATA_OPEN);
    assert_int_equal(cause_at("1000000", 1000601), OPENDATA_TOO_OLD);
    assert_int_equal(cause_at("1000120", 1000000), OPENDATA_OPEN);
    assert_int_equal(cause_at("1000121", 1000000), OPENDATA_FROM_FUTURE);
}

static void large_timestamps_are_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(cause_at("1700000000000", 1700000000), OPENDATA_OPEN);
    assert_int_equal(cause_at("1700000000999", 1700000600), OPENDATA_OPEN);
    assert_int_equal(cause_at("1700000000000", 1700000601), OPENDATA_TOO_OLD);
    assert_int_equal(cause_at("100000000000", 100000000000), OPENDATA_OPEN);
    assert_int_equal(cause_at("9223372036854775807", 1700000000),
                     OPENDATA_FROM_FUTURE);
}

static void a_time_that_is_none_is_too_old(void **state)
{
    (void)state;
    assert_int_equal(cause_at("null", 1000000), OPENDATA_TOO_OLD);
    assert_int_equal(cause_at("\"1000000\"", 1000000), OPENDATA_TOO_OLD);
    assert_int_equal(cause_at("-1", 1000000), OPENDATA_TOO_OLD);
    struct opendata_rules ageless = usual;
    ageless.max_age = 0;
    ageless.now = 5;
    assert_int_equal(cause_by(SLICE(PHONE), &ageless), OPENDATA_OPEN);
}

static void a_phone_needs_a_number(void **state)
{
    (void)state;
    struct opendata_rules phone = { .appid = usual.appid, .need_phone = true };
    assert_int_equal(cause_by(SLICE(PHONE), &phone), OPENDATA_OPEN);
    static const char *const texts[] = {
        "{}",
        "{\"countryCode\":\"86\"}",
        "{\"phoneNumber\":\"\",\"purePhoneNumber\":null,\"countryCode\":1}",
        "{\"phoneNumber\":[],\"purePhoneNumber\":{},\"countryCode\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(cause_by(slice_str(texts[i]), &phone),
                         OPENDATA_NOT_PHONE);
}

static void a_country_code_may_be_text_or_number(void **state)
{
    (void)state;
    static const char *const codes[] = { "\"86\"", "86" };
    for (size_t i = 0; i < 2; i++) {
        char text[200];
        struct opendata_phone phone;
        snprintf(text, sizeof text,
                 "{\"phoneNumber\":\"+861\",\"purePhoneNumber\":\"1\","
                 "\"countryCode\":%s}",
                 codes[i]);
        json_t *object = opendata_parse(slice_str(text));
        assert_int_equal(opendata_phone(object, &phone), OK);
        assert_string_equal(phone.number, "+861");
        assert_string_equal(phone.pure, "1");
        assert_string_equal(phone.country, "86");
        json_decref(object);
    }
}

static void what_a_phone_lacks_follows_from_the_rest(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        { "\"phoneNumber\":\"13800000000\",\"purePhoneNumber\":\"13800000000\"",
          "13800000000", "13800000000", "86" },
        { "\"phoneNumber\":\"+85261234567\",\"purePhoneNumber\":\"61234567\","
          "\"countryCode\":null",
          "+85261234567", "61234567", "852" },
        { "\"phoneNumber\":\"1\",\"purePhoneNumber\":\"1\",\"countryCode\":"
          "\"1234567890123456\"",
          "1", "1", "86" },
        { "\"phoneNumber\":\"1\",\"purePhoneNumber\":\"1\",\"countryCode\":86."
          "0",
          "1", "1", "86" },
        { "\"phoneNumber\":\"+8613800000000\"", "+8613800000000", "13800000000",
          "86" },
        { "\"phoneNumber\":\"+85261234567\",\"countryCode\":852",
          "+85261234567", "61234567", "852" },
        { "\"purePhoneNumber\":\"13800000000\",\"countryCode\":\"86\"",
          "13800000000", "13800000000", "86" },
        { "\"phoneNumber\":13800000000,\"countryCode\":{}", "13800000000",
          "13800000000", "86" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        struct opendata_phone phone;
        snprintf(text, sizeof text, "{%s}", cases[i][0]);
        json_t *object = opendata_parse(slice_str(text));
        assert_int_equal(opendata_phone(object, &phone), OK);
        assert_string_equal(phone.number, cases[i][1]);
        assert_string_equal(phone.pure, cases[i][2]);
        assert_string_equal(phone.country, cases[i][3]);
        json_decref(object);
    }
}

static void assert_malformed(const char *data, const char *iv, const char *says)
{
    struct keyring ring = ring_of(KEY_A, NULL);
    struct opendata out;
    assert_int_equal(
        opendata_open(&ring, slice_str(data), slice_str(iv), &usual, &out),
        ERR_INVALID);
    assert_null(out.object);
    assert_slice(slice_str(err_text()), says);
}

static void malformed_fields_are_named(void **state)
{
    (void)state;
    const char *whole = "AAAAAAAAAAAAAAAAAAAAAA==";
    assert_malformed("", IV, "encryptedData is empty");
    assert_malformed("%%%%", IV, "encryptedData is not base64");
    assert_malformed("not base64", IV, "encryptedData is not base64");
    assert_malformed("AAAA", IV, "encryptedData is not whole blocks");
    assert_malformed(whole, "", "iv is not 16 bytes");
    assert_malformed(whole, "AAAA", "iv is not 16 bytes");
    assert_malformed(whole, "%", "iv is not base64");
    assert_malformed(whole, "iviviviviviviviviviviv==", "iv is not base64");
}

static void eight_kilobytes_are_enough(void **state)
{
    (void)state;
    static char zeros[OPENDATA_MAX + 16];
    struct keyring ring = ring_of(KEY_A, NULL);
    struct opendata out;
    struct buf most = { 0 }, more = { 0 };
    text_base64(&most, SLICE_OF(zeros, OPENDATA_MAX));
    text_base64(&more, SLICE_OF(zeros, OPENDATA_MAX + 1));
    assert_int_equal(
        opendata_open(&ring, buf_slice(&most), SLICE(IV), &usual, &out),
        ERR_REFUSED);
    assert_malformed(buf_str(&more), IV, "encryptedData is over 8 KB");
    buf_clear(&more);
    text_base64(&more, SLICE_OF(zeros, sizeof zeros));
    assert_malformed(buf_str(&more), IV, "encryptedData is over 8 KB");
    buf_free(&most);
    buf_free(&more);
}

static void blanks_become_plus_signs_again(void **state)
{
    (void)state;
    struct buf out = { 0 };
    assert_true(opendata_repair(SLICE("a b  c"), &out));
    assert_slice(buf_slice(&out), "a+b++c");
    assert_false(opendata_repair(SLICE("a+b/c="), &out));
    assert_false(opendata_repair(SLICE_NONE, &out));
    assert_slice(buf_slice(&out), "a+b++c");
    buf_free(&out);
}

static void causes_have_the_names_of_the_contract(void **state)
{
    (void)state;
    static const char *const names[] = {
        "open",       "no_key",   "key_stale",   "wrong_app",
        "wrong_user", "too_old",  "from_future", "signature_mismatch",
        "not_phone",  "replayed", "data_odd",    "iv_mismatch",
    };
    assert_int_equal(sizeof names / sizeof *names, OPENDATA_CAUSES);
    for (int i = 0; i < OPENDATA_CAUSES; i++)
        assert_string_equal(opendata_cause_name((enum opendata_cause)i),
                            names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_of_the_ring_is_tried),
        cmocka_unit_test(keys_and_iv_may_be_in_hex),
        cmocka_unit_test(without_the_key_it_stays_closed),
        cmocka_unit_test(keys_beyond_the_rules_do_not_count),
        cmocka_unit_test(a_text_that_is_no_key_opens_nothing),
        cmocka_unit_test(two_hundred_thousand_wrong_keys_open_nothing),
        cmocka_unit_test(text_that_is_no_json_object_is_odd),
        cmocka_unit_test(what_a_platform_can_send_is_opened),
        cmocka_unit_test(what_is_odd_keeps_its_values),
        cmocka_unit_test(the_iv_of_another_tap_is_told),
        cmocka_unit_test(bad_utf8_is_odd),
        cmocka_unit_test(text_without_padding_is_refused),
        cmocka_unit_test(deep_nesting_is_refused_and_harmless),
        cmocka_unit_test(the_watermark_must_be_ours),
        cmocka_unit_test(only_where_it_is_needed_must_there_be_a_watermark),
        cmocka_unit_test(another_users_data_is_refused),
        cmocka_unit_test(age_is_bounded_on_both_sides),
        cmocka_unit_test(large_timestamps_are_milliseconds),
        cmocka_unit_test(a_time_that_is_none_is_too_old),
        cmocka_unit_test(a_phone_needs_a_number),
        cmocka_unit_test(what_a_phone_lacks_follows_from_the_rest),
        cmocka_unit_test(a_country_code_may_be_text_or_number),
        cmocka_unit_test(malformed_fields_are_named),
        cmocka_unit_test(eight_kilobytes_are_enough),
        cmocka_unit_test(blanks_become_plus_signs_again),
        cmocka_unit_test(causes_have_the_names_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
