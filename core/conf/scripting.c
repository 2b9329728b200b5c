/* scripting.c -- directives on the state that scripts run in. */
#include "base/buf.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/setters.h"

enum { DICT_MIN = 8192 };

/* The length of "$prefix" or "${prefix}" at the start of s, or 0. */
static size_t prefix_mark(struct slice s)
{
    if (slice_starts(s, SLICE("${prefix}")))
        return 9;
    return slice_starts(s, SLICE("$prefix")) ? 7 : 0;
}

/* "$prefix/lua/?.lua", "${prefix}lua/?.lua". */
enum err scripting_path(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    struct slice *field = directive_field(s, d), rest = n->args[0];
    struct slice prefix = slice_str(s->conf->prefix);
    struct buf out = { 0 };
    while (rest.len) {
        size_t mark = prefix_mark(rest);
        if (!mark)
            buf_add_char(&out, *rest.data);
        rest = slice_from(rest, mark ? mark : 1);
        if (mark)
            buf_add(&out, prefix);
        if (mark && slice_starts(rest, SLICE("/")))
            out.len--; /* one slash is enough */
    }
    *field = arena_dup(s->arena, buf_slice(&out));
    bool ok = buf_ok(&out) && field->data;
    buf_free(&out);
    return ok ? OK : fault_memory();
}

enum err scripting_dict(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    struct conf_shared_dict **at = directive_field(s, d), dict = { 0 };
    dict.name = n->args[0];
    if (!dict.name.len)
        return node_fail(n, "invalid lua shared dict name \"\"");
    if (!text_size(n->args[1], &dict.size) || dict.size < DICT_MIN)
        return node_fail(n, "invalid lua shared dict size \"%s\"",
                         n->args[1].data);
    for (; *at; at = &(*at)->next)
        if (slice_eq((*at)->name, dict.name))
            return node_fail(n, "lua_shared_dict \"%s\" is already defined",
                             dict.name.data);
    if (!(*at = arena_alloc(s->arena, sizeof dict)))
        return fault_memory();
    **at = dict;
    return OK;
}

enum err scripting_capture(struct scope *s, const struct directive *d,
                           const struct node *n)
{
    enum { CAPTURE_MIN = 4096 };
    uint64_t size;
    if (!text_size(n->args[0], &size) || size < CAPTURE_MIN)
        return node_fail(n,
                         "invalid capture error log size \"%s\", minimum size "
                         "is %d",
                         n->args[0].data, CAPTURE_MIN);
    *(uint64_t *)directive_field(s, d) = size;
    return OK;
}

enum err scripting_cache(struct scope *s, const struct directive *d,
                         const struct node *n)
{
    enum err e = setting_flag(s, d, n);
    if (e || s->location->lua_code_cache)
        return e;
    s->conf->uncached = true;
    log_write(LOG_ALERT,
              "lua_code_cache is off; this will hurt performance in %s:%u",
              n->file, n->line);
    return OK;
}

/* It is always there. */
enum err scripting_core(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    log_write(LOG_WARN,
              "%s is deprecated (the lua-resty-core library is required since "
              "ngx_lua v0.10.16) in %s:%u",
              d->name, n->file, n->line);
    return setting_flag(s, d, n);
}
