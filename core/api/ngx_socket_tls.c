/* ngx_socket_tls.c -- sock:sslhandshake: TLS on a connected socket. */
#include "api/cdata.h"
#include "api/ngx_socket.h"
#include "net/stream_tls.h"
#include <stdio.h>
#include <stdlib.h>

/* One for all locations that say the same. */
struct tls_context {
    struct conf_sockets of;
    SSL_CTX *context;
    struct tls_context *next;
};

static const char session_kind;

static int f_free(lua_State *L)
{
    SSL_SESSION_free(cdata_at(L, 1));
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static bool same(const struct conf_sockets *a, const struct conf_sockets *b)
{
    return same_text(a->trusted, b->trusted) && same_text(a->crl, b->crl) &&
           same_text(a->certificate, b->certificate) &&
           same_text(a->certificate_key, b->certificate_key) &&
           slice_eq(a->ciphers, b->ciphers) && a->protocols == b->protocols &&
           a->verify_depth == b->verify_depth;
}

static SSL_CTX *context_of(struct ngx_sockets *all,
                           const struct conf_sockets *conf)
{
    struct stream_tls_settings settings = {
        .trusted = conf->trusted,
        .crl = conf->crl,
        .certificate = conf->certificate,
        .certificate_key = conf->certificate_key,
        .ciphers = conf->ciphers.data,
        .protocols = conf->protocols,
        .verify_depth = conf->verify_depth,
    };
    struct tls_context *c = all->contexts;
    while (c && !same(&c->of, conf))
        c = c->next;
    if (c)
        return c->context;
    c = calloc(1, sizeof *c);
    if (!c || stream_tls_context(&c->context, &settings) != OK) {
        free(c);
        return NULL;
    }
    c->of = *conf;
    c->next = all->contexts;
    all->contexts = c;
    return c->context;
}

static void push_session(struct cosocket *k, lua_State *L, struct task *t)
{
    SSL_SESSION *session = SSL_get1_session(k->stream->tls);
    if (!session) {
        lua_pushnil(L);
        return;
    }
    ngx_socket_debug(t, "lua ssl save session: %p", (void *)session);
    cdata_push(L, k->api->vm, &session_kind, session);
}

static int fail(struct cosocket *k, lua_State *L, const char *why)
{
    int n = vm_fail(L, why);
    ngx_socket_close(k);
    return n;
}

static int refuse(struct cosocket *k, lua_State *L, struct task *t, long code)
{
    const char *why = err_text();
    if (code && k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR,
                       "lua ssl certificate verify error: (%ld: %s)", code,
                       why);
    else if (k->conf->log_errors)
        ngx_socket_log(t, LOG_ERR,
                       "lua ssl certificate does not match host \"%s\"",
                       k->tls.name);
    if (code)
        why = lua_pushfstring(L, "%d: %s", (int)code, why);
    return fail(k, L, why);
}

/* What the handshake answers, or SOCKET_WAITS. */
static int try_handshake(struct cosocket *k, lua_State *L, struct task *t)
{
    long code = 0;
    enum err e = stream_tls_handshake(k->stream);
    if (e == PENDING)
        return SOCKET_WAITS;
    if (e != OK) {
        ngx_socket_log(t, LOG_ERR, "SSL_do_handshake() failed (SSL: %s)",
                       err_text());
        return fail(k, L, "handshake failed");
    }
    if (k->tls.verify &&
        stream_tls_verify(k->stream, slice_str(k->tls.name), &code) != OK)
        return refuse(k, L, t, code);
    if (k->tls.want_session)
        push_session(k, L, t);
    else
        lua_pushboolean(L, true);
    return 1;
}

static void on_ready(void *user)
{
    struct cosocket *k = user;
    struct task *t = k->connector;
    int n = try_handshake(k, t->co, t);
    if (n == SOCKET_WAITS)
        stream_wait(k->stream, STREAM_IN, on_ready, k);
    else
        ngx_socket_resume(k, t, n);
}

static void on_late(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct cosocket *k = t->op;
    ngx_socket_resume(k, t, fail(k, t->co, k->stream ? "timeout" : "closed"));
}

static enum err identify(lua_State *L, struct stream *s)
{
    lua_rawgeti(L, 1, SOCKET_CERT);
    lua_rawgeti(L, 1, SOCKET_PKEY);
    STACK_OF(X509) *chain = cdata_at(L, -2);
    EVP_PKEY *key = cdata_at(L, -1);
    lua_pop(L, 2); /* the table keeps them */
    return chain && key ? stream_tls_identify(s, chain, key) : OK;
}

/* False: results of a refusal are pushed. */
static bool start(lua_State *L, struct cosocket *k)
{
    SSL_CTX *context = context_of(k->api->sockets, k->conf);
    SSL_SESSION *session = cdata_at(L, 2);
    struct task *t = task_running(L);
    const char *name = lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : "";
    k->tls.name = *name ? ngx_socket_text(L, 3, SOCKET_NAME) : "";
    k->tls.verify = lua_toboolean(L, 4);
    k->tls.want_session = lua_isnil(L, 2) || session;
    if (session)
        ngx_socket_debug(t, "lua ssl set session: %p", (void *)session);
    if (*name)
        ngx_socket_debug(t, "lua ssl server name: \"%s\"", name);
    enum err e = context ? stream_tls_start(k->stream, context,
                                            *name ? name : NULL, session)
                         : ERR_CONFIG;
    if (e == OK)
        e = identify(L, k->stream);
    if (e == OK && lua_toboolean(L, 5))
        SSL_set_tlsext_status_type(k->stream->tls, TLSEXT_STATUSTYPE_ocsp);
    if (e != OK)
        fail(k, L, err_text());
    return e == OK;
}

static struct cosocket *check(lua_State *L)
{
    int n = lua_gettop(L);
    if (n < 1 || n > 5)
        luaL_error(L,
                   "ngx.socket sslhandshake: expecting 1 ~ 5 arguments "
                   "(including the object), but seen %d",
                   n);
    const void *owner = ngx_socket_owner(L);
    struct cosocket *k = ngx_socket_at(L, 1);
    lua_settop(L, 5);
    if (!k || !k->stream || k->read_closed || k->write_closed) {
        vm_fail(L, "closed");
        return NULL;
    }
    return ngx_socket_may(L, k, owner, SOCKET_ALL) ? k : NULL;
}

/* sock:sslhandshake(session?, server_name?, verify?, status_request?): the
 * session, or true where session is false. */
int ngx_socket_sslhandshake(lua_State *L)
{
    struct cosocket *k = check(L);
    if (!k)
        return 2;
    struct task *t = task_check(L);
    if (k->stream->tls) { /* done before */
        if (lua_isnil(L, 2))
            push_session(k, L, t);
        else if (cdata_at(L, 2))
            lua_pushvalue(L, 2);
        else
            lua_pushboolean(L, true);
        return 1;
    }
    if (!start(L, k))
        return 2;
    int n = try_handshake(k, L, t);
    if (n != SOCKET_WAITS)
        return n;
    k->connector = t;
    stream_wait(k->stream, STREAM_IN, on_ready, k);
    ngx_socket_deadline(
        t, ngx_socket_limit(k->connect_msec, k->conf->connect_timeout),
        on_late);
    return task_wait(t, ngx_socket_cancel, k);
}

/* sock:setclientcert(chain, key): who we say we are in handshakes to come;
 * nil for both: nobody. */
int ngx_socket_setclientcert(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 3);
    bool cert = lua_toboolean(L, 2), key = lua_toboolean(L, 3);
    if (cert != key)
        return vm_fail(L, "client certificate must be supplied with "
                          "corresponding private key");
    if (cert && !cdata_at(L, 2))
        return vm_fail(
            L, lua_pushfstring(L, "bad cert arg: cdata expected, got %s",
                               luaL_typename(L, 2)));
    if (key && !cdata_at(L, 3))
        return vm_fail(
            L, lua_pushfstring(L, "bad pkey arg: cdata expected, got %s",
                               luaL_typename(L, 3)));
    lua_rawseti(L, 1, SOCKET_PKEY);
    lua_rawseti(L, 1, SOCKET_CERT);
    lua_pushboolean(L, true);
    return 1;
}

void ngx_socket_tls_open(struct vm *vm)
{
    cdata_open(vm, &session_kind, f_free);
}

void ngx_socket_tls_fini(struct tls_context *contexts)
{
    while (contexts) {
        struct tls_context *c = contexts;
        contexts = c->next;
        SSL_CTX_free(c->context);
        free(c);
    }
}
