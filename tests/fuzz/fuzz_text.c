/* fuzz_text.c -- what is decoded is what was encoded, for any bytes. */
#include "base/text.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* Any input, once accepted, is the one spelling of its bytes (in hex: but for
 * the case of letters). */
static void decode_then_encode(struct slice in,
                               bool (*decode)(struct buf *, struct slice),
                               void (*encode)(struct buf *, struct slice))
{
    struct buf bytes = { 0 }, again = { 0 };
    if (decode(&bytes, in)) {
        encode(&again, buf_slice(&bytes));
        while (in.len > again.len && in.data[in.len - 1] == '=')
            in.len--; /* base64url's padding is optional */
        check(decode == text_unhex ? slice_eq_nocase(in, buf_slice(&again))
                                   : slice_eq(in, buf_slice(&again)));
    }
    buf_free(&bytes);
    buf_free(&again);
}

static void encode_then_decode(struct slice in,
                               bool (*decode)(struct buf *, struct slice),
                               void (*encode)(struct buf *, struct slice))
{
    struct buf text = { 0 }, back = { 0 };
    encode(&text, in);
    check(text_is_utf8(buf_slice(&text)));
    check(decode(&back, buf_slice(&text)));
    check(slice_eq(buf_slice(&back), in));
    buf_free(&text);
    buf_free(&back);
}

static void walk(struct slice in)
{
    struct slice rest = in, name, value;
    size_t seen = 0;
    while (text_query_next(&rest, &name, &value))
        seen += name.len + value.len;
    check(seen <= in.len);
}

static bool unescape(struct buf *out, struct slice in)
{
    text_unescape_uri(out, in, true);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        bool (*decode)(struct buf *, struct slice);
        void (*encode)(struct buf *, struct slice);
    } pairs[] = { { text_unhex, text_hex },
                  { text_unbase64, text_base64 },
                  { text_unbase64url, text_base64url } };
    struct slice in = SLICE_OF(data, size);
    struct buf out = { 0 };
    uint64_t n;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        decode_then_encode(in, pairs[i].decode, pairs[i].encode);
        encode_then_decode(in, pairs[i].decode, pairs[i].encode);
    }
    encode_then_decode(in, unescape, text_escape_uri);
    walk(in);
    text_json_escape(&out, in);
    check(text_is_utf8(in) == text_is_utf8(buf_slice(&out)));
    text_u64(in, &n);
    text_size(in, &n);
    text_msec(in, &n);
    buf_free(&out);
    return 0;
}
