/* api.h -- what scripts can call, and what the bindings reach for it.
 *
 * Three circles: the process (made by main, shared by threads, each part
 * says how), the worker (one thread's loop and connections), and one
 * generation's vm on one worker (struct api, found as vm->host). */
#pragma once
#include "base/buf.h"
#include "base/mailbox.h"
#include "conf/conf.h"
#include "platform/circuit.h"
#include "vm/task.h"
#include <stdatomic.h>

struct client;
struct flight_table;
struct ngx_sockets;
struct ngx_worker_threads;
struct request;
struct seal_keys;
struct shdict;
struct store;
struct store_conn;

/* A listening socket: what http_listen_tag gives.  It outlives the
 * configuration that named it; all is the worker's whole array. */
struct api_socket {
    const char *address;
    const struct api_socket *all;
    unsigned index, count;
};

/* One policy's text, as all workers of a generation load it. */
struct api_app {
    struct slice name; /* "demo-wechat" */
    const char *path;  /* where it was read */
    struct slice text; /* data NULL: none loads, the app does not serve */
    const char *fault; /* why the file's newer text is not it, or NULL */
};

/* Immutable once built, shared by all workers of a generation. */
struct api_generation {
    const struct conf *conf;
    uint64_t number;
    struct api_app *apps;
    unsigned napps;
    struct shdict **dicts; /* as conf->shared_dicts, in that order */
    /* Any thread: all of it stays until as many calls with false as with true
     * have come, also after its workers have dropped it. */
    void (*hold)(const struct api_generation *g, bool on);
};

/* What /admin/status tells of the last reload; see server.c. */
struct api_reload {
    bool ok;
    uint64_t generation, when; /* unix seconds */
    struct slice fault;        /* in the caller's buf */
};

struct api_process {
    struct flight_table *flights;
    struct store *store;    /* NULL: `run` */
    struct seal_keys *keys; /* NULL: `run` */
    const char *node;
    const char *lua_path; /* "ROOT/lua/?.lua;...": our own modules */
    uint64_t started;     /* unix seconds */
    unsigned workers;
    bool console;          /* `run`: ngx.say writes to stdout */
    _Atomic bool draining; /* shutting down: refuse new requests */
    void (*reload)(struct api_process *p); /* any thread: ask for one */
    void (*reload_told)(struct api_process *p, struct api_reload *out,
                        struct buf *text); /* any thread */
    struct slice admin_token, service_key; /* .data NULL: none */
};

struct api_worker {
    uv_loop_t *loop;
    struct mailbox *mailbox;
    struct client *client;
    struct circuits circuits; /* of the platforms' hosts */
    struct store_conn *store; /* NULL: none */
    struct api_process *process;
    unsigned id;
};

struct api {
    struct vm *vm;
    struct api_worker *worker;
    const struct api_generation *generation;
    const struct conf *conf;
    struct buf output;        /* of ngx.say without a request: `run` */
    struct request *direct;   /* whose code runs outside tasks (vm->phase) */
    struct api_timer *timers; /* ngx_timer.c's, pending */
    unsigned timers_pending, timers_running;
    bool timers_retired; /* a delay is refused: nobody would wait for it */
    struct ngx_sockets *sockets;        /* ngx_socket.c's */
    struct ngx_worker_threads *threads; /* ngx_worker_thread.c's */
    int fresh_ref;                      /* registry: what fresh.c keeps */
    int ctx_ref;   /* registry: ngx.ctx of init_worker_by_lua */
    int codes_ref; /* registry: conf_code or path -> compiled function */
};

/* A vm with the whole API, init_by_lua run and the policies loaded.  Errors:
 * ERR_SCRIPT with file and line in err_text().  generation and worker outlive
 * it. */
enum err api_new(struct api **out, struct api_worker *worker,
                 const struct api_generation *generation);

/* Runs init_worker_by_lua*, once it is going to serve, and latchkey.sweeper in
 * one worker. */
enum err api_start(struct api *api);

/* Runs exit_worker_by_lua*; what it logs of its faults is all that comes of
 * them. */
void api_exit(struct api *api);

/* No new work: timers fire prematurely, the rest drains; then on_drained
 * (from wherever the last hold was let go: do not free right there). */
void api_retire(struct api *api, void (*on_drained)(struct vm *vm));

/* Cancels what is left and frees it.  NULL is fine. */
void api_free(struct api *api);

/* Only the libraries, no configuration's init and no policies: for `run`. */
enum err api_new_bare(struct api **out, struct api_worker *worker,
                      const struct api_generation *generation);

/* Only what waits for nothing and needs no request: for a thread beside the
 * workers. */
enum err api_new_aside(struct api **out, struct api_worker *worker,
                       const struct api_generation *generation);

static inline struct api *api_of(lua_State *L)
{
    return vm_of(L)->host;
}

/* Pushes the function of code, compiled and cached by lua_code_cache.
 * ERR_SCRIPT with nginx's sentence in err_text(); ERR_NOT_FOUND: no such
 * file.  path: the rendered path of a file code, else unused. */
enum err api_push_code(struct api *api, const struct conf_code *code,
                       const char *path, bool cached);

/* The request of the code that runs.  Raises "API disabled in the current
 * context" where there is none. */
struct request *api_request(lua_State *L);

/* The same; raises too unless the phase that runs is one of phases: bits
 * 1 << CONF_REWRITE and so on. */
struct request *api_request_in(lua_State *L, unsigned phases);

/* The same, or NULL. */
struct request *api_request_or_null(lua_State *L);

/* What ngx.socket goes by where the running task is: its location's settings,
 * those of where its timer was made, or those of http. */
const struct conf_sockets *api_sockets(lua_State *L);

/* Each binding file: puts its functions into the table at the top of L (ngx
 * itself), or preloads a module. */
void ndk_open(struct vm *vm, lua_State *L);
void ngx_open(struct vm *vm, lua_State *L);
void ngx_abort_open(struct vm *vm, lua_State *L);
void ngx_body_open(struct vm *vm, lua_State *L); /* after ngx_req_open */
void ngx_arg_open(struct vm *vm, lua_State *L);
void ngx_location_open(struct vm *vm, lua_State *L);
void ngx_output_open(struct vm *vm, lua_State *L);
void collect_open(struct vm *vm, lua_State *L);
void ngx_req_open(struct vm *vm, lua_State *L);
void modules_open(struct vm *vm, lua_State *L); /* own Lua modules */
void ngx_re_open(struct vm *vm, lua_State *L);
void ngx_req_header_open(struct vm *vm, lua_State *L);
void ngx_header_open(struct vm *vm, lua_State *L);
void ngx_var_open(struct vm *vm, lua_State *L);
void ngx_log_open(struct vm *vm, lua_State *L);
void ngx_time_open(struct vm *vm, lua_State *L);
void ngx_sleep_open(struct vm *vm, lua_State *L);
void ngx_timer_open(struct vm *vm, lua_State *L);
void ngx_shared_open(struct vm *vm, lua_State *L);
void ngx_escape_open(struct vm *vm, lua_State *L);
void ngx_base64_open(struct vm *vm, lua_State *L);
void ngx_digest_open(struct vm *vm, lua_State *L);
void ngx_config_open(struct vm *vm, lua_State *L);
void ngx_worker_open(struct vm *vm, lua_State *L);
void ngx_worker_thread_open(struct vm *vm, lua_State *L);
void ngx_thread_open(struct vm *vm, lua_State *L);
void ngx_semaphore_open(struct vm *vm, lua_State *L); /* "ngx.semaphore" */
void ngx_ssl_open(struct vm *vm, lua_State *L);       /* "ngx.ssl" */
void ngx_socket_open(struct vm *vm, lua_State *L);    /* after ngx_req */
void latchkey_crypto_open(struct vm *vm, lua_State *L);
void latchkey_driver_open(struct vm *vm, lua_State *L);
void latchkey_exchange_open(struct vm *vm, lua_State *L);
void latchkey_flight_open(struct vm *vm, lua_State *L);
void latchkey_http_open(struct vm *vm, lua_State *L);
void latchkey_underway_open(struct vm *vm, lua_State *L);
void latchkey_journal_open(struct vm *vm, lua_State *L);
void latchkey_keyring_open(struct vm *vm, lua_State *L);
void latchkey_metrics_open(struct vm *vm, lua_State *L);
void latchkey_request_open(struct vm *vm, lua_State *L);
void latchkey_server_open(struct vm *vm, lua_State *L);
void latchkey_store_open(struct vm *vm, lua_State *L);
void latchkey_token_open(struct vm *vm, lua_State *L);

/* lua_code_cache off: what is loaded and global now stays; the rest goes at
 * each fresh_start. (fresh.c) */
void fresh_note(struct api *api);
void fresh_start(struct api *api);

/* Clients that leave where a test wants them to. (stress.c) */
void stress_begin(struct api *api);

/* From now on the log tells of new global variables. (global.c) */
void global_guard(struct vm *vm);

/* ngx_timer.c: all pending ones fire prematurely; or go without. */
void ngx_timer_retire(struct api *api);
void ngx_timer_drop_all(struct api *api);

/* ngx_socket.c: after the vm, whose objects use it. */
void ngx_socket_fini(struct ngx_sockets *sockets);

/* ngx_worker_thread.c: after the vm, whose tasks may wait for threads. */
void ngx_worker_thread_fini(struct ngx_worker_threads *threads);

/* Sets package.preload[name] to a function that returns the table that funcs
 * make. */
void api_preload(struct vm *vm, const char *name, const luaL_Reg *funcs);
