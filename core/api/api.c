/* api.c -- a vm with all that scripts can call, for one generation. */
#include "api/api.h"
#include "api/request.h"
#include "base/log_capture.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void api_preload(struct vm *vm, const char *name, const luaL_Reg *funcs)
{
    lua_State *L = vm->L;
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_newtable(L);
    vm_register(vm, L, funcs);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

typedef void opener(struct vm *vm, lua_State *L);

static void open_some(struct vm *vm, opener *const *openers, size_t count)
{
    lua_State *L = vm->L;
    lua_createtable(L, 0, 128);
    for (size_t i = 0; i < count; i++)
        openers[i](vm, L);
    lua_pushvalue(L, -1);
    lua_setglobal(L, "ngx");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loaded");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "ngx");
    lua_pop(L, 3);
}

static void open_all(struct vm *vm)
{
    static opener *const openers[] = {
        ngx_open,
        ngx_abort_open,
        ngx_arg_open,
        ngx_location_open,
        ngx_output_open,
        collect_open,
        ngx_req_open,
        ngx_body_open,
        modules_open,
        ngx_re_open,
        ngx_header_open,
        ngx_var_open,
        ngx_log_open,
        ngx_time_open,
        ngx_sleep_open,
        ngx_timer_open,
        ngx_shared_open,
        ngx_escape_open,
        ngx_base64_open,
        ngx_digest_open,
        ngx_config_open,
        ngx_worker_open,
        ngx_worker_thread_open,
        ndk_open,
        ngx_thread_open,
        ngx_semaphore_open,
        ngx_ssl_open,
        ngx_socket_open,
        latchkey_crypto_open,
        latchkey_driver_open,
        latchkey_exchange_open,
        latchkey_flight_open,
        latchkey_http_open,
        latchkey_underway_open,
        latchkey_journal_open,
        latchkey_keyring_open,
        latchkey_metrics_open,
        latchkey_request_open,
        latchkey_server_open,
        latchkey_store_open,
        latchkey_token_open,
    };
    open_some(vm, openers, sizeof openers / sizeof *openers);
}

/* What lua-nginx-module's reference names for ngx.run_worker_thread. */
static void open_aside(struct vm *vm)
{
    static opener *const openers[] = {
        modules_open,    ngx_re_open,     ngx_shared_open, ngx_escape_open,
        ngx_base64_open, ngx_digest_open, ngx_config_open,
    };
    open_some(vm, openers, sizeof openers / sizeof *openers);
}

/* The configured path, or LuaJIT's; then our own modules. */
static void set_paths(struct api *api)
{
    const struct conf *conf = api->conf;
    const char *own = api->worker->process->lua_path;
    if (conf->lua_package_path.data)
        vm_set_path(api->vm, "path", conf->lua_package_path);
    if (conf->lua_package_cpath.data)
        vm_set_path(api->vm, "cpath", conf->lua_package_cpath);
    if (!own)
        return;
    struct buf path = { 0 };
    buf_addf(&path, ";;;%s", own);
    vm_set_path(api->vm, "path", buf_slice(&path));
    buf_free(&path);
}

/* "init_by_lua error: ..." instead of whatever else stands before the text of
 * a fault in loading. */
static enum err name_directive(enum err e, const struct conf_code *code)
{
    char text[1024];
    const char *why = err_text();
    if (!strncmp(why, "failed to load", 14) && strstr(why, ": "))
        why = strstr(why, ": ") + 2;
    snprintf(text, sizeof text, "%s%s error: %s", code->directive,
             code->is_file ? "_file" : "", why);
    return err_set(e, "%s", text);
}

static enum err run_code(struct api *api, const struct conf_code *code,
                         const char *phase)
{
    if (!code)
        return OK;
    api->vm->phase = phase;
    enum err e =
        api_push_code(api, code, code->is_file ? code->text.data : "", true);
    if (e == OK)
        e = vm_call(api->vm, 0, 0);
    api->vm->phase = NULL;
    return e == OK ? OK : name_directive(e, code);
}

/* latchkey.app keeps what it is given, by name. */
static enum err load_apps(struct api *api)
{
    lua_State *L = api->vm->L;
    const struct api_generation *g = api->generation;
    for (unsigned i = 0; i < g->napps; i++) {
        if (!g->apps[i].text.data)
            continue;
        lua_getglobal(L, "require");
        lua_pushliteral(L, "latchkey.app");
        enum err e = vm_call(api->vm, 1, 1);
        if (e != OK)
            return e;
        lua_getfield(L, -1, "install");
        lua_remove(L, -2);
        vm_push(L, g->apps[i].name);
        lua_pushstring(L, g->apps[i].path);
        vm_push(L, g->apps[i].text);
        e = vm_call(api->vm, 3, 0);
        if (e != OK)
            return e;
    }
    return OK;
}

static enum err make(struct api **out, struct api_worker *worker,
                     const struct api_generation *generation,
                     void (*open)(struct vm *vm))
{
    struct api *api = calloc(1, sizeof *api);
    if (!api)
        return ERR_NOMEM;
    enum err e = vm_new(&api->vm, worker->loop);
    if (e != OK) {
        free(api);
        return e;
    }
    api->vm->host = api;
    api->vm->generation = generation->number;
    api->worker = worker;
    api->generation = generation;
    api->conf = generation->conf;
    api->ctx_ref = LUA_NOREF;
    lua_newtable(api->vm->L);
    api->codes_ref = luaL_ref(api->vm->L, LUA_REGISTRYINDEX);
    open(api->vm);
    set_paths(api);
    stress_begin(api);
    *out = api;
    return OK;
}

/* As in OpenResty it is there, and with it table.new and table.clear, without
 * being asked for. */
static void load_core(struct api *api)
{
    if (!api->worker->process->lua_path)
        return;
    lua_getglobal(api->vm->L, "require");
    lua_pushliteral(api->vm->L, "resty.core");
    if (vm_call(api->vm, 1, 0) != OK)
        log_write(LOG_ALERT, "failed to load the 'resty.core' module: %s",
                  err_text());
}

enum err api_new_bare(struct api **out, struct api_worker *worker,
                      const struct api_generation *generation)
{
    enum err e = make(out, worker, generation, open_all);
    if (e == OK)
        load_core(*out);
    return e;
}

enum err api_new_aside(struct api **out, struct api_worker *worker,
                       const struct api_generation *generation)
{
    enum err e = make(out, worker, generation, open_aside);
    if (e == OK)
        limits_set((*out)->vm, generation->conf->lua_run_timeout,
                   (size_t)generation->conf->lua_memory_limit);
    return e;
}

enum err api_new(struct api **out, struct api_worker *worker,
                 const struct api_generation *generation)
{
    struct api *api;
    enum err e = api_new_bare(&api, worker, generation);
    if (e != OK)
        return e;
    log_capture_open((size_t)api->conf->lua_capture_error_log);
    limits_set(api->vm, api->conf->lua_run_timeout,
               (size_t)api->conf->lua_memory_limit);
    e = run_code(api, api->conf->init, "init_by_lua*");
    if (e == OK)
        e = load_apps(api);
    if (e == OK)
        global_guard(api->vm);
    if (e == OK && api->conf->uncached)
        fresh_note(api);
    if (e == OK)
        *out = api;
    else
        api_free(api);
    return e;
}

/* One worker does what is to be done once in a while. */
static enum err start_sweeper(struct api *api)
{
    lua_State *L = api->vm->L;
    if (api->worker->id || !api->worker->store || !api->generation->napps)
        return OK;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "latchkey.sweeper");
    enum err e = vm_call(api->vm, 1, 1);
    if (e != OK)
        return e;
    lua_getfield(L, -1, "start");
    lua_remove(L, -2);
    return vm_call(api->vm, 0, 0);
}

enum err api_start(struct api *api)
{
    enum err e = run_code(api, api->conf->init_worker, "init_worker_by_lua*");
    return e == OK ? start_sweeper(api) : e;
}

void api_exit(struct api *api)
{
    if (run_code(api, api->conf->exit_worker, "exit_worker_by_lua*") != OK)
        log_write(LOG_ERR, "%s", err_text());
}

void api_retire(struct api *api, void (*on_drained)(struct vm *vm))
{
    vm_hold(api->vm);
    api_exit(api);
    ngx_timer_retire(api);
    vm_retire(api->vm, on_drained);
    vm_release(api->vm);
}

void api_free(struct api *api)
{
    if (!api)
        return;
    ngx_timer_drop_all(api);
    vm_free(api->vm);
    ngx_socket_fini(api->sockets);
    ngx_worker_thread_fini(api->threads);
    buf_free(&api->output);
    free(api);
}

struct request *api_request_or_null(lua_State *L)
{
    if (vm_of(L)->phase)
        return api_of(L)->direct;
    struct task *t = task_running(L);
    return t ? task_root(t)->owner : NULL;
}

static const char *context(const struct vm *vm)
{
    return vm->phase ? vm->phase : vm->running ? vm->running->context : NULL;
}

struct request *api_request(lua_State *L)
{
    struct request *r = api_request_or_null(L);
    if (!r)
        luaL_error(L, context(vm_of(L)) ? "API disabled in the current context"
                                        : "no request found");
    return r;
}

struct request *api_request_in(lua_State *L, unsigned phases)
{
    struct request *r = api_request_or_null(L);
    const char *where = context(vm_of(L));
    if (!r || !(phases & 1u << r->phase))
        luaL_error(L, "API disabled in the context of %s",
                   where ? where : "init_by_lua*");
    return r;
}

const struct conf_sockets *api_sockets(lua_State *L)
{
    struct task *t = task_running(L);
    const struct conf *conf = api_of(L)->conf;
    t = t ? task_root(t) : NULL;
    if (t && t->owner)
        return &((const struct request *)t->owner)->location->sockets;
    if (t && t->settings)
        return t->settings;
    return conf->sockets ? conf->sockets : &conf_sockets_default;
}

static void push_key(lua_State *L, const struct conf_code *code,
                     const char *path)
{
    if (code->is_file)
        lua_pushstring(L, path);
    else
        lua_pushlightuserdata(L, (void *)(uintptr_t)code);
}

static enum err compile(struct api *api, const struct conf_code *code,
                        const char *path)
{
    lua_State *L = api->vm->L;
    int rc = code->is_file ? luaL_loadfile(L, path)
                           : luaL_loadbuffer(L, code->text.data, code->text.len,
                                             code->chunk.data);
    if (!rc)
        return OK;
    enum err e = rc == LUA_ERRFILE ? ERR_NOT_FOUND : ERR_SCRIPT;
    const char *why = lua_tostring(L, -1);
    if (code->is_file)
        err_set(e, "failed to load external Lua file \"%s\": %s", path, why);
    else
        err_set(e, "failed to load inlined Lua code: %s", why);
    lua_pop(L, 1);
    return e;
}

enum err api_push_code(struct api *api, const struct conf_code *code,
                       const char *path, bool cached)
{
    lua_State *L = api->vm->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, api->codes_ref);
    if (cached) {
        push_key(L, code, path);
        lua_rawget(L, -2);
        if (!lua_isnil(L, -1)) {
            lua_remove(L, -2);
            return OK;
        }
        lua_pop(L, 1);
    }
    enum err e = compile(api, code, path);
    if (e == OK && cached) {
        push_key(L, code, path);
        lua_pushvalue(L, -2);
        lua_rawset(L, -4);
    }
    lua_remove(L, e == OK ? -2 : -1);
    return e;
}
