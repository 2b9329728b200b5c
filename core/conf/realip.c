/* realip.c -- directives on who may say where a request comes from. */
#include "base/log.h"
#include "conf/array.h"
#include "conf/setters.h"

enum err realip_from(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    struct conf_realip *c = directive_field(s, d);
    struct ip_block block = { 0 };
    bool exact;
    if (!s->again)
        c->count = 0;
    if (!ip_block_parse(n->args[0], &block, &exact))
        return node_fail(n, "host not found in %s \"%s\"", d->name,
                         n->args[0].data);
    if (!exact)
        log_write(LOG_WARN, "low address bits of %s are meaningless in %s:%u",
                  n->args[0].data, n->file, n->line);
    struct ip_block *from =
        array_grow(s->arena, c->count ? c->from : NULL, c->count, sizeof *from);
    if (!from)
        return fault_memory();
    from[c->count++] = block;
    c->from = from;
    return OK;
}

/* There is no PROXY protocol to take it from. */
enum err realip_header(struct scope *s, const struct directive *d,
                       const struct node *n)
{
    if (slice_eq(n->args[0], SLICE("proxy_protocol")))
        return node_fail(n, "\"%s proxy_protocol\" is not supported", d->name);
    return setting_text(s, d, n);
}
