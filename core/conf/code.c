/* code.c -- the *_by_lua directives, in all three forms. */
#include "conf/setters.h"

static bool cut_end(struct slice *s, struct slice end)
{
    if (s->len < end.len || !slice_eq(slice_from(*s, s->len - end.len), end))
        return false;
    s->len -= end.len;
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
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
    const char *file = base_name(n->file);
    const char *chunk =
        n->line ? arena_printf(s->arena, "=%s(%s:%u)", code->directive, file,
                               n->line)
                : arena_printf(s->arena, "=%s(%s)", code->directive, file);
    code->chunk = slice_str(chunk);
    return chunk && code->text.data ? OK : fault_memory();
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
