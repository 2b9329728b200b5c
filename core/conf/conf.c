/* conf.c -- loads a configuration: paths, defaults, the tree, the blocks. */
#include "conf/conf.h"
#include "conf/directive.h"
#include "crypto/certificate.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

const struct conf_sockets conf_sockets_default = {
    .connect_timeout = 60000,
    .send_timeout = 60000,
    .read_timeout = 60000,
    .keepalive_timeout = 60000,
    .buffer_size = 4096,
    .pool_size = 30,
    .log_errors = true,
    .resolver_timeout = 30000,
    .ciphers = { "DEFAULT", 7 },
    .protocols = CONF_TLS_1_0 | CONF_TLS_1_1 | CONF_TLS_1_2 | CONF_TLS_1_3,
    .verify_depth = 1,
};

#define DEFAULT_FILE "scripts/latchkey.conf"

/* Absolute and with a slash at the end: a daemon may find itself elsewhere.
 */
static const char *read_prefix(struct arena *arena, const char *given)
{
    char here[PATH_MAX];
    given = given && *given ? given : ".";
    if (*given == '/')
        return arena_printf(arena, "%s%s", given,
                            given[strlen(given) - 1] == '/' ? "" : "/");
    if (!getcwd(here, sizeof here))
        return NULL;
    while (!strncmp(given, "./", 2))
        given += 2 + strspn(given + 2, "/");
    if (!*given || !strcmp(given, "."))
        return arena_printf(arena, "%s/", strcmp(here, "/") ? here : "");
    return arena_printf(arena, "%s/%s%s", strcmp(here, "/") ? here : "", given,
                        given[strlen(given) - 1] == '/' ? "" : "/");
}

static const char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    return arena_printf(arena, "%.*s", (int)(slash - path + 1), path);
}

static enum err set_paths(struct scope *s)
{
    const struct conf_options *o = s->loader->options;
    const char *file = o->file ? o->file : DEFAULT_FILE;
    if (!(s->conf->prefix = read_prefix(s->arena, o->prefix)) ||
        !(s->conf->path = scope_path(s, slice_str(file))))
        return fault_memory();
    s->loader->folder = folder_of(s->arena, s->conf->path);
    return s->loader->folder ? OK : fault_memory();
}

static enum err set_defaults(struct scope *s)
{
    struct conf *c = s->conf;
    const char *log = s->loader->options->error_log;
    c->worker_processes = 1;
    c->connections_per_address = 256;
    c->master_process = true;
    c->apps_watch = CONF_WATCH_ON;
    c->lua_regex_cache_max_entries = 1024;
    c->lua_run_timeout = 30000;
    c->lua_memory_limit = 512u << 20;
    c->lua_max_pending_timers = 1024;
    c->lua_max_running_timers = 256;
    c->lua_worker_thread_vm_pool_size = 100;
    c->log_level = LOG_ERR;
    c->error_log = !log || !strcmp(log, "stderr")
                       ? "stderr"
                       : scope_path(s, slice_str(log));
    c->pid = scope_path(s, SLICE("var/latchkey.pid"));
    c->apps = scope_path(s, SLICE("scripts/apps"));
    c->store = slice_str(arena_printf(s->arena, "lmdb:%svar/store", c->prefix));
    c->master_key.kind = c->admin_token.kind = CONF_SECRET_FILE;
    c->master_key.name = scope_path(s, SLICE("var/master.key"));
    c->admin_token.name = scope_path(s, SLICE("var/admin.token"));
    return c->error_log && c->pid && c->apps && c->store.data &&
                   c->master_key.name && c->admin_token.name
               ? OK
               : fault_memory();
}

/* -g comes first, so what the file says again is the duplicate. */
static enum err read_all(struct scope *s, struct node **first)
{
    struct tree tree = { .arena = s->arena,
                         .folder = s->loader->folder,
                         .files = &s->conf->files,
                         .tail = first };
    const char *globals = s->loader->options->globals;
    enum err e = OK;
    if (globals)
        e = tree_parse(&tree, FAULT_COMMAND_LINE, 0, slice_str(globals));
    return e ? e : tree_read(&tree, s->conf->path);
}

static enum err load(struct scope *s)
{
    struct node *first = NULL;
    enum err e = set_paths(s);
    if (!e)
        e = set_defaults(s);
    if (!e)
        e = read_all(s, &first);
    if (!e)
        e = directive_apply(s, first);
    return e ? e : scope_settle(s);
}

enum err conf_load(struct conf **out, const struct conf_options *options)
{
    struct conf *conf = calloc(1, sizeof *conf);
    if (!conf)
        return fault_memory();
    struct loader loader = { .options = options };
    struct scope s = { .loader = &loader,
                       .arena = &conf->arena,
                       .conf = conf,
                       .context = IN_MAIN };
    enum err e = load(&s);
    if (e)
        conf_free(conf);
    else
        *out = conf;
    return e;
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    for (struct conf_regex *r = conf->regexes; r; r = r->next)
        regex_free(r->regex);
    for (struct conf_certificate *c = conf->certificates; c; c = c->next)
        certificate_unref(c->loaded);
    table_free(&conf->variables);
    arena_free(&conf->arena);
    free(conf);
}

void conf_dump(const struct conf *conf, FILE *out)
{
    for (const struct conf_file *f = conf->files; f; f = f->next) {
        fprintf(out, "# configuration file %s:\n", f->path);
        fwrite(f->text.data, 1, f->text.len, out);
        fputc('\n', out);
    }
}

const struct conf_variable *conf_variable(const struct conf *conf,
                                          struct slice name)
{
    return table_get(&conf->variables, name);
}

/* a against b, which is in lower case. */
static int compare_nocase(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < common; i++) {
        int order =
            tolower((unsigned char)a.data[i]) - (int)(unsigned char)b.data[i];
        if (order)
            return order;
    }
    return (a.len > b.len) - (a.len < b.len);
}

struct slice conf_mime(const struct conf_location *at, struct slice path)
{
    size_t dot = path.len;
    while (dot && path.data[dot - 1] != '.' && path.data[dot - 1] != '/')
        dot--;
    if (!dot || path.data[dot - 1] != '.')
        return at->default_type;
    struct slice extension = slice_from(path, dot);
    unsigned low = 0, high = at->ntypes;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = compare_nocase(extension, at->types[middle].extension);
        if (!order)
            return at->types[middle].mime;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return at->default_type;
}
