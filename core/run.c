/* run.c -- `latchkey run FILE`: a Lua script with the whole API. */
#include "run.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "generation.h"
#include "net/client.h"
#include "options.h"
#include "paths.h"
#include "platform/flight.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRAGGLE_MSEC = 2000 };

struct run {
    uv_loop_t loop;
    struct mailbox mailbox;
    struct api_process process;
    struct api_worker worker;
    struct flight_table flights;
    struct generation *generation;
    struct api *api;
    struct arena arena;
    struct buf code; /* of -l and -e */
    bool inlined;    /* there was an -e */
    int status;
};

static void on_done(struct task *t, bool ok)
{
    struct run *run = t->user;
    run->status = ok ? 0 : 1;
    if (!ok) {
        const char *why = lua_tostring(t->co, -1);
        luaL_traceback(t->vm->L, t->co, why ? why : "unknown reason", 0);
        fprintf(stderr, "latchkey: %s\n", lua_tostring(t->vm->L, -1));
        lua_pop(t->vm->L, 1);
    }
    uv_stop(&run->loop);
}

/* -I DIR: modules are looked for there first. */
static void add_folder(struct vm *vm, const char *folder)
{
    struct buf path = { 0 };
    buf_addf(&path, "%s/?.lua;%s/?/init.lua;;", folder, folder);
    vm_set_path(vm, "path", buf_slice(&path));
    buf_clear(&path);
    buf_addf(&path, "%s/?.so;;", folder);
    vm_set_path(vm, "cpath", buf_slice(&path));
    buf_free(&path);
}

/* The options before the script, resty's: -I DIR, -l MODULE, -e CODE, each
 * perhaps more than once.  *at is then the script's name, or, where there is
 * code, the last argument before the script's own. */
static enum err read_options(struct run *run, int argc, char **argv, int *at)
{
    for (; *at < argc && argv[*at][0] == '-' && argv[*at][1]; ++*at) {
        char option = argv[*at][1];
        if (!strchr("Ile", option) || argv[*at][2])
            return err_set(ERR_CONFIG, "run: invalid option: \"%s\"",
                           argv[*at]);
        if (++*at == argc)
            return err_set(ERR_CONFIG, "run: option \"-%c\" requires a value",
                           option);
        if (option == 'I')
            add_folder(run->api->vm, argv[*at]);
        else if (option == 'l')
            buf_addf(&run->code, "require [=[%s]=] ", argv[*at]);
        else
            buf_addf(&run->code, "%s ", argv[*at]);
        run->inlined |= option == 'e';
    }
    *at -= run->inlined;
    return *at < argc ? OK : err_set(ERR_CONFIG, "run: which file?");
}

/* Modules and code, or modules and then FILE ("-": standard input). */
static int load(struct run *run, const char *file)
{
    lua_State *L = run->api->vm->L;
    if (!run->inlined && !run->code.len)
        return luaL_loadfile(L, strcmp(file, "-") ? file : NULL);
    if (!run->inlined)
        buf_add_str(&run->code, "return assert(loadfile(arg[0] ~= '-' and "
                                "arg[0] or nil))(...)");
    return luaL_loadbuffer(L, run->code.data, run->code.len, "=(command line)");
}

/* arg[0] is the script, arg[1] its first argument, as in lua(1). */
static void set_arg(lua_State *L, int argc, char **argv, int script)
{
    lua_createtable(L, argc - script, 1);
    for (int i = script; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - script);
    }
    lua_setglobal(L, "arg");
}

static enum err open_all(struct run *run, const struct options *o)
{
    uv_loop_init(&run->loop);
    flight_init(&run->flights);
    enum err e = mailbox_init(&run->mailbox, &run->loop);
    run->process = (struct api_process){
        .flights = &run->flights,
        .lua_path = paths_lua(&run->arena),
        .workers = 1,
        .console = true,
        .started = (uint64_t)clock_now(),
    };
    run->worker = (struct api_worker){ .loop = &run->loop,
                                       .mailbox = &run->mailbox,
                                       .process = &run->process };
    if (e == OK)
        e = client_new(&run->worker.client, &run->loop);
    if (e == OK)
        e = generation_new_bare(&run->generation, o);
    if (e == OK)
        e = api_new_bare(&run->api, &run->worker, &run->generation->api);
    return e;
}

static enum err start(struct run *run, int argc, char **argv, int script)
{
    lua_State *L = run->api->vm->L;
    enum err e = read_options(run, argc, argv, &script);
    if (e != OK)
        return e;
    if (load(run, argv[script]))
        return err_set(ERR_SCRIPT, "%s", lua_tostring(L, -1));
    set_arg(L, argc, argv, script);
    for (int i = script + 1; i < argc; i++)
        lua_pushstring(L, argv[i]);
    struct task *t = task_new(run->api->vm, L, argc - script - 1);
    if (!t)
        return ERR_NOMEM;
    t->context = "ngx.timer"; /* all waits, no request: as in resty */
    t->on_done = on_done;
    t->user = run;
    run->status = -1;
    task_start(t);
    return OK;
}

static void close_all(struct run *run)
{
    buf_free(&run->code);
    api_free(run->api);
    threads_ended(STRAGGLE_MSEC);
    client_free(run->worker.client, NULL, NULL);
    mailbox_close(&run->mailbox, NULL);
    while (uv_loop_close(&run->loop) == UV_EBUSY)
        uv_run(&run->loop, UV_RUN_DEFAULT); /* a stop may be pending */
    generation_unref(run->generation);
    flight_fini(&run->flights);
    arena_free(&run->arena);
}

int run_main(const struct options *o, int argc, char **argv)
{
    struct run run = { .status = 1 };
    if (o->rest >= argc) {
        log_emerg("run: which file?");
        return 1;
    }
    enum err e = open_all(&run, o);
    if (e == OK)
        e = start(&run, argc, argv, o->rest);
    if (e != OK)
        log_emerg("%s", err_text());
    else if (run.status < 0)
        uv_run(&run.loop, UV_RUN_DEFAULT);
    close_all(&run);
    return e == OK ? run.status : 1;
}
