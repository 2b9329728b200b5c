/* restarts.c -- what a reload cannot change. */
#include "restarts.h"
#include "base/log.h"

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void tell(const char *what)
{
    log_write(LOG_WARN, "\"%s\" was changed: it needs a restart", what);
}

static void compare_listens(const struct conf *old, const struct conf *now)
{
    const struct conf_listen *a = old->listens, *b = now->listens;
    while (a && b && !strcmp(a->address, b->address) && a->tls == b->tls &&
           a->default_server->tls_protocols ==
               b->default_server->tls_protocols) {
        a = a->next;
        b = b->next;
    }
    if (a || b)
        tell("listen");
}

static bool same_secret(const struct conf_secret *a,
                        const struct conf_secret *b)
{
    return a->kind == b->kind && same_text(a->name, b->name);
}

void restarts_warn(const struct conf *old, const struct conf *now)
{
    compare_listens(old, now);
    if (old->worker_processes != now->worker_processes)
        tell("worker_processes");
    if (old->worker_connections != now->worker_connections)
        tell("worker_connections");
    if (!slice_eq(old->store, now->store))
        tell("latchkey_store");
    if (!same_secret(&old->master_key, &now->master_key))
        tell("latchkey_master_key");
    if (!same_secret(&old->service_key, &now->service_key))
        tell("latchkey_service_key");
    if (!same_secret(&old->admin_token, &now->admin_token))
        tell("latchkey_admin_token");
    if (!same_text(old->node, now->node))
        tell("latchkey_node");
    if (!same_text(old->pid, now->pid))
        tell("pid");
    if (!same_text(old->user, now->user))
        tell("user");
    if (old->daemon != now->daemon)
        tell("daemon");
}
