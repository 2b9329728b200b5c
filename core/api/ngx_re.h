/* ngx_re.h -- what the files of ngx.re share: compiled patterns as userdata,
 * and how a match is told.
 *
 * Functions of ngx.re have three upvalues: the vm, the struct ngx_re_cache,
 * and its table of patterns by flags and text. */
#pragma once
#include "api/api.h"
#include "base/regex.h"

/* A compiled pattern.  A cached one is kept by the cache's table; who uses a
 * pattern keeps it on the stack, for a callback may push it out. */
struct ngx_re {
    struct regex *regex;
    struct regex_how how;
    unsigned groups;              /* that a match can give: none for a DFA */
    bool utf, lists;              /* lists: duplicate names give lists */
    struct slice text, flags;     /* cached: the table's keys */
    struct ngx_re *newer, *older; /* cached */
};

struct ngx_re_cache {
    struct ngx_re *newest, *oldest;
    unsigned count, max;
};

/* One match: found pairs of offsets; they go with the next match. */
struct ngx_re_match {
    int found; /* REGEX_NO_MATCH, or PCRE's number of a fault */
    const size_t *pairs;
};

/* Sets into the table at the top of L, with the upvalues said above, which
 * lie below it at index cache and cache + 1. */
void ngx_re_register(struct vm *vm, lua_State *L, int cache,
                     const luaL_Reg *funcs);

/* Pushes one function with these upvalues. */
void ngx_re_push_function(struct vm *vm, lua_State *L, int cache,
                          lua_CFunction f);

/* Pushes the pattern for the text and flags at these indexes, and returns
 * it.  NULL: pushed is why it does not compile.  Raises for flags that are
 * unknown. */
struct ngx_re *ngx_re_push(lua_State *L, int text, int flags);

/* To be called when it is not used any more. */
void ngx_re_done(struct ngx_re *re);

/* The subject as a string: what tostring makes of it, in its slot. */
struct slice ngx_re_subject(lua_State *L, int index);

struct ngx_re_match ngx_re_search(const struct ngx_re *re, struct slice subject,
                                  size_t at);

/* Pushes the reason of a failed match. */
void ngx_re_push_fault(lua_State *L, int found);

/* Sets the groups of a match, by number and by name, in the table at the top
 * of L. */
void ngx_re_collect(lua_State *L, const struct ngx_re *re, struct slice subject,
                    const struct ngx_re_match *m);

/* A table of the right size, with the groups of the match. */
void ngx_re_push_groups(lua_State *L, const struct ngx_re *re,
                        struct slice subject, const struct ngx_re_match *m);

/* Where to look on after a match: an empty one is not found twice. */
size_t ngx_re_after(const struct ngx_re *re, struct slice subject,
                    const struct ngx_re_match *m);

/* ngx_re_sub.c: sub and gsub, into the table at the top of L. */
void ngx_re_sub_open(struct vm *vm, lua_State *L, int cache);

/* ngx_re_module.c: the module "ngx.re". */
void ngx_re_module_open(struct vm *vm, lua_State *L, int cache);
