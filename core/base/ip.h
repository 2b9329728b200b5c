/* ip.h -- addresses as text and bytes, and blocks of them. */
#pragma once
#include "base/slice.h"
#include <stdint.h>

enum ip_kind { IP_NONE, IP_UNIX, IP_V4, IP_V6 };

struct ip {
    enum ip_kind kind;
    uint8_t bytes[16];
};

struct ip_block {
    struct ip net; /* the bits beyond are 0 */
    unsigned bits;
};

/* "192.0.2.1", "2001:db8::1", "unix:". */
bool ip_parse(struct slice text, struct ip *out);

/* The same, or with a port: "192.0.2.1:80", "[2001:db8::1]:80"; *port is 0
 * where there is none. */
bool ip_parse_port(struct slice text, struct ip *out, unsigned *port);

/* An address, or "192.0.2.0/24", "2001:db8::/32".  *exact: no bits beyond
 * were set. */
bool ip_block_parse(struct slice text, struct ip_block *out, bool *exact);

/* IPv4 within IPv6 (::ffff:192.0.2.1) counts as IPv4, as in nginx. */
bool ip_block_has(const struct ip_block *block, const struct ip *ip);

enum { IP_TEXT = 46 + 1 };
const char *ip_text(const struct ip *ip, char out[IP_TEXT]);
