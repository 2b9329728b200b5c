/* redis_fixture.h -- a redis-server of the tests' own, on loopback, in a folder
 * that goes with it. */
#pragma once
#include "unit.h"
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
    pid_t pid;
    unsigned port;
    char dir[64];
};

static inline struct sockaddr_in redis_server_address(unsigned port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static inline unsigned redis_server_port(void)
{
    struct sockaddr_in at = redis_server_address(0);
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    close(fd);
    return ntohs(at.sin_port);
}

/* Sends a command as a line and gives the first line of the answer; false
 * where nobody answers. */
static inline bool redis_server_say(unsigned port, const char *line, char *out,
                                    size_t size)
{
    struct sockaddr_in at = redis_server_address(port);
    struct timeval limit = { .tv_sec = 5 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    char text[512];
    int n = snprintf(text, sizeof text, "%s\r\n", line);
    bool ok = !connect(fd, (struct sockaddr *)&at, sizeof at) &&
              send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
    ssize_t got = ok ? recv(fd, out, size - 1, 0) : 0;
    close(fd);
    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\r")] = '\0';
    return got > 0;
}

/* Begins it on its port, with further options, where option is not NULL. */
static inline void redis_server_run(struct redis_server *s, const char *option)
{
    char port[8], answer[64];
    snprintf(port, sizeof port, "%u", s->port);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (!s->pid) {
        char *words[32] = { "redis-server", "--port",       port,
                            "--bind",       "127.0.0.1",    "--dir",
                            s->dir,         "--save",       "",
                            "--logfile",    "/dev/null",    "--databases",
                            "128",          "--appendonly", "no" };
        char *more = strdup(option ? option : "");
        unsigned n = 15;
        for (char *w = strtok(more, " "); w && n < 31; w = strtok(NULL, " "))
            words[n++] = w;
        execvp("redis-server", words);
        _exit(127);
    }
    for (int i = 0; i < 1000; i++) {
        if (redis_server_say(s->port, "PING", answer, sizeof answer))
            return;
        usleep(10000);
    }
    fail_msg("redis-server does not start");
}

static inline void redis_server_start(struct redis_server *s,
                                      const char *option)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/test-redis-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->port = redis_server_port();
    redis_server_run(s, option);
}

static inline void redis_server_end(struct redis_server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
}

static inline void redis_server_kill(struct redis_server *s)
{
    redis_server_end(s);
    rmdir(s->dir);
}
