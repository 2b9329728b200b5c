/* process.c -- what all workers share: secrets, keys, the store. */
#include "process.h"
#include "base/clock.h"
#include "crypto/seal_keys.h"
#include "rights.h"
#include "setup.h"
#include "store/store.h"
#include <unistd.h>

static enum err load_keys(struct api_process *p, const struct conf *conf,
                          struct arena *arena)
{
    const struct conf_secret *from = &conf->master_key;
    bool file = from->kind == CONF_SECRET_FILE;
    const char *spec =
        arena_printf(arena, "%s:%s", file ? "file" : "env", from->name);
    enum err e = file ? setup_folders(from->name) : OK;
    return e == OK ? seal_keys_load(&p->keys, spec, true) : e;
}

/* "lmdb:DIR": the folder that DIR is made in. */
static enum err open_store(struct api_process *p, const struct conf *conf)
{
    const char *url = conf->store.data;
    if (!strncmp(url, "lmdb:", 5)) {
        enum err e = setup_folders(url + 5);
        if (e != OK)
            return e;
    }
    return store_open(&p->store, url, p->keys);
}

static const char *node_name(const struct conf *conf, struct arena *arena)
{
    char name[256] = "localhost";
    if (!conf->node)
        gethostname(name, sizeof name - 1);
    /* A copy: a reload drops this configuration. */
    return arena_dup(arena, slice_str(conf->node ? conf->node : name)).data;
}

static enum err load_secrets(struct api_process *p, const struct conf *conf,
                             struct arena *arena)
{
    enum err e = load_keys(p, conf, arena);
    if (e == OK)
        e = setup_secret(arena, &conf->admin_token, true, &p->admin_token);
    if (e == OK)
        e = setup_secret(arena, &conf->service_key, false, &p->service_key);
    return e;
}

bool process_has_logins(const struct conf *conf)
{
    return conf->latchkey || !access(conf->apps, F_OK);
}

enum err process_open(struct api_process *p, const struct conf *conf,
                      struct arena *arena)
{
    bool logins = process_has_logins(conf);
    enum err e = logins ? load_secrets(p, conf, arena) : OK;
    if (e == OK)
        e = rights_hand_over(conf);
    if (e == OK)
        e = setup_user(conf);
    if (e == OK && logins)
        e = open_store(p, conf);
    p->workers = conf->worker_processes;
    p->node = node_name(conf, arena);
    p->started = (uint64_t)clock_now();
    return e;
}

void process_close(struct api_process *p)
{
    store_close(p->store);
    seal_keys_free(p->keys);
}
