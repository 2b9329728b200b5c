/* test_words.c -- strings that scripts get again and again. */
#include "unit.h"
#include "vm/vm.h"
#include "vm/words.h"

static void expect(struct words *words, lua_State *L, struct slice s)
{
    words_push(words, L, s);
    assert_int_equal(lua_gettop(L), 1);
    assert_true(slice_eq(vm_slice(L, 1), s));
    lua_pushlstring(L, s.data, s.len);
    assert_true(lua_rawequal(L, 1, 2)); /* interned as any other */
    lua_settop(L, 0);
}

static void any_string_comes_out_as_it_went_in(void **state)
{
    (void)state;
    struct words words = { 0 };
    lua_State *L = luaL_newstate();
    const struct slice odd[] = { SLICE(""), SLICE("a\0b"), SLICE("\xff"),
                                 SLICE("a word that is longer than is kept") };
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
            expect(&words, L, odd[i]);
        for (int i = 0; i < 2000; i++) {
            char text[16];
            int len = snprintf(text, sizeof text, "%d%c", i % 700, 'a' + i % 5);
            expect(&words, L, SLICE_OF(text, (size_t)len));
        }
        lua_gc(L, LUA_GCCOLLECT, 0); /* what is kept must live on */
    }
    lua_close(L);
}

static void no_more_is_kept_than_there_is_room_for(void **state)
{
    (void)state;
    struct words words = { 0 };
    lua_State *L = luaL_newstate();
    for (int i = 0; i < 100000; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "w%d", i);
        words_push(&words, L, SLICE_OF(text, (size_t)len));
        lua_pop(L, 1);
    }
    assert_true(lua_objlen(L, LUA_REGISTRYINDEX) <= WORDS + 8);
    lua_close(L);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_string_comes_out_as_it_went_in),
        cmocka_unit_test(no_more_is_kept_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
