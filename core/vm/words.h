/* words.h -- short strings that scripts get again and again.
 *
 * To push a string LuaJIT looks for it among all that live, past others that
 * share its place in memory gone cold; a word lies here with a reference. */
#pragma once
#include "base/slice.h"
#include <lua.h>
#include <stdint.h>

enum { WORDS = 128, WORD_MAX = 27 };

/* In zeroed memory; the references go with the state. */
struct words {
    struct word {
        int ref;
        uint8_t len; /* 0: none yet */
        char text[WORD_MAX];
    } at[WORDS];
};

/* Pushes s as lua_pushlstring does.  For names, methods and the like; of those
 * that share a place the last is kept. */
void words_push(struct words *words, lua_State *L, struct slice s);
