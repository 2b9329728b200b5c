/* rewrite.c -- set and return. */
#include "base/text.h"
#include "conf/setters.h"
#include <ctype.h>

/* Appends; what an outer block does is not inherited. */
static struct conf_op *add_op(struct scope *s, const struct directive *d,
                              enum conf_op_kind kind)
{
    struct conf_op **at = directive_field(s, d);
    while (*at)
        at = &(*at)->next;
    if ((*at = arena_alloc(s->arena, sizeof **at)))
        (*at)->kind = kind;
    return *at;
}

static bool valid_name(struct slice name)
{
    for (size_t i = 1; i < name.len; i++)
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_')
            return false;
    return name.len > 1 && name.data[0] == '$';
}

enum err rewrite_set(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    if (!valid_name(n->args[0]))
        return node_fail(n, "invalid variable name \"%s\"", n->args[0].data);
    struct conf_op *op = add_op(s, d, CONF_SET);
    struct slice name = arena_dup(s->arena, slice_from(n->args[0], 1));
    if (!op || !name.data)
        return fault_memory();
    for (size_t i = 0; i < name.len; i++)
        ((char *)name.data)[i] = (char)tolower((unsigned char)name.data[i]);
    op->name = name;
    enum err e = scope_variable(s, n, name, &op->variable);
    return e ? e : scope_template(s, n, n->args[1], &op->text);
}

static bool is_url(struct slice s)
{
    return slice_starts(s, SLICE("http://")) ||
           slice_starts(s, SLICE("https://")) ||
           slice_starts(s, SLICE("$scheme"));
}

enum err rewrite_return(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    uint64_t status = 302;
    bool only_url = n->nargs == 1 && is_url(n->args[0]);
    if (!only_url && (!text_u64(n->args[0], &status) || status > 999))
        return node_fail(n, "invalid return code \"%s\"", n->args[0].data);
    struct conf_op *op = add_op(s, d, CONF_RETURN);
    if (!op)
        return fault_memory();
    op->status = (unsigned)status;
    op->has_text = only_url || n->nargs == 2;
    if (!op->has_text)
        return OK;
    return scope_template(s, n, n->args[n->nargs - 1], &op->text);
}
