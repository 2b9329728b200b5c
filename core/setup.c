/* setup.c -- what a start needs from the system. */
#define _GNU_SOURCE
#include "setup.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "crypto/secret_file.h"
#include "inherit.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_BYTES = 32, SECRET_MAX = 4096, SECRET_SHORT = 16, BACKLOG = 511 };

enum err setup_folders(const char *path)
{
    char part[4096];
    for (size_t i = 0; path[i] && i < sizeof part - 1; i++) {
        if (path[i] == '/' && i > 0) {
            part[i] = '\0';
            if (mkdir(part, 0755) && errno != EEXIST)
                return err_set(ERR_IO, "mkdir() \"%s\" failed (%d: %s)", part,
                               errno, strerror(errno));
        }
        part[i] = path[i];
    }
    return OK;
}

/* ---- secrets ---------------------------------------------------------------
 */

static enum err make_secret(const char *path)
{
    uint8_t bytes[SECRET_BYTES];
    struct buf hex = { 0 };
    enum err e = setup_folders(path);
    if (e != OK)
        return e;
    bool ok = secret_random(bytes, sizeof bytes);
    text_hex(&hex, SLICE_OF(bytes, sizeof bytes));
    buf_add_char(&hex, '\n');
    e = ok && buf_ok(&hex)
            ? secret_file_make(path, buf_slice(&hex))
            : err_set(ERR_IO, "\"%s\": no randomness for a secret", path);
    secret_wipe(bytes, sizeof bytes);
    buf_wipe(&hex);
    return e;
}

static struct slice trimmed(struct arena *arena, struct slice text)
{
    while (text.len && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    return arena_dup(arena, slice_trim(text));
}

/* None is a fault; a short one is the operator's to judge. */
static enum err judge_secret(struct slice secret, const char *where)
{
    if (!secret.len)
        return err_set(ERR_CONFIG, "the secret in \"%s\" is empty", where);
    if (secret.len < SECRET_SHORT)
        log_write(LOG_WARN, "the secret in \"%s\" is short: it can be guessed",
                  where);
    return OK;
}

static enum err read_secret(struct arena *arena, const char *path,
                            struct slice *out)
{
    struct buf text = { 0 };
    enum err e = secret_file_read(path, SECRET_MAX, &text);
    if (e == OK)
        *out = trimmed(arena, buf_slice(&text));
    buf_wipe(&text);
    if (e == ERR_NOT_FOUND)
        e = ERR_CONFIG;
    return e == OK ? judge_secret(*out, path) : e;
}

enum err setup_secret(struct arena *arena, const struct conf_secret *from,
                      bool make, struct slice *out)
{
    *out = SLICE_NONE;
    if (from->kind == CONF_SECRET_NONE)
        return OK;
    if (from->kind == CONF_SECRET_ENV) {
        const char *value = getenv(from->name);
        if (!value)
            return err_set(ERR_CONFIG, "the environment's %s is not set",
                           from->name);
        *out = trimmed(arena, slice_str(value));
        return judge_secret(*out, from->name);
    }
    if (make && access(from->name, F_OK) && errno == ENOENT) {
        enum err e = make_secret(from->name);
        if (e != OK)
            return e;
    }
    return read_secret(arena, from->name, out);
}

/* ---- sockets ----------------------------------------------------------------
 */

/* What listens is set up once, so a reload does not change the versions.
 * Neither a key exchange without forward secrecy nor CBC; so nothing is left
 * of TLS 1.0 and 1.1, which Debian's nginx, too, takes and does not speak. */
static const char *tls_of(const struct conf_listen *l, struct arena *arena)
{
    unsigned on = l->default_server->tls_protocols;
    return l->tls ? arena_printf(arena,
                                 "NORMAL:-VERS-ALL%s%s:-RSA:-CIPHER-ALL"
                                 ":+AES-256-GCM:+CHACHA20-POLY1305"
                                 ":+AES-128-GCM:-MAC-ALL:+AEAD",
                                 on & CONF_TLS_1_2 ? ":+VERS-TLS1.2" : "",
                                 on & CONF_TLS_1_3 ? ":+VERS-TLS1.3" : "")
                  : NULL;
}

/* Half of the descriptors, as a request may take a second one. */
static unsigned connections_of(const struct conf *conf)
{
    enum { FEWEST = 16, DEFAULT_MAX = 16384 };
    struct rlimit limit;
    if (conf->worker_connections)
        return conf->worker_connections;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 512;
    rlim_t n = limit.rlim_cur / 2 / conf->worker_processes;
    return n < FEWEST ? FEWEST : n > DEFAULT_MAX ? DEFAULT_MAX : (unsigned)n;
}

static void warn_of_connections(const struct conf *conf)
{
    struct rlimit limit;
    uint64_t all = (uint64_t)conf->worker_processes * conf->worker_connections;
    if (!getrlimit(RLIMIT_NOFILE, &limit) && all > limit.rlim_cur)
        log_write(LOG_WARN,
                  "%u x %u worker_connections exceed open file resource "
                  "limit: %llu",
                  conf->worker_processes, conf->worker_connections,
                  (unsigned long long)limit.rlim_cur);
}

static struct http_limits limits_of(const struct conf *conf,
                                    const struct conf_listen *l)
{
    enum { NOTES = 2048 }; /* for the headers in one of nginx's buffers */
    const struct conf_server *s = l->default_server;
    return (struct http_limits){
        .header_line = (size_t)s->large_header_buffer_size,
        .header_total =
            (size_t)(s->large_header_buffers * s->large_header_buffer_size),
        .header_notes = (size_t)s->large_header_buffers * NOTES,
        .connections = connections_of(conf),
        .header_msec = s->client_header_timeout,
        .body_msec = s->root->client_body_timeout,
        .send_msec = s->root->send_timeout,
    };
}

static enum err bind_address(const struct conf_listen *l, bool share, int *fd)
{
    char unix_path[256];
    int backlog = l->backlog > 0 ? l->backlog : BACKLOG;
    if (l->host)
        return http_socket(l->host, l->port, backlog, share, fd);
    snprintf(unix_path, sizeof unix_path, "unix:%s", l->path);
    return http_socket(unix_path, 0, backlog, false, fd);
}

static bool may_bind_again(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;
    return !getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len) && on;
}

/* A socket that was passed to us, or a new one; where the address can have no
 * second one (an AF_UNIX path, a socket of systemd's), workers share it. */
static enum err socket_for(const struct conf_listen *l, unsigned worker,
                           bool share, const struct worker_socket *first,
                           int *fd)
{
    *fd = inherit_take(l, worker);
    if (*fd >= 0)
        return OK;
    if (worker == 0 || (l->host && may_bind_again(first->fd)))
        return bind_address(l, share, fd);
    *fd = fcntl(first->fd, F_DUPFD_CLOEXEC, 3);
    return *fd >= 0 ? OK : err_set(ERR_IO, "dup: %s", strerror(errno));
}

/* SO_REUSEPORT would hide a port that another server of ours holds. */
enum err setup_probe(const struct conf_listen *l)
{
    int fd = -1;
    enum err e =
        l->host ? bind_address(l, false, &fd) : http_unix_probe(l->path);
    if (fd >= 0)
        close(fd);
    return e;
}

enum err setup_sockets(const struct conf *conf, struct arena *arena,
                       struct worker_socket **sockets, unsigned *count)
{
    unsigned workers = conf->worker_processes;
    *count = 0;
    for (struct conf_listen *l = conf->listens; l; l = l->next)
        ++*count;
    *sockets = arena_alloc(arena, (workers * *count + 1) * sizeof **sockets);
    struct api_socket *addresses =
        arena_alloc(arena, (*count + 1) * sizeof *addresses);
    if (!*sockets || !addresses)
        return ERR_NOMEM;
    unsigned i = 0;
    for (struct conf_listen *l = conf->listens; l; l = l->next, i++) {
        enum err e = inherit_has(l) ? OK : setup_probe(l);
        for (unsigned w = 0; e == OK && w < workers; w++) {
            struct worker_socket *s = &(*sockets)[w * *count + i];
            s->limits = limits_of(conf, l);
            s->limits.tls = tls_of(l, arena);
            s->api = (struct api_socket){
                .address = arena_dup(arena, slice_str(l->address)).data,
                .all = addresses,
                .index = i,
                .count = *count,
            };
            addresses[i] = s->api;
            e = socket_for(l, w, workers > 1, &(*sockets)[i], &s->fd);
        }
        if (e != OK)
            return e;
    }
    inherit_close_rest();
    return OK;
}

/* ---- limits, user, daemon, pid ---------------------------------------------
 */

void setup_no_core(void)
{
    struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0); /* where cores go into a pipe */
}

/* Before anybody comes; a request and a platform call take theirs. */
enum err setup_descriptors(unsigned workers, unsigned listens)
{
    enum { PROCESS = 32, WORKER = 11, LISTEN = 2 };
    struct rlimit limit;
    rlim_t need = PROCESS + workers * (WORKER + (rlim_t)listens * LISTEN);
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= need)
        return OK;
    rlim_t had = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max >= need && !setrlimit(RLIMIT_NOFILE, &limit))
        return OK;
    return err_set(ERR_CONFIG,
                   "%llu file descriptors are too few, %llu are needed to "
                   "start: raise `ulimit -n` or worker_rlimit_nofile",
                   (unsigned long long)had, (unsigned long long)need);
}

enum err setup_limits(const struct conf *conf)
{
    for (const struct conf_env *env = conf->env; env; env = env->next)
        if (env->value.data)
            setenv(env->name.data, env->value.data, 1);
    unsigned listens = 0;
    for (const struct conf_listen *l = conf->listens; l; l = l->next)
        listens++;
    struct rlimit limit = { conf->worker_rlimit_nofile,
                            conf->worker_rlimit_nofile };
    if (limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit))
        log_write(LOG_ALERT, "setrlimit(RLIMIT_NOFILE, %llu) failed (%d: %s)",
                  (unsigned long long)limit.rlim_cur, errno, strerror(errno));
    enum err e = setup_descriptors(conf->worker_processes, listens);
    warn_of_connections(conf);
    return e;
}

enum err setup_user(const struct conf *conf)
{
    if (!conf->user || geteuid() != 0)
        return OK;
    struct passwd *pw = getpwnam(conf->user);
    struct group *gr = conf->group ? getgrnam(conf->group) : NULL;
    if (!pw || (conf->group && !gr))
        return err_set(ERR_CONFIG, "user \"%s\" or its group does not exist",
                       conf->user);
    gid_t gid = gr ? gr->gr_gid : pw->pw_gid;
    if (setgid(gid) || initgroups(conf->user, gid) || setuid(pw->pw_uid))
        return err_set(ERR_CONFIG, "cannot become user \"%s\": %s", conf->user,
                       strerror(errno));
    return OK;
}

enum err setup_daemon(int *ready)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return err_set(ERR_IO, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        return err_set(ERR_IO, "fork() failed (%d: %s)", errno,
                       strerror(errno));
    if (pid > 0) {
        char status = 1; /* a child that dies says nothing */
        close(ends[1]);
        if (read(ends[0], &status, 1) != 1)
            status = 1;
        _exit(status);
    }
    close(ends[0]);
    setsid();
    *ready = ends[1];
    return OK;
}

void setup_ready(int ready, int status)
{
    char byte = (char)status;
    if (ready < 0)
        return;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
    if (write(ready, &byte, 1) != 1)
        log_write(LOG_ALERT, "nobody waits for the daemon's start");
    close(ready);
}

enum err setup_pid_file(const char *path)
{
    enum err e = setup_folders(path);
    if (e != OK)
        return e;
    FILE *file = fopen(path, "we");
    if (!file)
        return err_set(ERR_IO, "open() \"%s\" failed (%d: %s)", path, errno,
                       strerror(errno));
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
    return OK;
}
