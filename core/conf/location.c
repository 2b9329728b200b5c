/* location.c -- which location serves a URI. */
#include "conf/location.h"
#include "conf/fault.h"
#include <stdlib.h>

/* ---- the index --------------------------------------------------------- */

static int compare(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_name(const void *a, const void *b)
{
    const struct conf_location *x = *(struct conf_location *const *)a;
    const struct conf_location *y = *(struct conf_location *const *)b;
    int order = compare(x->name, y->name);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* The children of these kinds, in the order of writing; NULL: no memory. */
static struct conf_location **collect(struct conf *conf,
                                      const struct conf_location *at,
                                      enum conf_location_kind first,
                                      enum conf_location_kind last,
                                      unsigned *count)
{
    unsigned n = 0;
    struct conf_location *c, **all;
    for (c = at->children; c; c = c->next)
        n += c->kind >= first && c->kind <= last;
    if (!(all = arena_alloc(&conf->arena, (n + 1) * sizeof *all)))
        return NULL;
    for (*count = 0, c = at->children; c; c = c->next)
        if (c->kind >= first && c->kind <= last)
            all[(*count)++] = c;
    return all;
}

static enum err sort(struct conf_location **all, unsigned n)
{
    if (!all)
        return fault_memory();
    qsort(all, n, sizeof *all, by_name);
    for (unsigned i = 1; i < n; i++)
        if (slice_eq(all[i - 1]->name, all[i]->name))
            return fault_at(all[i]->file, all[i]->line,
                            "duplicate location \"%s\"", all[i]->name.data);
    return OK;
}

/* In order, every name that begins a name stands before it, so the chain of
 * the one before has them all. */
static void link_shorter(struct conf_location **all, unsigned n)
{
    for (unsigned i = 1; i < n; i++) {
        struct conf_location *p = all[i - 1];
        while (p && !slice_starts(all[i]->name, p->name))
            p = p->shorter;
        all[i]->shorter = p;
    }
}

enum err location_index(struct conf *conf, struct conf_location *at)
{
    struct conf_server *server = at->server;
    at->exacts = collect(conf, at, CONF_EXACT, CONF_EXACT, &at->nexacts);
    at->prefixes =
        collect(conf, at, CONF_PREFIX, CONF_PREFIX_ALWAYS, &at->nprefixes);
    at->regexes = collect(conf, at, CONF_REGEX, CONF_REGEX, &at->nregexes);
    enum err e = at->regexes ? sort(at->exacts, at->nexacts) : fault_memory();
    if (!e)
        e = sort(at->prefixes, at->nprefixes);
    if (!e && at->kind == CONF_IMPLICIT) {
        server->named =
            collect(conf, at, CONF_NAMED, CONF_NAMED, &server->nnamed);
        e = sort(server->named, server->nnamed);
    }
    if (e)
        return e;
    link_shorter(at->prefixes, at->nprefixes);
    for (struct conf_location *c = at->children; c && !e; c = c->next)
        e = location_index(conf, c);
    return e;
}

/* ---- the search -------------------------------------------------------- */

struct search {
    struct slice uri;
    size_t *ovector;
    unsigned room, pairs;
    const struct conf_location *found;
};

/* How many of the sorted names come before uri or are it. */
static unsigned rank(struct conf_location *const *all, unsigned n,
                     struct slice uri)
{
    unsigned low = 0, high = n;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (compare(all[middle]->name, uri) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct conf_location *same_name(struct conf_location *const *all,
                                             unsigned n, struct slice name)
{
    unsigned i = rank(all, n, name);
    return i && slice_eq(all[i - 1]->name, name) ? all[i - 1] : NULL;
}

/* Whatever stands between uri and the longest name that begins it also
 * begins with that name, so it is in the chain of the last one before uri. */
static const struct conf_location *
longest_prefix(const struct conf_location *at, struct slice uri)
{
    unsigned i = rank(at->prefixes, at->nprefixes, uri);
    const struct conf_location *p = i ? at->prefixes[i - 1] : NULL;
    while (p && !slice_starts(uri, p->name))
        p = p->shorter;
    return p;
}

static bool first_regex(const struct conf_location *at, struct search *s)
{
    for (unsigned i = 0; i < at->nregexes; i++) {
        int pairs = regex_match(at->regexes[i]->pattern.regex, s->uri, 0, 0,
                                s->ovector, s->room);
        if (pairs <= 0)
            continue; /* a fault in matching is no match */
        s->pairs = (unsigned)pairs < s->room ? (unsigned)pairs : s->room;
        s->found = at->regexes[i];
        return true;
    }
    return false;
}

/* Looks below at; true where the find is final: exact, or by regex. */
static bool descend(const struct conf_location *at, struct search *s)
{
    const struct conf_location *exact =
        same_name(at->exacts, at->nexacts, s->uri);
    if (exact) {
        s->found = exact;
        return true;
    }
    const struct conf_location *prefix = longest_prefix(at, s->uri);
    if (prefix) {
        s->found = prefix;
        if (descend(prefix, s))
            return true;
        if (prefix->kind == CONF_PREFIX_ALWAYS)
            return false;
    }
    if (!first_regex(at, s))
        return false;
    descend(s->found, s);
    return true;
}

const struct conf_location *location_find(const struct conf_server *server,
                                          struct slice uri, size_t *ovector,
                                          unsigned *pairs)
{
    struct search s = { uri, ovector, *pairs, 0, server->root };
    descend(server->root, &s);
    *pairs = s.pairs;
    return s.found;
}

const struct conf_location *location_named(const struct conf_server *server,
                                           struct slice name)
{
    return same_name(server->named, server->nnamed, name);
}
