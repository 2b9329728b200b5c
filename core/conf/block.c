/* block.c -- events, http, server and location: what a block starts from,
 * and where it hangs. */
#include "conf/listen.h"
#include "conf/location.h"
#include "conf/server.h"
#include "conf/setters.h"

/* The scope of a block within outer. */
static struct scope within(const struct scope *outer, unsigned context)
{
    return (struct scope){ .loader = outer->loader,
                           .arena = outer->arena,
                           .conf = outer->conf,
                           .server = outer->server,
                           .location = outer->location,
                           .context = context };
}

enum err block_events(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    (void)d;
    struct scope inner = within(s, IN_EVENTS);
    return directive_apply(&inner, n->children);
}

/* ---- http -------------------------------------------------------------- */

static struct conf_type default_types[] = {
    { { "gif", 3 }, { "image/gif", 9 } },
    { { "html", 4 }, { "text/html", 9 } },
    { { "jpg", 3 }, { "image/jpeg", 10 } },
};

static enum err location_defaults(struct scope *s, const struct node *n,
                                  struct conf_location *at)
{
    static struct conf_part html = { CONF_LITERAL, { "index.html", 10 }, -1 };
    static struct conf_template index = { { "index.html", 10 }, &html, 1 };
    *at = (struct conf_location){
        .lua_code_cache = true,
        .lua_http10_buffering = true,
        .lua_use_default_type = true,
        .lua_transform_underscores_in_response_headers = true,
        .postpone_output = 1460,
        .index = &index,
        .nindex = 1,
        .default_type = SLICE("text/plain"),
        .types = default_types,
        .ntypes = sizeof default_types / sizeof default_types[0],
        .client_max_body_size = 1 << 20,
        .client_body_buffer_size = 16 << 10,
        .client_body_timeout = 60000,
        .send_timeout = 60000,
        .keepalive_timeout = 75000,
        .keepalive_requests = 1000,
        .server_tokens = CONF_TOKENS_ON,
        .sockets = conf_sockets_default,
        .realip.header = SLICE("X-Real-IP"),
    };
    return scope_path_template(s, n, SLICE("html"), &at->root);
}

static enum err add_combined(struct scope *s, const struct node *n)
{
    struct slice text =
        SLICE("$remote_addr - $remote_user [$time_local] \"$request\" $status "
              "$body_bytes_sent \"$http_referer\" \"$http_user_agent\"");
    struct conf_log_format *f = arena_alloc(s->arena, sizeof *f);
    if (!f)
        return fault_memory();
    f->name = SLICE("combined");
    s->conf->log_formats = f;
    return scope_template(s, n, text, &f->text);
}

enum err block_http(struct scope *s, const struct directive *d,
                    const struct node *n)
{
    (void)d;
    struct conf_server server = { .client_header_timeout = 60000,
                                  .client_header_buffer_size = 1024,
                                  .large_header_buffers = 4,
                                  .large_header_buffer_size = 8192,
                                  .tls_protocols =
                                      CONF_TLS_1_2 | CONF_TLS_1_3 };
    struct conf_location location;
    struct scope inner = within(s, IN_HTTP);
    inner.server = &server;
    inner.location = &location;
    enum err e = location_defaults(&inner, n, &location);
    if (!e)
        e = add_combined(&inner, n);
    if (!e)
        e = directive_apply(&inner, n->children);
    struct conf_sockets *sockets = arena_alloc(s->arena, sizeof *sockets);
    if (!sockets)
        return fault_memory();
    *sockets = location.sockets;
    s->conf->sockets = sockets;
    return e ? e : listen_index(s->conf);
}

/* ---- server and location ----------------------------------------------- */

/* A location that starts from what holds around it. */
static struct conf_location *derive(struct scope *s, const struct node *n)
{
    struct conf_location *at = arena_alloc(s->arena, sizeof *at);
    if (!at)
        return NULL;
    *at = *s->location;
    at->kind = CONF_IMPLICIT;
    at->pattern = (struct conf_pattern){ 0 };
    at->name = SLICE("");
    at->server = s->server;
    at->file = n->file;
    at->line = n->line;
    at->children = at->next = NULL;
    at->ops = NULL;
    at->code[CONF_CONTENT] = NULL;
    return at;
}

enum err block_server(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    (void)d;
    struct scope inner = within(s, IN_SERVER);
    struct conf_server **at = &s->conf->servers;
    struct conf_server *server = arena_alloc(s->arena, sizeof *server);
    if (!server)
        return fault_memory();
    *server = *s->server;
    server->name = SLICE("");
    server->file = n->file;
    server->line = n->line;
    inner.server = server;
    if (!(server->root = inner.location = derive(&inner, n)))
        return fault_memory();
    while (*at)
        at = &(*at)->next;
    *at = server;
    enum err e = directive_apply(&inner, n->children);
    if (!e)
        e = listen_default(&inner, n);
    if (!e)
        e = server_unnamed(&inner);
    return e ? e : location_index(s->conf, server->root);
}

/* Unlike a location it keeps the content code of where it stands. */
enum err block_if(struct scope *s, const struct node *n,
                  struct conf_location **out)
{
    struct scope inner = within(s, IN_IF);
    struct conf_location *at = inner.location = derive(s, n);
    if (!at)
        return fault_memory();
    at->kind = CONF_WITHIN_IF;
    at->name = s->location->name;
    at->pattern = s->location->pattern;
    at->children = s->location->children;
    at->code[CONF_CONTENT] = s->location->code[CONF_CONTENT];
    *out = at;
    return directive_apply(&inner, n->children);
}

/* A modifier, alone or at the start of the name. */
static bool read_modifier(struct slice word, enum conf_location_kind *kind,
                          size_t *len)
{
    static const struct {
        struct slice mark;
        enum conf_location_kind kind;
    } marks[] = {
        { { "=", 1 }, CONF_EXACT },
        { { "^~", 2 }, CONF_PREFIX_ALWAYS },
        { { "~*", 2 }, CONF_REGEX },
        { { "~", 1 }, CONF_REGEX },
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (slice_starts(word, marks[i].mark)) {
            *kind = marks[i].kind;
            *len = marks[i].mark.len;
            return true;
        }
    return false;
}

static enum err read_name(struct scope *s, const struct node *n,
                          struct conf_location *at)
{
    size_t len = 0;
    struct slice first = n->args[0];
    bool marked = read_modifier(first, &at->kind, &len);
    if (n->nargs == 2 && (!marked || len != first.len))
        return node_fail(n, "invalid location modifier \"%s\"", first.data);
    if (!marked)
        at->kind = slice_starts(first, SLICE("@")) ? CONF_NAMED : CONF_PREFIX;
    at->name = n->nargs == 2 ? n->args[1] : slice_from(first, len);
    if (at->kind != CONF_REGEX)
        return OK;
    return scope_pattern(s, n, at->name, len == 2, &at->pattern);
}

/* Whether a location may stand within outer. */
static enum err check_nesting(const struct node *n,
                              const struct conf_location *outer,
                              const struct conf_location *at)
{
    const char *name = at->name.data, *around = outer->name.data;
    if (outer->kind == CONF_IMPLICIT)
        return OK;
    if (outer->kind == CONF_EXACT)
        return node_fail(n,
                         "location \"%s\" cannot be inside the exact "
                         "location \"%s\"",
                         name, around);
    if (outer->kind == CONF_NAMED)
        return node_fail(n,
                         "location \"%s\" cannot be inside the named "
                         "location \"%s\"",
                         name, around);
    if (at->kind == CONF_NAMED)
        return node_fail(n,
                         "named location \"%s\" can be on the server "
                         "level only",
                         name);
    if (at->kind != CONF_REGEX && !slice_starts(at->name, outer->name))
        return node_fail(n, "location \"%s\" is outside location \"%s\"", name,
                         around);
    return OK;
}

enum err block_location(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    (void)d;
    struct scope inner = within(s, IN_LOCATION);
    struct conf_location **end = &s->location->children;
    struct conf_location *at = inner.location = derive(s, n);
    if (!at)
        return fault_memory();
    enum err e = read_name(s, n, at);
    if (!e)
        e = check_nesting(n, s->location, at);
    if (e)
        return e;
    while (*end)
        end = &(*end)->next;
    *end = at;
    return directive_apply(&inner, n->children);
}
