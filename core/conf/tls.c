/* tls.c -- `listen ... ssl`: certificates, keys, versions. */
#include "conf/tls.h"
#include "conf/setters.h"
#include "crypto/certificate.h"

/* As scripts' certificates, but remembered with its place: the file is read
 * when both certificate and key are known. */
enum err tls_file(struct scope *s, const struct directive *d,
                  const struct node *n)
{
    struct conf_pem *field = directive_field(s, d);
    enum err e = sockets_certificate(s, d, n);
    field->file = n->file;
    field->line = n->line;
    return e;
}

/* Servers may share one. */
static struct conf_certificate *find(struct conf *conf,
                                     const struct conf_server *s)
{
    struct conf_certificate *at = conf->certificates;
    while (at && (strcmp(at->chain, s->certificate.path) ||
                  strcmp(at->key, s->certificate_key.path)))
        at = at->next;
    return at;
}

static enum err load(struct conf *conf, struct conf_server *s)
{
    const struct conf_pem *chain = &s->certificate, *key = &s->certificate_key;
    if (!key->path)
        return fault_at(chain->file, chain->line,
                        "no \"ssl_certificate_key\" is defined for "
                        "certificate \"%s\"",
                        chain->path);
    struct conf_certificate *known = find(conf, s);
    if (!known) {
        known = arena_alloc(&conf->arena, sizeof *known);
        if (!known)
            return fault_memory();
        known->chain = chain->path;
        known->key = key->path;
        known->next = conf->certificates;
        conf->certificates = known;
        if (certificate_new(&known->loaded, chain->path) != OK)
            return fault_at(chain->file, chain->line, "%s", err_text());
        if (certificate_set_key(known->loaded, key->path) != OK)
            return fault_at(key->file, key->line, "%s", err_text());
    }
    s->tls = known->loaded;
    return OK;
}

/* A server without a certificate answers with the default one's, as nginx. */
static enum err load_for(struct conf *conf, const struct conf_listen *l)
{
    enum err e = OK;
    if (!l->default_server->certificate.path)
        return fault_at(l->file, l->line,
                        "no \"ssl_certificate\" is defined for the \"listen "
                        "... ssl\" directive");
    for (unsigned i = 0; i < l->nservers && e == OK; i++)
        if (l->servers[i]->certificate.path && !l->servers[i]->tls)
            e = load(conf, l->servers[i]);
    return e;
}

enum err tls_load(struct conf *conf)
{
    enum err e = OK;
    for (const struct conf_listen *l = conf->listens; l && e == OK; l = l->next)
        if (l->tls)
            e = load_for(conf, l);
    return e;
}
