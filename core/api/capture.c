/* capture.c -- subrequests: they run, and who asked for them gets their
 * answers.
 *
 * A subrequest is a struct request of its own over the same connection: it
 * goes through the phases of its location, and its answer stays in memory.
 * It begins when the script waits, as nginx has it. */
#include "api/capture.h"
#include "base/crash.h"
#include <stdio.h>

/* t[name] = value, a second value makes a list; the table is on top. */
static void put_header(lua_State *L, const struct http_header *h)
{
    vm_push(L, h->name);
    vm_push(L, h->name);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        vm_push(L, h->value);
    } else if (lua_istable(L, -1)) {
        vm_push(L, h->value);
        lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
    } else {
        lua_createtable(L, 2, 0);
        lua_insert(L, -2);
        lua_rawseti(L, -2, 1);
        vm_push(L, h->value);
        lua_rawseti(L, -2, 2);
    }
    lua_rawset(L, -3);
}

static void push_headers(lua_State *L, struct request *sub)
{
    struct slice length = SLICE("Content-Length");
    output_type(sub);
    lua_createtable(L, 0, (int)sub->out_count);
    for (unsigned i = 0; i < sub->out_count; i++) {
        struct http_header h = sub->out[i];
        char digits[24];
        if (slice_eq_nocase(h.name, length) && slice_eq(h.value, SLICE("0"))) {
            int n = snprintf(digits, sizeof digits, "%zu", sub->output.len);
            h.value = SLICE_OF(digits, (size_t)n); /* its own count */
        }
        put_header(L, &h);
    }
}

static void drop_sub(struct request *sub)
{
    sub->finished = true;
    request_drop_task(sub);
    buf_free(&sub->output);
    crash_forget(sub->crash_note);
    sub->crash_note = 0;
    ngx_body_drop(sub);
    luaL_unref(sub->api->vm->L, LUA_REGISTRYINDEX, sub->ctx_ref);
    sub->ctx_ref = LUA_NOREF;
}

static void push_result(lua_State *L, struct request *sub)
{
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, sub->status);
    lua_setfield(L, -2, "status");
    push_headers(L, sub);
    lua_setfield(L, -2, "header");
    bool head = slice_eq(sub->method, SLICE("HEAD"));
    vm_push(L, head ? SLICE("") : buf_slice(&sub->output));
    lua_setfield(L, -2, "body");
    lua_pushboolean(L, sub->failed);
    lua_setfield(L, -2, "truncated");
    drop_sub(sub);
}

static int push_results(lua_State *L, struct capture *c)
{
    lua_checkstack(L, (int)c->count + 8);
    for (unsigned i = 0; i < c->count; i++)
        push_result(L, c->subs[i]);
    return (int)c->count;
}

static void unlink_capture(struct request *parent, struct capture *c)
{
    struct capture **at = &parent->awaited;
    while (*at && *at != c)
        at = &(*at)->next;
    if (*at)
        *at = c->next;
}

void capture_done(struct request *sub)
{
    struct capture *c = sub->capture;
    struct request *parent = sub->parent;
    parent->subrequests--;
    c->pending--;
    if (c->pending)
        return;
    struct task *t = c->task;
    unlink_capture(parent, c);
    task_resume(t, push_results(t->co, c));
}

static void drop(struct request *parent, struct capture *c)
{
    unlink_capture(parent, c);
    parent->subrequests -= c->pending;
    for (unsigned i = 0; i < c->count; i++)
        if (c->subs[i])
            drop_sub(c->subs[i]);
}

static void cancel_capture(struct task *t)
{
    struct capture *c = t->op;
    uv_timer_stop(&t->timer);
    drop(c->subs[0]->parent, c);
}

bool capture_waits(const struct task *t)
{
    return t->cancel == cancel_capture;
}

void capture_drop(struct request *r)
{
    while (r->awaited)
        drop(r, r->awaited);
}

void capture_keep(struct request *r)
{
    for (struct capture *c = r->awaited; c; c = c->next)
        for (unsigned i = 0; i < c->count; i++) {
            request_keep(c->subs[i]);
            capture_keep(c->subs[i]);
        }
}

struct capture *capture_new(lua_State *L, struct request *r, unsigned count)
{
    struct capture *c = arena_alloc(
        &r->http->arena, sizeof *c + count * sizeof(struct request *));
    if (!c)
        luaL_error(L, "no memory");
    c->count = c->pending = count;
    return c;
}

/* The last of them may end all, this capture too. */
static void run_subs(uv_timer_t *timer)
{
    struct task *t = timer->data;
    struct capture *c = t->op;
    unsigned count = c->count;
    for (unsigned i = 0; i < count; i++)
        phase_run(c->subs[i], CONF_SERVER_REWRITE);
}

int capture_run(struct task *t, struct request *r, struct capture *c)
{
    for (unsigned i = 0; i < c->count; i++)
        c->subs[i]->capture = c;
    r->subrequests += c->count;
    c->next = r->awaited;
    r->awaited = c;
    c->task = t;
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, run_subs, 0, 0);
    return task_wait(t, cancel_capture, c);
}
