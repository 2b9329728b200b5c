/* rights.c -- what `user` will own once the rights of root are dropped. */
#define _GNU_SOURCE
#include "rights.h"
#include "process.h"
#include "setup.h"
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct owner {
    const struct conf *conf;
    uid_t uid;
    gid_t gid;
};

void rights_folder(const char *path, char out[4096])
{
    const char *slash = strrchr(path, '/');
    int len = !slash ? 0 : slash == path ? 1 : (int)(slash - path);
    snprintf(out, PATH_MAX, "%.*s", len ? len : 1, len ? path : ".");
}

static const char *store_of(const struct conf *conf)
{
    const char *url = conf->store.data;
    return url && !strncmp(url, "lmdb:", 5) ? url + 5 : NULL;
}

bool rights_is_ours(const struct conf *conf, const char *path)
{
    const char *store = store_of(conf);
    size_t prefix = strlen(conf->prefix), len = store ? strlen(store) : 0;
    return (!strncmp(path, conf->prefix, prefix) && path[prefix]) ||
           (len > 1 && !strncmp(path, store, len) &&
            (!path[len] || path[len] == '/'));
}

bool rights_passes(const struct conf *conf, const char *path)
{
    struct stat st;
    return rights_is_ours(conf, path) && !lstat(path, &st) && st.st_uid == 0 &&
           ((S_ISREG(st.st_mode) && st.st_nlink == 1) || S_ISDIR(st.st_mode));
}

static enum err give(const struct owner *to, const char *path)
{
    if (!path || !rights_passes(to->conf, path) ||
        !lchown(path, to->uid, to->gid))
        return OK;
    return err_set(ERR_IO, "chown() \"%s\" failed (%d: %s)", path, errno,
                   strerror(errno));
}

/* Not the folder: who owns that chooses what root opens at the next start. */
static enum err give_log(const struct owner *to, const char *path)
{
    return path && strcmp(path, "stderr") ? give(to, path) : OK;
}

static enum err give_secret(const struct owner *to, const struct conf_secret *s)
{
    return s->kind == CONF_SECRET_FILE ? give(to, s->name) : OK;
}

static enum err give_store(const struct owner *to, const char *folder)
{
    static const char *const names[] = { "", "/data.mdb", "/lock.mdb",
                                         "/lock" };
    char path[PATH_MAX];
    enum err e = setup_folders(folder);
    if (e == OK && mkdir(folder, 0700) && errno != EEXIST)
        e = err_set(ERR_STORE, "store directory %s cannot be made: %s", folder,
                    strerror(errno));
    for (size_t i = 0; i < sizeof names / sizeof *names && e == OK; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        e = give(to, path);
    }
    return e;
}

static enum err find_owner(const struct conf *conf, struct owner *to)
{
    const struct passwd *pw = getpwnam(conf->user);
    const struct group *gr = conf->group ? getgrnam(conf->group) : NULL;
    if (!pw || (conf->group && !gr))
        return err_set(ERR_CONFIG, "user \"%s\" or its group does not exist",
                       conf->user);
    *to = (struct owner){ conf, pw->pw_uid, gr ? gr->gr_gid : pw->pw_gid };
    return OK;
}

static enum err give_all(const struct owner *to)
{
    const struct conf *conf = to->conf;
    char folder[PATH_MAX];
    rights_folder(conf->pid, folder);
    enum err e = setup_folders(conf->pid);
    if (e == OK)
        e = give(to, folder);
    if (e == OK)
        e = give_log(to, conf->error_log);
    if (e == OK)
        e = give_log(to, conf->event_log);
    for (const struct conf_access_log *l = conf->access_logs; l && e == OK;
         l = l->also)
        e = give_log(to, l->path);
    return e;
}

enum err rights_hand_over(const struct conf *conf)
{
    struct owner to;
    if (!conf->user || geteuid() != 0)
        return OK;
    enum err e = find_owner(conf, &to);
    if (e == OK)
        e = give_all(&to);
    if (e == OK)
        e = give_secret(&to, &conf->master_key);
    if (e == OK)
        e = give_secret(&to, &conf->admin_token);
    if (e == OK)
        e = give_secret(&to, &conf->service_key);
    if (e == OK && store_of(conf) && process_has_logins(conf))
        e = give_store(&to, store_of(conf));
    return e;
}
