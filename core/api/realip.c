/* realip.c -- where a request comes from, where proxies that are believed say
 * so: nginx's set_real_ip_from, real_ip_header, real_ip_recursive. */
#include "api/request.h"

struct hop {
    struct ip ip;
    unsigned port;
    bool told; /* by a proxy */
};

static bool is_believed(const struct conf_realip *c, const struct ip *ip)
{
    for (unsigned i = 0; i < c->count; i++)
        if (ip_block_has(&c->from[i], ip))
            return true;
    return false;
}

static bool is_believed_in(const struct conf_location *at,
                           const struct ip_block *outside, const struct ip *ip)
{
    if (at->realip.from != outside && is_believed(&at->realip, ip))
        return true;
    for (const struct conf_location *c = at->children; c; c = c->next)
        if (is_believed_in(c, at->realip.from, ip))
            return true;
    return false;
}

bool realip_believes(const struct conf_listen *l, const struct ip *ip)
{
    const struct ip_block *last = NULL; /* what the servers inherit is one */
    for (unsigned i = 0; i < l->nservers; i++) {
        const struct conf_location *root = l->servers[i]->root;
        if (is_believed_in(root, last, ip))
            return true;
        last = root->realip.from;
    }
    return false;
}

static bool is_separator(char c)
{
    return c == ' ' || c == ',';
}

/* The last word of a list, taken off it. */
static struct slice take_last(struct slice *list)
{
    while (list->len && is_separator(list->data[list->len - 1]))
        list->len--;
    size_t start = list->len;
    while (start && !is_separator(list->data[start - 1]))
        start--;
    struct slice word = slice_from(*list, start);
    list->len = start ? start - 1 : 0;
    return word;
}

/* Goes back from hop to hop as long as they are believed; true: to the list's
 * start, and more may be said before it. */
static bool follow(const struct conf_realip *c, struct hop *at,
                   struct slice list)
{
    while (is_believed(c, &at->ip)) {
        struct hop next = { .told = true };
        if (!ip_parse_port(take_last(&list), &next.ip, &next.port) ||
            next.ip.kind == IP_UNIX)
            return false;
        *at = next;
        if (!c->recursive)
            return false;
        if (!list.len)
            return true;
    }
    return false;
}

/* X-Forwarded-For may come in several lines, and is one list. */
static void follow_all(const struct request *r, const struct conf_realip *c,
                       struct hop *at)
{
    if (!slice_eq_nocase(c->header, SLICE("X-Forwarded-For"))) {
        struct slice value = request_header(r, c->header);
        if (value.data)
            follow(c, at, value);
        return;
    }
    for (unsigned i = r->header_count; i-- > 0;)
        if (slice_eq_nocase(r->headers[i].name, c->header) &&
            !follow(c, at, r->headers[i].value))
            return;
}

void realip_resolve(struct request *r, const struct conf_realip *c)
{
    struct hop at = { 0 };
    char text[IP_TEXT];
    if (!c->count || r->client.data || r->parent ||
        !ip_parse(http_conn_address(r->http), &at.ip))
        return;
    follow_all(r, c, &at);
    if (!at.told)
        return;
    r->client = arena_dup(&r->http->arena, slice_str(ip_text(&at.ip, text)));
    r->client_port = at.port;
}

static const struct request *main_of(const struct request *r)
{
    while (r->parent)
        r = r->parent;
    return r;
}

struct slice realip_address(const struct request *r)
{
    r = main_of(r);
    return r->client.data ? r->client : http_conn_address(r->http);
}

unsigned realip_port(const struct request *r)
{
    r = main_of(r);
    return r->client.data ? r->client_port : http_conn_port(r->http);
}
