/* variable.c -- what $name and ngx.var.name stand for. */
#define _GNU_SOURCE
#include "api/request.h"
#include "api/variable_family.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/uri.h"
#include "base/version.h"
#include "conf/template.h"
#include <arpa/inet.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static bool add(struct buf *out, struct slice value)
{
    if (value.data)
        buf_add(out, value);
    return value.data != NULL;
}

static bool get_uri(struct request *r, struct buf *out)
{
    return add(out, r->uri);
}

static bool get_request_uri(struct request *r, struct buf *out)
{
    return add(out, r->http->uri);
}

static bool get_args(struct request *r, struct buf *out)
{
    return add(out, r->args);
}

static bool get_is_args(struct request *r, struct buf *out)
{
    return add(out, r->args.len ? SLICE("?") : SLICE(""));
}

static bool get_method(struct request *r, struct buf *out)
{
    return add(out, r->method);
}

/* The Host header in lower case without its port; else the server's name. */
static bool get_host(struct request *r, struct buf *out)
{
    struct slice host = request_header(r, SLICE("Host"));
    if (!host.len)
        return add(out, r->server->name);
    const char *bracket = memrchr(host.data, ']', host.len);
    const char *colon = memrchr(host.data, ':', host.len);
    if (colon && (!bracket || colon > bracket))
        host.len = (size_t)(colon - host.data);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        buf_add_char(out, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
    return true;
}

static bool get_remote_addr(struct request *r, struct buf *out)
{
    return add(out, realip_address(r));
}

static bool get_realip_remote_addr(struct request *r, struct buf *out)
{
    return add(out, http_conn_address(r->http));
}

static bool get_binary_remote_addr(struct request *r, struct buf *out)
{
    unsigned char bytes[16];
    const char *text = realip_address(r).data;
    if (inet_pton(AF_INET, text, bytes) == 1)
        return add(out, SLICE_OF(bytes, 4));
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return add(out, SLICE_OF(bytes, 16));
    return add(out, slice_str(text));
}

static bool get_remote_port(struct request *r, struct buf *out)
{
    unsigned port = realip_port(r);
    if (port)
        buf_addf(out, "%u", port);
    return true;
}

static bool get_realip_remote_port(struct request *r, struct buf *out)
{
    buf_addf(out, "%u", http_conn_port(r->http));
    return true;
}

static bool local_address(struct request *r, char text[INET6_ADDRSTRLEN],
                          unsigned *port)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    if (getsockname(http_conn_fd(r->http), (struct sockaddr *)&sa, &len))
        return false;
    const struct sockaddr_in *in = (const void *)&sa;
    const struct sockaddr_in6 *in6 = (const void *)&sa;
    bool six = sa.ss_family == AF_INET6;
    if (!six && sa.ss_family != AF_INET)
        return false;
    *port = ntohs(six ? in6->sin6_port : in->sin_port);
    return inet_ntop(sa.ss_family,
                     six ? (const void *)&in6->sin6_addr : &in->sin_addr, text,
                     INET6_ADDRSTRLEN) != NULL;
}

static bool get_server_addr(struct request *r, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    unsigned port;
    return local_address(r, text, &port) && add(out, slice_str(text));
}

static bool get_server_port(struct request *r, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    unsigned port;
    if (!local_address(r, text, &port))
        return false;
    buf_addf(out, "%u", port);
    return true;
}

static bool get_server_name(struct request *r, struct buf *out)
{
    return add(out, r->server->name);
}

static bool get_protocol(struct request *r, struct buf *out)
{
    return add(out, r->http->version);
}

static bool get_scheme(struct request *r, struct buf *out)
{
    return add(out, http_tls(r->http) ? SLICE("https") : SLICE("http"));
}

static bool get_https(struct request *r, struct buf *out)
{
    return add(out, http_tls(r->http) ? SLICE("on") : SLICE(""));
}

static bool get_ssl_protocol(struct request *r, struct buf *out)
{
    return http_tls_protocol(r->http, out);
}

static bool get_ssl_cipher(struct request *r, struct buf *out)
{
    return http_tls_cipher(r->http, out);
}

static bool get_ssl_server_name(struct request *r, struct buf *out)
{
    return http_tls_server_name(r->http, out);
}

/* The query is left out: it may carry what must not be logged. */
static bool get_request(struct request *r, struct buf *out)
{
    struct slice path, query;
    uri_split(r->http->uri, &path, &query);
    buf_addf(out, "%.*s %.*s %.*s", SLICE_FMT(r->http->method), SLICE_FMT(path),
             SLICE_FMT(r->http->version));
    return true;
}

static bool get_status(struct request *r, struct buf *out)
{
    buf_addf(out, "%03d", request_status(r));
    return true;
}

static bool get_sent(struct request *r, struct buf *out)
{
    buf_addf(out, "%llu", (unsigned long long)r->http->sent);
    return true;
}

/* Spaces and line ends counted as few as there can be. */
static bool get_request_length(struct request *r, struct buf *out)
{
    const struct http_request *http = r->http;
    size_t n = http->method.len + http->uri.len + http->version.len + 4 + 2 +
               http->body.len;
    for (unsigned i = 0; i < http->header_count; i++)
        n += http->headers[i].name.len + http->headers[i].value.len + 4;
    buf_addf(out, "%zu", n);
    return true;
}

/* Pipelined requests cannot be told from others. */
static bool get_pipe(struct request *r, struct buf *out)
{
    (void)r;
    return add(out, SLICE("."));
}

static bool get_request_completion(struct request *r, struct buf *out)
{
    return add(out, r->finished ? SLICE("OK") : SLICE(""));
}

static bool get_limit_rate(struct request *r, struct buf *out)
{
    (void)r;
    return add(out, SLICE("0"));
}

/* Of what nginx does and we do not: known, so that log formats load. */
static bool get_nothing(struct request *r, struct buf *out)
{
    (void)r;
    (void)out;
    return false;
}

static bool get_request_time(struct request *r, struct buf *out)
{
    uint64_t msec = clock_msec() - r->http->started;
    buf_addf(out, "%llu.%03u", (unsigned long long)(msec / 1000),
             (unsigned)(msec % 1000));
    return true;
}

static bool get_request_id(struct request *r, struct buf *out)
{
    buf_add(out, request_id(r));
    return true;
}

/* The trace-id of the caller's traceparent (W3C Trace Context, 3.2.2), where
 * it is one: lower-case hex, not all zeros. */
static bool get_trace_id(struct request *r, struct buf *out)
{
    enum { AT = 3, DIGITS = 32 };
    struct slice parent = request_header(r, SLICE("traceparent"));
    struct slice id = slice_from(parent, AT);
    if (parent.len < AT + DIGITS + 1 || parent.data[2] != '-' ||
        id.data[DIGITS] != '-')
        return false;
    id.len = DIGITS;
    bool zeros = true;
    for (size_t i = 0; i < DIGITS; i++) {
        if (!strchr("0123456789abcdef", id.data[i]) || !id.data[i])
            return false;
        zeros &= id.data[i] == '0';
    }
    if (!zeros)
        buf_add(out, id);
    return !zeros;
}

static bool get_request_body(struct request *r, struct buf *out)
{
    return r->body_read && r->body.len && !ngx_body_file(r) &&
           add(out, r->body);
}

static bool get_request_body_file(struct request *r, struct buf *out)
{
    return r->body_read && add(out, slice_str(ngx_body_file(r)));
}

static bool get_content_type(struct request *r, struct buf *out)
{
    return add(out, request_header(r, SLICE("Content-Type")));
}

static bool get_content_length(struct request *r, struct buf *out)
{
    return add(out, request_header(r, SLICE("Content-Length")));
}

static bool get_document_root(struct request *r, struct buf *out)
{
    variable_render(r, &r->location->root, out);
    return true;
}

static bool get_realpath_root(struct request *r, struct buf *out)
{
    struct buf root = { 0 };
    char real[PATH_MAX];
    variable_render(r, &r->location->root, &root);
    bool known = buf_str(&root) && realpath(root.data, real);
    buf_free(&root);
    return known && add(out, slice_str(real));
}

static bool get_request_filename(struct request *r, struct buf *out)
{
    variable_render(r, &r->location->root, out);
    return add(out, r->uri);
}

static bool get_msec(struct request *r, struct buf *out)
{
    (void)r;
    uint64_t now = clock_msec();
    buf_addf(out, "%llu.%03u", (unsigned long long)(now / 1000),
             (unsigned)(now % 1000));
    return true;
}

static struct tm local_now(void)
{
    time_t now = time(NULL);
    struct tm t;
    localtime_r(&now, &t);
    return t;
}

static bool get_time_local(struct request *r, struct buf *out)
{
    (void)r;
    char text[64];
    struct tm t = local_now();
    return add(out, SLICE_OF(text, strftime(text, sizeof text,
                                            "%d/%b/%Y:%H:%M:%S %z", &t)));
}

static bool get_time_iso8601(struct request *r, struct buf *out)
{
    (void)r;
    char text[64];
    struct tm t = local_now();
    size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &t);
    if (n < 2)
        return false;
    buf_add(out, SLICE_OF(text, n - 2)); /* +0100 wants its colon */
    buf_add_char(out, ':');
    return add(out, SLICE_OF(text + n - 2, 2));
}

static bool get_connection(struct request *r, struct buf *out)
{
    buf_addf(out, "%llu", (unsigned long long)http_conn_number(r->http));
    return true;
}

static bool get_connection_requests(struct request *r, struct buf *out)
{
    buf_addf(out, "%u", http_conn_requests(r->http));
    return true;
}

static bool get_pid(struct request *r, struct buf *out)
{
    (void)r;
    buf_addf(out, "%d", (int)getpid());
    return true;
}

static bool get_hostname(struct request *r, struct buf *out)
{
    char name[256] = "";
    (void)r;
    gethostname(name, sizeof name - 1);
    return add(out, slice_str(name));
}

static bool get_nginx_version(struct request *r, struct buf *out)
{
    (void)r;
    return add(out, SLICE(VERSION_NGINX));
}

/* None: nobody is asked for a password here. */
static bool get_remote_user(struct request *r, struct buf *out)
{
    (void)r;
    (void)out;
    return false;
}

/* ---- the tables ---------------------------------------------------------- */

static bool set_args(struct request *r, struct slice value)
{
    r->args = value.data ? arena_dup(&r->http->arena, value) : SLICE_NONE;
    return true;
}

static bool set_limit_rate(struct request *r, struct slice value)
{
    (void)r;
    (void)value;
    return true;
}

static const struct builtin {
    struct slice name;
    bool (*get)(struct request *r, struct buf *out);
    bool (*set)(struct request *r, struct slice value);
} builtins[] = {
    /* sorted */
    { { "args", sizeof "args" - 1 }, get_args, set_args },
    { { "binary_remote_addr", sizeof "binary_remote_addr" - 1 },
      get_binary_remote_addr,
      NULL },
    { { "body_bytes_sent", sizeof "body_bytes_sent" - 1 }, get_sent, NULL },
    { { "bytes_sent", sizeof "bytes_sent" - 1 }, get_sent, NULL },
    { { "connection", sizeof "connection" - 1 }, get_connection, NULL },
    { { "connection_requests", sizeof "connection_requests" - 1 },
      get_connection_requests,
      NULL },
    { { "content_length", sizeof "content_length" - 1 },
      get_content_length,
      NULL },
    { { "content_type", sizeof "content_type" - 1 }, get_content_type, NULL },
    { { "document_root", sizeof "document_root" - 1 },
      get_document_root,
      NULL },
    { { "document_uri", sizeof "document_uri" - 1 }, get_uri, NULL },
    { { "gzip_ratio", sizeof "gzip_ratio" - 1 }, get_nothing, NULL },
    { { "host", sizeof "host" - 1 }, get_host, NULL },
    { { "hostname", sizeof "hostname" - 1 }, get_hostname, NULL },
    { { "https", sizeof "https" - 1 }, get_https, NULL },
    { { "is_args", sizeof "is_args" - 1 }, get_is_args, NULL },
    { { "limit_rate", sizeof "limit_rate" - 1 },
      get_limit_rate,
      set_limit_rate },
    { { "msec", sizeof "msec" - 1 }, get_msec, NULL },
    { { "nginx_version", sizeof "nginx_version" - 1 },
      get_nginx_version,
      NULL },
    { { "pid", sizeof "pid" - 1 }, get_pid, NULL },
    { { "pipe", sizeof "pipe" - 1 }, get_pipe, NULL },
    { { "proxy_protocol_addr", sizeof "proxy_protocol_addr" - 1 },
      get_nothing,
      NULL },
    { { "proxy_protocol_port", sizeof "proxy_protocol_port" - 1 },
      get_nothing,
      NULL },
    { { "query_string", sizeof "query_string" - 1 }, get_args, NULL },
    { { "realip_remote_addr", sizeof "realip_remote_addr" - 1 },
      get_realip_remote_addr,
      NULL },
    { { "realip_remote_port", sizeof "realip_remote_port" - 1 },
      get_realip_remote_port,
      NULL },
    { { "realpath_root", sizeof "realpath_root" - 1 },
      get_realpath_root,
      NULL },
    { { "remote_addr", sizeof "remote_addr" - 1 }, get_remote_addr, NULL },
    { { "remote_port", sizeof "remote_port" - 1 }, get_remote_port, NULL },
    { { "remote_user", sizeof "remote_user" - 1 }, get_remote_user, NULL },
    { { "request", sizeof "request" - 1 }, get_request, NULL },
    { { "request_body", sizeof "request_body" - 1 }, get_request_body, NULL },
    { { "request_body_file", sizeof "request_body_file" - 1 },
      get_request_body_file,
      NULL },
    { { "request_completion", sizeof "request_completion" - 1 },
      get_request_completion,
      NULL },
    { { "request_filename", sizeof "request_filename" - 1 },
      get_request_filename,
      NULL },
    { { "request_id", sizeof "request_id" - 1 }, get_request_id, NULL },
    { { "request_length", sizeof "request_length" - 1 },
      get_request_length,
      NULL },
    { { "request_method", sizeof "request_method" - 1 }, get_method, NULL },
    { { "request_time", sizeof "request_time" - 1 }, get_request_time, NULL },
    { { "request_uri", sizeof "request_uri" - 1 }, get_request_uri, NULL },
    { { "scheme", sizeof "scheme" - 1 }, get_scheme, NULL },
    { { "server_addr", sizeof "server_addr" - 1 }, get_server_addr, NULL },
    { { "server_name", sizeof "server_name" - 1 }, get_server_name, NULL },
    { { "server_port", sizeof "server_port" - 1 }, get_server_port, NULL },
    { { "server_protocol", sizeof "server_protocol" - 1 }, get_protocol, NULL },
    { { "ssl_cipher", sizeof "ssl_cipher" - 1 }, get_ssl_cipher, NULL },
    { { "ssl_protocol", sizeof "ssl_protocol" - 1 }, get_ssl_protocol, NULL },
    { { "ssl_server_name", sizeof "ssl_server_name" - 1 },
      get_ssl_server_name,
      NULL },
    { { "status", sizeof "status" - 1 }, get_status, NULL },
    { { "time_iso8601", sizeof "time_iso8601" - 1 }, get_time_iso8601, NULL },
    { { "time_local", sizeof "time_local" - 1 }, get_time_local, NULL },
    { { "trace_id", sizeof "trace_id" - 1 }, get_trace_id, NULL },
    { { "uri", sizeof "uri" - 1 }, get_uri, NULL },
};

static int compare(const void *key, const void *entry)
{
    const struct slice *a = key, *b = &((const struct builtin *)entry)->name;
    size_t n = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->data, b->data, n);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static const struct builtin *find(struct slice name)
{
    return bsearch(&name, builtins, sizeof builtins / sizeof *builtins,
                   sizeof *builtins, compare);
}

bool variable_is_builtin(struct slice name)
{
    return find(name) != NULL;
}

enum conf_builtin variable_builtin(struct slice name)
{
    const struct builtin *b = find(name);
    if (b)
        return b->set ? CONF_WRITABLE : CONF_READ_ONLY;
    return variable_family_has(name) ? CONF_READ_ONLY : CONF_UNKNOWN;
}

bool variable_get(struct request *r, struct slice name, struct buf *out)
{
    const struct conf_variable *own = conf_variable(r->api->conf, name);
    if (own)
        return add(out, r->variables[own->index]);
    const struct builtin *b = find(name);
    if (b)
        return b->get(r, out);
    return variable_family_get(r, name, out);
}

bool variable_set(struct request *r, struct slice name, struct slice value)
{
    const struct conf_variable *own = conf_variable(r->api->conf, name);
    if (own) {
        r->variables[own->index] =
            value.data ? arena_dup(&r->http->arena, value) : SLICE_NONE;
        return true;
    }
    const struct builtin *b = find(name);
    return b && b->set && b->set(r, value);
}

void variable_part(struct request *r, const struct conf_part *part,
                   struct buf *out)
{
    unsigned g = (unsigned)part->index;
    if (part->kind == CONF_VARIABLE && part->index >= 0) {
        add(out, r->variables[part->index]);
    } else if (part->kind == CONF_VARIABLE) {
        variable_get(r, part->text, out);
    } else if (g < r->captures && r->ovector[2 * g] != REGEX_UNSET) {
        buf_add(out, SLICE_OF(r->captured.data + r->ovector[2 * g],
                              r->ovector[2 * g + 1] - r->ovector[2 * g]));
    }
}

void variable_captures(struct request *r, const struct conf_pattern *p,
                       struct slice subject, unsigned pairs)
{
    r->captures = pairs < REQUEST_CAPTURES ? pairs : REQUEST_CAPTURES;
    r->captured = arena_dup(&r->http->arena, subject);
    for (unsigned i = 0; p && i < p->nnamed; i++) {
        unsigned g = p->named[i].group;
        if (g < r->captures && r->ovector[2 * g] != REGEX_UNSET)
            r->variables[p->named[i].variable->index] =
                SLICE_OF(r->captured.data + r->ovector[2 * g],
                         r->ovector[2 * g + 1] - r->ovector[2 * g]);
    }
}

static void render_part(void *user, const struct conf_part *part,
                        struct buf *out)
{
    variable_part(user, part, out);
}

void variable_render(struct request *r, const struct conf_template *t,
                     struct buf *out)
{
    template_render(t, out, render_part, r);
}

/* What does not begin with a variable is absolute already. */
void variable_path(struct request *r, const struct conf_template *t,
                   struct buf *out)
{
    const char *prefix = r->api->conf->prefix;
    size_t n = strlen(prefix);
    variable_render(r, t, out);
    if (!out->len || *out->data == '/' || !buf_reserve(out, n))
        return;
    memmove(out->data + n, out->data, out->len);
    memcpy(out->data, prefix, n);
    out->len += n;
}
