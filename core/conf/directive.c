/* directive.c -- the table of all directives, and how blocks are applied. */
#include "conf/directive.h"
#include "conf/fault.h"
#include "conf/setters.h"

#define CONF(field) TO_CONF, offsetof(struct conf, field)
#define SERVER(field) TO_SERVER, offsetof(struct conf_server, field)
#define LOCATION(field) TO_LOCATION, offsetof(struct conf_location, field)
#define NOWHERE TO_NONE, 0

/* The three forms of a Lua hook; the rest is the field. */
#define INLINE(name, where, ...)                                               \
    {                                                                          \
        name, where, 1, 1, code_set, __VA_ARGS__                               \
    }
#define BRACES(name, where, ...)                                               \
    {                                                                          \
        name "_block", (where) | BLOCK, 0, 0, code_set, __VA_ARGS__            \
    }
#define SCRIPT(name, where, ...)                                               \
    {                                                                          \
        name "_file", where, 1, 1, code_set, __VA_ARGS__                       \
    }
#define BY_LUA(name, where, ...)                                               \
    INLINE(name, where, __VA_ARGS__), BRACES(name, where, __VA_ARGS__),        \
        SCRIPT(name, where, __VA_ARGS__)

/* clang-format off */
static const struct directive table[] = {
    /* the process */
    { "worker_processes", IN_MAIN, 1, 1,
      process_workers, CONF(worker_processes) },
    { "daemon", IN_MAIN, 1, 1, setting_flag, CONF(daemon) },
    { "master_process", IN_MAIN, 1, 1, setting_flag, CONF(master_process) },
    { "error_log", IN_MAIN | IN_ALL, 1, 2, process_error_log, CONF(error_log) },
    { "pid", IN_MAIN, 1, 1, setting_path, CONF(pid) },
    { "user", IN_MAIN, 1, 2, process_user, CONF(user) },
    { "env", IN_MAIN | MANY, 1, 1, process_env, CONF(env) },
    { "worker_rlimit_nofile", IN_MAIN, 1, 1,
      setting_number, CONF(worker_rlimit_nofile) },
    { "thread_pool", IN_MAIN | MANY, 2, 3,
      process_thread_pool, CONF(thread_pools) },
    { "events", IN_MAIN | BLOCK | NESTED, 0, 0, block_events, NOWHERE },
    { "worker_connections", IN_EVENTS, 1, 1,
      setting_number, CONF(worker_connections) },
    { "accept_mutex", IN_EVENTS, 1, 1, setting_flag, NOWHERE },
    { "multi_accept", IN_EVENTS, 1, 1, setting_flag, NOWHERE },
    { "use", IN_EVENTS, 1, 1, process_use, NOWHERE },

    /* http, and connections */
    { "http", IN_MAIN | BLOCK | NESTED, 0, 0, block_http, NOWHERE },
    { "server", IN_HTTP | BLOCK | NESTED | MANY, 0, 0, block_server, NOWHERE },
    { "listen", IN_SERVER | MANY, 1, ARGS_ANY, listen_set, NOWHERE },
    { "server_name", IN_SERVER | MANY, 1, ARGS_ANY,
      server_names, SERVER(names) },
    { "ssl_certificate", IN_HTTP | IN_SERVER, 1, 1,
      tls_file, SERVER(certificate) },
    { "ssl_certificate_key", IN_HTTP | IN_SERVER, 1, 1,
      tls_file, SERVER(certificate_key) },
    { "ssl_protocols", IN_HTTP | IN_SERVER, 1, ARGS_ANY,
      sockets_protocols, SERVER(tls_protocols) },
    { "ssl_prefer_server_ciphers", IN_HTTP | IN_SERVER, 1, 1,
      setting_flag, NOWHERE },
    { "ssl_session_cache", IN_HTTP | IN_SERVER, 1, 2,
      setting_nothing, NOWHERE },
    { "ssl_session_timeout", IN_HTTP | IN_SERVER, 1, 1,
      setting_nothing, NOWHERE },
    { "client_header_timeout", IN_HTTP | IN_SERVER, 1, 1,
      setting_msec, SERVER(client_header_timeout) },
    { "client_header_buffer_size", IN_HTTP | IN_SERVER, 1, 1,
      setting_size, SERVER(client_header_buffer_size) },
    { "large_client_header_buffers", IN_HTTP | IN_SERVER, 2, 2,
      content_large_buffers, SERVER(large_header_buffers) },
    { "underscores_in_headers", IN_HTTP | IN_SERVER, 1, 1,
      setting_flag, SERVER(underscores_in_headers) },
    { "client_max_body_size", IN_ALL, 1, 1,
      setting_size, LOCATION(client_max_body_size) },
    { "client_body_buffer_size", IN_ALL, 1, 1,
      setting_size, LOCATION(client_body_buffer_size) },
    { "client_body_in_file_only", IN_ALL, 1, 1,
      content_body_file, LOCATION(client_body_in_file_only) },
    { "client_body_timeout", IN_ALL, 1, 1,
      setting_msec, LOCATION(client_body_timeout) },
    { "send_timeout", IN_ALL, 1, 1, setting_msec, LOCATION(send_timeout) },
    { "keepalive_timeout", IN_ALL, 1, 2,
      content_keepalive, LOCATION(keepalive_timeout) },
    { "keepalive_requests", IN_ALL, 1, 1,
      setting_number, LOCATION(keepalive_requests) },
    { "lingering_close", IN_ALL, 1, 1, setting_nothing, NOWHERE },
    { "lingering_time", IN_ALL, 1, 1, setting_nothing, NOWHERE },
    { "lingering_timeout", IN_ALL, 1, 1, setting_nothing, NOWHERE },
    { "sendfile", IN_ALL, 1, 1, setting_flag, NOWHERE },
    { "tcp_nopush", IN_ALL, 1, 1, setting_flag, NOWHERE },
    { "tcp_nodelay", IN_ALL, 1, 1, setting_flag, NOWHERE },
    { "client_body_temp_path", IN_ALL, 1, 4, setting_nothing, NOWHERE },
    { "proxy_temp_path", IN_ALL, 1, 4, setting_nothing, NOWHERE },
    { "fastcgi_temp_path", IN_ALL, 1, 4, setting_nothing, NOWHERE },
    { "scgi_temp_path", IN_ALL, 1, 4, setting_nothing, NOWHERE },
    { "uwsgi_temp_path", IN_ALL, 1, 4, setting_nothing, NOWHERE },

    /* locations, and what they answer */
    { "location", IN_SERVER | IN_LOCATION | BLOCK | NESTED | MANY, 1, 2,
      block_location, NOWHERE },
    { "internal", IN_LOCATION, 0, 0, setting_present, LOCATION(internal) },
    { "set", IN_REWRITE | MANY, 2, 2, rewrite_set, LOCATION(ops) },
    { "return", IN_REWRITE | MANY, 1, 2, rewrite_return, LOCATION(ops) },
    { "rewrite", IN_REWRITE | MANY, 2, 3, rewrite_uri, LOCATION(ops) },
    { "break", IN_REWRITE | MANY, 0, 0, rewrite_break, LOCATION(ops) },
    { "if", IN_SERVER | IN_LOCATION | BLOCK | MANY | TWICE, 1, ARGS_ANY,
      rewrite_if, LOCATION(ops) },
    { "rewrite_log", IN_ALL | IN_IF, 1, 1, setting_flag, NOWHERE },
    { "error_page", IN_ALL | MANY, 2, ARGS_ANY,
      content_error_page, LOCATION(error_pages) },
    { "postpone_output", IN_ALL, 1, 1,
      setting_size, LOCATION(postpone_output) },
    { "log_subrequest", IN_ALL, 1, 1, setting_flag, LOCATION(log_subrequest) },
    { "root", IN_SCRIPTS, 1, 1, content_root, LOCATION(root) },
    { "alias", IN_LOCATION, 1, 1, content_root, LOCATION(root) },
    { "index", IN_ALL | MANY, 1, ARGS_ANY, content_index, LOCATION(index) },
    { "types", IN_ALL | BLOCK | MANY, 0, 0, content_types, LOCATION(types) },
    { "default_type", IN_ALL, 1, 1, setting_text, LOCATION(default_type) },
    { "add_header", IN_SCRIPTS | MANY, 2, 3,
      content_header, LOCATION(headers) },
    { "server_tokens", IN_ALL, 1, 1, content_tokens, LOCATION(server_tokens) },
    { "log_format", IN_HTTP | MANY, 2, ARGS_ANY,
      logging_format, CONF(log_formats) },
    { "access_log", IN_ALL | MANY, 1, 2,
      logging_access, LOCATION(access_log) },

    /* where requests come from */
    { "set_real_ip_from", IN_ALL | MANY, 1, 1,
      realip_from, LOCATION(realip) },
    { "real_ip_header", IN_ALL, 1, 1,
      realip_header, LOCATION(realip.header) },
    { "real_ip_recursive", IN_ALL, 1, 1,
      setting_flag, LOCATION(realip.recursive) },

    /* Lua */
    { "lua_package_path", IN_HTTP, 1, 1,
      scripting_path, CONF(lua_package_path) },
    { "lua_package_cpath", IN_HTTP, 1, 1,
      scripting_path, CONF(lua_package_cpath) },
    { "lua_shared_dict", IN_HTTP | MANY, 2, 2,
      scripting_dict, CONF(shared_dicts) },
    { "lua_code_cache", IN_SCRIPTS, 1, 1,
      scripting_cache, LOCATION(lua_code_cache) },
    { "lua_load_resty_core", IN_HTTP, 1, 1, scripting_core, NOWHERE },
    { "lua_thread_cache_max_entries", IN_HTTP, 1, 1,
      setting_nothing, NOWHERE },
    { "rewrite_by_lua_no_postpone", IN_HTTP, 1, 1, setting_flag, NOWHERE },
    { "access_by_lua_no_postpone", IN_HTTP, 1, 1, setting_flag, NOWHERE },
    { "lua_sa_restart", IN_HTTP, 1, 1, setting_flag, NOWHERE },
    { "lua_malloc_trim", IN_HTTP, 1, 1, setting_nothing, NOWHERE },
    { "lua_regex_cache_max_entries", IN_HTTP, 1, 1,
      setting_number, CONF(lua_regex_cache_max_entries) },
    { "lua_regex_match_limit", IN_HTTP, 1, 1,
      setting_number, CONF(lua_regex_match_limit) },
    { "lua_capture_error_log", IN_HTTP, 1, 1,
      scripting_capture, CONF(lua_capture_error_log) },
    { "lua_run_timeout", IN_HTTP, 1, 1,
      setting_msec, CONF(lua_run_timeout) },
    { "lua_memory_limit", IN_HTTP, 1, 1,
      setting_size, CONF(lua_memory_limit) },
    { "lua_max_pending_timers", IN_HTTP, 1, 1,
      setting_number, CONF(lua_max_pending_timers) },
    { "lua_max_running_timers", IN_HTTP, 1, 1,
      setting_number, CONF(lua_max_running_timers) },
    { "lua_worker_thread_vm_pool_size", IN_HTTP, 1, 1,
      setting_number, CONF(lua_worker_thread_vm_pool_size) },
    BY_LUA("init_by_lua", IN_HTTP, CONF(init)),
    BY_LUA("init_worker_by_lua", IN_HTTP, CONF(init_worker)),
    BRACES("exit_worker_by_lua", IN_HTTP, CONF(exit_worker)),
    SCRIPT("exit_worker_by_lua", IN_HTTP, CONF(exit_worker)),
    { "set_by_lua", IN_REWRITE | MANY, 2, ARGS_ANY,
      rewrite_set_lua, LOCATION(ops) },
    { "set_by_lua_block", IN_REWRITE | MANY | BLOCK, 1, 1,
      rewrite_set_lua, LOCATION(ops) },
    { "set_by_lua_file", IN_REWRITE | MANY, 2, ARGS_ANY,
      rewrite_set_lua, LOCATION(ops) },
    BRACES("server_rewrite_by_lua", IN_HTTP | IN_SERVER,
           LOCATION(code[CONF_SERVER_REWRITE])),
    SCRIPT("server_rewrite_by_lua", IN_HTTP | IN_SERVER,
           LOCATION(code[CONF_SERVER_REWRITE])),
    BY_LUA("rewrite_by_lua", IN_SCRIPTS, LOCATION(code[CONF_REWRITE])),
    BY_LUA("access_by_lua", IN_SCRIPTS, LOCATION(code[CONF_ACCESS])),
    BY_LUA("content_by_lua", IN_LOCATION | IN_IF,
           LOCATION(code[CONF_CONTENT])),
    BY_LUA("header_filter_by_lua", IN_SCRIPTS,
           LOCATION(code[CONF_HEADER_FILTER])),
    BY_LUA("body_filter_by_lua", IN_SCRIPTS, LOCATION(code[CONF_BODY_FILTER])),
    BY_LUA("log_by_lua", IN_SCRIPTS, LOCATION(code[CONF_LOG])),
    { "lua_need_request_body", IN_SCRIPTS, 1, 1,
      setting_flag, LOCATION(lua_need_request_body) },
    { "lua_http10_buffering", IN_SCRIPTS, 1, 1,
      setting_flag, LOCATION(lua_http10_buffering) },
    { "lua_check_client_abort", IN_SCRIPTS, 1, 1,
      setting_flag, LOCATION(lua_check_client_abort) },
    { "lua_transform_underscores_in_response_headers", IN_SCRIPTS, 1, 1,
      setting_flag, LOCATION(lua_transform_underscores_in_response_headers) },
    { "lua_use_default_type", IN_SCRIPTS, 1, 1,
      setting_flag, LOCATION(lua_use_default_type) },

    /* what scripts connect to */
    { "resolver", IN_ALL, 1, ARGS_ANY,
      sockets_resolver, LOCATION(sockets.resolver) },
    { "resolver_timeout", IN_ALL, 1, 1,
      setting_msec, LOCATION(sockets.resolver_timeout) },
    { "lua_socket_connect_timeout", IN_ALL, 1, 1,
      setting_msec, LOCATION(sockets.connect_timeout) },
    { "lua_socket_send_timeout", IN_ALL, 1, 1,
      setting_msec, LOCATION(sockets.send_timeout) },
    { "lua_socket_read_timeout", IN_ALL, 1, 1,
      setting_msec, LOCATION(sockets.read_timeout) },
    { "lua_socket_keepalive_timeout", IN_ALL, 1, 1,
      setting_msec, LOCATION(sockets.keepalive_timeout) },
    { "lua_socket_buffer_size", IN_ALL, 1, 1,
      setting_size, LOCATION(sockets.buffer_size) },
    { "lua_socket_pool_size", IN_ALL, 1, 1,
      setting_number, LOCATION(sockets.pool_size) },
    { "lua_socket_log_errors", IN_ALL, 1, 1,
      setting_flag, LOCATION(sockets.log_errors) },
    { "lua_socket_send_lowat", IN_ALL, 1, 1, setting_nothing, NOWHERE },
    { "lua_ssl_trusted_certificate", IN_ALL, 1, 1,
      sockets_certificate, LOCATION(sockets.trusted) },
    { "lua_ssl_crl", IN_ALL, 1, 1,
      sockets_certificate, LOCATION(sockets.crl) },
    { "lua_ssl_certificate", IN_ALL, 1, 1,
      sockets_certificate, LOCATION(sockets.certificate) },
    { "lua_ssl_certificate_key", IN_ALL, 1, 1,
      sockets_certificate, LOCATION(sockets.certificate_key) },
    { "lua_ssl_verify_depth", IN_ALL, 1, 1,
      setting_number, LOCATION(sockets.verify_depth) },
    { "lua_ssl_ciphers", IN_ALL, 1, 1,
      setting_text, LOCATION(sockets.ciphers) },
    { "lua_ssl_protocols", IN_ALL, 1, ARGS_ANY,
      sockets_protocols, LOCATION(sockets.protocols) },

    /* our own */
    { "latchkey_store", IN_HTTP, 1, 1, latchkey_store, CONF(store) },
    { "latchkey_apps", IN_HTTP, 1, 2, latchkey_apps, CONF(apps) },
    { "latchkey_connections_per_address", IN_HTTP, 1, 1,
      setting_number, CONF(connections_per_address) },
    { "latchkey_master_key", IN_HTTP, 1, 1,
      latchkey_secret, CONF(master_key) },
    { "latchkey_service_key", IN_HTTP, 1, 1,
      latchkey_secret, CONF(service_key) },
    { "latchkey_admin_token", IN_HTTP, 1, 1,
      latchkey_secret, CONF(admin_token) },
    { "latchkey_node", IN_HTTP, 1, 1, latchkey_node, CONF(node) },
    { "latchkey_event_log", IN_HTTP, 1, 1, setting_path, CONF(event_log) },
};
/* clang-format on */

enum { DIRECTIVES = sizeof table / sizeof table[0] };

/* What the statement is here, or NULL; known tells whether the name means
 * something elsewhere. */
static const struct directive *find(const struct node *n, unsigned context,
                                    bool *known)
{
    *known = false;
    for (size_t i = 0; i < DIRECTIVES; i++) {
        if (!slice_eq(slice_str(table[i].name), n->name))
            continue;
        *known = true;
        if (table[i].flags & context)
            return &table[i];
    }
    return NULL;
}

static enum err check(const struct directive *d, const struct node *n)
{
    bool block = d->flags & BLOCK;
    if (!block && n->is_block)
        return node_fail(n, "directive \"%s\" is not terminated by \";\"",
                         d->name);
    if (block && !n->is_block)
        return node_fail(n, "directive \"%s\" has no opening \"{\"", d->name);
    if (n->nargs < d->min || (n->nargs > d->max && d->max != ARGS_ANY))
        return node_fail(n, "invalid number of arguments in \"%s\" directive",
                         d->name);
    return OK;
}

/* Two names for one field (root and alias, the forms of a Lua hook) count as
 * the same directive. */
static bool same(const struct directive *a, const struct directive *b)
{
    return a == b ||
           (a->target && a->target == b->target && a->offset == b->offset);
}

static enum err note(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    s->again = false;
    for (unsigned i = 0; i < s->nseen && !s->again; i++)
        s->again = same(s->seen[i], d);
    if (s->again && !(d->flags & MANY))
        return node_fail(n, "\"%s\" directive is duplicate", d->name);
    if (!s->again)
        s->seen[s->nseen++] = d;
    return OK;
}

static enum err apply(struct scope *s, const struct node *n, unsigned pass)
{
    bool known;
    const struct directive *d = find(n, s->context, &known);
    if (!d && known)
        return node_fail(n, "\"%s\" directive is not allowed here",
                         n->name.data);
    if (!d)
        return node_fail(n, "unknown directive \"%s\"", n->name.data);
    if ((d->flags & NESTED) != pass && !(d->flags & TWICE))
        return OK;
    enum err e = check(d, n);
    if (!e)
        e = note(s, d, n);
    s->conf->latchkey |= slice_starts(n->name, SLICE("latchkey_"));
    return e ? e : d->set(s, d, n);
}

void *directive_field(const struct scope *s, const struct directive *d)
{
    char *base = d->target == TO_CONF       ? (char *)s->conf
                 : d->target == TO_SERVER   ? (char *)s->server
                 : d->target == TO_LOCATION ? (char *)s->location
                                            : NULL;
    return base ? base + d->offset : NULL;
}

enum err directive_apply(struct scope *s, const struct node *nodes)
{
    _Static_assert(DIRECTIVES <= sizeof s->seen / sizeof s->seen[0],
                   "a block can have each directive once in seen");
    const unsigned passes[] = { 0, NESTED };
    for (int i = 0; i < 2; i++)
        for (const struct node *n = nodes; n; n = n->next) {
            s->second = i > 0;
            enum err e = apply(s, n, passes[i]);
            if (e)
                return e;
        }
    return OK;
}
