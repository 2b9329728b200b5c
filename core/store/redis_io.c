/* redis_io.c -- a socket that never blocks, with or without TLS. */
#include "store/redis_io.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <unistd.h>
#include <uv.h>

SSL_CTX *redis_io_tls(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_default_verify_paths(context))
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* A name is checked as a name, an address as an address. */
static bool expect_host(SSL *tls, const char *host)
{
    struct sockaddr_in6 ignored;
    X509_VERIFY_PARAM *param = SSL_get0_param(tls);
    if (!uv_ip4_addr(host, 0, (struct sockaddr_in *)&ignored) ||
        !uv_ip6_addr(host, 0, &ignored))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host);
    return SSL_set_tlsext_host_name(tls, host) && SSL_set1_host(tls, host);
}

static enum err add_tls(struct redis_io *io, SSL_CTX *context, const char *host)
{
    io->tls = SSL_new(context);
    if (!io->tls || !SSL_set_fd(io->tls, io->fd) || !expect_host(io->tls, host))
        return err_set(ERR_NOMEM, "no memory");
    SSL_set_connect_state(io->tls);
    return OK;
}

enum err redis_io_connect(struct redis_io *io, const struct sockaddr *address,
                          SSL_CTX *context, const char *host)
{
    int on = 1;
    socklen_t len = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                   : sizeof(struct sockaddr_in);
    io->fd = socket(address->sa_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (io->fd < 0)
        return err_set(ERR_CONNECT, "%s", strerror(errno));
    setsockopt(io->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(io->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    io->wants = UV_WRITABLE;
    if (connect(io->fd, address, len) && errno != EINPROGRESS)
        return err_set(ERR_CONNECT, "%s", strerror(errno));
    enum err e = context ? add_tls(io, context, host) : OK;
    return e ? e : PENDING;
}

static enum err secure(struct redis_io *io)
{
    ERR_clear_error();
    int n = SSL_do_handshake(io->tls);
    if (n == 1)
        return OK;
    int why = SSL_get_error(io->tls, n);
    io->wants = why == SSL_ERROR_WANT_WRITE ? UV_WRITABLE : UV_READABLE;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return PENDING;
    long verdict = SSL_get_verify_result(io->tls);
    if (verdict != X509_V_OK)
        return err_set(ERR_REFUSED, "its certificate is not good: %s",
                       X509_verify_cert_error_string(verdict));
    return err_set(ERR_CONNECT, "the TLS handshake failed");
}

enum err redis_io_open(struct redis_io *io)
{
    int why = 0;
    socklen_t len = sizeof why;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    getsockopt(io->fd, SOL_SOCKET, SO_ERROR, &why, &len);
    if (why)
        return err_set(ERR_CONNECT, "%s", strerror(why));
    if (getpeername(io->fd, (struct sockaddr *)&peer, &size))
        return PENDING; /* not connected yet */
    return io->tls ? secure(io) : OK;
}

static enum err outcome(struct redis_io *io, ssize_t n)
{
    int why = errno;
    if (io->tls) {
        int code = SSL_get_error(io->tls, (int)n);
        if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
            return PENDING;
        return err_set(ERR_CLOSED, "it closed the connection");
    }
    if (n < 0 && (why == EAGAIN || why == EINTR))
        return PENDING;
    return n ? err_set(ERR_IO, "%s", strerror(why))
             : err_set(ERR_CLOSED, "it closed the connection");
}

enum err redis_io_read(struct redis_io *io, char *out, size_t size, size_t *n)
{
    ERR_clear_error();
    ssize_t got =
        io->tls ? SSL_read(io->tls, out, (int)size) : read(io->fd, out, size);
    *n = got > 0 ? (size_t)got : 0;
    return got > 0 ? OK : outcome(io, got);
}

enum err redis_io_write(struct redis_io *io, struct slice bytes, size_t *n)
{
    int max = bytes.len > 1 << 20 ? 1 << 20 : (int)bytes.len;
    ERR_clear_error();
    ssize_t sent = io->tls ? SSL_write(io->tls, bytes.data, max)
                           : send(io->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    *n = sent > 0 ? (size_t)sent : 0;
    return sent > 0 ? OK : outcome(io, sent);
}

void redis_io_close(struct redis_io *io)
{
    SSL_free(io->tls);
    if (io->fd >= 0)
        close(io->fd);
    *io = (struct redis_io){ .fd = -1 };
}
