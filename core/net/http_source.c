/* http_source.c -- how many connections each address holds. */
#include "net/http_source.h"
#include "base/table.h"
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>

struct holder {
    struct http_source source;
    unsigned count; /* at least 1 */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct table holders;

static struct slice key_of(const struct http_source *s)
{
    return SLICE_OF((const char *)s->bytes, s->len);
}

static struct ip read_v6(const struct in6_addr *in6)
{
    struct ip ip = { .kind = IP_V6 };
    if (IN6_IS_ADDR_V4MAPPED(in6)) {
        ip.kind = IP_V4;
        memcpy(ip.bytes, in6->s6_addr + 12, 4);
    } else {
        memcpy(ip.bytes, in6->s6_addr, 16);
    }
    return ip;
}

struct ip http_source_ip(const struct sockaddr *sa)
{
    struct ip ip = { .kind = IP_UNIX };
    if (sa->sa_family == AF_INET6)
        return read_v6(&((const struct sockaddr_in6 *)sa)->sin6_addr);
    if (sa->sa_family == AF_INET) {
        ip.kind = IP_V4;
        memcpy(ip.bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
    }
    return ip;
}

bool http_source_is_loopback(const struct ip *ip)
{
    static const uint8_t one[16] = { [15] = 1 };
    return ip->kind == IP_V4 ? ip->bytes[0] == 127
                             : ip->kind == IP_V6 && !memcmp(ip->bytes, one, 16);
}

static struct holder *make(const struct http_source *s)
{
    struct holder *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->source = *s;
    if (table_put(&holders, key_of(&h->source), h))
        return h;
    free(h);
    return NULL;
}

unsigned http_source_take(const struct ip *ip, struct http_source *out)
{
    *out = (struct http_source){ .len = ip->kind == IP_V4 ? 4 : 8 };
    memcpy(out->bytes, ip->bytes, out->len);
    pthread_mutex_lock(&lock);
    struct holder *h = table_get(&holders, key_of(out));
    if (!h)
        h = make(out);
    unsigned count = h ? ++h->count : 0;
    pthread_mutex_unlock(&lock);
    if (!count)
        *out = (struct http_source){ 0 };
    return count;
}

void http_source_drop(struct http_source *s)
{
    if (!s->len)
        return;
    pthread_mutex_lock(&lock);
    struct holder *h = table_get(&holders, key_of(s));
    if (!--h->count)
        free(table_remove(&holders, key_of(&h->source)));
    pthread_mutex_unlock(&lock);
    *s = (struct http_source){ 0 };
}
