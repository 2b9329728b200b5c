/* template.h -- texts with $variables: compiled once, rendered per request. */
#pragma once
#include "base/buf.h"
#include "conf/conf.h"

/* Splits text into parts, which live in the arena.  ERR_CONFIG: err_text()
 * is nginx's sentence, without the place. */
enum err template_parse(struct conf_template *out, struct arena *arena,
                        struct slice text);

/* Whether no variable is in it: source is the value. */
static inline bool template_constant(const struct conf_template *t)
{
    return t->count == 0 || (t->count == 1 && t->parts[0].kind == CONF_LITERAL);
}

/* Appends the text; value appends what a variable or capture stands for
 * (nothing where it has none). */
void template_render(const struct conf_template *t, struct buf *out,
                     void (*value)(void *user, const struct conf_part *part,
                                   struct buf *out),
                     void *user);
