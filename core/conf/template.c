/* template.c -- texts with $variables: compiled once, rendered per request. */
#include "conf/template.h"
#include "conf/array.h"
#include "conf/fault.h"
#include <ctype.h>

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static enum err add_part(struct conf_template *t, struct arena *arena,
                         enum conf_part_kind kind, struct slice text)
{
    struct conf_part *parts =
        array_grow(arena, t->parts, t->count, sizeof *parts);
    struct slice own = arena_dup(arena, text);
    if (!parts || !own.data)
        return fault_memory();
    char *lower = kind == CONF_VARIABLE ? (char *)own.data : NULL;
    for (size_t i = 0; lower && i < own.len; i++)
        lower[i] = (char)tolower((unsigned char)lower[i]);
    t->parts = parts;
    parts[t->count++] = (struct conf_part){ kind, own, -1 };
    return OK;
}

/* Takes "name" or "{name}" off rest, which follows a dollar sign. */
static enum err take_name(struct slice *rest, struct slice *name)
{
    bool brace = rest->len && rest->data[0] == '{';
    struct slice from = slice_from(*rest, brace);
    size_t len = 0;
    while (len < from.len && is_name(from.data[len]))
        len++;
    *name = (struct slice){ from.data, len };
    *rest = slice_from(from, len);
    if (brace && (!rest->len || rest->data[0] != '}'))
        return err_set(ERR_CONFIG,
                       "the closing bracket in \"%.*s\" variable is missing",
                       SLICE_FMT(*name));
    if (brace)
        *rest = slice_from(*rest, 1);
    return len ? OK : err_set(ERR_CONFIG, "invalid variable name");
}

/* A dollar sign and a digit is a capture, whatever follows: $10 is $1 and a
 * zero. */
static enum err add_variable(struct conf_template *t, struct arena *arena,
                             struct slice *rest)
{
    struct slice name;
    enum err e;
    if (!rest->len || *rest->data < '1' || *rest->data > '9') {
        e = take_name(rest, &name);
        return e ? e : add_part(t, arena, CONF_VARIABLE, name);
    }
    name = (struct slice){ rest->data, 1 };
    *rest = slice_from(*rest, 1);
    e = add_part(t, arena, CONF_CAPTURE, name);
    if (!e)
        t->parts[t->count - 1].index = *name.data - '0';
    return e;
}

enum err template_parse(struct conf_template *out, struct arena *arena,
                        struct slice text)
{
    *out = (struct conf_template){ .source = text };
    while (text.len) {
        size_t literal = slice_find(text, '$');
        enum err e = OK;
        if (literal)
            e = add_part(out, arena, CONF_LITERAL,
                         (struct slice){ text.data, literal });
        text = slice_from(text, literal);
        if (!e && text.len) {
            text = slice_from(text, 1);
            e = add_variable(out, arena, &text);
        }
        if (e)
            return e;
    }
    return OK;
}

void template_render(const struct conf_template *t, struct buf *out,
                     void (*value)(void *user, const struct conf_part *part,
                                   struct buf *out),
                     void *user)
{
    for (unsigned i = 0; i < t->count; i++)
        if (t->parts[i].kind == CONF_LITERAL)
            buf_add(out, t->parts[i].text);
        else
            value(user, &t->parts[i], out);
}
