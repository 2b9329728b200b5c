/* fake_server.h -- an HTTP server on loopback that a test makes misbehave.
 *
 * A thread accepts, and each connection has a thread, which hands every
 * request to `answer`; what is written back is the test's to choose. */
#pragma once
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FAKE_CONNS = 256, FAKE_REQUEST = 16384 };

struct fake_conn {
    struct fake_server *server;
    int fd;
    SSL *tls;
    unsigned number, requests; /* from 1 */
    char in[FAKE_REQUEST];     /* the request, NUL-terminated */
    size_t len;
    pthread_t thread;
};

struct fake_server {
    int fd;
    unsigned port;
    SSL_CTX *tls;
    pthread_t thread;
    atomic_bool stop;
    _Atomic unsigned accepted, requests;
    /* false: close the connection. */
    bool (*answer)(struct fake_conn *c);
    struct fake_conn *conns[FAKE_CONNS];
};

static inline bool fake_write(struct fake_conn *c, const void *data, size_t n)
{
    const char *at = data;
    while (n) {
        ssize_t done = c->tls ? SSL_write(c->tls, at, (int)n)
                              : send(c->fd, at, n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        at += done;
        n -= (size_t)done;
    }
    return true;
}

static inline bool fake_text(struct fake_conn *c, const char *text)
{
    return fake_write(c, text, strlen(text));
}

/* A whole answer of status with a body, connection kept. */
static inline bool fake_reply(struct fake_conn *c, int status, const char *type,
                              const char *body)
{
    char head[256];
    snprintf(head, sizeof head,
             "HTTP/1.1 %d X\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
             status, type, strlen(body));
    return fake_text(c, head) && fake_text(c, body);
}

/* Until the client goes away or the server stops: an answer that never is. */
static inline bool fake_hang(struct fake_conn *c)
{
    char byte;
    while (!c->server->stop) {
        struct pollfd p = { .fd = c->fd, .events = POLLIN };
        if (poll(&p, 1, 10) > 0 &&
            recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            break;
    }
    return false;
}

/* The request's body. */
static inline const char *fake_body(const struct fake_conn *c)
{
    const char *end = strstr(c->in, "\r\n\r\n");
    return end ? end + 4 : "";
}

static inline bool fake_is(const struct fake_conn *c, const char *path)
{
    const char *at = strchr(c->in, ' ');
    size_t n = strlen(path);
    return at && !strncmp(at + 1, path, n) && strchr(" ?", at[1 + n]);
}

static inline bool fake_whole(struct fake_conn *c)
{
    c->in[c->len] = '\0';
    if (!strstr(c->in, "\r\n\r\n"))
        return false;
    const char *length = strstr(c->in, "\r\nContent-Length:");
    size_t need = length ? strtoul(length + 17, NULL, 10) : 0;
    return c->len >= (size_t)(fake_body(c) - c->in) + need;
}

static inline bool fake_read(struct fake_conn *c)
{
    for (c->len = 0; c->len < FAKE_REQUEST - 1;) {
        size_t room = FAKE_REQUEST - 1 - c->len;
        ssize_t n = c->tls ? SSL_read(c->tls, c->in + c->len, (int)room)
                           : recv(c->fd, c->in + c->len, room, 0);
        if (n <= 0)
            return false;
        c->len += (size_t)n;
        if (fake_whole(c))
            return true;
    }
    return false;
}

static inline void *fake_serve(void *arg)
{
    struct fake_conn *c = arg;
    if (c->server->tls) {
        c->tls = SSL_new(c->server->tls);
        SSL_set_fd(c->tls, c->fd);
    }
    if (!c->tls || SSL_accept(c->tls) == 1)
        while (fake_read(c)) {
            c->requests++;
            c->server->requests++;
            if (!c->server->answer(c))
                break;
        }
    shutdown(c->fd, SHUT_RDWR);
    return NULL;
}

static inline void *fake_accept(void *arg)
{
    struct fake_server *s = arg;
    while (!s->stop && s->accepted < FAKE_CONNS) {
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            break;
        struct fake_conn *c = calloc(1, sizeof *c);
        assert(c);
        c->server = s;
        c->fd = fd;
        s->conns[s->accepted] = c;
        c->number = ++s->accepted;
        int rc = pthread_create(&c->thread, NULL, fake_serve, c);
        assert(!rc);
        (void)rc;
    }
    return NULL;
}

static inline void fake_start(struct fake_server *s,
                              bool (*answer)(struct fake_conn *))
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof at;
    SSL_CTX *tls = s->tls;
    memset(s, 0, sizeof *s);
    s->tls = tls;
    s->answer = answer;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    int rc = bind(s->fd, (struct sockaddr *)&at, sizeof at) ||
             listen(s->fd, 128) ||
             getsockname(s->fd, (struct sockaddr *)&at, &len);
    assert(!rc);
    (void)rc;
    s->port = ntohs(at.sin_port);
    pthread_create(&s->thread, NULL, fake_accept, s);
}

static inline void fake_stop(struct fake_server *s)
{
    s->stop = true;
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    for (unsigned i = 0; i < s->accepted; i++) {
        struct fake_conn *c = s->conns[i];
        shutdown(c->fd, SHUT_RDWR);
        pthread_join(c->thread, NULL);
        close(c->fd);
        SSL_free(c->tls);
        free(c);
    }
}
