/* http_source.h -- how many connections each address holds, in the whole
 * process.  Any thread may call any of it. */
#pragma once
#include "base/ip.h"
#include <stdbool.h>
#include <sys/socket.h>

/* Who is counted: an IPv4 address, or a /64 of IPv6, of which one client has
 * all.  `struct http_source s = { 0 };` is nobody. */
struct http_source {
    uint8_t bytes[8];
    uint8_t len;
};

/* The address of a client; IPv4 within IPv6 is IPv4.  Other than IP_V4 and
 * IP_V6: a socket of this machine's. */
struct ip http_source_ip(const struct sockaddr *sa);

bool http_source_is_loopback(const struct ip *ip);

/* Counts one more; how many that makes.  0: no memory, *out is nobody. */
unsigned http_source_take(const struct ip *ip, struct http_source *out);

/* Counts one less; s is nobody then. */
void http_source_drop(struct http_source *s);
