/* inherit.c -- listening sockets that outlive a process. */
#define _GNU_SOURCE
#include "inherit.h"
#include "base/log.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 3, SOCKETS_MAX = 1024 };

static unsigned passed; /* FIRST to FIRST + passed - 1 */
static bool taken[SOCKETS_MAX];

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage room;
};

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;
    return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) && on;
}

void inherit_find(void)
{
    const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
    long n = fds && pid && atol(pid) == getpid() ? atol(fds) : 0;
    passed = n > 0 && n <= SOCKETS_MAX ? (unsigned)n : 0;
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    for (unsigned i = 0; i < passed; i++) {
        int fd = FIRST + (int)i;
        fcntl(fd, F_SETFD, FD_CLOEXEC);
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        taken[i] = !is_listening(fd);
    }
}

/* "*" is what systemd makes of a bare port, too: [::], open for IPv4. */
static bool is_any(const union address *a)
{
    return a->any.sa_family == AF_INET
               ? a->in.sin_addr.s_addr == INADDR_ANY
               : a->any.sa_family == AF_INET6 &&
                     IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

static unsigned port_of(const union address *a)
{
    return ntohs(a->any.sa_family == AF_INET ? a->in.sin_port
                                             : a->in6.sin6_port);
}

static bool is_host(const union address *a, const char *host)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    if (!strcmp(host, "*"))
        return is_any(a);
    if (getaddrinfo(host, NULL, &hints, &list))
        return false;
    const union address *want = (const void *)list->ai_addr;
    bool same =
        list->ai_family == a->any.sa_family &&
        (a->any.sa_family == AF_INET
             ? want->in.sin_addr.s_addr == a->in.sin_addr.s_addr
             : a->any.sa_family == AF_INET6 &&
                   IN6_ARE_ADDR_EQUAL(&want->in6.sin6_addr, &a->in6.sin6_addr));
    freeaddrinfo(list);
    return same;
}

static bool is_address(int fd, const struct conf_listen *l)
{
    union address a = { 0 };
    socklen_t len = sizeof a;
    if (getsockname(fd, &a.any, &len))
        return false;
    if (a.any.sa_family == AF_UNIX)
        return !l->host && !strcmp(a.un.sun_path, l->path);
    return l->host && port_of(&a) == l->port && is_host(&a, l->host);
}

bool inherit_has(const struct conf_listen *l)
{
    for (unsigned i = 0; i < passed; i++)
        if (!taken[i] && is_address(FIRST + (int)i, l))
            return true;
    return false;
}

int inherit_take(const struct conf_listen *l, unsigned nth)
{
    for (unsigned i = 0; i < passed; i++)
        if (is_address(FIRST + (int)i, l) && nth-- == 0 && !taken[i]) {
            taken[i] = true;
            return FIRST + (int)i;
        }
    return -1;
}

void inherit_close_rest(void)
{
    for (unsigned i = 0; i < passed; i++) {
        if (taken[i])
            continue;
        log_write(LOG_WARN, "a socket was passed that nobody listens on: %u",
                  FIRST + i);
        close(FIRST + (int)i);
    }
    passed = 0;
}

/* Out of the way of each other first; exec closes these copies. */
static bool line_up(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST + (int)count);
        if (fds[i] < 0)
            return false;
    }
    for (unsigned i = 0; i < count; i++)
        if (dup2(fds[i], FIRST + (int)i) < 0)
            return false;
    return true;
}

void inherit_exec(char **argv, int *fds, unsigned count)
{
    char number[16], pid[16];
    snprintf(number, sizeof number, "%u", count);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_PID", pid, 1);
    if (line_up(fds, count))
        execvp(argv[0], argv);
    log_emerg("cannot become \"%s\": %s", argv[0], strerror(errno));
}
