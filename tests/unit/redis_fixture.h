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

/* Below those that the system gives out, as is a cluster's own, 10000 more. */
static inline unsigned redis_server_port(void)
{
    static unsigned seed;
    if (!seed)
        seed = (unsigned)getpid();
    for (;;) {
        unsigned port = 10000 + (unsigned)rand_r(&seed) % 12000;
        struct sockaddr_in at = redis_server_address(port);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool is_free = !bind(fd, (struct sockaddr *)&at, sizeof at);
        close(fd);
        if (is_free)
            return port;
    }
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

/* Begins it on its port, with further options, where option is not NULL; false
 * where it does not stay: somebody else has taken the port. */
static inline bool redis_server_try(struct redis_server *s, const char *option)
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
        if (waitpid(s->pid, NULL, WNOHANG))
            return false;
        if (redis_server_say(s->port, "PING", answer, sizeof answer))
            return true;
        usleep(10000);
    }
    return false;
}

static inline void redis_server_run(struct redis_server *s, const char *option)
{
    if (!redis_server_try(s, option))
        fail_msg("redis-server does not start");
}

static inline void redis_server_start(struct redis_server *s,
                                      const char *option)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/test-redis-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    for (int tries = 5; tries; tries--) {
        s->port = redis_server_port();
        if (redis_server_try(s, option))
            return;
    }
    fail_msg("redis-server does not start");
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

enum { REDIS_MASTERS = 3 };

struct redis_masters {
    struct redis_server nodes[REDIS_MASTERS];
};

static inline void redis_masters_say(struct redis_masters *m, unsigned node,
                                     const char *line, const char *want)
{
    char answer[256] = "";
    for (int i = 0; i < 1000; i++) {
        redis_server_say(m->nodes[node].port, line, answer, sizeof answer);
        if (!strncmp(answer, want, strlen(want)))
            return;
        usleep(10000);
    }
    fail_msg("%s: %s", line, answer);
}

/* A cluster of masters, each with a third of the slots. */
static inline void redis_masters_start(struct redis_masters *m)
{
    char line[128];
    for (unsigned i = 0; i < REDIS_MASTERS; i++)
        redis_server_start(&m->nodes[i], "--cluster-enabled yes");
    for (unsigned i = 0; i < REDIS_MASTERS; i++) {
        snprintf(line, sizeof line, "CLUSTER ADDSLOTSRANGE %u %u",
                 16384 * i / REDIS_MASTERS,
                 16384 * (i + 1) / REDIS_MASTERS - 1);
        redis_masters_say(m, i, line, "+OK");
        snprintf(line, sizeof line, "CLUSTER SET-CONFIG-EPOCH %u", i + 1);
        redis_masters_say(m, i, line, "+OK");
    }
    for (unsigned i = 1; i < REDIS_MASTERS; i++) {
        snprintf(line, sizeof line, "CLUSTER MEET 127.0.0.1 %u",
                 m->nodes[i].port);
        redis_masters_say(m, 0, line, "+OK");
    }
    /* The cluster is up for a node once it names the holders of others. */
    static const char *const keys[] = { "EXISTS b", "EXISTS c", "EXISTS a" };
    for (unsigned i = 0; i < REDIS_MASTERS; i++)
        for (unsigned k = 0; k < REDIS_MASTERS; k++)
            redis_masters_say(m, i, keys[k], i == k ? ":0" : "-MOVED");
}

static inline void redis_masters_kill(struct redis_masters *m)
{
    for (unsigned i = 0; i < REDIS_MASTERS; i++) {
        char path[128];
        redis_server_end(&m->nodes[i]);
        snprintf(path, sizeof path, "%s/nodes.conf", m->nodes[i].dir);
        remove(path);
        rmdir(m->nodes[i].dir);
    }
}
