/* lexer.h -- nginx's syntax: words, quotes, comments, `;`, `{`, `}`, and raw
 * Lua between braces. */
#pragma once
#include "base/arena.h"
#include "base/err.h"

enum lexer_end { LEXER_SEMICOLON, LEXER_OPEN, LEXER_CLOSE, LEXER_EOF };

struct lexer {
    struct arena *arena; /* where words go */
    const char *file;    /* for faults; text of -g has line 0 and no lines */
    unsigned line;       /* of `at` */
    const char *at, *end;
    struct slice *words; /* of the statement just read */
    unsigned nwords;
};

/* text outlives it; line is the number of its first line. */
void lexer_init(struct lexer *lx, struct arena *arena, const char *file,
                unsigned line, struct slice text);

/* Reads the words up to what ends them.  LEXER_CLOSE and LEXER_EOF come
 * without words. */
enum err lexer_next(struct lexer *lx, enum lexer_end *end);

/* After the `{` of a Lua block: reads up to the `}` that closes it.  code is
 * what lies between, part of the text. */
enum err lexer_lua(struct lexer *lx, struct slice *code);
