/* process.c -- directives on how the process runs. */
#include "base/text.h"
#include "conf/setters.h"
#include <limits.h>
#include <unistd.h>

enum { WORKERS_MAX = 1024, THREADS_MAX = 1024, QUEUE_DEFAULT = 65536 };

enum err process_workers(struct scope *s, const struct directive *d,
                         const struct node *n)
{
    uint64_t count;
    if (slice_eq(n->args[0], SLICE("auto"))) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 0 ? (uint64_t)online : 1;
    } else if (!text_u64(n->args[0], &count) || !count) {
        return node_fail(n, "\"%s\" directive invalid value", d->name);
    }
    if (count > WORKERS_MAX)
        return node_fail(n, "\"%s\" must not exceed %d", d->name, WORKERS_MAX);
    s->conf->worker_processes = (unsigned)count;
    return OK;
}

enum err process_error_log(struct scope *s, const struct directive *d,
                           const struct node *n)
{
    (void)d;
    struct slice where = n->args[0];
    if (slice_starts(where, SLICE("syslog:")) ||
        slice_starts(where, SLICE("memory:")))
        return node_fail(n, "\"%s\" is not supported as an error log",
                         where.data);
    if (s->context != IN_MAIN) {
        log_write(LOG_WARN,
                  "there is one log, that of the main level: \"error_log\" is "
                  "ignored in %s:%u",
                  n->file, n->line);
        return OK;
    }
    s->conf->error_log =
        slice_eq(where, SLICE("stderr")) ? "stderr" : scope_path(s, where);
    if (!s->conf->error_log)
        return fault_memory();
    s->conf->log_level = LOG_ERR;
    if (n->nargs < 2)
        return OK;
    if (!log_level_parse(n->args[1], &s->conf->log_level) ||
        s->conf->log_level == LOG_STDERR)
        return node_fail(n, "invalid log level \"%s\"", n->args[1].data);
    return OK;
}

enum err process_user(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    (void)d;
    s->conf->user = n->args[0].data;
    s->conf->group = n->nargs > 1 ? n->args[1].data : NULL;
    return OK;
}

enum err process_env(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    struct conf_env **at = directive_field(s, d);
    struct conf_env *env = arena_alloc(s->arena, sizeof *env);
    if (!env)
        return fault_memory();
    size_t equals = slice_find(n->args[0], '=');
    env->name = arena_dup(s->arena, (struct slice){ n->args[0].data, equals });
    if (!env->name.data)
        return fault_memory();
    if (equals < n->args[0].len)
        env->value = slice_from(n->args[0], equals + 1);
    while (*at)
        at = &(*at)->next;
    *at = env;
    return OK;
}

/* libuv chooses; the names that make sense on Linux are accepted. */
enum err process_use(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    (void)s;
    (void)d;
    static const char *const methods[] = { "epoll", "poll", "select" };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (slice_eq(n->args[0], slice_str(methods[i])))
            return OK;
    return node_fail(n, "invalid event type \"%s\"", n->args[0].data);
}

/* "threads=4": the number; false where arg is another parameter. */
static bool parameter(struct slice arg, struct slice name, struct slice *value)
{
    *value = slice_from(arg, name.len);
    return slice_starts(arg, name);
}

static enum err pool_parameter(struct conf_thread_pool *pool,
                               const struct node *n, struct slice arg)
{
    struct slice text;
    uint64_t number;
    bool threads = parameter(arg, SLICE("threads="), &text);
    if (!threads && !parameter(arg, SLICE("max_queue="), &text))
        return node_fail(n, "invalid parameter \"%s\"", arg.data);
    if (!text_u64(text, &number) || number > UINT_MAX || (threads && !number))
        return node_fail(n, "invalid %s value \"%s\"",
                         threads ? "threads" : "max_queue", arg.data);
    if (threads && number > THREADS_MAX)
        return node_fail(n, "\"threads\" must not exceed %d", THREADS_MAX);
    *(threads ? &pool->threads : &pool->max_queue) = (unsigned)number;
    return OK;
}

enum err process_thread_pool(struct scope *s, const struct directive *d,
                             const struct node *n)
{
    struct conf_thread_pool **at = directive_field(s, d);
    struct conf_thread_pool pool = { .name = n->args[0],
                                     .max_queue = QUEUE_DEFAULT };
    for (; *at; at = &(*at)->next)
        if (slice_eq((*at)->name, pool.name))
            return node_fail(n, "duplicate thread pool \"%s\"", pool.name.data);
    for (unsigned i = 1; i < n->nargs; i++) {
        enum err e = pool_parameter(&pool, n, n->args[i]);
        if (e)
            return e;
    }
    if (!pool.threads)
        return node_fail(n, "\"%s\" must have \"threads\" parameter", d->name);
    if (!(*at = arena_alloc(s->arena, sizeof pool)))
        return fault_memory();
    **at = pool;
    return OK;
}
