/* latchkey_store.c -- `require "latchkey.store"`: durable records.
 *
 * Values are strings, except under keys that begin with "ring/": those are
 * key rings, and a script gets them as handles only. */
#include "api/api.h"
#include "api/latchkey_keyring.h"
#include "base/clock.h"
#include "store/faults.h"
#include "store/store.h"
#include <stdlib.h>

enum { WRITES_MAX = 16 };

static bool is_ring(struct slice key)
{
    return slice_starts(key, SLICE("ring/"));
}

/* A version as scripts hold it: what the store noted of a read. */
static const char version_class[] = "latchkey.version";

static struct store_mark *version_at(lua_State *L, int index)
{
    return vm_test(L, index, version_class);
}

static void push_version(lua_State *L, const struct store_mark *mark)
{
    struct store_mark *copy = lua_newuserdata(L, sizeof *copy);
    *copy = *mark;
    luaL_getmetatable(L, version_class);
    lua_setmetatable(L, -2);
}

/* ---- reading ------------------------------------------------------------- */

/* nil, "store_unavailable", and why: for operators. */
static int push_fault(lua_State *L)
{
    const char *why = err_text();
    vm_fail(L, "store_unavailable");
    lua_pushstring(L, why);
    return 3;
}

static int push_read(lua_State *L, struct store_read *read)
{
    if (read->result == ERR_NOT_FOUND)
        return vm_fail(L, "not found");
    if (read->result != OK)
        return push_fault(L);
    if (read->same) {
        lua_pushboolean(L, true);
        return 1;
    }
    if (!is_ring(read->key)) {
        vm_push(L, buf_slice(&read->value));
    } else if (!keyring_decode(latchkey_keyring_push(L),
                               buf_slice(&read->value))) {
        faults_note(read->key, ERR_STORE);
        return vm_fail(L, "store_unavailable");
    }
    push_version(L, &read->mark);
    return 2;
}

static struct store_conn *conn_of(lua_State *L)
{
    struct store_conn *conn = api_of(L)->worker->store;
    if (!conn)
        luaL_error(L, "no store here");
    return conn;
}

/* A read that waits. */
struct reading {
    struct store_read read;
    struct task *task;        /* NULL: it went away */
    struct store_mark *known; /* kept by ref; NULL: none */
    int ref;
    char key[STORE_KEY_MAX];
};

static void reading_free(struct reading *r)
{
    buf_wipe(&r->read.value);
    free(r);
}

static void on_read(struct store_read *read)
{
    struct reading *r = read->user;
    struct task *t = r->task;
    if (!t) {
        reading_free(r);
        return;
    }
    if (r->known && read->same)
        *r->known = read->mark;
    luaL_unref(t->co, LUA_REGISTRYINDEX, r->ref);
    int n = push_read(t->co, read);
    reading_free(r);
    task_resume(t, n);
}

static void leave_read(struct task *t)
{
    struct reading *r = t->op;
    luaL_unref(t->vm->L, LUA_REGISTRYINDEX, r->ref);
    r->task = NULL; /* on_read frees it */
}

static int get_afar(lua_State *L, struct store_conn *conn, struct slice key,
                    struct store_mark *known)
{
    struct task *t = task_check(L);
    struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return vm_fail(L, "store_unavailable");
    memcpy(r->key, key.data, key.len);
    r->read.key = SLICE_OF(r->key, key.len);
    r->read.on_done = on_read;
    r->read.user = r;
    r->known = known;
    if (known)
        r->read.mark = *known;
    if (store_get(conn, &r->read) == PENDING) {
        r->task = t;
        lua_settop(L, 2);
        r->ref = luaL_ref(L, LUA_REGISTRYINDEX);
        return task_wait(t, leave_read, r);
    }
    int n = push_read(L, &r->read);
    reading_free(r);
    return n;
}

/* store.get(key, known) -> value (a string, or a key ring), version; `true`
 * where it is still the known version (optional) that it was; nil, "not
 * found" or "store_unavailable", and then why.  May wait. */
static int f_get(lua_State *L)
{
    struct store_read read = { .key = vm_check_slice(L, 1) };
    luaL_argcheck(L, read.key.len >= 1 && read.key.len <= STORE_KEY_MAX, 1,
                  "key of 1 to 400 bytes expected");
    struct store_conn *conn = conn_of(L);
    struct store_mark *known = version_at(L, 2);
    if (store_waits(conn))
        return get_afar(L, conn, read.key, known);
    if (known)
        read.mark = *known;
    store_get(conn, &read);
    if (known && read.same)
        *known = read.mark;
    int n = push_read(L, &read);
    buf_wipe(&read.value);
    return n;
}

/* ---- walking ------------------------------------------------------------- */

enum { SCAN_MAX = 20000 };

/* A step through the keys; made by both functions, kept where it waits. */
struct scanning {
    struct store_scan scan;
    struct task *task; /* NULL: it went away, or none waits */
    char prefix[STORE_KEY_MAX], after[STORE_AFTER_MAX];
};

/* What to go on with, beyond the last key that was looked at; or nil. */
static void push_next(lua_State *L, const struct store_scan *s,
                      struct slice last)
{
    if (s->more)
        vm_push(L, *s->next ? slice_str(s->next) : last);
    else
        lua_pushnil(L);
}

static int push_keys(lua_State *L, const struct store_scan *s)
{
    struct slice left = buf_slice(&s->keys), key = SLICE_NONE;
    uint64_t expires, now = (uint64_t)clock_now();
    int count = 0;
    lua_newtable(L);
    while (store_scan_next(&left, &key, &expires)) {
        if (expires && expires <= now)
            continue;
        vm_push(L, key);
        lua_rawseti(L, -2, ++count);
    }
    push_next(L, s, key);
    return 2;
}

static int push_count(lua_State *L, const struct store_scan *s)
{
    struct slice left = buf_slice(&s->keys), last = SLICE_NONE;
    uint64_t expires;
    store_scan_next(&left, &last, &expires);
    lua_pushinteger(L, (lua_Integer)s->count);
    push_next(L, s, last);
    return 2;
}

static int push_scan(lua_State *L, const struct scanning *s)
{
    if (s->scan.result)
        return vm_fail(L, "store_unavailable");
    return s->scan.counts ? push_count(L, &s->scan) : push_keys(L, &s->scan);
}

static void scanning_free(struct scanning *s)
{
    buf_free(&s->scan.keys);
    free(s);
}

static void on_scanned(struct store_scan *scan)
{
    struct scanning *s = scan->user;
    struct task *t = s->task;
    int n = t ? push_scan(t->co, s) : 0;
    scanning_free(s);
    if (t)
        task_resume(t, n);
}

static void leave_scan(struct task *t)
{
    ((struct scanning *)t->op)->task = NULL; /* on_scanned frees it */
}

static int scan(lua_State *L, bool counts, uint64_t beyond)
{
    struct slice prefix = vm_check_slice(L, 1), after = vm_slice(L, 2);
    lua_Integer max = luaL_checkinteger(L, 3);
    luaL_argcheck(L, prefix.len <= STORE_KEY_MAX, 1, "too long");
    luaL_argcheck(L, after.len <= STORE_AFTER_MAX, 2, "too long");
    luaL_argcheck(L, max >= 1 && max <= SCAN_MAX, 3, "1 to 20000 expected");
    struct store_conn *conn = conn_of(L);
    struct task *t = store_waits(conn) ? task_check(L) : NULL;
    struct scanning *s = calloc(1, sizeof *s);
    if (!s)
        return vm_fail(L, "store_unavailable");
    memcpy(s->prefix, prefix.data, prefix.len);
    if (after.len)
        memcpy(s->after, after.data, after.len);
    s->scan = (struct store_scan){ .prefix = SLICE_OF(s->prefix, prefix.len),
                                   .after = SLICE_OF(s->after, after.len),
                                   .max = (unsigned)max,
                                   .counts = counts,
                                   .beyond = beyond,
                                   .on_done = on_scanned,
                                   .user = s };
    s->task = t;
    if (store_scan(conn, &s->scan) == PENDING)
        return task_wait(t, leave_scan, s);
    int n = push_scan(L, s);
    scanning_free(s);
    return n;
}

/* store.keys(prefix, after or nil, max) -> {key, ...}; what to give as `after`
 * for those that follow, or nil at the end.  nil, "store_unavailable".  In
 * their order, looking at max keys at most; over Redis without order, a key
 * may come twice, and the list may be empty before the end.  May wait. */
static int f_keys(lua_State *L)
{
    return scan(L, false, 0);
}

/* store.count(prefix, after or nil, max, at) -> how many of these keys expire
 * after unix time `at`; what to give as `after` to go on counting, or nil at
 * the end.  nil, "store_unavailable".  May wait. */
static int f_count(lua_State *L)
{
    return scan(L, true, (uint64_t)luaL_checknumber(L, 4));
}

/* ---- writing ------------------------------------------------------------- */

struct writing {
    struct store_commit commit;
    struct store_write writes[WRITES_MAX];
    struct arena arena;
    struct buf rings[WRITES_MAX];
    struct task *task; /* NULL: it went away, the commit goes on */
};

static void writing_free(struct writing *w)
{
    for (unsigned i = 0; i < WRITES_MAX; i++)
        buf_wipe(&w->rings[i]);
    arena_free(&w->arena);
    free(w);
}

static int push_result(lua_State *L, enum err e)
{
    if (e == OK) {
        lua_pushboolean(L, true);
        return 1;
    }
    return e == ERR_CONFLICT ? vm_fail(L, "conflict") : push_fault(L);
}

static void on_committed(struct store_commit *commit)
{
    struct writing *w = commit->user;
    struct task *t = w->task;
    int n = t ? push_result(t->co, commit->result) : 0;
    writing_free(w);
    if (t)
        task_resume(t, n);
}

static void leave_write(struct task *t)
{
    ((struct writing *)t->op)->task = NULL; /* on_committed frees it */
}

/* Raises where the list is not one; holds nothing. */
static unsigned check_list(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    size_t n = lua_objlen(L, 1);
    luaL_argcheck(L, n >= 1 && n <= WRITES_MAX, 1, "1 to 16 writes expected");
    for (int i = 1; i <= (int)n; i++) {
        lua_rawgeti(L, 1, i);
        luaL_checktype(L, -1, LUA_TTABLE);
        lua_getfield(L, -1, "key");
        struct slice key = vm_slice(L, -1);
        luaL_argcheck(L, key.len >= 1 && key.len <= STORE_KEY_MAX, 1,
                      "key of 1 to 400 bytes expected");
        lua_getfield(L, -2, "value");
        lua_getfield(L, -3, "remove");
        bool ring = latchkey_keyring_test(L, -2) != NULL;
        luaL_argcheck(L,
                      lua_toboolean(L, -1) ||
                          (is_ring(key) ? ring : vm_slice(L, -2).data != NULL),
                      1, "value expected");
        lua_pop(L, 4);
    }
    return (unsigned)n;
}

static uint64_t expiry(lua_State *L)
{
    lua_getfield(L, -1, "expires");
    lua_Number at = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return at > 0 ? (uint64_t)at : 0;
}

/* The write that the table at the top describes; checked before. */
static void read_write(lua_State *L, struct writing *w, unsigned i)
{
    struct store_write *write = &w->writes[i];
    lua_getfield(L, -1, "key");
    write->key = arena_dup(&w->arena, vm_slice(L, -1));
    lua_getfield(L, -2, "value");
    struct keyring *ring = latchkey_keyring_test(L, -1);
    if (ring) {
        buf_reserve(&w->rings[i], sizeof *ring);
        keyring_encode(ring, &w->rings[i]);
        write->value = buf_slice(&w->rings[i]);
    } else {
        write->value = arena_dup(&w->arena, vm_slice(L, -1));
    }
    lua_pop(L, 2);
    write->expires = expiry(L);
    lua_getfield(L, -1, "remove");
    write->remove = lua_toboolean(L, -1);
    lua_getfield(L, -2, "expect");
    write->check = !lua_isnil(L, -1);
    const struct store_mark *mark = version_at(L, -1);
    write->expect = mark ? mark->version : 0;
    lua_pop(L, 2);
}

/* store.commit{ {key, value, expires = unix seconds, expect = version or
 * false for "not there", remove = true}, ... } -> true once all of it is on
 * disk; nil, "conflict" (nothing written) or "store_unavailable".  Waits.
 * What was handed over is written even if the caller goes away. */
static int f_commit(lua_State *L)
{
    lua_settop(L, 1);
    unsigned n = check_list(L);
    struct store_conn *conn = conn_of(L);
    struct task *t = task_check(L);
    struct writing *w = calloc(1, sizeof *w);
    if (!w)
        return vm_fail(L, "store_unavailable");
    for (unsigned i = 0; i < n; i++) {
        lua_rawgeti(L, 1, (int)i + 1);
        read_write(L, w, i);
        lua_pop(L, 1);
    }
    w->task = t;
    w->commit.writes = w->writes;
    w->commit.count = n;
    w->commit.on_done = on_committed;
    w->commit.user = w;
    enum err e = store_put(conn, &w->commit);
    if (e == PENDING)
        return task_wait(t, leave_write, w);
    writing_free(w);
    return push_result(L, e);
}

/* store.shared() -> whether other nodes may write to it too. */
static int f_shared(lua_State *L)
{
    lua_pushboolean(L, store_waits(conn_of(L)));
    return 1;
}

/* store.stat() -> {engine, records, bytes, commits, batches, failures, error,
 * failing} */
static int f_stat(lua_State *L)
{
    struct store_stat s;
    conn_of(L);
    store_stat(api_of(L)->worker->process->store, &s);
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = { { "records", s.records }, { "bytes", s.bytes },
                    { "commits", s.commits }, { "conflicts", s.conflicts },
                    { "batches", s.batches }, { "failures", s.failures },
                    { "swept", s.swept },     { "usec", s.usec } };
    lua_createtable(L, 0, 10);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        lua_pushnumber(L, (lua_Number)numbers[i].value);
        lua_setfield(L, -2, numbers[i].name);
    }
    lua_pushstring(L, s.engine);
    lua_setfield(L, -2, "engine");
    lua_pushstring(L, s.error);
    lua_setfield(L, -2, "error");
    lua_pushboolean(L, s.failing);
    lua_setfield(L, -2, "failing");
    return 1;
}

void latchkey_store_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = {
        { "get", f_get },       { "keys", f_keys },     { "count", f_count },
        { "commit", f_commit }, { "shared", f_shared }, { "stat", f_stat },
        { NULL, NULL }
    };
    static const luaL_Reg none[] = { { NULL, NULL } };
    (void)L;
    vm_class(vm, version_class, none);
    api_preload(vm, "latchkey.store", funcs);
}
