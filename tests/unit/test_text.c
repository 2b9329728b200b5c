/* test_text.c -- encodings and numbers, by tables. */
#include "base/text.h"
#include "unit.h"
#include <stdlib.h>

static void assert_encodes(void (*encode)(struct buf *, struct slice),
                           struct slice in, const char *want)
{
    struct buf out = { 0 };
    encode(&out, in);
    assert_true(buf_ok(&out));
    assert_slice(buf_slice(&out), want);
    buf_free(&out);
}

static void assert_decodes(bool (*decode)(struct buf *, struct slice),
                           const char *in, struct slice want)
{
    struct buf out = { 0 };
    if (!decode(&out, slice_str(in)))
        fail_msg("\"%s\" is refused", in);
    assert_int_equal(out.len, want.len);
    if (want.len)
        assert_memory_equal(out.data, want.data, want.len);
    buf_free(&out);
}

static void assert_refuses(bool (*decode)(struct buf *, struct slice),
                           struct slice in)
{
    struct buf out = { 0 };
    if (decode(&out, in))
        fail_msg("\"%.*s\" is accepted", SLICE_FMT(in));
    buf_free(&out);
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    assert_encodes(text_hex, SLICE("\0\x7f\x80\xff"), "007f80ff");
    assert_encodes(text_hex, SLICE_NONE, "");
    assert_decodes(text_unhex, "007F80fF", SLICE("\0\x7f\x80\xff"));
    assert_decodes(text_unhex, "", SLICE(""));
}

static void hex_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = { "0",  "000", "0g", "g0", "0x00",
                                       " 0", "0 ",  "@1", "1:", "00 00" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refuses(text_unhex, slice_str(bad[i]));
    assert_refuses(text_unhex, SLICE("0\0"));
}

/* RFC 4648 section 10, and bytes that need the last letters. */
static const struct {
    struct slice bytes;
    const char *plain, *url;
} base64[] = {
    { SLICE(""), "", "" },
    { SLICE("f"), "Zg==", "Zg" },
    { SLICE("fo"), "Zm8=", "Zm8" },
    { SLICE("foo"), "Zm9v", "Zm9v" },
    { SLICE("foob"), "Zm9vYg==", "Zm9vYg" },
    { SLICE("fooba"), "Zm9vYmE=", "Zm9vYmE" },
    { SLICE("foobar"), "Zm9vYmFy", "Zm9vYmFy" },
    { SLICE("\xfb\xff\xbf"), "+/+/", "-_-_" },
    { SLICE("\0\0\0\0"), "AAAAAA==", "AAAAAA" },
};

static void base64_goes_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof base64 / sizeof *base64; i++) {
        assert_encodes(text_base64, base64[i].bytes, base64[i].plain);
        assert_encodes(text_base64url, base64[i].bytes, base64[i].url);
        assert_decodes(text_unbase64, base64[i].plain, base64[i].bytes);
        assert_decodes(text_unbase64url, base64[i].url, base64[i].bytes);
    }
}

static void plain_base64_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Zg",       "Zg=",   "Zg===",    "Zm8",   "Zm8==",      "Z",
        "Z===",     "====",  "=",        "==",    "Z=g=",       "Zg==Zg==",
        "Zh==",     "Zm9=",  "Zm 9v",    " Zm9v", "Zm9v\n",     "Zm9v====",
        "Zm9v\r\n", "-_-_",  "Zm9v!===", "Zm.v",  "Z\xc3\xa9v", "AAAA=AAA",
        "Zg==\n",   "Zg=\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refuses(text_unbase64, slice_str(bad[i]));
    assert_refuses(text_unbase64, SLICE("Zm9\0"));
    assert_refuses(text_unbase64, SLICE("Zg=\0"));
}

static void url_base64_takes_whole_padding_or_none(void **state)
{
    (void)state;
    assert_decodes(text_unbase64url, "Zg==", SLICE("f"));
    assert_decodes(text_unbase64url, "Zm8=", SLICE("fo"));
    static const char *const bad[] = { "Zg=", "Zm8==", "Zm9v=",  "Z",    "Z===",
                                       "=",   "====",  "Zh",     "Zm9",  "+/+/",
                                       "Z g", "Zg\n",  "Zm9v==", "Zm9vY" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refuses(text_unbase64url, slice_str(bad[i]));
}

static void every_byte_survives_every_encoding(void **state)
{
    (void)state;
    static void (*const encode[])(
        struct buf *, struct slice) = { text_hex, text_base64, text_base64url };
    static bool (*const decode[])(struct buf *,
                                  struct slice) = { text_unhex, text_unbase64,
                                                    text_unbase64url };
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)i;
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t len = 0; len <= sizeof bytes; len += 17) {
            struct buf text = { 0 }, back = { 0 };
            encode[kind](&text, SLICE_OF(bytes, len));
            assert_true(decode[kind](&back, buf_slice(&text)));
            assert_true(slice_eq(buf_slice(&back), SLICE_OF(bytes, len)));
            buf_free(&text);
            buf_free(&back);
        }
    }
}

static void decoders_append(void **state)
{
    (void)state;
    struct buf out = { 0 };
    buf_add_str(&out, "<");
    assert_true(text_unbase64(&out, SLICE("Zm9v")));
    assert_true(text_unhex(&out, SLICE("3e")));
    assert_slice(buf_slice(&out), "<foo>");
    buf_free(&out);
}

static void uri_escapes_all_but_the_unreserved(void **state)
{
    (void)state;
    assert_encodes(text_escape_uri, SLICE("azAZ09-._~"), "azAZ09-._~");
    assert_encodes(text_escape_uri, SLICE("a b/c?d=e&f+g%"),
                   "a%20b%2Fc%3Fd%3De%26f%2Bg%25");
    assert_encodes(text_escape_uri, SLICE("\0\xe4\xbd\xa0!*'()"),
                   "%00%E4%BD%A0%21%2A%27%28%29");
}

static void a_broken_escape_stays_as_it_is(void **state)
{
    (void)state;
    static const struct {
        struct slice in;
        const char *as_path, *as_query;
    } table[] = {
        { SLICE("a%20b+c"), "a b+c", "a b c" },
        { SLICE("%e4%BD%a0"), "\xe4\xbd\xa0", "\xe4\xbd\xa0" },
        { SLICE("%"), "%", "%" },
        { SLICE("%2"), "%2", "%2" },
        { SLICE("%zz%4"), "%zz%4", "%zz%4" },
        { SLICE("%%41"), "%A", "%A" },
        { SLICE("%2525"), "%25", "%25" }, /* once, not twice */
        { SLICE("%2B"), "+", "+" },
        { SLICE(""), "", "" },
        { SLICE_OF("%41", 2), "%4", "%4" }, /* never past the end */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct buf path = { 0 }, query = { 0 };
        text_unescape_uri(&path, table[i].in, false);
        text_unescape_uri(&query, table[i].in, true);
        assert_slice(buf_slice(&path), table[i].as_path);
        assert_slice(buf_slice(&query), table[i].as_query);
        buf_free(&path);
        buf_free(&query);
    }
}

static void a_query_is_walked_in_order(void **state)
{
    (void)state;
    struct slice rest = SLICE("&a=1&&b&c=&=x&d=e=f&"), name, value;
    assert_true(text_query_next(&rest, &name, &value));
    assert_slice(name, "a");
    assert_slice(value, "1");
    assert_true(text_query_next(&rest, &name, &value));
    assert_slice(name, "b");
    assert_null(value.data); /* no '=' at all */
    assert_true(text_query_next(&rest, &name, &value));
    assert_slice(name, "c");
    assert_non_null(value.data); /* empty, but there */
    assert_slice(value, "");
    assert_true(text_query_next(&rest, &name, &value));
    assert_slice(name, "d");
    assert_slice(value, "e=f");
    assert_false(text_query_next(&rest, &name, &value));
    rest = SLICE_NONE;
    assert_false(text_query_next(&rest, &name, &value));
}

static const char *const good_utf8[] = {
    "",
    "plain",
    "\xc2\x80",         /* U+0080, the first of two bytes */
    "\xdf\xbf",         /* U+07FF */
    "\xe0\xa0\x80",     /* U+0800, the first of three */
    "\xed\x9f\xbf",     /* U+D7FF, before the surrogates */
    "\xee\x80\x80",     /* U+E000, after them */
    "\xef\xbf\xbf",     /* U+FFFF */
    "\xf0\x90\x80\x80", /* U+10000, the first of four */
    "\xf4\x8f\xbf\xbf", /* U+10FFFF, the last of all */
    "a\xe4\xbd\xa0z",
};

static const char *const bad_utf8[] = {
    "\x80", /* a continuation alone */
    "\xbf",
    "\xc0\x80",     /* overlong NUL */
    "\xc1\xbf",     /* overlong 7f */
    "\xe0\x80\x80", /* overlong NUL, longer */
    "\xe0\x9f\xbf", /* overlong U+07FF */
    "\xf0\x80\x80\x80",
    "\xf0\x8f\xbf\xbf",         /* overlong U+FFFF */
    "\xed\xa0\x80",             /* U+D800 */
    "\xed\xbf\xbf",             /* U+DFFF */
    "\xed\xa0\xbd\xed\xb8\x80", /* a pair, as CESU-8 has it */
    "\xf4\x90\x80\x80",         /* U+110000 */
    "\xf5\x80\x80\x80",
    "\xf8\x88\x80\x80\x80", /* five bytes, six */
    "\xfc\x84\x80\x80\x80\x80",
    "\xfe",
    "\xff",
    "\xc2", /* cut short */
    "\xe4\xbd",
    "\xf0\x90\x80",
    "\xe4\xbdz", /* a letter where a continuation belongs */
    "\xc2\xc2\x80",
    "good\xff",
};

static void utf8_is_what_rfc_3629_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_utf8 / sizeof *good_utf8; i++)
        if (!text_is_utf8(slice_str(good_utf8[i])))
            fail_msg("good text %zu is refused", i);
    for (size_t i = 0; i < sizeof bad_utf8 / sizeof *bad_utf8; i++)
        if (text_is_utf8(slice_str(bad_utf8[i])))
            fail_msg("bad text %zu is accepted", i);
    assert_true(text_is_utf8(SLICE("a\0b")));
    assert_true(text_is_utf8(SLICE_NONE));
}

/* Every character there is, and every surrogate, by a plain encoder. */
static void utf8_knows_every_character(void **state)
{
    (void)state;
    for (unsigned c = 0x800; c < 0x110000; c++) {
        char three[] = { (char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 63)),
                         (char)(0x80 | (c & 63)) };
        char four[] = { (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                        (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63)) };
        bool surrogate = c >= 0xd800 && c < 0xe000;
        if (c < 0x10000)
            assert_int_equal(text_is_utf8(SLICE_OF(three, 3)), !surrogate);
        assert_int_equal(text_is_utf8(SLICE_OF(four, 4)), c >= 0x10000);
    }
}

static void json_is_escaped(void **state)
{
    (void)state;
    assert_encodes(text_json_escape, SLICE("a\"b\\c/d"), "a\\\"b\\\\c/d");
    assert_encodes(text_json_escape, SLICE("\b\t\n\v\f\r"),
                   "\\b\\t\\n\\u000b\\f\\r");
    assert_encodes(text_json_escape, SLICE("\0\x1f\x7f"),
                   "\\u0000\\u001f\\u007f");
    assert_encodes(text_json_escape, SLICE("\xe4\xbd\xa0"), "\xe4\xbd\xa0");
}

struct number {
    const char *text;
    bool ok;
    uint64_t value;
};

static void assert_numbers(bool (*parse)(struct slice, uint64_t *),
                           const struct number *table)
{
    for (; table->text; table++) {
        uint64_t n = 0;
        if (parse(slice_str(table->text), &n) != table->ok)
            fail_msg("\"%s\" is %s", table->text,
                     table->ok ? "refused" : "accepted");
        if (table->ok && n != table->value)
            fail_msg("\"%s\" is %llu", table->text, (unsigned long long)n);
    }
}

static void numbers_are_whole_and_bounded(void **state)
{
    (void)state;
    static const struct number table[] = {
        { "0", true, 0 },
        { "007", true, 7 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "18446744073709551620", false, 0 },
        { "99999999999999999999", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "0x10", false, 0 },
        { NULL, false, 0 },
    };
    assert_numbers(text_u64, table);
}

static void sizes_are_nginx_sizes(void **state)
{
    (void)state;
    static const struct number table[] = {
        { "0", true, 0 },
        { "4096", true, 4096 },
        { "8k", true, 8192 },
        { "8K", true, 8192 },
        { "1m", true, 1 << 20 },
        { "2G", true, (uint64_t)2 << 30 },
        { "17179869183g", true, (uint64_t)17179869183u << 30 },
        { "17179869184g", false, 0 },
        { "k", false, 0 },
        { "", false, 0 },
        { "1kb", false, 0 },
        { "1 k", false, 0 },
        { "1t", false, 0 },
        { "-1k", false, 0 },
        { "1.5m", false, 0 },
        { NULL, false, 0 },
    };
    assert_numbers(text_size, table);
}

static void times_are_nginx_times(void **state)
{
    (void)state;
    static const struct number table[] = {
        { "0", true, 0 },
        { "75", true, 75000 },
        { "75s", true, 75000 },
        { "500ms", true, 500 },
        { "2m", true, 120000 },
        { "1h", true, 3600000 },
        { "1d", true, 86400000 },
        { "1w", true, 604800000 },
        { "1M", true, 2592000000 },
        { "1y", true, 31536000000 },
        { "1h 30m", true, 5400000 },
        { "1h30m", true, 5400000 },
        { "1m 5s 250ms", true, 65250 },
        { "", false, 0 },
        { " ", false, 0 },
        { "s", false, 0 },
        { "ms", false, 0 },
        { "1.5s", false, 0 },
        { "-1s", false, 0 },
        { "1x", false, 0 },
        { "1h x", false, 0 },
        { "h1", false, 0 },
        { "1hh", false, 0 },
        { "99999999999999999y", false, 0 },
        { "18446744073709551615ms 1ms", false, 0 },
        { NULL, false, 0 },
    };
    assert_numbers(text_msec, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex_goes_there_and_back),
        cmocka_unit_test(hex_is_strict),
        cmocka_unit_test(base64_goes_there_and_back),
        cmocka_unit_test(plain_base64_is_strict),
        cmocka_unit_test(url_base64_takes_whole_padding_or_none),
        cmocka_unit_test(every_byte_survives_every_encoding),
        cmocka_unit_test(decoders_append),
        cmocka_unit_test(uri_escapes_all_but_the_unreserved),
        cmocka_unit_test(a_broken_escape_stays_as_it_is),
        cmocka_unit_test(a_query_is_walked_in_order),
        cmocka_unit_test(utf8_is_what_rfc_3629_says),
        cmocka_unit_test(utf8_knows_every_character),
        cmocka_unit_test(json_is_escaped),
        cmocka_unit_test(numbers_are_whole_and_bounded),
        cmocka_unit_test(sizes_are_nginx_sizes),
        cmocka_unit_test(times_are_nginx_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
