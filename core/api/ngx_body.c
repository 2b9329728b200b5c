/* ngx_body.c -- ngx.req's part on the request's body.
 *
 * A body is in memory; where client_body_in_file_only says so, or a script
 * gave it a file, scripts get the file instead. */
#include "api/request.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_STEP = 65536 };

static bool write_file(const char *path, struct slice body)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, body.data, body.len) == (ssize_t)body.len;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* In nginx's folder, by the name that it would have. */
static const char *spill(struct request *r)
{
    struct arena *arena = &r->http->arena;
    static _Atomic unsigned long last;
    const char *folder =
        arena_printf(arena, "%sclient_body_temp", r->api->conf->prefix);
    if (!folder || (mkdir(folder, 0700) && errno != EEXIST))
        return NULL;
    const char *path = arena_printf(arena, "%s/%d%06lu", folder, getpid(),
                                    atomic_fetch_add(&last, 1) + 1);
    return path && write_file(path, r->body) ? path : NULL;
}

const char *ngx_body_file(struct request *r)
{
    enum conf_body_file mode = r->location->client_body_in_file_only;
    if (r->body_file || mode == CONF_BODY_MEMORY || !r->body.len ||
        r->body_changed)
        return r->body_file;
    r->body_clean = mode == CONF_BODY_FILE_CLEAN;
    return r->body_file = spill(r);
}

void ngx_body_drop(struct request *r)
{
    buf_free(&r->new_body);
    if (r->body_file && r->body_clean)
        unlink(r->body_file);
}

static int show_body(lua_State *L, struct request *r, lua_Integer number)
{
    (void)L;
    (void)number;
    r->body_read = true;
    return 0;
}

/* The body is mostly there already when a script runs; but only from here on
 * may it be seen. */
static int f_read_body(lua_State *L)
{
    return body_await(L, api_request_in(L, REQUEST_MAY_WAIT), 0, show_body);
}

static int f_discard_body(lua_State *L)
{
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (!r->body_read)
        r->body = SLICE_NONE;
    return 0;
}

/* The phases that may look at the body. */
enum {
    LOOKERS = REQUEST_MAY_WAIT | 1 << CONF_LOG | 1 << CONF_HEADER_FILTER |
              1 << CONF_BODY_FILTER
};

static int f_get_body_data(lua_State *L)
{
    struct request *r = api_request_in(L, LOOKERS);
    if (!r->body.len || !r->body_read || ngx_body_file(r))
        lua_pushnil(L);
    else
        vm_push(L, r->body);
    return 1;
}

static int f_get_body_file(lua_State *L)
{
    struct request *r = api_request_in(L, LOOKERS);
    lua_pushstring(L, r->body_read ? ngx_body_file(r) : NULL);
    return 1;
}

static struct request *body_writer(lua_State *L)
{
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (!r->body_read)
        luaL_error(L, "request body not read yet");
    return r;
}

static void put_body(struct request *r, struct slice body)
{
    r->body = body;
    r->body_file = NULL;
    r->body_changed = true;
    ngx_req_change_header(
        r, SLICE("Content-Length"),
        slice_str(arena_printf(&r->http->arena, "%zu", body.len)), true);
}

static int f_set_body_data(lua_State *L)
{
    struct slice body = vm_check_slice(L, 1);
    struct request *r = body_writer(L);
    put_body(r, arena_dup(&r->http->arena, body));
    return 0;
}

/* ngx.req.set_body_file(path, auto_clean) */
static int f_set_body_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    bool clean = lua_toboolean(L, 2);
    struct request *r = body_writer(L);
    FILE *file = fopen(path, "re");
    if (!file)
        return luaL_error(L, "failed to open file \"%s\": %s", path,
                          strerror(errno));
    struct buf text = { 0 };
    char *to;
    size_t n = 1;
    while (n && (to = buf_reserve(&text, FILE_STEP)))
        text.len += n = fread(to, 1, FILE_STEP, file);
    fclose(file);
    r->body_clean = clean;
    put_body(r, arena_dup(&r->http->arena, buf_slice(&text)));
    buf_free(&text);
    r->body_file = arena_dup(&r->http->arena, slice_str(path)).data;
    return 0;
}

/* ngx.req.init_body(room), append_body, finish_body: a new body piece by
 * piece; beyond room bytes it is in a file. */
static int f_init_body(lua_State *L)
{
    lua_Number room = luaL_optnumber(L, 1, -1);
    struct request *r = body_writer(L);
    r->body_room =
        room < 0 ? (size_t)r->location->client_body_buffer_size : (size_t)room;
    buf_clear(&r->new_body);
    r->makes_body = true;
    return 0;
}

static struct request *body_maker(lua_State *L)
{
    struct request *r = api_request_in(L, REQUEST_MAY_WAIT);
    if (!r->makes_body)
        luaL_error(L, "request_body not initialized");
    return r;
}

static int f_append_body(lua_State *L)
{
    struct slice more = vm_check_slice(L, 1);
    buf_add(&body_maker(L)->new_body, more);
    return 0;
}

static int f_finish_body(lua_State *L)
{
    struct request *r = body_maker(L);
    put_body(r, arena_dup(&r->http->arena, buf_slice(&r->new_body)));
    buf_free(&r->new_body);
    r->makes_body = false;
    if (r->body.len <= r->body_room)
        return 0;
    request_log(r, LOG_WARN,
                SLICE("a client request body is buffered to a temporary file"));
    r->body_file = spill(r);
    r->body_clean = true;
    return 0;
}

void ngx_body_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "read_body", f_read_body },
                                      { "discard_body", f_discard_body },
                                      { "get_body_data", f_get_body_data },
                                      { "get_body_file", f_get_body_file },
                                      { "set_body_data", f_set_body_data },
                                      { "set_body_file", f_set_body_file },
                                      { "init_body", f_init_body },
                                      { "append_body", f_append_body },
                                      { "finish_body", f_finish_body },
                                      { NULL, NULL } };
    lua_getfield(L, -1, "req");
    vm_register(vm, L, funcs);
    lua_pop(L, 1);
}
