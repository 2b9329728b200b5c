/* listen.c -- the listen directive, and the servers behind each address. */
#include "conf/listen.h"
#include "base/text.h"
#include "conf/array.h"
#include "conf/server.h"
#include "conf/setters.h"
#include "conf/tls.h"
#include <limits.h>
#include <unistd.h>

enum { PORT_DEFAULT = 80, PORT_PLAIN_USER = 8000 };

/* ---- the address ------------------------------------------------------- */

static bool read_port(struct slice s, uint16_t *port)
{
    uint64_t n;
    if (!text_u64(s, &n) || n < 1 || n > 65535)
        return false;
    *port = (uint16_t)n;
    return true;
}

static enum err bad(const struct node *n, const char *what)
{
    return node_fail(n, "%s in \"%s\" of the \"listen\" directive", what,
                     n->args[0].data);
}

static enum err set_unix(struct scope *s, const struct node *n,
                         struct slice path, struct conf_listen *out)
{
    if (!path.len)
        return bad(n, "no path in the unix domain socket");
    out->path = scope_path(s, path);
    out->address =
        out->path ? arena_printf(s->arena, "unix:%s", out->path) : NULL;
    return out->address ? OK : fault_memory();
}

static enum err set_host(struct scope *s, struct slice host, bool v6,
                         struct conf_listen *out)
{
    if (slice_eq(host, SLICE("*")))
        host = SLICE("0.0.0.0");
    out->host = arena_dup(s->arena, host).data;
    out->address = arena_printf(s->arena, v6 ? "[%.*s]:%u" : "%.*s:%u",
                                SLICE_FMT(host), out->port);
    return out->host && out->address ? OK : fault_memory();
}

/* "[::1]:80", "[::1]" */
static enum err read_v6(struct scope *s, const struct node *n,
                        struct conf_listen *out)
{
    struct slice text = n->args[0];
    size_t close = slice_find(text, ']');
    struct slice host = { text.data + 1, close - 1 };
    struct slice rest = slice_from(text, close + 1);
    if (close == text.len || close == 1)
        return bad(n, close == 1 ? "no host" : "invalid host");
    if (rest.len &&
        (*rest.data != ':' || !read_port(slice_from(rest, 1), &out->port)))
        return bad(n, "invalid port");
    return set_host(s, host, true, out);
}

/* "80", "host", "host:80", "*:80" */
static enum err read_v4(struct scope *s, const struct node *n,
                        struct conf_listen *out)
{
    struct slice text = n->args[0];
    size_t colon = slice_find(text, ':');
    struct slice host = { text.data, colon };
    if (text.len && strspn(text.data, "0123456789") == text.len)
        return read_port(text, &out->port) ? set_host(s, SLICE("*"), false, out)
                                           : bad(n, "invalid port");
    if (!host.len)
        return bad(n, "no host");
    if (slice_find(host, '/') < host.len)
        return bad(n, "invalid host");
    if (colon < text.len && !read_port(slice_from(text, colon + 1), &out->port))
        return bad(n, "invalid port");
    return set_host(s, host, false, out);
}

static enum err read_address(struct scope *s, const struct node *n,
                             struct conf_listen *out)
{
    struct slice text = n->args[0], mark = SLICE("unix:");
    out->port = PORT_DEFAULT;
    if (slice_starts(text, mark))
        return set_unix(s, n, slice_from(text, mark.len), out);
    return slice_starts(text, SLICE("[")) ? read_v6(s, n, out)
                                          : read_v4(s, n, out);
}

/* ---- the options ------------------------------------------------------- */

static enum err read_backlog(const struct node *n, struct slice option,
                             struct conf_listen *out)
{
    uint64_t backlog;
    if (!text_u64(slice_from(option, 8), &backlog) || !backlog ||
        backlog > INT_MAX)
        return node_fail(n, "invalid backlog \"%s\"", option.data);
    out->backlog = (int)backlog;
    out->has_options = true;
    return OK;
}

static enum err read_option(const struct node *n, struct slice option,
                            struct conf_listen *out)
{
    if (slice_eq(option, SLICE("default_server")) ||
        slice_eq(option, SLICE("default"))) {
        out->is_default = true;
        return OK;
    }
    if (slice_eq(option, SLICE("ssl"))) {
        out->tls = true;
        return OK;
    }
    if (slice_starts(option, SLICE("backlog=")))
        return read_backlog(n, option, out);
    out->has_options = true;
    if (slice_eq(option, SLICE("reuseport")))
        out->reuseport = true;
    else if (slice_eq(option, SLICE("ipv6only=on")))
        out->ipv6only = true;
    else if (slice_eq(option, SLICE("ipv6only=off")))
        out->ipv6only = false;
    else if (!slice_eq(option, SLICE("bind")))
        return node_fail(n, "invalid parameter \"%s\"", option.data);
    return OK;
}

/* ---- servers behind an address ----------------------------------------- */

/* The address among those known, or a new one at the end. */
static struct conf_listen *intern(struct scope *s, const struct conf_listen *as)
{
    struct conf_listen **at = &s->conf->listens;
    for (; *at; at = &(*at)->next)
        if (!strcmp((*at)->address, as->address))
            return *at;
    struct conf_listen *own = arena_alloc(s->arena, sizeof *own);
    if (!own)
        return NULL;
    *own = *as;
    own->is_default = own->has_options = false;
    return *at = own;
}

static enum err take_options(const struct node *n, struct conf_listen *to,
                             const struct conf_listen *from)
{
    if (from->has_options && to->has_options)
        return node_fail(n, "duplicate listen options for %s", to->address);
    if (from->is_default && to->is_default)
        return node_fail(n, "a duplicate default server for %s", to->address);
    to->is_default |= from->is_default;
    to->tls |= from->tls;
    if (!from->has_options)
        return OK;
    to->has_options = true;
    to->reuseport = from->reuseport;
    to->ipv6only = from->ipv6only;
    to->backlog = from->backlog;
    return OK;
}

static enum err join(struct scope *s, const struct node *n,
                     const struct conf_listen *as)
{
    struct conf_listen *to = intern(s, as);
    if (!to)
        return fault_memory();
    for (unsigned i = 0; i < to->nservers; i++)
        if (to->servers[i] == s->server)
            return node_fail(n, "a duplicate listen %s", to->address);
    struct conf_server **servers =
        array_grow(s->arena, to->servers, to->nservers, sizeof *servers);
    if (!servers)
        return fault_memory();
    to->servers = servers;
    servers[to->nservers++] = s->server;
    if (as->is_default || !to->default_server)
        to->default_server = s->server;
    return take_options(n, to, as);
}

enum err listen_set(struct scope *s, const struct directive *d,
                    const struct node *n)
{
    (void)d;
    struct conf_listen as = {
        .backlog = -1, .ipv6only = true, .file = n->file, .line = n->line
    };
    enum err e = read_address(s, n, &as);
    for (unsigned i = 1; i < n->nargs && !e; i++)
        e = read_option(n, n->args[i], &as);
    return e ? e : join(s, n, &as);
}

enum err listen_default(struct scope *s, const struct node *n)
{
    for (struct conf_listen *at = s->conf->listens; at; at = at->next)
        if (at->nservers && at->servers[at->nservers - 1] == s->server)
            return OK;
    struct conf_listen as = { .backlog = -1, .ipv6only = true };
    as.port = geteuid() ? PORT_PLAIN_USER : PORT_DEFAULT;
    enum err e = set_host(s, SLICE("*"), false, &as);
    return e ? e : join(s, n, &as);
}

enum err listen_index(struct conf *conf)
{
    enum err e = OK;
    for (struct conf_listen *at = conf->listens; at && !e; at = at->next)
        e = server_index(conf, at);
    return e ? e : tls_load(conf);
}
