/* http_daemon.c -- libmicrohttpd's epoll descriptor under a libuv loop.
 *
 * MHD_run is called when the descriptor is readable, when MHD asks for it
 * (its timeout is 0), and before the loop sleeps after a connection was
 * resumed; a resumed one would hang otherwise.  While requests linger its
 * timeout is always 0, and says nothing; but then the loop does not sleep. */
#include "base/log.h"
#include "net/http_private.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SWEEP_MSEC = 500, RUNS = 4, STILL_RUNS = 16, PAUSE_MAX = 64 /* ms */ };

void http_on_timer(uv_timer_t *timer)
{
    http_drive(timer->data);
}

static bool has_more(struct http_listen *l)
{
    MHD_UNSIGNED_LONG_LONG wait = 0;
    if (l->resumed || l->lingering)
        return l->resumed || l->moved;
    return MHD_get_timeout(l->daemon, &wait) == MHD_YES && !wait;
}

/* libmicrohttpd takes a connection whose client is silent in the middle of a
 * TLS handshake for one with more to do.  So where nothing moves it is asked
 * ever more seldom; what really comes makes its descriptor readable.  A body
 * that libmicrohttpd sends by itself does not show: where there may be one,
 * soon. */
static unsigned pause_of(const struct http_listen *l)
{
    if (l->moved)
        return 0;
    if (l->sending)
        return 1;
    return l->pause < PAUSE_MAX ? l->pause * 2 + 1 : PAUSE_MAX;
}

bool http_run(struct http_listen *l)
{
    for (int i = 0; i < RUNS || (!l->moved && i < STILL_RUNS); i++) {
        l->resumed = l->moved = false;
        MHD_run(l->daemon);
        if (!has_more(l))
            return true;
    }
    l->pause = pause_of(l);
    uv_timer_start(&l->timer, http_on_timer, l->pause, 0); /* others first */
    return false;
}

void http_drive(struct http_listen *l)
{
    bool settled = http_run(l) || !l->moved;
    if (settled && !LIST_EMPTY(&l->halves))
        http_hangup_settle(l);
    if (l->slow)
        http_slow_dispatch(l);
    if (l->drained)
        http_tell_drained(l);
    if (l->resumed) /* by who was told; the loop may be about to sleep */
        uv_timer_start(&l->timer, http_on_timer, 0, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    ((struct http_listen *)poll->data)->pause = 0;
    http_drive(poll->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct http_server *s = prepare->data;
    s->turn++;
    for (struct http_listen *l = s->listens; l; l = l->next)
        if (l->resumed || l->lingering)
            http_drive(l);
}

static void on_sweep(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    for (struct http_listen *l = s->listens; l; l = l->next) {
        http_conn_sweep(l);
        http_accept_resume(l); /* what was short may not be any more */
    }
}

static void on_connection(void *listen, struct MHD_Connection *mhd,
                          void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = http_conn_new(listen, mhd);
    } else if (*context) {
        http_conn_closed(*context);
        *context = NULL;
    }
}

/* Paths are matched and decoded above us. */
static size_t keep_escapes(void *user, struct MHD_Connection *mhd, char *text)
{
    (void)user;
    (void)mhd;
    return strlen(text);
}

enum err http_server_new(struct http_server **out, uv_loop_t *loop,
                         const struct http_events *events, void *user)
{
    struct http_server *s = calloc(1, sizeof *s);
    if (!s)
        return ERR_NOMEM;
    s->loop = loop;
    s->events = events;
    s->user = user;
    enum err e = http_hangup_open(s);
    if (e != OK) {
        free(s);
        return e;
    }
    http_room_open();
    s->handles += 4;
    uv_prepare_init(loop, &s->prepare);
    uv_idle_init(loop, &s->idle);
    uv_timer_init(loop, &s->sweep);
    uv_timer_init(loop, &s->again);
    s->prepare.data = s->sweep.data = s->again.data = s;
    uv_prepare_start(&s->prepare, on_prepare);
    uv_timer_start(&s->sweep, on_sweep, SWEEP_MSEC, SWEEP_MSEC);
    *out = s;
    return OK;
}

static struct MHD_Daemon *start_daemon(struct http_listen *l)
{
    const struct http_limits *limits = &l->limits;
    size_t memory = limits->header_total + limits->header_notes;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)limits->tls },
        { MHD_OPTION_HTTPS_CERT_CALLBACK, 0, http_tls_callback() },
        { MHD_OPTION_END, 0, NULL }
    };
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_NO_LISTEN_SOCKET; /* http_accept.c has it */
    return MHD_start_daemon(
        limits->tls ? flags | MHD_USE_TLS : flags, 0, NULL, NULL,
        http_on_access, l, MHD_OPTION_ARRAY, limits->tls ? tls : tls + 2,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)INT_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory, MHD_OPTION_URI_LOG_CALLBACK,
        http_on_uri, l, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, http_on_completed, l,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, l, MHD_OPTION_END);
}

enum err http_server_listen(struct http_server *s, int fd,
                            const struct http_limits *limits, void *tag,
                            struct http_listen **out)
{
    struct http_listen *l = calloc(1, sizeof *l);
    if (!l)
        return ERR_NOMEM;
    l->server = s;
    l->limits = *limits;
    l->tag = tag;
    TAILQ_INIT(&l->fresh);
    TAILQ_INIT(&l->kept);
    LIST_INIT(&l->halves);
    l->daemon = start_daemon(l);
    if (!l->daemon) {
        free(l);
        return err_set(ERR_IO, "libmicrohttpd does not start on socket %d", fd);
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(s->loop, &l->poll, info->epoll_fd);
    uv_timer_init(s->loop, &l->timer);
    l->poll.data = l->timer.data = l;
    s->handles += 2;
    uv_poll_start(&l->poll, UV_READABLE, on_readable);
    http_accept_start(l, fd);
    l->next = s->listens;
    s->listens = l;
    *out = l;
    return OK;
}

/* Those who have not asked yet may, for a moment. */
static void limit_fresh(struct http_listen *l)
{
    for (struct http_conn *c = l->conns; c; c = c->next)
        if (c->state == HTTP_IDLE && !c->requests)
            http_conn_enter(c, HTTP_IDLE, HTTP_FRESH_MSEC);
}

void http_server_quiesce(struct http_server *s)
{
    s->draining = true;
    for (struct http_listen *l = s->listens; l; l = l->next) {
        http_accept_rest(l);
        limit_fresh(l);
        http_accept_stop(l);
    }
}

bool http_server_drained(const struct http_server *s)
{
    for (const struct http_listen *l = s->listens; l; l = l->next) {
        if (l->held.fd >= 0)
            return false;
        for (const struct http_conn *c = l->conns; c; c = c->next)
            if (c->state != HTTP_IDLE || !c->requests)
                return false;
    }
    return !s->active;
}

void *http_listen_tag(const struct http_listen *l)
{
    return l->tag;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;
    if (--s->handles)
        return;
    while (s->listens) {
        struct http_listen *l = s->listens;
        s->listens = l->next;
        free(l);
    }
    free(s);
}

void http_close_handle(struct http_server *s, uv_handle_t *handle)
{
    handle->data = s;
    uv_close(handle, on_handle_closed);
}

/* MHD must not be stopped while a connection is suspended. */
static void stop_daemon(struct http_listen *l)
{
    for (struct http_conn *c = l->conns; c; c = c->next)
        if (c->request && (c->request->suspended || c->request->lingers))
            http_abandon(c->request);
    MHD_run(l->daemon);
    MHD_stop_daemon(l->daemon);
}

void http_server_free(struct http_server *s)
{
    s->stopping = true;
    uv_prepare_stop(&s->prepare);
    for (struct http_listen *l = s->listens; l; l = l->next) {
        http_accept_stop(l);
        uv_poll_stop(&l->poll);
        stop_daemon(l);
        http_close_handle(s, (uv_handle_t *)&l->poll);
        http_close_handle(s, (uv_handle_t *)&l->timer);
    }
    http_abandon_detached(s);
    http_hangup_close(s);
    http_close_handle(s, (uv_handle_t *)&s->sweep);
    http_close_handle(s, (uv_handle_t *)&s->again);
    http_close_handle(s, (uv_handle_t *)&s->idle);
    http_close_handle(s, (uv_handle_t *)&s->prepare);
}

static int unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Whether nobody listens there any more: a process that was killed left it. */
static bool is_stale(const struct sockaddr_un *sa)
{
    struct stat st;
    if (stat(sa->sun_path, &st) || !S_ISSOCK(st.st_mode))
        return false;
    int fd = unix_socket();
    bool stale = fd >= 0 && connect(fd, (const void *)sa, sizeof *sa) &&
                 errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return stale;
}

/* Held while one looks and binds, so that of two that start at once none
 * takes the other's new socket for a stale one. */
static int lock_folder(const char *path)
{
    char folder[sizeof((struct sockaddr_un *)0)->sun_path];
    const char *slash = strrchr(path, '/');
    int len = slash ? (int)(slash - path) + 1 : 0;
    snprintf(folder, sizeof folder, "%.*s", len ? len : 1, len ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        flock(fd, LOCK_EX);
    return fd;
}

static int bind_unix(const struct sockaddr_un *sa, int backlog)
{
    int lock = lock_folder(sa->sun_path);
    if (is_stale(sa))
        unlink(sa->sun_path);
    int fd = unix_socket();
    bool ok = fd >= 0 && !bind(fd, (const void *)sa, sizeof *sa) &&
              !listen(fd, backlog);
    int why = errno;
    if (!ok && fd >= 0)
        close(fd);
    if (lock >= 0)
        close(lock);
    errno = why;
    return ok ? fd : -1;
}

enum err http_unix_probe(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    char folder[sizeof sa.sun_path];
    struct stat st;
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s", path);
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int why = 0;
    if (strlen(path) >= sizeof sa.sun_path)
        why = ENAMETOOLONG;
    else if (!lstat(path, &st) && !is_stale(&sa))
        why = EADDRINUSE;
    else if (access(slash ? folder : ".", W_OK | X_OK))
        why = errno;
    enum err e = why ? err_set(ERR_IO, "bind() to unix:%s failed (%d: %s)",
                               path, why, strerror(why))
                     : OK;
    errno = why;
    return e;
}

static enum err listen_unix(const char *path, int backlog, int *out)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof sa.sun_path)
        return err_set(ERR_IO, "bind() to unix:%s failed (path too long)",
                       path);
    strcpy(sa.sun_path, path);
    *out = bind_unix(&sa, backlog);
    return *out >= 0 ? OK
                     : err_set(ERR_IO, "bind() to unix:%s failed (%d: %s)",
                               path, errno, strerror(errno));
}

static int bind_to(const struct addrinfo *ai, int backlog, bool share)
{
    int on = 1;
    int fd = socket(ai->ai_family,
                    ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (share)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, backlog))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

enum err http_socket(const char *host, unsigned port, int backlog, bool share,
                     int *fd)
{
    if (!strncmp(host, "unix:", 5))
        return listen_unix(host + 5, backlog, fd);
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_PASSIVE | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    bool any = !strcmp(host, "*");
    int rc = getaddrinfo(any ? "0.0.0.0" : host, service, &hints, &list);
    if (rc)
        return err_set(ERR_IO, "host not found in \"%s:%u\" (%s)", host, port,
                       gai_strerror(rc));
    *fd = bind_to(list, backlog, share);
    int why = errno;
    freeaddrinfo(list);
    if (*fd >= 0)
        return OK;
    err_set(ERR_IO, "bind() to %s:%u failed (%d: %s)", any ? "0.0.0.0" : host,
            port, why, strerror(why));
    errno = why;
    return ERR_IO;
}
