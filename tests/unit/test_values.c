/* test_values.c -- Lua values copied from one state into another. */
#include "unit.h"
#include "vm/values.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>

struct fixture {
    lua_State *from, *to;
    struct buf bytes;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->from = luaL_newstate();
    f->to = luaL_newstate();
    luaL_openlibs(f->from);
    luaL_openlibs(f->to);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    lua_close(f->from);
    lua_close(f->to);
    buf_free(&f->bytes);
    free(f);
    return 0;
}

/* Runs a chunk, whose results stay on the stack. */
static void run(lua_State *L, const char *chunk)
{
    if (luaL_loadstring(L, chunk) || lua_pcall(L, 0, LUA_MULTRET, 0))
        fail_msg("%s", lua_tostring(L, -1));
}

static const char *copy(struct fixture *f, const char *chunk)
{
    const char *fault = NULL;
    lua_settop(f->from, 0);
    run(f->from, chunk);
    int count = lua_gettop(f->from);
    buf_clear(&f->bytes);
    for (int i = 1; i <= count && !fault; i++)
        fault = values_add(f->from, i, &f->bytes);
    assert_int_equal(lua_gettop(f->from), count);
    return fault;
}

/* Makes the copies the globals a, b, c... of the other state. */
static void paste(struct fixture *f)
{
    struct slice rest = buf_slice(&f->bytes);
    for (char name[] = "a"; rest.len; name[0]++) {
        values_push(f->to, &rest);
        lua_setglobal(f->to, name);
    }
    assert_int_equal(lua_gettop(f->to), 0);
}

static void plain_values_arrive_as_they_were(void **state)
{
    struct fixture *f = *state;
    assert_null(copy(f, "return nil, true, false, -0.5, 2^53, "
                        "'a\\0b', '', string.rep('x', 100000)"));
    paste(f);
    run(f->to, "assert(a == nil and b == true and c == false)\n"
               "assert(d == -0.5 and e == 2^53)\n"
               "assert(f == 'a\\0b' and g == '')\n"
               "assert(h == string.rep('x', 100000))");
}

static void tables_arrive_with_all_that_is_in_them(void **state)
{
    struct fixture *f = *state;
    assert_null(copy(f, "return setmetatable({ 1, 2, { x = { y = 'z' } }, "
                        "[true] = false, [1.5] = 'half' }, {}), {}"));
    paste(f);
    run(f->to, "assert(a[1] == 1 and a[2] == 2 and a[3].x.y == 'z')\n"
               "assert(a[true] == false and a[1.5] == 'half')\n"
               "assert(not getmetatable(a) and next(b) == nil)");
}

static void a_null_that_is_no_nil_stays_one(void **state)
{
    struct fixture *f = *state;
    lua_pushlightuserdata(f->from, NULL);
    assert_null(values_add(f->from, 1, &f->bytes));
    struct slice rest = buf_slice(&f->bytes);
    values_push(f->to, &rest);
    assert_true(lua_islightuserdata(f->to, 1));
    assert_null(lua_touserdata(f->to, 1));
}

static void what_cannot_be_copied_is_named(void **state)
{
    static const struct {
        const char *chunk, *fault;
    } cases[] = {
        { "return print", "unsupported Lua type: LUA_TFUNCTION" },
        { "return { a = { print } }", "unsupported Lua type: LUA_TFUNCTION" },
        { "return { [print] = 1 }", "unsupported Lua type: LUA_TFUNCTION" },
        { "return io.stdout", "unsupported Lua type: LUA_TUSERDATA" },
        { "return coroutine.create(print)",
          "unsupported Lua type: LUA_TTHREAD" },
        { "return require('ffi').new('int')", "unsupported Lua type" },
        { "local t = {} t.t = t return t",
          "suspicious circular references, table depth exceed max depth: "
          "100" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *fault = copy(*state, cases[i].chunk);
        assert_non_null(fault);
        assert_string_equal(fault, cases[i].fault);
    }
}

static void tables_may_be_ninety_nine_deep(void **state)
{
    struct fixture *f = *state;
    static const char deep[] =
        "local t = {} for i = 2, %d do t = { t } end return t";
    char chunk[sizeof deep + 8];
    snprintf(chunk, sizeof chunk, deep, 99);
    assert_null(copy(f, chunk));
    paste(f);
    run(f->to, "local n = 0 while a do n, a = n + 1, a[1] end assert(n == 99)");
    snprintf(chunk, sizeof chunk, deep, 100);
    assert_non_null(copy(f, chunk));
}

/* Thirty levels of two references each are a thousand million tables. */
static void a_copy_that_would_not_end_is_refused(void **state)
{
    const char *fault = copy(
        *state,
        "local t = { string.rep('x', 2^20) } for i = 1, 30 do t = { t, t } end "
        "return t");
    assert_non_null(fault);
    assert_string_equal(fault, "too much to copy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_values_arrive_as_they_were, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tables_arrive_with_all_that_is_in_them,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_null_that_is_no_nil_stays_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_copied_is_named, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tables_may_be_ninety_nine_deep, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_copy_that_would_not_end_is_refused,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
