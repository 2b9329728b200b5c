/* words.c -- short strings that scripts get again and again. */
#include "vm/words.h"
#include "vm/vm.h"

static struct word *place(struct words *words, struct slice s)
{
    unsigned first = (uint8_t)s.data[0], last = (uint8_t)s.data[s.len - 1];
    return &words->at[(first * 7 + last * 31 + s.len) % WORDS];
}

/* Keeps the string at the top of the stack. */
static void keep(struct word *w, lua_State *L, struct slice s)
{
    lua_pushvalue(L, -1);
    if (w->len)
        lua_rawseti(L, LUA_REGISTRYINDEX, w->ref);
    else
        w->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    memcpy(w->text, s.data, s.len);
    w->len = (uint8_t)s.len;
}

void words_push(struct words *words, lua_State *L, struct slice s)
{
    struct word *w = s.len && s.len <= WORD_MAX ? place(words, s) : NULL;
    if (w && w->len == s.len && !memcmp(w->text, s.data, s.len)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, w->ref);
        return;
    }
    vm_push(L, s);
    if (w)
        keep(w, L, s);
}
