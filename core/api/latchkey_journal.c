/* latchkey_journal.c -- `require "latchkey.journal"`: what happened last, in
 * all workers. */
#include "api/api.h"
#include "base/journal.h"

#define JOURNAL "latchkey.journal"

/* journal.open(name) -> the journal of that name; nil: no memory, too many */
static int f_open(lua_State *L)
{
    struct slice name = vm_check_slice(L, 1);
    struct journal **own = lua_newuserdata(L, sizeof *own);
    *own = journal_named(name);
    if (!*own)
        return 0;
    luaL_getmetatable(L, JOURNAL);
    lua_setmetatable(L, -2);
    return 1;
}

static struct journal *check_journal(lua_State *L)
{
    return *(struct journal **)luaL_checkudata(L, 1, JOURNAL);
}

/* j:add(text) -> its number; nil: it is too long, or no memory */
static int f_add(lua_State *L)
{
    struct slice text = vm_check_slice(L, 2);
    struct journal *j = check_journal(L);
    uint64_t number = journal_add(j, text);
    if (!number)
        return 0;
    lua_pushnumber(L, (lua_Number)number);
    return 1;
}

/* j:next(number) -> the first text beyond that number, its own
 * number; nil: there is none */
static int f_next(lua_State *L)
{
    lua_Number after = luaL_checknumber(L, 2);
    struct journal *j = check_journal(L);
    uint64_t at = after > 0 ? (uint64_t)after : 0;
    struct buf text = { 0 };
    int n = 0;
    if (journal_next(j, &at, &text)) {
        vm_push(L, buf_slice(&text));
        lua_pushnumber(L, (lua_Number)at);
        n = 2;
    }
    buf_free(&text);
    return n;
}

/* j:drop(number): takes a text out. */
static int f_drop(lua_State *L)
{
    lua_Number number = luaL_checknumber(L, 2);
    struct journal *j = check_journal(L);
    if (number > 0)
        journal_drop(j, (uint64_t)number);
    return 0;
}

/* j:last() -> the latest number, 0 where nothing was added */
static int f_last(lua_State *L)
{
    struct journal *j = check_journal(L);
    lua_pushnumber(L, (lua_Number)journal_last(j));
    return 1;
}

/* j:watch(seconds): someone reads along for that long. */
static int f_watch(lua_State *L)
{
    lua_Number seconds = luaL_checknumber(L, 2);
    struct journal *j = check_journal(L);
    if (seconds > 0)
        journal_watch(j, (uint64_t)(seconds * 1000));
    return 0;
}

/* j:watched() -> whether anyone does */
static int f_watched(lua_State *L)
{
    struct journal *j = check_journal(L);
    lua_pushboolean(L, journal_watched(j));
    return 1;
}

void latchkey_journal_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "open", f_open }, { NULL, NULL } };
    static const luaL_Reg methods[] = {
        { "add", f_add },   { "next", f_next },   { "drop", f_drop },
        { "last", f_last }, { "watch", f_watch }, { "watched", f_watched },
        { NULL, NULL }
    };
    (void)L;
    vm_class(vm, JOURNAL, methods);
    api_preload(vm, "latchkey.journal", funcs);
}
