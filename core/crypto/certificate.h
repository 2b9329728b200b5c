/* certificate.h -- a listener's certificate, with its chain and key.
 *
 * Handshakes on any thread share one, each with a reference of its own: a
 * reload may bring the next while they are under way. */
#pragma once
#include "base/err.h"
#include <gnutls/abstract.h>

struct certificate {
    _Atomic unsigned refs;
    gnutls_pcert_st *chain; /* the server's own first */
    unsigned count;
    gnutls_privkey_t key;
};

/* Reads a chain; PEM. */
enum err certificate_new(struct certificate **out, const char *path);

/* Reads the key, PEM too, and checks that it is the certificate's.  Once,
 * before anybody shares it. */
enum err certificate_set_key(struct certificate *c, const char *path);

struct certificate *certificate_ref(struct certificate *c);

/* NULL is fine. */
void certificate_unref(struct certificate *c);
