/* redis_url.c -- what a redis:// URL says. */
#include "store/redis_url.h"
#include "base/text.h"

static const struct {
    struct slice prefix;
    enum redis_kind kind;
    bool tls;
    unsigned port;
} schemes[] = {
    { { "redis://", 8 }, REDIS_ALONE, false, 6379 },
    { { "rediss://", 9 }, REDIS_ALONE, true, 6379 },
    { { "redis+sentinel://", 17 }, REDIS_SENTINEL, false, 26379 },
    { { "rediss+sentinel://", 18 }, REDIS_SENTINEL, true, 26379 },
    { { "redis+cluster://", 16 }, REDIS_CLUSTER, false, 6379 },
    { { "rediss+cluster://", 17 }, REDIS_CLUSTER, true, 6379 },
};

static enum err wrong(const char *what)
{
    return err_set(ERR_CONFIG, "the store's URL: %s", what);
}

/* Takes what comes before c off rest, and c; all of it where there is no c. */
static struct slice cut(struct slice *rest, char c)
{
    struct slice head = { rest->data, slice_find(*rest, c) };
    *rest = slice_from(*rest, head.len + 1);
    return head;
}

static bool copy(char *out, size_t size, struct slice text)
{
    struct buf plain = { 0 };
    text_unescape_uri(&plain, text, false);
    bool fits = buf_ok(&plain) && plain.len < size &&
                slice_find(buf_slice(&plain), '\0') == plain.len;
    if (fits && plain.len)
        memcpy(out, plain.data, plain.len);
    out[fits ? plain.len : 0] = '\0';
    buf_wipe(&plain);
    return fits;
}

static enum err read_number(struct slice text, uint64_t max, const char *fault,
                            unsigned *out)
{
    uint64_t n;
    if (!text_u64(text, &n) || n > max)
        return wrong(fault);
    *out = (unsigned)n;
    return OK;
}

/* The last '@' ends the user's part, so that a password may hold one. */
static enum err read_user(struct redis_url *url, struct slice *rest)
{
    size_t end = slice_find(*rest, '/'), at = end;
    while (at && rest->data[at - 1] != '@')
        at--;
    if (!at)
        return OK;
    struct slice password = { rest->data, at - 1 };
    *rest = slice_from(*rest, at);
    bool named = slice_find(password, ':') < password.len;
    struct slice user = named ? cut(&password, ':') : SLICE_NONE;
    if (!copy(url->user, sizeof url->user, user) ||
        !copy(url->password, sizeof url->password, password))
        return wrong("user or password is too long");
    return OK;
}

/* "host", "host:port", "[::1]:port" */
static enum err read_host(struct redis_address *out, struct slice text)
{
    struct slice host;
    if (text.len && text.data[0] == '[') {
        text = slice_from(text, 1);
        bool ends = slice_find(text, ']') < text.len;
        host = cut(&text, ']');
        if (!ends || (text.len && text.data[0] != ':'))
            return wrong("a host is not one");
    } else {
        host = (struct slice){ text.data, slice_find(text, ':') };
        text = slice_from(text, host.len);
    }
    if (!host.len || !copy(out->host, sizeof out->host, host))
        return wrong("a host is missing or too long");
    if (!text.len)
        return OK;
    return read_number(slice_from(text, 1), 65535, "a port is not one",
                       &out->port);
}

static enum err read_hosts(struct redis_url *url, struct slice hosts,
                           unsigned port)
{
    enum err e = OK;
    do {
        if (url->count == REDIS_HOSTS)
            return wrong("too many hosts");
        url->hosts[url->count].port = port;
        e = read_host(&url->hosts[url->count++], cut(&hosts, ','));
    } while (!e && hosts.len);
    if (!e && url->count > 1 && url->kind == REDIS_ALONE)
        return wrong("one host expected");
    return e;
}

/* "/db", or "/master/db" for Sentinels. */
static enum err read_path(struct redis_url *url, struct slice path)
{
    if (url->kind == REDIS_SENTINEL) {
        struct slice name = cut(&path, '/');
        if (!copy(url->master, sizeof url->master,
                  name.len ? name : SLICE("mymaster")))
            return wrong("the master's name is too long");
    }
    if (!path.len)
        return OK;
    if (url->kind == REDIS_CLUSTER)
        return wrong("a cluster has no numbered databases");
    return read_number(path, 1 << 20, "the database is not a number", &url->db);
}

static enum err read_query(struct redis_url *url, struct slice query)
{
    struct slice name, value;
    while (text_query_next(&query, &name, &value)) {
        if (!slice_eq(name, SLICE("wait")))
            return wrong("only ?wait=N is known");
        enum err e = read_number(value, 100, "wait is not a number of replicas",
                                 &url->wait);
        if (e)
            return e;
    }
    return OK;
}

enum err redis_url_parse(struct redis_url *url, const char *text)
{
    struct slice rest = slice_str(text);
    *url = (struct redis_url){ 0 };
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!slice_starts(rest, schemes[i].prefix))
            continue;
        url->kind = schemes[i].kind;
        url->tls = schemes[i].tls;
        rest = slice_from(rest, schemes[i].prefix.len);
        enum err e = read_user(url, &rest);
        struct slice path = { rest.data, slice_find(rest, '?') };
        rest = slice_from(rest, path.len + 1);
        struct slice hosts = cut(&path, '/');
        if (!e)
            e = read_hosts(url, hosts, schemes[i].port);
        if (!e)
            e = read_path(url, path);
        return e ? e : read_query(url, rest);
    }
    return wrong("unknown scheme");
}
