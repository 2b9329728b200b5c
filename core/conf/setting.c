/* setting.c -- setters for fields of the common types. */
#include "base/text.h"
#include "conf/setters.h"
#include <limits.h>

enum err setting_flag(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    bool *field = directive_field(s, d), value;
    if (slice_eq_nocase(n->args[0], SLICE("on")))
        value = true;
    else if (slice_eq_nocase(n->args[0], SLICE("off")))
        value = false;
    else
        return node_fail(n,
                         "invalid value \"%s\" in \"%s\" directive, it must "
                         "be \"on\" or \"off\"",
                         n->args[0].data, d->name);
    if (field)
        *field = value;
    return OK;
}

enum err setting_number(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    uint64_t value;
    if (!text_u64(n->args[0], &value) || value > UINT_MAX)
        return node_fail(n, "\"%s\" directive invalid number", d->name);
    *(unsigned *)directive_field(s, d) = (unsigned)value;
    return OK;
}

enum err setting_size(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    if (!text_size(n->args[0], directive_field(s, d)))
        return node_fail(n, "\"%s\" directive invalid value", d->name);
    return OK;
}

enum err setting_msec(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    if (!text_msec(n->args[0], directive_field(s, d)))
        return node_fail(n, "\"%s\" directive invalid value", d->name);
    return OK;
}

enum err setting_text(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    *(struct slice *)directive_field(s, d) = n->args[0];
    return OK;
}

enum err setting_path(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    const char *path = scope_path(s, n->args[0]);
    *(const char **)directive_field(s, d) = path;
    return path ? OK : fault_memory();
}

enum err setting_present(struct scope *s, const struct directive *d,
                         const struct node *n)
{
    (void)n;
    *(bool *)directive_field(s, d) = true;
    return OK;
}

enum err setting_nothing(struct scope *s, const struct directive *d,
                         const struct node *n)
{
    (void)s;
    (void)d;
    (void)n;
    return OK;
}
