/* latchkey.c -- the directives that nginx does not have. */
#include "conf/setters.h"

/* The value is never shown: it may hold a password. */
enum err latchkey_store(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    static const struct slice schemes[] = {
        { "redis://", 8 },           { "rediss://", 9 },
        { "redis+sentinel://", 17 }, { "rediss+sentinel://", 18 },
        { "redis+cluster://", 16 },  { "rediss+cluster://", 17 },
    };
    struct slice url = n->args[0], lmdb = SLICE("lmdb:");
    s->conf->store = url;
    if (slice_eq(url, SLICE("memory:")))
        return OK;
    if (slice_starts(url, lmdb) && url.len > lmdb.len) {
        const char *dir = scope_path(s, slice_from(url, lmdb.len));
        const char *whole = dir ? arena_printf(s->arena, "lmdb:%s", dir) : dir;
        s->conf->store = slice_str(whole);
        return whole ? OK : fault_memory();
    }
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (slice_starts(url, schemes[i]) && url.len > schemes[i].len)
            return OK;
    return node_fail(n,
                     "invalid value in \"%s\" directive, it must be "
                     "\"lmdb:DIR\", \"redis://...\", \"redis+sentinel://...\", "
                     "\"redis+cluster://...\" or \"memory:\"",
                     d->name);
}

enum err latchkey_apps(struct scope *s, const struct directive *d,
                       const struct node *n)
{
    enum err e = setting_path(s, d, n);
    if (e || n->nargs < 2)
        return e;
    static const char *const modes[] = { [CONF_WATCH_OFF] = "watch=off",
                                         [CONF_WATCH_ON] = "watch=on",
                                         [CONF_WATCH_POLL] = "watch=poll" };
    for (int i = 0; i < (int)(sizeof modes / sizeof *modes); i++)
        if (slice_eq(n->args[1], slice_str(modes[i]))) {
            s->conf->apps_watch = (enum conf_watch)i;
            return OK;
        }
    return node_fail(n, "invalid parameter \"%s\"", n->args[1].data);
}

/* The value is not shown: a secret written in its place by mistake must not
 * reach the log. */
enum err latchkey_secret(struct scope *s, const struct directive *d,
                         const struct node *n)
{
    struct conf_secret *secret = directive_field(s, d);
    struct slice from = n->args[0], file = SLICE("file:"), env = SLICE("env:");
    if (slice_starts(from, file) && from.len > file.len) {
        secret->kind = CONF_SECRET_FILE;
        secret->name = scope_path(s, slice_from(from, file.len));
    } else if (slice_starts(from, env) && from.len > env.len) {
        secret->kind = CONF_SECRET_ENV;
        secret->name = from.data + env.len;
    } else {
        return node_fail(n,
                         "invalid value in \"%s\" directive, it must be "
                         "\"file:PATH\" or \"env:NAME\"",
                         d->name);
    }
    return secret->name ? OK : fault_memory();
}

enum err latchkey_node(struct scope *s, const struct directive *d,
                       const struct node *n)
{
    if (!n->args[0].len)
        return node_fail(n, "\"%s\" directive invalid value", d->name);
    s->conf->node = n->args[0].data;
    return OK;
}
