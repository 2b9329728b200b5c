/* ngx_ssl.c -- require "ngx.ssl": certificates and keys from their texts, for
 * sock:setclientcert. */
#include "api/api.h"
#include "api/cdata.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static const char chain_kind, key_kind;

static int f_free_chain(lua_State *L)
{
    sk_X509_pop_free(cdata_at(L, 1), X509_free);
    return 0;
}

static int f_free_key(lua_State *L)
{
    EVP_PKEY_free(cdata_at(L, 1));
    return 0;
}

static BIO *open_text(lua_State *L)
{
    struct slice text = vm_check_slice(L, 1);
    return BIO_new_mem_buf(text.data, (int)text.len);
}

static bool read_chain(BIO *bio, STACK_OF(X509) * chain)
{
    X509 *cert;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (!sk_X509_push(chain, cert)) {
            X509_free(cert);
            return false;
        }
    return sk_X509_num(chain) > 0; /* the end is an error too */
}

/* ssl.parse_pem_cert(text): a chain, the own certificate first. */
static int f_parse_pem_cert(lua_State *L)
{
    BIO *bio = open_text(L);
    STACK_OF(X509) *chain = bio ? sk_X509_new_null() : NULL;
    bool ok = chain && read_chain(bio, chain);
    BIO_free(bio);
    ERR_clear_error();
    if (ok) {
        cdata_push(L, vm_of(L), &chain_kind, chain);
        return 1;
    }
    sk_X509_pop_free(chain, X509_free);
    return vm_fail(L, "PEM_read_bio_X509_AUX() failed");
}

/* ssl.parse_pem_priv_key(text) */
static int f_parse_pem_priv_key(lua_State *L)
{
    BIO *bio = open_text(L);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, "") : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (!key)
        return vm_fail(L, "PEM_read_bio_PrivateKey() failed");
    cdata_push(L, vm_of(L), &key_kind, key);
    return 1;
}

void ngx_ssl_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "parse_pem_cert", f_parse_pem_cert },
                                      { "parse_pem_priv_key",
                                        f_parse_pem_priv_key },
                                      { NULL, NULL } };
    (void)L;
    cdata_open(vm, &chain_kind, f_free_chain);
    cdata_open(vm, &key_kind, f_free_key);
    api_preload(vm, "ngx.ssl", funcs);
}
