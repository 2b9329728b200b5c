/* stream_tls.c -- TLS over a stream, as a client. */
#include "net/stream_tls.h"
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "unknown error";
}

static enum err bad_file(const char *what, const char *path)
{
    enum err e = err_set(ERR_CONFIG, "%s(\"%s\") failed (SSL: %s)", what, path,
                         last_reason());
    ERR_clear_error();
    return e;
}

static enum err load_crl(SSL_CTX *context, const char *path)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (!lookup || !X509_LOOKUP_load_file(lookup, path, X509_FILETYPE_PEM))
        return bad_file("X509_LOOKUP_load_file", path);
    X509_STORE_set_flags(store,
                         X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return OK;
}

static enum err load_files(SSL_CTX *context,
                           const struct stream_tls_settings *at)
{
    if (at->trusted &&
        !SSL_CTX_load_verify_locations(context, at->trusted, NULL))
        return bad_file("SSL_CTX_load_verify_locations", at->trusted);
    if (at->certificate &&
        SSL_CTX_use_certificate_chain_file(context, at->certificate) != 1)
        return bad_file("SSL_CTX_use_certificate_chain_file", at->certificate);
    if (at->certificate_key &&
        SSL_CTX_use_PrivateKey_file(context, at->certificate_key,
                                    SSL_FILETYPE_PEM) != 1)
        return bad_file("SSL_CTX_use_PrivateKey_file", at->certificate_key);
    return at->crl ? load_crl(context, at->crl) : OK;
}

/* OpenSSL numbers the versions one after the other; a gap is an option. */
static void set_protocols(SSL_CTX *context, unsigned protocols)
{
    static const struct {
        unsigned bit;
        unsigned long off;
    } all[] = { { STREAM_SSL_3, SSL_OP_NO_SSLv3 },
                { STREAM_TLS_1_0, SSL_OP_NO_TLSv1 },
                { STREAM_TLS_1_1, SSL_OP_NO_TLSv1_1 },
                { STREAM_TLS_1_2, SSL_OP_NO_TLSv1_2 },
                { STREAM_TLS_1_3, SSL_OP_NO_TLSv1_3 } };
    SSL_CTX_set_min_proto_version(context, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!(protocols & all[i].bit))
            SSL_CTX_set_options(context, all[i].off);
}

enum err stream_tls_context(SSL_CTX **out,
                            const struct stream_tls_settings *settings)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return ERR_NOMEM;
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_verify_depth(context, (int)settings->verify_depth);
    set_protocols(context, settings->protocols);
    enum err e = OK;
    if (settings->ciphers &&
        !SSL_CTX_set_cipher_list(context, settings->ciphers))
        e = bad_file("SSL_CTX_set_cipher_list", settings->ciphers);
    if (e == OK)
        e = load_files(context, settings);
    if (e == OK)
        *out = context;
    else
        SSL_CTX_free(context);
    return e;
}

enum err stream_tls_start(struct stream *s, SSL_CTX *context, const char *name,
                          SSL_SESSION *session)
{
    s->tls = SSL_new(context);
    if (!s->tls || !SSL_set_fd(s->tls, s->fd))
        return err_set(ERR_INVALID, "failed to create ssl connection");
    SSL_set_connect_state(s->tls);
    s->drained = false; /* only of plain bytes would poll tell all */
    if (session && !SSL_set_session(s->tls, session))
        return err_set(ERR_INVALID, "ssl set session failed");
    if (name && !SSL_set_tlsext_host_name(s->tls, name))
        return err_set(ERR_INVALID, "SSL_set_tlsext_host_name failed");
    return OK;
}

enum err stream_tls_identify(struct stream *s, STACK_OF(X509) * chain,
                             EVP_PKEY *key)
{
    bool ok = sk_X509_num(chain) > 0 &&
              SSL_use_certificate(s->tls, sk_X509_value(chain, 0)) == 1;
    for (int i = 1; ok && i < sk_X509_num(chain); i++)
        ok = SSL_add1_chain_cert(s->tls, sk_X509_value(chain, i)) == 1;
    if (ok && SSL_use_PrivateKey(s->tls, key) == 1)
        return OK;
    ERR_clear_error();
    return err_set(ERR_INVALID, ok ? "ssl set client private key failed"
                                   : "ssl set client certificate failed");
}

enum err stream_tls_outcome(struct stream *s, enum stream_side side, int n)
{
    int saved = errno;
    int why = SSL_get_error(s->tls, n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        s->wants[side] = why == SSL_ERROR_WANT_READ ? UV_READABLE : UV_WRITABLE;
        return PENDING;
    }
    s->error = why == SSL_ERROR_SYSCALL && n < 0 ? saved : 0;
    bool cut = why == SSL_ERROR_SYSCALL && !s->error;
    cut |=
        ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    err_set(ERR_IO, "%s", last_reason());
    ERR_clear_error();
    SSL_set_quiet_shutdown(s->tls, 1); /* nothing may be sent after this */
    return why == SSL_ERROR_ZERO_RETURN || cut ? ERR_CLOSED : ERR_IO;
}

enum err stream_tls_handshake(struct stream *s)
{
    errno = 0;
    ERR_clear_error();
    int n = SSL_do_handshake(s->tls);
    return n == 1 ? OK : stream_tls_outcome(s, STREAM_IN, n);
}

enum err stream_tls_verify(struct stream *s, struct slice name, long *code)
{
    *code = SSL_get_verify_result(s->tls);
    if (*code != X509_V_OK)
        return err_set(ERR_REFUSED, "%s", X509_verify_cert_error_string(*code));
    X509 *cert = SSL_get0_peer_certificate(s->tls);
    if (!name.data || !name.len)
        return OK;
    if (cert && X509_check_host(cert, name.data, name.len, 0, NULL) == 1)
        return OK;
    return err_set(ERR_REFUSED, "certificate host mismatch");
}

static int at_most(size_t n)
{
    return n < INT_MAX ? (int)n : INT_MAX;
}

int stream_tls_read(struct stream *s, char *to, size_t max)
{
    errno = 0;
    ERR_clear_error();
    s->wants[STREAM_IN] = UV_READABLE;
    return SSL_read(s->tls, to, at_most(max));
}

int stream_tls_write(struct stream *s, struct slice bytes)
{
    errno = 0;
    ERR_clear_error();
    s->wants[STREAM_OUT] = UV_WRITABLE;
    return SSL_write(s->tls, bytes.data, at_most(bytes.len));
}

void stream_tls_end(struct stream *s)
{
    if (!s->tls)
        return;
    if (SSL_is_init_finished(s->tls))
        SSL_shutdown(s->tls);
    ERR_clear_error();
    SSL_free(s->tls);
    s->tls = NULL;
}
