/* ip.c -- addresses as text and bytes, and blocks of them. */
#include "base/ip.h"
#include "base/text.h"
#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

bool ip_parse(struct slice text, struct ip *out)
{
    char own[IP_TEXT];
    *out = (struct ip){ 0 };
    if (slice_eq(text, SLICE("unix:"))) {
        out->kind = IP_UNIX;
        return true;
    }
    if (!text.len || text.len >= sizeof own || memchr(text.data, 0, text.len))
        return false;
    memcpy(own, text.data, text.len);
    own[text.len] = '\0';
    if (inet_pton(AF_INET, own, out->bytes) == 1)
        out->kind = IP_V4;
    else if (inet_pton(AF_INET6, own, out->bytes) == 1)
        out->kind = IP_V6;
    return out->kind != IP_NONE;
}

bool ip_parse_port(struct slice text, struct ip *out, unsigned *port)
{
    uint64_t number;
    *port = 0;
    if (ip_parse(text, out))
        return true;
    bool brackets = text.len && text.data[0] == '[';
    size_t end = slice_find(text, brackets ? ']' : ':');
    struct slice host = slice_from(SLICE_OF(text.data, end), brackets);
    struct slice rest = slice_from(text, end + brackets);
    if (!rest.len || *rest.data != ':' ||
        !text_u64(slice_from(rest, 1), &number) || !number || number > 65535)
        return false;
    *port = (unsigned)number;
    return ip_parse(host, out) && out->kind == (brackets ? IP_V6 : IP_V4);
}

static unsigned width(const struct ip *ip)
{
    return ip->kind == IP_V4 ? 32 : ip->kind == IP_V6 ? 128 : 0;
}

/* Clears the bits beyond; false: some were set. */
static bool cut(struct ip *ip, unsigned bits)
{
    bool clean = true;
    for (unsigned i = bits; i < width(ip); i++) {
        uint8_t bit = (uint8_t)(0x80 >> i % 8);
        clean &= !(ip->bytes[i / 8] & bit);
        ip->bytes[i / 8] &= (uint8_t)~bit;
    }
    return clean;
}

bool ip_block_parse(struct slice text, struct ip_block *out, bool *exact)
{
    size_t slash = slice_find(text, '/');
    uint64_t bits;
    if (!ip_parse(SLICE_OF(text.data, slash), &out->net))
        return false;
    out->bits = width(&out->net);
    *exact = true;
    if (slash == text.len)
        return true;
    if (!text_u64(slice_from(text, slash + 1), &bits) || bits > out->bits ||
        out->net.kind == IP_UNIX)
        return false;
    out->bits = (unsigned)bits;
    *exact = cut(&out->net, out->bits);
    return true;
}

static struct ip unmapped(const struct ip *ip)
{
    struct ip v4 = { .kind = IP_V4 };
    if (ip->kind != IP_V6 || memcmp(ip->bytes, mapped, sizeof mapped))
        return *ip;
    memcpy(v4.bytes, ip->bytes + sizeof mapped, 4);
    return v4;
}

bool ip_block_has(const struct ip_block *block, const struct ip *ip)
{
    struct ip own = unmapped(ip);
    if (own.kind != block->net.kind)
        return false;
    cut(&own, block->bits);
    return !memcmp(own.bytes, block->net.bytes, sizeof own.bytes);
}

const char *ip_text(const struct ip *ip, char out[IP_TEXT])
{
    snprintf(out, IP_TEXT, "unix:");
    if (width(ip))
        inet_ntop(ip->kind == IP_V4 ? AF_INET : AF_INET6, ip->bytes, out,
                  IP_TEXT);
    return out;
}
