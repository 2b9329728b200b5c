/* check.c -- `-t`: what a start would need, looked at without changing it. */
#define _GNU_SOURCE
#include "check.h"
#include "base/log.h"
#include "crypto/seal_keys.h"
#include "inherit.h"
#include "process.h"
#include "rights.h"
#include "setup.h"
#include "store/dirlock.h"
#include "store/store.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

struct check {
    const struct conf *conf;
    bool gives; /* root would hand over what it owns to `user` */
    bool alive; /* a server of ours serves this configuration */
    unsigned faults;
};

static void fault(struct check *c, enum err e)
{
    if (e == OK)
        return;
    log_emerg("%s", err_text());
    c->faults++;
}

/* ---- a server that runs already ---------------------------------------------
 */

static void name_of(int pid, char name[32])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(name, 32, file))
        name[0] = '\0';
    if (file)
        fclose(file);
}

static bool is_alive(const struct conf *conf)
{
    char ours[32], theirs[32];
    int pid = 0;
    FILE *file = fopen(conf->pid, "re");
    bool known = file && fscanf(file, "%d", &pid) == 1 && pid > 0;
    if (file)
        fclose(file);
    if (!known || (kill(pid, 0) && errno != EPERM))
        return false;
    name_of(getpid(), ours);
    name_of(pid, theirs);
    return !*ours || !*theirs || !strcmp(ours, theirs); /* /proc may be shut */
}

/* ---- files ------------------------------------------------------------------
 */

static bool may(const struct check *c, const char *path, int how)
{
    return !access(path, how) || (c->gives && rights_passes(c->conf, path));
}

/* Whether the file can be made, with the folders that it lies in: cuts path
 * down to the folder that decides. */
static bool may_make(const struct check *c, char path[PATH_MAX])
{
    char folder[PATH_MAX];
    do {
        rights_folder(path, folder);
        strcpy(path, folder);
    } while (access(path, F_OK) && errno == ENOENT && strcmp(path, "/") &&
             strcmp(path, "."));
    return may(c, path, W_OK | X_OK);
}

/* Appended to, or made. */
static enum err check_file(const struct check *c, const char *path)
{
    char at[PATH_MAX];
    if (!path || !strcmp(path, "stderr"))
        return OK;
    snprintf(at, sizeof at, "%s", path);
    int fd = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || errno == ENXIO || (errno == EACCES && may(c, path, W_OK)))
        return OK;
    int why = errno;
    if (why == ENOENT && may_make(c, at))
        return OK;
    return err_set(ERR_IO, "open() \"%s\" failed (%d: %s)", path, why,
                   strerror(why == ENOENT ? EACCES : why));
}

static void check_logs(struct check *c)
{
    const struct conf *conf = c->conf;
    fault(c, check_file(c, conf->error_log));
    fault(c, check_file(c, conf->event_log));
    for (const struct conf_access_log *l = conf->access_logs; l; l = l->also)
        fault(c, check_file(c, l->path));
}

/* ---- secrets and the store -------------------------------------------------
 */

/* One that is not there is made at the start. */
static bool is_made(const struct conf_secret *s)
{
    return s->kind == CONF_SECRET_FILE && access(s->name, F_OK) &&
           errno == ENOENT;
}

static void check_secret(struct check *c, const struct conf_secret *s,
                         bool make)
{
    struct arena arena = { 0 };
    struct slice secret;
    if (make && is_made(s))
        fault(c, check_file(c, s->name));
    else
        fault(c, setup_secret(&arena, s, false, &secret));
    arena_free(&arena);
}

static const char *folder_of(const struct conf *conf)
{
    const char *url = conf->store.data;
    return url && !strncmp(url, "lmdb:", 5) ? url + 5 : NULL;
}

static bool has_data(const struct conf *conf)
{
    char file[PATH_MAX];
    const char *folder = folder_of(conf);
    if (!folder)
        return false;
    snprintf(file, sizeof file, "%s/data.mdb", folder);
    return !access(file, F_OK);
}

static void check_store(struct check *c, struct seal_keys *keys)
{
    const char *folder = folder_of(c->conf);
    if (folder && !c->alive)
        fault(c, dirlock_check(folder));
    if (!folder || has_data(c->conf))
        fault(c, store_check(c->conf->store.data, keys));
}

/* The master key, and what it opens. */
static void check_sealed(struct check *c)
{
    const struct conf_secret *from = &c->conf->master_key;
    bool file = from->kind == CONF_SECRET_FILE, made = is_made(from);
    char spec[PATH_MAX + 8];
    struct seal_keys *keys = NULL, none = { .refs = 1, .count = 1 };
    if (made && has_data(c->conf))
        fault(c, err_set(ERR_CONFIG,
                         "\"%s\" is not there, and what is in the store is "
                         "sealed: put latchkey_master_key's file back",
                         from->name));
    else if (made)
        fault(c, check_file(c, from->name));
    if (made) {
        if (!has_data(c->conf))
            check_store(c, &none);
        return;
    }
    snprintf(spec, sizeof spec, "%s:%s", file ? "file" : "env", from->name);
    enum err e = seal_keys_load(&keys, spec, false);
    fault(c, e);
    if (e == OK)
        check_store(c, keys);
    seal_keys_free(keys);
}

/* ---- sockets ----------------------------------------------------------------
 */

/* Of a running server of ours; or systemd's (inherit.h), maybe. */
static void judge_socket(struct check *c, enum err e, int why)
{
    bool held = why == EADDRINUSE || why == EACCES;
    if (e == OK || (held && c->alive))
        return;
    if (why == EADDRINUSE && !access("/run/systemd/system", F_OK))
        log_write(LOG_WARN, "%s: fine only where systemd holds it for us",
                  err_text());
    else
        fault(c, e);
}

static void check_sockets(struct check *c)
{
    for (const struct conf_listen *l = c->conf->listens; l; l = l->next) {
        enum err e = inherit_has(l) ? OK : setup_probe(l);
        judge_socket(c, e, errno);
    }
}

/* ---- as `user` --------------------------------------------------------------
 */

/* Root makes what is ours and gives it away; who gets it must get there. */
static bool may_use(const struct check *c, const char *folder)
{
    char at[PATH_MAX];
    snprintf(at, sizeof at, "%s/x", folder);
    if (may_make(c, at))
        return true;
    return c->gives && access(folder, F_OK) && errno == ENOENT &&
           rights_is_ours(c->conf, folder) && !access(at, X_OK);
}

static void check_folder(struct check *c, const char *folder)
{
    if (!may_use(c, folder))
        fault(c,
              err_set(ERR_IO, "\"%s\" cannot be written by user \"%s\"", folder,
                      c->conf->user ? c->conf->user : "of this process"));
}

/* A start reads them as root; what is no fault of it is one of a reload. */
static void warn_certificates(const struct conf *conf)
{
    for (const struct conf_certificate *t = conf->certificates; t; t = t->next)
        if (access(t->chain, R_OK) || access(t->key, R_OK))
            log_write(LOG_WARN,
                      "user \"%s\" cannot read \"%s\" or \"%s\": a start "
                      "works, a reload will be refused",
                      conf->user, t->chain, t->key);
}

static void check_as_user(struct check *c)
{
    const struct conf *conf = c->conf;
    if (c->gives)
        warn_certificates(conf);
    char folder[PATH_MAX];
    rights_folder(conf->pid, folder);
    check_folder(c, folder);
    if (process_has_logins(conf) && folder_of(conf))
        check_folder(c, folder_of(conf));
    if (access(conf->apps, R_OK | X_OK) && errno != ENOENT)
        fault(c, err_set(ERR_IO, "open() \"%s\" failed (%d: %s)", conf->apps,
                         errno, strerror(errno)));
}

/* In a child, which gives its rights up as a start does. */
static void check_dropped(struct check *c)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        c->faults = 0;
        enum err e = setup_user(c->conf);
        fault(c, e);
        if (e == OK)
            check_as_user(c);
        _exit(c->faults > 99 ? 99 : (int)c->faults);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (pid < 0 || !WIFEXITED(status))
        fault(c, err_set(ERR_IO, "no process to look as the user"));
    else
        c->faults += (unsigned)WEXITSTATUS(status);
}

unsigned check_start(const struct conf *conf)
{
    struct check c = { .conf = conf,
                       .gives = conf->user && geteuid() == 0,
                       .alive = is_alive(conf) };
    check_logs(&c);
    fault(&c, setup_limits(conf));
    check_sockets(&c);
    if (process_has_logins(conf)) {
        check_sealed(&c);
        check_secret(&c, &conf->admin_token, true);
        check_secret(&c, &conf->service_key, false);
    }
    check_dropped(&c);
    return c.faults;
}
