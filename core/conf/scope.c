/* scope.c -- what setters share: paths, templates, variables, regexes. */
#include "conf/scope.h"
#include "conf/array.h"
#include "conf/template.h"
#include <ctype.h>

const char *scope_path(struct scope *s, struct slice path)
{
    bool absolute = path.len && *path.data == '/';
    return arena_printf(s->arena, "%s%.*s", absolute ? "" : s->conf->prefix,
                        SLICE_FMT(path));
}

static enum err keep_pending(struct scope *s, const struct node *n,
                             const struct conf_template *t)
{
    struct pending *p = arena_alloc(s->arena, sizeof *p);
    if (!p)
        return fault_memory();
    *p = (struct pending){ t->parts, t->count, n, s->loader->pending };
    s->loader->pending = p;
    return OK;
}

enum err scope_template(struct scope *s, const struct node *n,
                        struct slice text, struct conf_template *out)
{
    enum err e = template_parse(out, s->arena, text);
    if (e == ERR_CONFIG)
        return node_fail(n, "%s", err_text());
    if (e || template_constant(out))
        return e;
    return keep_pending(s, n, out);
}

enum err scope_path_template(struct scope *s, const struct node *n,
                             struct slice path, struct conf_template *out)
{
    if (!path.len || *path.data != '$') {
        const char *whole = scope_path(s, path);
        if (!whole)
            return fault_memory();
        path = slice_str(whole);
    }
    return scope_template(s, n, path, out);
}

static enum conf_builtin builtin(const struct scope *s, struct slice name)
{
    const struct conf_options *options = s->loader->options;
    return options->builtin ? options->builtin(name) : CONF_UNKNOWN;
}

static enum err add_variable(struct scope *s, struct slice name, int *index)
{
    struct conf_variable *v = arena_alloc(s->arena, sizeof *v);
    if (!v)
        return fault_memory();
    v->name = name;
    v->index = *index = (int)s->conf->nvariables++;
    return table_put(&s->conf->variables, v->name, v) ? OK : fault_memory();
}

enum err scope_variable(struct scope *s, const struct node *n,
                        struct slice name, int *index)
{
    const struct conf_variable *known = conf_variable(s->conf, name);
    *index = known ? known->index : -1;
    if (known)
        return OK;
    switch (builtin(s, name)) {
    case CONF_WRITABLE:
        return OK;
    case CONF_READ_ONLY:
        return node_fail(n, "the duplicate \"%s\" variable", name.data);
    default:
        return add_variable(s, name, index);
    }
}

/* ---- regexes ----------------------------------------------------------- */

static enum err compile(struct scope *s, const struct node *n,
                        struct slice text, uint32_t options, struct regex **out)
{
    size_t at;
    struct conf_regex *own = arena_alloc(s->arena, sizeof *own);
    if (!own)
        return fault_memory();
    enum err e = regex_compile(&own->regex, text, options, &at);
    if (e == ERR_INVALID && at >= text.len)
        return node_fail(n, "pcre2_compile() failed: %s in \"%s\"", err_text(),
                         text.data);
    if (e == ERR_INVALID)
        return node_fail(n, "pcre2_compile() failed: %s in \"%s\" at \"%s\"",
                         err_text(), text.data, text.data + at);
    if (e)
        return e;
    own->next = s->conf->regexes;
    s->conf->regexes = own;
    *out = own->regex;
    return OK;
}

static struct slice lower(struct arena *arena, struct slice s)
{
    struct slice own = arena_dup(arena, s);
    for (size_t i = 0; own.data && i < own.len; i++)
        ((char *)own.data)[i] = (char)tolower((unsigned char)own.data[i]);
    return own;
}

static enum err add_group(struct scope *s, const struct node *n,
                          struct conf_pattern *p, struct slice name,
                          unsigned group)
{
    struct conf_group *named =
        array_grow(s->arena, p->named, p->nnamed, sizeof *named);
    struct slice own = lower(s->arena, name);
    if (!named || !own.data)
        return fault_memory();
    int index;
    enum err e = scope_variable(s, n, own, &index);
    if (e)
        return e;
    p->named = named;
    const struct conf_variable *v = conf_variable(s->conf, own);
    if (v) /* a built-in one is not ours to fill */
        named[p->nnamed++] = (struct conf_group){ group, v };
    return OK;
}

enum err scope_pattern(struct scope *s, const struct node *n, struct slice text,
                       bool caseless, struct conf_pattern *out)
{
    *out = (struct conf_pattern){ .text = text };
    enum err e =
        compile(s, n, text, caseless ? REGEX_CASELESS : 0, &out->regex);
    struct slice name;
    for (unsigned i = 0, group;
         !e && regex_next(out->regex, &i, &name, &group);)
        e = add_group(s, n, out, name, group);
    return e;
}

/* ---- after all is read ------------------------------------------------- */

static enum err settle_part(struct scope *s, const struct node *n,
                            struct conf_part *part)
{
    if (part->kind != CONF_VARIABLE)
        return OK;
    const struct conf_variable *own = conf_variable(s->conf, part->text);
    if (own)
        part->index = own->index;
    else if (s->loader->options->builtin &&
             builtin(s, part->text) == CONF_UNKNOWN)
        return node_fail(n, "unknown \"%s\" variable", part->text.data);
    return OK;
}

enum err scope_settle(struct scope *s)
{
    for (const struct pending *p = s->loader->pending; p; p = p->next)
        for (unsigned i = 0; i < p->count; i++) {
            enum err e = settle_part(s, p->node, &p->parts[i]);
            if (e)
                return e;
        }
    return OK;
}
