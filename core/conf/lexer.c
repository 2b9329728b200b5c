/* lexer.c -- nginx's syntax, character by character as ngx_conf_read_token
 * reads it, and Lua blocks as lua-nginx-module's lexer finds their end. */
#include "conf/lexer.h"
#include "conf/array.h"
#include "conf/fault.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void advance(struct lexer *lx)
{
    if (*lx->at++ == '\n' && lx->line)
        lx->line++;
}

static void advance_to(struct lexer *lx, const char *to)
{
    while (lx->at < to)
        advance(lx);
}

static enum err unexpected(struct lexer *lx, char c)
{
    return fault_at(lx->file, lx->line, "unexpected \"%c\"", c);
}

static enum err unexpected_end(struct lexer *lx)
{
    if (!lx->line)
        return fault_at(lx->file, 0,
                        "unexpected end of parameter, expecting \";\"");
    return fault_at(lx->file, lx->line,
                    "unexpected end of file, expecting \";\" or \"}\"");
}

/* What an escape stands for, or 0: the backslash is then kept (as in \d and
 * \$), for regexes and Lua to see. */
static char unescape(char c)
{
    switch (c) {
    case '"':
    case '\'':
    case '\\':
        return c;
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    default:
        return 0;
    }
}

static enum err add_word(struct lexer *lx, const char *from, const char *to)
{
    struct slice *words =
        array_grow(lx->arena, lx->words, lx->nwords, sizeof *words);
    char *word = arena_alloc(lx->arena, (size_t)(to - from) + 1);
    if (!words || !word)
        return fault_memory();
    size_t len = 0;
    for (; from < to; from++) {
        char c = *from == '\\' && from + 1 < to ? unescape(from[1]) : 0;
        word[len++] = c ? c : *from;
        from += c != 0;
    }
    lx->words = words;
    words[lx->nwords++] = (struct slice){ word, len };
    return OK;
}

/* Up to the closing quote, and what may stand behind it: a blank, an end, or
 * a closing parenthesis, which is a word of its own. */
static enum err read_quoted(struct lexer *lx)
{
    char quote = *lx->at++;
    const char *start = lx->at;
    while (lx->at < lx->end && *lx->at != quote) {
        if (*lx->at == '\\')
            advance(lx);
        if (lx->at < lx->end)
            advance(lx);
    }
    if (lx->at == lx->end)
        return unexpected_end(lx);
    enum err e = add_word(lx, start, lx->at++);
    char c = lx->at < lx->end ? *lx->at : ' ';
    if (e || is_blank(c) || c == ';' || c == '{' || c == ')')
        return e;
    return unexpected(lx, c);
}

static enum err read_word(struct lexer *lx)
{
    const char *start = lx->at;
    bool variable = false; /* `${`: a brace that belongs to the word */
    while (lx->at < lx->end) {
        char c = *lx->at;
        if (!(c == '{' && variable)) {
            if (is_blank(c) || c == ';' || c == '{')
                return add_word(lx, start, lx->at);
            variable = c == '$';
        }
        advance(lx);
        if (c == '\\' && lx->at < lx->end)
            advance(lx);
    }
    return unexpected_end(lx);
}

static void skip_blanks(struct lexer *lx)
{
    while (lx->at < lx->end && (is_blank(*lx->at) || *lx->at == '#')) {
        if (*lx->at == '#')
            while (lx->at + 1 < lx->end && *lx->at != '\n')
                lx->at++;
        advance(lx);
    }
}

void lexer_init(struct lexer *lx, struct arena *arena, const char *file,
                unsigned line, struct slice text)
{
    *lx = (struct lexer){ .arena = arena,
                          .file = file,
                          .line = line,
                          .at = text.data,
                          .end = text.data + text.len };
}

enum err lexer_next(struct lexer *lx, enum lexer_end *end)
{
    lx->words = NULL; /* the last ones are the caller's */
    lx->nwords = 0;
    for (;;) {
        skip_blanks(lx);
        if (lx->at == lx->end) {
            *end = LEXER_EOF;
            return lx->nwords ? unexpected_end(lx) : OK;
        }
        char c = *lx->at;
        if (c == ';' || c == '{' || c == '}') {
            if ((c == '}') != (lx->nwords == 0))
                return unexpected(lx, c);
            lx->at++;
            *end = c == ';'   ? LEXER_SEMICOLON
                   : c == '{' ? LEXER_OPEN
                              : LEXER_CLOSE;
            return OK;
        }
        enum err e = c == '"' || c == '\'' ? read_quoted(lx) : read_word(lx);
        if (e)
            return e;
    }
}

/* The end of a quoted Lua string, or NULL where the line ends before it:
 * then the quote is a stray one. */
static const char *string_end(const struct lexer *lx)
{
    for (const char *p = lx->at + 1; p < lx->end && *p != '\n'; p++) {
        if (*p == *lx->at)
            return p + 1;
        if (*p == '\\')
            p++;
    }
    return NULL;
}

/* The length of "[", "="s and "[" at p, or 0. */
static size_t long_bracket(const char *p, const char *end)
{
    const char *at = p;
    if (at == end || *at++ != '[')
        return 0;
    while (at < end && *at == '=')
        at++;
    return at < end && *at == '[' ? (size_t)(at - p) + 1 : 0;
}

static bool closes(const char *p, size_t len)
{
    if (p[0] != ']' || p[len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < len; i++)
        if (p[i] != '=')
            return false;
    return true;
}

/* Over a long bracket that opens len characters long at open. */
static enum err skip_long(struct lexer *lx, const char *open, size_t len)
{
    for (const char *p = open + len; (size_t)(lx->end - p) >= len; p++)
        if (closes(p, len)) {
            advance_to(lx, p + len);
            return OK;
        }
    return fault_at(lx->file, lx->line,
                    "Lua code block missing the closing long bracket "
                    "\"]%.*s]\", the inlined Lua code may be too long",
                    (int)(len - 2), open + 1);
}

/* At "--": over a long comment, or up to the end of the line. */
static enum err skip_comment(struct lexer *lx)
{
    const char *open = lx->at + 2;
    size_t len = long_bracket(open, lx->end);
    if (len)
        return skip_long(lx, open, len);
    while (lx->at < lx->end && *lx->at != '\n')
        lx->at++;
    return OK;
}

/* Over one character, or over what may hide a brace. */
static enum err skip_lua(struct lexer *lx)
{
    const char *p = lx->at, *to = NULL;
    size_t len;
    if (*p == '[' && (len = long_bracket(p, lx->end)))
        return skip_long(lx, p, len);
    if (*p == '-' && p + 1 < lx->end && p[1] == '-')
        return skip_comment(lx);
    if (*p == '"' || *p == '\'')
        to = string_end(lx);
    advance_to(lx, to ? to : p + 1);
    return OK;
}

enum err lexer_lua(struct lexer *lx, struct slice *code)
{
    const char *start = lx->at;
    unsigned depth = 1, opened = lx->line;
    while (lx->at < lx->end) {
        if (*lx->at == '{') {
            depth++;
            opened = lx->line;
        } else if (*lx->at == '}' && !--depth) {
            *code = (struct slice){ start, (size_t)(lx->at - start) };
            lx->at++;
            return OK;
        }
        enum err e = skip_lua(lx);
        if (e)
            return e;
    }
    return fault_at(lx->file, opened,
                    "unexpected end of file, expecting terminating "
                    "characters for lua code block");
}
