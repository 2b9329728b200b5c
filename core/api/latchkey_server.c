/* latchkey_server.c -- `require "latchkey.server"`: this process, for the
 * admin pages. */
#include "api/api.h"
#include "base/clock.h"
#include "base/log_file.h"
#include "base/version.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "crypto/secret_file.h"

enum { SECRET_MAX = 65536 };

static void set_number(lua_State *L, const char *name, double value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

static void push_last_reload(lua_State *L, struct api_process *p)
{
    struct api_reload last = { 0 };
    struct buf text = { 0 };
    if (p->reload_told)
        p->reload_told(p, &last, &text);
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, last.ok);
    lua_setfield(L, -2, "ok");
    set_number(L, "generation", (double)last.generation);
    set_number(L, "at", (double)last.when);
    if (last.fault.len) {
        vm_push(L, last.fault);
        lua_setfield(L, -2, "error");
    }
    buf_free(&text);
}

/* server.status() -> {version, node, uptime, workers, worker, generation,
 * lua_bytes, last_reload = {ok, generation, at, error}} */
static int f_status(lua_State *L)
{
    struct api *api = api_of(L);
    struct api_process *p = api->worker->process;
    lua_createtable(L, 0, 8);
    set_string(L, "version", VERSION);
    set_string(L, "node", p->node ? p->node : "");
    set_number(L, "uptime", clock_now() - (double)p->started);
    set_number(L, "workers", p->workers);
    set_number(L, "worker", api->worker->id);
    set_number(L, "generation", (double)api->generation->number);
    set_number(L, "lua_bytes",
               lua_gc(L, LUA_GCCOUNT, 0) * 1024.0 + lua_gc(L, LUA_GCCOUNTB, 0));
    push_last_reload(L, p);
    lua_setfield(L, -2, "last_reload");
    return 1;
}

/* server.reload() -> true: asked for; status() tells what came of it. */
static int f_reload(lua_State *L)
{
    struct api_process *p = api_of(L)->worker->process;
    if (p->reload)
        p->reload(p);
    lua_pushboolean(L, p->reload != NULL);
    return 1;
}

/* server.faults() -> {app name = why its newer text does not serve} */
static int f_faults(lua_State *L)
{
    const struct api_generation *g = api_of(L)->generation;
    lua_newtable(L);
    for (unsigned i = 0; i < g->napps; i++) {
        if (!g->apps[i].fault)
            continue;
        vm_push(L, g->apps[i].name);
        lua_pushstring(L, g->apps[i].fault);
        lua_rawset(L, -3);
    }
    return 1;
}

static int check_secret(lua_State *L, struct slice secret)
{
    struct slice given = vm_slice(L, 1);
    lua_pushboolean(L, secret.len && given.data && secret_equal(secret, given));
    return 1;
}

/* server.is_admin(token), server.is_service(key) -> whether it is right; in
 * constant time. */
static int f_is_admin(lua_State *L)
{
    return check_secret(L, api_of(L)->worker->process->admin_token);
}

static int f_is_service(lua_State *L)
{
    return check_secret(L, api_of(L)->worker->process->service_key);
}

/* server.settled_time() -> unix seconds for what cannot be undone: a clock
 * that jumps is not believed at once (base/clock.h). */
static int f_settled_time(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_settled());
    return 1;
}

/* server.run_within(seconds): the running task's script may take so much of the
 * processor's time between two waits. */
static int f_run_within(lua_State *L)
{
    lua_Number msec = luaL_checknumber(L, 1) * 1000;
    task_check(L)->run_msec = msec >= 1 ? (uint64_t)msec : 1;
    return 0;
}

/* server.mac(label, text) -> 32 bytes: a keyed hash under the master key, for
 * looking up what must not be stored as it is. */
static int f_mac(lua_State *L)
{
    struct slice label = vm_check_slice(L, 1), text = vm_check_slice(L, 2);
    struct seal_keys *keys = api_of(L)->worker->process->keys;
    uint8_t mac[DIGEST_SHA256];
    if (!keys)
        return luaL_error(L, "no master key here");
    seal_mac(keys, label, text, mac);
    lua_pushlstring(L, (char *)mac, sizeof mac);
    return 1;
}

/* server.prefix() -> the folder that relative paths start from, with its
 * slash. */
static int f_prefix(lua_State *L)
{
    lua_pushstring(L, api_of(L)->conf->prefix);
    return 1;
}

/* server.secret(path) -> the text of a file that holds a secret, whoever may
 * read it being told; nil, why. */
static int f_secret(lua_State *L)
{
    struct buf text = { 0 };
    enum err e = secret_file_read(luaL_checkstring(L, 1), SECRET_MAX, &text);
    if (e == OK)
        vm_push(L, buf_slice(&text));
    buf_wipe(&text);
    return e == OK ? 1 : vm_fail(L, err_text());
}

/* server.apps_folder() -> where the policies are; nil: nowhere. */
static int f_apps_folder(lua_State *L)
{
    lua_pushstring(L, api_of(L)->conf->apps);
    return 1;
}

/* server.event(line): appends it to what latchkey_event_log names.  -> whether
 * there is such a file; without a line that is all. */
static int f_event(lua_State *L)
{
    const char *path = api_of(L)->conf->event_log;
    struct log_file *file;
    bool open = path && log_file_open(&file, path) == OK;
    struct slice line = vm_slice(L, 1);
    if (open && line.data) {
        struct buf text = { 0 };
        buf_add(&text, line);
        buf_add_char(&text, '\n');
        log_file_write(file, buf_slice(&text));
        buf_free(&text);
    }
    lua_pushboolean(L, open);
    return 1;
}

void latchkey_server_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "status", f_status },
                                      { "reload", f_reload },
                                      { "faults", f_faults },
                                      { "is_admin", f_is_admin },
                                      { "settled_time", f_settled_time },
                                      { "run_within", f_run_within },
                                      { "is_service", f_is_service },
                                      { "mac", f_mac },
                                      { "event", f_event },
                                      { "prefix", f_prefix },
                                      { "secret", f_secret },
                                      { "apps_folder", f_apps_folder },
                                      { NULL, NULL } };
    (void)L;
    api_preload(vm, "latchkey.server", funcs);
}
