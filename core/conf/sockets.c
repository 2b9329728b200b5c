/* sockets.c -- directives on what scripts connect to: nameservers, TLS. */
#include "base/buf.h"
#include "base/text.h"
#include "conf/setters.h"
#include <arpa/inet.h>
#include <unistd.h>

/* "192.0.2.1", "[::1]:5353", as c-ares wants it, with a port. */
static bool add_server(struct slice text, struct buf *out)
{
    struct in6_addr parsed;
    char host[64];
    uint64_t port = 53;
    bool v6 = text.len && text.data[0] == '[';
    size_t end = slice_find(text, v6 ? ']' : ':');
    struct slice rest = slice_from(text, end + v6);
    struct slice bare = slice_from(SLICE_OF(text.data, end), v6);
    if (bare.len >= sizeof host || (v6 && end == text.len) ||
        (rest.len && (*rest.data != ':' ||
                      !text_u64(slice_from(rest, 1), &port) || port > 65535)))
        return false;
    memcpy(host, bare.data, bare.len);
    host[bare.len] = '\0';
    if (inet_pton(v6 ? AF_INET6 : AF_INET, host, &parsed) != 1)
        return false;
    buf_addf(out, "%s%s%s%s:%u", out->len ? "," : "", v6 ? "[" : "", host,
             v6 ? "]" : "", (unsigned)port);
    return true;
}

/* What is not an address; valid= is taken, but nothing is remembered. */
static bool set_option(struct slice arg, struct conf_resolver *r)
{
    uint64_t msec;
    if (slice_eq(arg, SLICE("ipv6=off")) || slice_eq(arg, SLICE("ipv6=on")))
        r->ipv6 = arg.data[6] == 'n';
    else if (slice_starts(arg, SLICE("valid=")))
        return text_msec(slice_from(arg, 6), &msec);
    else
        return slice_eq(arg, SLICE("ipv4=on"));
    return true;
}

enum err sockets_resolver(struct scope *s, const struct directive *d,
                          const struct node *n)
{
    const struct conf_resolver **field = directive_field(s, d);
    struct conf_resolver *r = arena_alloc(s->arena, sizeof *r);
    struct buf servers = { 0 };
    if (!r)
        return fault_memory();
    r->ipv6 = true;
    for (unsigned i = 0; i < n->nargs; i++) {
        struct slice arg = n->args[i];
        bool option = slice_find(arg, '=') < arg.len;
        if (option ? set_option(arg, r) : add_server(arg, &servers))
            continue;
        buf_free(&servers);
        return option ? node_fail(n, "invalid parameter: %s", arg.data)
                      : node_fail(n, "host not found in resolver \"%s\"",
                                  arg.data);
    }
    r->servers = arena_dup(s->arena, buf_slice(&servers));
    buf_free(&servers);
    if (!r->servers.data)
        return fault_memory();
    *field = r;
    return r->servers.len ? OK : node_fail(n, "no name servers defined");
}

/* Relative to the configuration file, as all of nginx's certificates. */
enum err sockets_certificate(struct scope *s, const struct directive *d,
                             const struct node *n)
{
    struct slice name = n->args[0];
    const char *path = name.data;
    if (!name.len)
        return OK;
    if (*path != '/')
        path = arena_printf(s->arena, "%s%s", s->loader->folder, path);
    if (!path)
        return fault_memory();
    if (access(path, R_OK))
        return node_fail(n, "cannot load certificate \"%s\"", path);
    *(const char **)directive_field(s, d) = path;
    return OK;
}

enum err sockets_protocols(struct scope *s, const struct directive *d,
                           const struct node *n)
{
    static const struct {
        struct slice name;
        unsigned bit;
    } all[] = { { { "SSLv2", 5 }, 0 },
                { { "SSLv3", 5 }, CONF_SSL_3 },
                { { "TLSv1", 5 }, CONF_TLS_1_0 },
                { { "TLSv1.1", 7 }, CONF_TLS_1_1 },
                { { "TLSv1.2", 7 }, CONF_TLS_1_2 },
                { { "TLSv1.3", 7 }, CONF_TLS_1_3 } };
    unsigned *field = directive_field(s, d);
    *field = 0;
    for (unsigned i = 0; i < n->nargs; i++) {
        size_t at = 0;
        while (at < sizeof all / sizeof *all &&
               !slice_eq_nocase(all[at].name, n->args[i]))
            at++;
        if (at == sizeof all / sizeof *all)
            return node_fail(n, "invalid value \"%s\"", n->args[i].data);
        *field |= all[at].bit;
    }
    return OK;
}
