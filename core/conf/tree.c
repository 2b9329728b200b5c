/* tree.c -- configuration text as a tree of statements, includes done. */
#include "conf/tree.h"
#include "base/buf.h"
#include "conf/fault.h"
#include "conf/lexer.h"
#include <errno.h>
#include <glob.h>

enum { MAX_INCLUDES = 32 };

/* ---- files ------------------------------------------------------------- */

static bool read_all(FILE *f, struct buf *out)
{
    size_t got;
    do {
        char *to = buf_reserve(out, 16384);
        if (!to)
            return false;
        got = fread(to, 1, 16384, f);
        out->len += got;
    } while (got);
    return !ferror(f);
}

/* Keeps the text; the same file read again is listed once. */
static bool keep_file(struct tree *t, const char *path, struct slice text)
{
    struct conf_file **at = t->files;
    for (; *at; at = &(*at)->next)
        if (!strcmp((*at)->path, path))
            return true;
    struct conf_file *file = arena_alloc(t->arena, sizeof *file);
    if (!file)
        return false;
    file->path = path;
    file->text = text;
    *at = file;
    return true;
}

/* by is the include statement, or NULL: faults then have no place. */
static enum err read_file(struct tree *t, const struct node *by,
                          const char *path)
{
    const char *file = by ? by->file : NULL;
    unsigned line = by ? by->line : 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return fault_errno(file, line, errno, "open() \"%s\" failed", path);
    struct buf text = { 0 };
    bool whole = read_all(f, &text);
    int code = errno;
    fclose(f);
    struct slice kept = arena_dup(t->arena, buf_slice(&text));
    buf_free(&text);
    if (!whole)
        return fault_errno(file, line, code, "read() \"%s\" failed", path);
    if (!kept.data || !keep_file(t, path, kept))
        return fault_memory();
    return tree_parse(t, path, 1, kept);
}

/* ---- include ----------------------------------------------------------- */

static enum err include_path(struct tree *t, const struct node *n,
                             const char *path)
{
    if (t->includes >= MAX_INCLUDES)
        return fault_at(n->file, n->line, "includes are nested too deeply");
    const char *own = arena_dup(t->arena, slice_str(path)).data;
    if (!own)
        return fault_memory();
    t->includes++;
    enum err e = read_file(t, n, own);
    t->includes--;
    return e;
}

/* glob sorts what it finds; finding nothing is no fault. */
static enum err include_glob(struct tree *t, const struct node *n,
                             const char *pattern)
{
    glob_t found;
    enum err e = OK;
    int rc = glob(pattern, 0, NULL, &found);
    if (rc == GLOB_NOMATCH)
        return OK;
    if (rc)
        return fault_at(n->file, n->line, "glob() \"%s\" failed", pattern);
    for (size_t i = 0; i < found.gl_pathc && !e; i++)
        e = include_path(t, n, found.gl_pathv[i]);
    globfree(&found);
    return e;
}

static enum err include(struct tree *t, const struct node *n)
{
    if (n->nargs != 1)
        return fault_at(n->file, n->line,
                        "invalid number of arguments in \"include\" directive");
    const char *name = n->args[0].data;
    const char *path =
        arena_printf(t->arena, "%s%s", *name == '/' ? "" : t->folder, name);
    if (!path)
        return fault_memory();
    if (strpbrk(path, "*?["))
        return include_glob(t, n, path);
    return include_path(t, n, path);
}

/* ---- statements -------------------------------------------------------- */

static bool ends_with(struct slice s, struct slice end)
{
    return s.len >= end.len && slice_eq(slice_from(s, s.len - end.len), end);
}

/* From here on statements belong to n, up to close_block. */
static enum err open_block(struct tree *t, struct node *n)
{
    if (t->depth >= TREE_BLOCKS)
        return fault_at(n->file, n->line, "blocks are nested too deeply");
    t->open[t->depth++] = t->tail;
    t->tail = &n->children;
    return OK;
}

static void close_block(struct tree *t)
{
    t->tail = t->open[--t->depth];
}

static enum err enter_block(struct tree *t, struct lexer *lx, struct node *n)
{
    if (!lx->line)
        return fault_at(lx->file, 0,
                        "block directives are not supported in -g option");
    n->is_block = true;
    n->is_lua = ends_with(n->name, SLICE("_by_lua_block"));
    return n->is_lua ? lexer_lua(lx, &n->code) : open_block(t, n);
}

static enum err add_node(struct tree *t, struct lexer *lx, bool is_block)
{
    struct node *n = arena_alloc(t->arena, sizeof *n);
    if (!n)
        return fault_memory();
    n->name = lx->words[0];
    n->args = lx->words + 1;
    n->nargs = lx->nwords - 1;
    n->file = lx->file;
    n->line = lx->line;
    if (!is_block && slice_eq(n->name, SLICE("include")))
        return include(t, n);
    *t->tail = n;
    t->tail = &n->next;
    return is_block ? enter_block(t, lx, n) : OK;
}

enum err tree_parse(struct tree *t, const char *file, unsigned line,
                    struct slice text)
{
    struct lexer lx;
    enum lexer_end end;
    unsigned depth = t->depth; /* an include closes what it opens */
    lexer_init(&lx, t->arena, file, line, text);
    for (;;) {
        enum err e = lexer_next(&lx, &end);
        if (e || (end == LEXER_EOF && t->depth == depth))
            return e;
        if (end == LEXER_EOF)
            return fault_at(file, lx.line,
                            "unexpected end of file, expecting \"}\"");
        if (end == LEXER_CLOSE && t->depth == depth)
            return fault_at(file, lx.line, "unexpected \"}\"");
        if (end == LEXER_CLOSE)
            close_block(t);
        else if ((e = add_node(t, &lx, end == LEXER_OPEN)))
            return e;
    }
}

enum err tree_read(struct tree *t, const char *path)
{
    return read_file(t, NULL, path);
}
