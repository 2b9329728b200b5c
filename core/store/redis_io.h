/* redis_io.h -- a socket that never blocks, with or without TLS. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <openssl/ssl.h>
#include <sys/socket.h>

struct redis_io {
    int fd; /* -1: closed */
    SSL *tls;
    int wants; /* PENDING of redis_io_open: UV_READABLE or UV_WRITABLE */
};

/* A context that trusts what the system trusts (SSL_CERT_FILE counts).
 * NULL: no memory. */
SSL_CTX *redis_io_tls(void);

/* Begins a connection; context NULL: no TLS.  The certificate must be for
 * host (a name or an address).  PENDING: redis_io_open goes on with it. */
enum err redis_io_connect(struct redis_io *io, const struct sockaddr *address,
                          SSL_CTX *context, const char *host);

/* OK once connected and, with TLS, verified.  PENDING: again when wants says
 * so.  ERR_REFUSED: the certificate; ERR_CONNECT, ERR_NOMEM. */
enum err redis_io_open(struct redis_io *io);

/* *n bytes were taken: at least one with OK.  PENDING, ERR_CLOSED, ERR_IO. */
enum err redis_io_read(struct redis_io *io, char *out, size_t size, size_t *n);
enum err redis_io_write(struct redis_io *io, struct slice bytes, size_t *n);

void redis_io_close(struct redis_io *io);
