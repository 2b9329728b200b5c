/* http_tls.c -- the TLS of a listener: which certificate, and what a request
 * can tell of it.
 *
 * libmicrohttpd does the handshake through GnuTLS, and asks here for the
 * certificate: so a reload's is used from the next connection on, and each
 * name may have its own. */
#include "net/http_private.h"
#include <gnutls/gnutls.h>

enum { NAME_MAX_LEN = 255 };

/* The name that the client asks for, or an empty one. */
static struct slice asked_name(gnutls_session_t session,
                               char text[NAME_MAX_LEN + 1])
{
    size_t len = NAME_MAX_LEN;
    unsigned type;
    if (gnutls_server_name_get(session, text, &len, &type, 0) != 0 ||
        type != GNUTLS_NAME_DNS)
        return SLICE("");
    return SLICE_OF(text, len);
}

/* The connection keeps what its handshake uses. */
static int on_hello(gnutls_session_t session, const gnutls_datum_t *names,
                    int count, const gnutls_pk_algorithm_t *algorithms,
                    int algorithm_count, gnutls_pcert_st **chain,
                    unsigned *length, gnutls_privkey_t *key)
{
    (void)names;
    (void)count;
    (void)algorithms;
    (void)algorithm_count;
    char text[NAME_MAX_LEN + 1];
    struct http_conn *c = gnutls_session_get_ptr(session);
    struct http_server *s = c ? c->listen->server : NULL;
    if (c && !c->certificate) {
        struct certificate *found =
            s->events->on_hello(c->listen, asked_name(session, text), s->user);
        c->certificate = found ? certificate_ref(found) : NULL;
    }
    if (!c || !c->certificate)
        return -1;
    *chain = c->certificate->chain;
    *length = c->certificate->count;
    *key = c->certificate->key;
    return 0;
}

void *http_tls_callback(void)
{
    return (void *)(uintptr_t)on_hello;
}

void http_tls_begin(struct MHD_Connection *mhd, struct http_conn *c)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (!info || !info->tls_session)
        return;
    gnutls_session_set_ptr(info->tls_session, c);
    if (c)
        c->session = info->tls_session;
}

void http_tls_end(struct http_conn *c)
{
    c->session = NULL;
    certificate_unref(c->certificate);
    c->certificate = NULL;
}

bool http_tls(const struct http_request *r)
{
    return r->listen->limits.tls;
}

/* GnuTLS says TLS1.3 where OpenSSL, and so nginx, says TLSv1.3. */
bool http_tls_protocol(const struct http_request *r, struct buf *out)
{
    gnutls_session_t session = r->conn->session;
    if (!session)
        return false;
    const char *name =
        gnutls_protocol_get_name(gnutls_protocol_get_version(session));
    bool known = name && !strncmp(name, "TLS", 3);
    if (known)
        buf_addf(out, "TLSv%s", strcmp(name, "TLS1.0") ? name + 3 : "1");
    return known;
}

bool http_tls_cipher(const struct http_request *r, struct buf *out)
{
    gnutls_session_t session = r->conn->session;
    const char *name = session ? gnutls_ciphersuite_get(session) : NULL;
    if (name)
        buf_add_str(out, name);
    return name;
}

bool http_tls_server_name(const struct http_request *r, struct buf *out)
{
    char text[NAME_MAX_LEN + 1];
    gnutls_session_t session = r->conn->session;
    struct slice name = session ? asked_name(session, text) : SLICE("");
    buf_add(out, name);
    return name.len;
}
