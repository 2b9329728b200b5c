/* stream_tls.h -- TLS over a stream, as a client: OpenSSL on the same socket,
 * driven by the same readiness. */
#pragma once
#include "net/stream.h"
#include <openssl/ssl.h>

/* What a context is made of; paths may be NULL, ciphers too. */
struct stream_tls_settings {
    const char *trusted, *crl, *certificate, *certificate_key;
    const char *ciphers;
    unsigned protocols; /* bits of enum stream_tls_protocol */
    unsigned verify_depth;
};

enum stream_tls_protocol {
    STREAM_TLS_1_0 = 1,
    STREAM_TLS_1_1 = 2,
    STREAM_TLS_1_2 = 4,
    STREAM_TLS_1_3 = 8,
    STREAM_SSL_3 = 16,
    STREAM_SSL_2 = 32
};

/* ERR_CONFIG: err_text() says which file and why. */
enum err stream_tls_context(SSL_CTX **out,
                            const struct stream_tls_settings *settings);

/* Makes s a TLS client; name (NUL-terminated) is for SNI, NULL: none; session
 * is one to go on with, or NULL.  ERR_INVALID: err_text() says why. */
enum err stream_tls_start(struct stream *s, SSL_CTX *context, const char *name,
                          SSL_SESSION *session);

/* Who we are, before the handshake: a chain, the own certificate first, and
 * its key, none of them taken over.  ERR_INVALID as above. */
enum err stream_tls_identify(struct stream *s, STACK_OF(X509) * chain,
                             EVP_PKEY *key);

/* OK once the other side has agreed; both sides of s are used meanwhile, and
 * STREAM_IN is what to wait for. */
enum err stream_tls_handshake(struct stream *s);

/* Whether the certificate is good, and for name (data NULL: any).
 * ERR_REFUSED: err_text() says why; *code is OpenSSL's, or 0 where the name
 * does not match. */
enum err stream_tls_verify(struct stream *s, struct slice name, long *code);

/* For stream.c. */
int stream_tls_read(struct stream *s, char *to, size_t max);
int stream_tls_write(struct stream *s, struct slice bytes);
enum err stream_tls_outcome(struct stream *s, enum stream_side side, int n);
void stream_tls_end(struct stream *s);
