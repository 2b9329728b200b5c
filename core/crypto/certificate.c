/* certificate.c -- a listener's certificate, with its chain and key.
 *
 * GnuTLS and not OpenSSL, because libmicrohttpd's TLS is GnuTLS. */
#include "crypto/certificate.h"
#include "crypto/secret.h"
#include "crypto/secret_file.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { CHAIN_MAX = 16, ID_MAX = 64 };

static enum err load(const char *what, const char *path, gnutls_datum_t *out)
{
    errno = 0;
    if (gnutls_load_file(path, out) == 0)
        return OK;
    return err_set(ERR_CONFIG, "cannot load %s \"%s\" (%d: %s)", what, path,
                   errno, strerror(errno));
}

static void drop(gnutls_datum_t *text)
{
    secret_wipe(text->data, text->size);
    gnutls_free(text->data);
}

enum err certificate_new(struct certificate **out, const char *path)
{
    gnutls_datum_t text;
    enum err e = load("certificate", path, &text);
    if (e != OK)
        return e;
    struct certificate *c = calloc(1, sizeof *c);
    if (!c || !(c->chain = calloc(CHAIN_MAX, sizeof *c->chain))) {
        e = ERR_NOMEM;
        goto done;
    }
    c->refs = 1;
    unsigned count = CHAIN_MAX;
    int rc = gnutls_pcert_list_import_x509_raw(c->chain, &count, &text,
                                               GNUTLS_X509_FMT_PEM, 0);
    if (rc < 0) {
        e = err_set(ERR_CONFIG, "cannot load certificate \"%s\": %s", path,
                    gnutls_strerror(rc));
        goto done;
    }
    c->count = count;
    *out = c;

done:
    if (e != OK)
        certificate_unref(c);
    drop(&text);
    return e;
}

/* Whether both have the same public key. */
static bool belong(gnutls_privkey_t key, const gnutls_pcert_st *own)
{
    unsigned char one[ID_MAX], other[ID_MAX];
    size_t n = sizeof one, m = sizeof other;
    gnutls_pubkey_t public;
    if (gnutls_pubkey_init(&public) < 0)
        return false;
    bool same = gnutls_pubkey_import_privkey(public, key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, one,
                                         &n) == 0 &&
                gnutls_pubkey_get_key_id(own->pubkey, GNUTLS_KEYID_USE_SHA256,
                                         other, &m) == 0 &&
                n == m && !memcmp(one, other, n);
    gnutls_pubkey_deinit(public);
    return same;
}

enum err certificate_set_key(struct certificate *c, const char *path)
{
    gnutls_datum_t text;
    enum err e = secret_file_judge(path);
    if (e == OK)
        e = load("certificate key", path, &text);
    if (e != OK)
        return e;
    int rc = gnutls_privkey_init(&c->key);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509_raw(c->key, &text, GNUTLS_X509_FMT_PEM,
                                            NULL, 0);
    drop(&text);
    if (rc < 0)
        return err_set(ERR_CONFIG, "cannot load certificate key \"%s\": %s",
                       path, gnutls_strerror(rc));
    return belong(c->key, c->chain)
               ? OK
               : err_set(ERR_CONFIG,
                         "cannot load certificate key \"%s\": it does not "
                         "match the certificate",
                         path);
}

struct certificate *certificate_ref(struct certificate *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void certificate_unref(struct certificate *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < c->count; i++)
        gnutls_pcert_deinit(&c->chain[i]);
    gnutls_privkey_deinit(c->key);
    free(c->chain);
    free(c);
}
