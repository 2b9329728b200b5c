/* generation.c -- one configuration with its policies, loaded and checked. */
#include "generation.h"
#include "api/request.h"
#include "base/log.h"
#include "options.h"
#include "store/shdict.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { APPS_MAX = 1000, APP_MAX = 1024 * 1024 };

struct generation *generation_ref(struct generation *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void generation_unref(struct generation *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    for (size_t i = 0; g->api.dicts && g->api.dicts[i]; i++)
        shdict_unref(g->api.dicts[i]);
    if (!g->conf_owner)
        conf_free(g->conf);
    generation_unref(g->conf_owner);
    arena_free(&g->arena);
    free(g);
}

static void hold(const struct api_generation *api, bool on)
{
    struct generation *g = (struct generation *)(uintptr_t)api;
    if (on)
        generation_ref(g);
    else
        generation_unref(g);
}

static enum err load_conf(struct generation *g, const struct options *o,
                          struct generation *keep)
{
    if (keep) {
        struct generation *owner = keep->conf_owner ? keep->conf_owner : keep;
        g->conf_owner = generation_ref(owner);
        g->conf = owner->conf;
        return OK;
    }
    struct conf_options from = { .prefix = o->prefix,
                                 .file = o->conf,
                                 .globals = o->globals,
                                 .error_log = o->error_log,
                                 .builtin = variable_builtin };
    return conf_load(&g->conf, &from);
}

static enum err make_dicts(struct generation *g)
{
    size_t n = 0;
    for (struct conf_shared_dict *d = g->conf->shared_dicts; d; d = d->next)
        n++;
    g->api.dicts = arena_alloc(&g->arena, (n + 1) * sizeof *g->api.dicts);
    if (!g->api.dicts)
        return ERR_NOMEM;
    n = 0;
    for (struct conf_shared_dict *d = g->conf->shared_dicts; d; d = d->next) {
        struct shdict *dict = shdict_new(d->name, (size_t)d->size);
        if (!dict)
            return err_set(ERR_NOMEM, "no memory for lua_shared_dict \"%s\"",
                           d->name.data);
        g->api.dicts[n++] = dict;
    }
    return OK;
}

/* ---- the policies' texts --------------------------------------------------
 */

/* The path as messages show it: relative to the prefix, where it is below. */
static const char *shown_path(struct generation *g, const char *path)
{
    size_t n = strlen(g->conf->prefix);
    return strncmp(path, g->conf->prefix, n) ? path : path + n;
}

static enum err read_text(struct generation *g, const char *path,
                          struct slice *out)
{
    struct buf text = { 0 };
    FILE *file = fopen(path, "re");
    size_t n = 0;
    if (!file)
        return err_set(ERR_CONFIG, "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    do {
        char *to = buf_reserve(&text, 65536);
        n = to ? fread(to, 1, 65536, file) : 0;
        text.len += n;
    } while (n && text.len < APP_MAX);
    bool ok = !ferror(file) && text.len < APP_MAX;
    fclose(file);
    *out = arena_dup(&g->arena, buf_slice(&text));
    buf_free(&text);
    return ok && out->data ? OK
                           : err_set(ERR_CONFIG, "cannot read \"%s\"", path);
}

static bool is_policy(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 4 && entry->d_name[0] != '.' &&
           !strcmp(entry->d_name + n - 4, ".lua");
}

static int is_entry(const struct dirent *entry)
{
    return is_policy(entry);
}

static enum err add_app(struct generation *g, const char *file)
{
    struct api_app *app = &g->api.apps[g->api.napps];
    struct slice name = { file, strlen(file) - 4 };
    const char *path = arena_printf(&g->arena, "%s/%s", g->conf->apps, file);
    if (!path)
        return ERR_NOMEM;
    app->name = arena_dup(&g->arena, name);
    app->path = shown_path(g, path);
    if (slice_eq(name, SLICE("introspect")) || slice_eq(name, SLICE("verify")))
        return err_set(ERR_CONFIG,
                       "\"%s\" is a reserved name for an app in "
                       "%s:1",
                       app->name.data, app->path);
    enum err e = read_text(g, path, &app->text);
    if (e == OK)
        g->api.napps++;
    return e;
}

/* A folder that is not there holds no policies. */
static enum err read_apps(struct generation *g)
{
    struct dirent **entries;
    int n = scandir(g->conf->apps, &entries, is_entry, alphasort);
    if (n < 0 && errno == ENOENT)
        return OK;
    if (n < 0)
        return err_set(ERR_CONFIG, "latchkey_apps \"%s\": %s", g->conf->apps,
                       strerror(errno));
    enum err e = OK;
    if (n > APPS_MAX)
        e = err_set(ERR_CONFIG, "latchkey_apps \"%s\": over %d policies",
                    g->conf->apps, APPS_MAX);
    g->api.apps = arena_alloc(&g->arena, (size_t)(n + 1) * sizeof *g->api.apps);
    if (!g->api.apps)
        e = ERR_NOMEM;
    for (int i = 0; i < n; i++) {
        if (e == OK)
            e = add_app(g, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return e;
}

/* ---- trying them ----------------------------------------------------------
 */

/* Whether the text loads as a policy; in the scratch vm. */
static enum err try_app(struct api *scratch, const struct api_app *app)
{
    lua_State *L = scratch->vm->L;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "latchkey.app");
    enum err e = vm_call(scratch->vm, 1, 1);
    if (e != OK)
        return e;
    lua_getfield(L, -1, "install");
    lua_remove(L, -2);
    vm_push(L, app->name);
    lua_pushstring(L, app->path);
    vm_push(L, app->text);
    return vm_call(scratch->vm, 3, 0);
}

static const struct api_app *find_app(const struct generation *g,
                                      struct slice name)
{
    for (unsigned i = 0; g && i < g->api.napps; i++)
        if (slice_eq(g->api.apps[i].name, name))
            return &g->api.apps[i];
    return NULL;
}

/* The first line of a message: what an operator reads. */
static const char *first_line(struct generation *g, const char *text)
{
    return arena_dup(&g->arena, (struct slice){ text, strcspn(text, "\n") })
        .data;
}

static enum err check_app(struct generation *g, struct generation *last,
                          struct api *scratch, struct api_app *app)
{
    enum err e = try_app(scratch, app);
    const struct api_app *old = find_app(last, app->name);
    if (e == OK)
        return OK;
    app->fault = first_line(g, err_text());
    if (!old || !old->text.data)
        return err_set(ERR_SCRIPT, "%s", app->fault);
    app->text = arena_dup(&g->arena, old->text);
    return try_app(scratch, app);
}

/* A new policy that does not load has no last good text: it does not serve,
 * and the others go ahead; at the first start it is an error. */
static enum err check_apps(struct generation *g, struct generation *last,
                           struct api *scratch)
{
    for (unsigned i = 0; i < g->api.napps; i++) {
        struct api_app *app = &g->api.apps[i];
        const struct api_app *old = find_app(last, app->name);
        enum err e = check_app(g, last, scratch, app);
        if (app->fault)
            log_write(LOG_ERR, "policy \"%s\" does not load: %s",
                      app->name.data, app->fault);
        if (e != OK && (!last || (old && old->text.data)))
            return e;
        if (e != OK)
            app->text = SLICE_NONE;
    }
    return OK;
}

/* The scratch vm runs init_by_lua* too, without any policies yet. */
static enum err try_all(struct generation *g, struct generation *last,
                        struct api_worker *worker)
{
    struct api *scratch;
    unsigned napps = g->api.napps;
    g->api.napps = 0;
    enum err e = api_new(&scratch, worker, &g->api);
    g->api.napps = napps;
    if (e != OK)
        return e;
    e = check_apps(g, last, scratch);
    api_free(scratch);
    return e;
}

static enum err make(struct generation **out, const struct options *o,
                     struct generation *keep, uint64_t number)
{
    struct generation *g = calloc(1, sizeof *g);
    if (!g)
        return ERR_NOMEM;
    atomic_init(&g->refs, 1);
    enum err e = load_conf(g, o, keep);
    g->api.conf = g->conf;
    g->api.number = number;
    g->api.hold = hold;
    if (e == OK)
        e = make_dicts(g);
    if (e == OK)
        *out = g;
    else
        generation_unref(g);
    return e;
}

static void warn_unlimited(const struct generation *g)
{
    const struct conf_shared_dict *d = g->conf->shared_dicts;
    while (d && !slice_eq(d->name, SLICE("limits")))
        d = d->next;
    if (!d && g->api.napps)
        log_write(LOG_WARN, "the policies' limits are off: there is no "
                            "\"lua_shared_dict limits\"");
}

enum err generation_new(struct generation **out, const struct options *o,
                        struct generation *keep, struct generation *last,
                        struct api_worker *scratch, uint64_t number)
{
    struct generation *g;
    enum err e = make(&g, o, keep, number);
    if (e != OK)
        return e;
    e = read_apps(g);
    if (e == OK)
        e = try_all(g, last, scratch);
    if (e == OK && !keep)
        warn_unlimited(g);
    if (e == OK)
        *out = g;
    else
        generation_unref(g);
    return e;
}

enum err generation_new_bare(struct generation **out, const struct options *o)
{
    struct options bare = *o;
    if (!bare.conf)
        bare.conf = "/dev/null";
    return make(out, &bare, NULL, 1);
}
