/* logging.c -- log_format and access_log. */
#include "base/buf.h"
#include "conf/setters.h"

static const struct conf_log_format *find_format(const struct scope *s,
                                                 struct slice name)
{
    const struct conf_log_format *f = s->conf->log_formats;
    while (f && !slice_eq(f->name, name))
        f = f->next;
    return f;
}

static bool read_escape(struct slice arg, enum conf_escape *out)
{
    static const char *const names[] = {
        [CONF_ESCAPE_DEFAULT] = "escape=default",
        [CONF_ESCAPE_JSON] = "escape=json",
        [CONF_ESCAPE_NONE] = "escape=none",
    };
    for (int i = CONF_ESCAPE_DEFAULT; i <= CONF_ESCAPE_NONE; i++)
        if (slice_eq(arg, slice_str(names[i]))) {
            *out = (enum conf_escape)i;
            return true;
        }
    return false;
}

/* The strings from number first on, joined. */
static enum err join(struct scope *s, const struct node *n, unsigned first,
                     struct slice *out)
{
    struct buf whole = { 0 };
    for (unsigned i = first; i < n->nargs; i++)
        buf_add(&whole, n->args[i]);
    *out = arena_dup(s->arena, buf_slice(&whole));
    bool ok = buf_ok(&whole) && out->data;
    buf_free(&whole);
    return ok ? OK : fault_memory();
}

enum err logging_format(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    struct conf_log_format **at = directive_field(s, d), *f;
    struct slice text;
    if (find_format(s, n->args[0]))
        return node_fail(n, "duplicate \"log_format\" name \"%s\"",
                         n->args[0].data);
    if (!(f = arena_alloc(s->arena, sizeof *f)))
        return fault_memory();
    bool escape = slice_starts(n->args[1], SLICE("escape="));
    if (escape && !read_escape(n->args[1], &f->escape))
        return node_fail(n, "unknown log format escaping \"%s\"",
                         n->args[1].data + 7);
    enum err e = join(s, n, escape ? 2 : 1, &text);
    if (!e)
        e = scope_template(s, n, text, &f->text);
    f->name = n->args[0];
    f->next = *at;
    *at = f;
    return e;
}

enum err logging_access(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    struct conf_access_log **at = directive_field(s, d), *log;
    struct slice where = n->args[0];
    bool off = slice_eq(where, SLICE("off"));
    if (!s->again || off)
        *at = NULL; /* in place of what the outer block logs to */
    if (off)
        return n->nargs == 1
                   ? OK
                   : node_fail(n, "invalid parameter \"%s\"", n->args[1].data);
    if (slice_find(where, '$') < where.len ||
        slice_starts(where, SLICE("syslog:")))
        return node_fail(n, "\"%s\" is not supported as an access log",
                         where.data);
    struct slice name = n->nargs > 1 ? n->args[1] : SLICE("combined");
    const struct conf_log_format *format = find_format(s, name);
    if (!format)
        return node_fail(n, "unknown log format \"%s\"", name.data);
    if (!(log = arena_alloc(s->arena, sizeof *log)) ||
        !(log->path = scope_path(s, where)))
        return fault_memory();
    log->format = format;
    log->next = *at;
    *at = log;
    log->also = s->conf->access_logs;
    s->conf->access_logs = log;
    return OK;
}
