/* address.c -- where a socket goes. */
#include "net/address.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/un.h>

static enum err parse_unix(struct slice path, struct address *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;
    if (!path.len)
        return err_set(ERR_INVALID, "no path in the unix domain socket");
    if (path.len >= sizeof un->sun_path)
        return err_set(ERR_INVALID, "too long path in the unix domain socket");
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.data, path.len);
    out->len = sizeof *un;
    return OK;
}

static bool parse_v4(const char *text, struct address *out)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&out->sa;
    in->sin_family = AF_INET;
    out->len = sizeof *in;
    return inet_pton(AF_INET, text, &in->sin_addr) == 1;
}

static bool parse_v6(const char *text, struct address *out)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->sa;
    in6->sin6_family = AF_INET6;
    out->len = sizeof *in6;
    return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1;
}

enum err address_parse(struct slice host, unsigned port, struct address *out)
{
    char text[256];
    *out = (struct address){ 0 };
    if (host.len >= 5 && !strncasecmp(host.data, "unix:", 5))
        return parse_unix(slice_from(host, 5), out);
    bool brackets = host.len && host.data[0] == '[';
    if (brackets && host.data[host.len - 1] == ']') {
        host = slice_from(host, 1);
        host.len--;
    }
    if (!host.len)
        return err_set(ERR_INVALID, "no host");
    if (host.len >= sizeof text || memchr(host.data, '\0', host.len))
        return err_set(ERR_INVALID, "invalid host");
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(host));
    if (!brackets && !parse_v4(text, out))
        return slice_find(host, '/') < host.len ||
                       slice_find(host, ':') < host.len
                   ? err_set(ERR_INVALID, "invalid host")
                   : ERR_NOT_FOUND;
    if (brackets && !parse_v6(text, out))
        return err_set(ERR_INVALID, "invalid IPv6 address");
    address_set_port(out, port);
    return OK;
}

void address_set_port(struct address *a, unsigned port)
{
    if (a->sa.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->sa)->sin_port = htons((uint16_t)port);
    else if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons((uint16_t)port);
}

const char *address_text(const struct address *a, char out[ADDRESS_TEXT])
{
    const struct sockaddr_in *in = (const void *)&a->sa;
    const struct sockaddr_in6 *in6 = (const void *)&a->sa;
    char host[INET6_ADDRSTRLEN] = "";
    if (a->sa.ss_family == AF_INET) {
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(in->sin_port));
    } else if (a->sa.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else {
        snprintf(out, ADDRESS_TEXT, "unix:%s",
                 ((const struct sockaddr_un *)&a->sa)->sun_path);
    }
    return out;
}
