/* token.c -- our session tokens: lk_, 256 random bits, a checksum. */
#include "login/token.h"
#include "base/text.h"
#include "crypto/secret.h"

enum { PREFIX = 3, BODY = PREFIX + 43, RANDOM = 32 };

static const char base64url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* CRC-32 of IEEE 802.3, four bits at a time. */
static uint32_t crc32(const char *bytes, size_t len)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)bytes[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

/* The six characters that end a token with this body. */
static void checksum(const char *token, char out[TOKEN_LEN - BODY])
{
    uint64_t bits = (uint64_t)crc32(token, BODY) << 4; /* 36 bits */
    for (int shift = 30; shift >= 0; shift -= 6)
        *out++ = base64url[bits >> shift & 63];
}

/* 43 characters hold 258 bits: the last one ends in two zero bits. */
static bool is_body(const char *text)
{
    for (int i = PREFIX; i < BODY - 1; i++) {
        unsigned char c = (unsigned char)text[i], lower = c | 0x20;
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '_')
            return false;
    }
    return memchr("AEIMQUYcgkosw048", text[BODY - 1], 16) != NULL;
}

bool token_make(char out[TOKEN_LEN + 1])
{
    char random[RANDOM];
    struct buf body = { 0 };
    bool ok = secret_random(random, sizeof random);
    if (ok)
        text_base64url(&body, SLICE_OF(random, sizeof random));
    if ((ok = ok && buf_ok(&body))) {
        memcpy(out, "lk_", PREFIX);
        memcpy(out + PREFIX, body.data, body.len);
        checksum(out, out + BODY);
        out[TOKEN_LEN] = '\0';
    }
    secret_wipe(random, sizeof random);
    buf_wipe(&body);
    return ok;
}

bool token_parse(struct slice text, uint8_t hash[TOKEN_HASH])
{
    char sum[TOKEN_LEN - BODY];
    if (text.len != TOKEN_LEN || !slice_starts(text, SLICE("lk_")) ||
        !is_body(text.data))
        return false;
    checksum(text.data, sum);
    if (memcmp(sum, text.data + BODY, sizeof sum))
        return false;
    digest_sha256(text, hash);
    return true;
}
