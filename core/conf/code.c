/* code.c -- the *_by_lua directives, in all three forms. */
#include "conf/setters.h"
#include <stdio.h>

enum { CHUNK_MAX = 59 }; /* LUA_IDSIZE, without the NUL */

static bool cut_end(struct slice *s, struct slice end)
{
    if (s->len < end.len || !slice_eq(slice_from(*s, s->len - end.len), end))
        return false;
    s->len -= end.len;
    return true;
}

/* "=content_by_lua(nginx.conf:12)": the file as seen from the folder of the
 * first one.  Of a long name the end stays: LuaJIT would cut that off. */
static struct slice chunk_name(struct scope *s, const char *directive,
                               const struct node *n)
{
    const char *folder = s->loader->folder, *file = n->file, *dots = "";
    if (!strncmp(file, folder, strlen(folder)))
        file += strlen(folder);
    char line[16] = "";
    if (n->line)
        snprintf(line, sizeof line, ":%u", n->line);
    size_t fixed = strlen(directive) + strlen(line) + strlen("()");
    if (fixed + strlen(file) > CHUNK_MAX && fixed + 3 < CHUNK_MAX) {
        dots = "...";
        file += fixed + 3 + strlen(file) - CHUNK_MAX;
    }
    return slice_str(
        arena_printf(s->arena, "=%s(%s%s%s)", directive, dots, file, line));
}

static enum err set_file(struct scope *s, const struct node *n,
                         struct slice path, struct conf_code *code)
{
    code->is_file = true;
    enum err e = scope_path_template(s, n, path, &code->path);
    if (e)
        return e;
    code->text = code->path.source;
    code->chunk = slice_str(arena_printf(s->arena, "@%s", code->text.data));
    return code->chunk.data ? OK : fault_memory();
}

static enum err set_source(struct scope *s, const struct node *n,
                           struct slice text, struct conf_code *code)
{
    code->text = arena_dup(s->arena, text);
    code->chunk = chunk_name(s, code->directive, n);
    return code->chunk.data && code->text.data ? OK : fault_memory();
}

enum err code_make(struct scope *s, const struct directive *d,
                   const struct node *n, unsigned arg, struct conf_code **out)
{
    struct conf_code *code = arena_alloc(s->arena, sizeof *code);
    struct slice name = slice_str(d->name);
    bool is_file = cut_end(&name, SLICE("_file"));
    cut_end(&name, SLICE("_block"));
    if (!code || !(code->directive = arena_dup(s->arena, name).data))
        return fault_memory();
    struct slice text = n->is_lua ? n->code : n->args[arg];
    if (!n->is_lua && !text.len)
        return node_fail(n, "\"%s\" directive has no Lua code", d->name);
    code->file = n->file;
    code->line = n->line;
    *out = code;
    return is_file ? set_file(s, n, text, code) : set_source(s, n, text, code);
}

enum err code_set(struct scope *s, const struct directive *d,
                  const struct node *n)
{
    return code_make(s, d, n, 0, directive_field(s, d));
}
