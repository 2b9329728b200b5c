/* server.c -- server_name, and which server of an address a Host means. */
#include "conf/server.h"
#include "conf/setters.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST_MAX = 255 };

/* ---- the directive ----------------------------------------------------- */

static enum err add_name(struct scope *s, enum conf_name_kind kind,
                         struct slice text, struct conf_server_name **out)
{
    struct conf_server_name **at = &s->server->names;
    struct conf_server_name *name = arena_alloc(s->arena, sizeof *name);
    struct slice own = arena_dup(s->arena, text);
    if (!name || !own.data)
        return fault_memory();
    for (size_t i = 0; i < own.len && kind != CONF_NAME_REGEX; i++)
        ((char *)own.data)[i] = (char)tolower((unsigned char)own.data[i]);
    name->kind = kind;
    name->text = own;
    name->server = s->server;
    while (*at)
        at = &(*at)->next;
    *at = name;
    if (out)
        *out = name;
    return OK;
}

static enum err add_regex(struct scope *s, const struct node *n,
                          struct slice text)
{
    struct conf_server_name *name;
    text = slice_from(text, 1);
    if (!text.len)
        return node_fail(n, "empty regex in server name \"~\"");
    enum err e = add_name(s, CONF_NAME_REGEX, text, &name);
    return e ? e : scope_pattern(s, n, name->text, true, &name->pattern);
}

/* ".example.com" is "example.com" and "*.example.com". */
static enum err add_both(struct scope *s, struct slice text)
{
    enum err e = add_name(s, CONF_NAME_EXACT, slice_from(text, 1), NULL);
    return e ? e : add_name(s, CONF_NAME_SUFFIX, text, NULL);
}

static enum err add_hostname(struct scope *s)
{
    char name[HOST_NAME_MAX + 1] = "";
    gethostname(name, sizeof name - 1);
    return add_name(s, CONF_NAME_EXACT, slice_str(name), NULL);
}

static enum err add_any(struct scope *s, const struct node *n,
                        struct slice text)
{
    size_t star = slice_find(text, '*');
    if (slice_starts(text, SLICE("~")))
        return add_regex(s, n, text);
    if (slice_eq(text, SLICE("$hostname")))
        return add_hostname(s);
    if (star == text.len && !slice_starts(text, SLICE(".")))
        return add_name(s, CONF_NAME_EXACT, text, NULL);
    if (star == text.len && text.len > 1)
        return add_both(s, text);
    if (star == 0 && text.len > 2 && text.data[1] == '.' &&
        slice_find(slice_from(text, 1), '*') == text.len - 1)
        return add_name(s, CONF_NAME_SUFFIX, slice_from(text, 1), NULL);
    if (star > 1 && star + 1 == text.len && text.data[star - 1] == '.')
        return add_name(s, CONF_NAME_PREFIX, (struct slice){ text.data, star },
                        NULL);
    return node_fail(n, "server name \"%s\" is invalid", text.data);
}

enum err server_names(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    (void)d;
    for (unsigned i = 0; i < n->nargs; i++) {
        bool first = !s->server->names;
        enum err e = add_any(s, n, n->args[i]);
        if (e)
            return e;
        if (first)
            s->server->name = slice_starts(n->args[i], SLICE("."))
                                  ? slice_from(n->args[i], 1)
                                  : n->args[i];
    }
    return OK;
}

enum err server_unnamed(struct scope *s)
{
    return s->server->names ? OK
                            : add_name(s, CONF_NAME_EXACT, SLICE(""), NULL);
}

/* ---- the index --------------------------------------------------------- */

static int compare(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len ? memcmp(a.data, b.data, a.len) : 0;
}

static int by_text(const void *a, const void *b)
{
    const struct conf_server_name *const *x = a, *const *y = b;
    return compare((*x)->text, (*y)->text);
}

/* Suffixes first, then the longer before the shorter. */
static int by_weight(const void *a, const void *b)
{
    const struct conf_server_name *const *x = a, *const *y = b;
    if ((*x)->kind != (*y)->kind)
        return (*x)->kind == CONF_NAME_SUFFIX ? -1 : 1;
    return -compare((*x)->text, (*y)->text);
}

/* The names of one list; of two that are equal the first is kept. */
struct names {
    struct conf_server_name **all;
    unsigned n;
};

static bool known(const struct names *to, const struct conf_server_name *name)
{
    for (unsigned i = 0; i < to->n && name->kind != CONF_NAME_REGEX; i++)
        if (to->all[i]->kind == name->kind &&
            slice_eq(to->all[i]->text, name->text))
            return true;
    return false;
}

static void add(struct names *to, struct conf_server_name *name,
                const struct conf_listen *listen)
{
    if (!known(to, name))
        to->all[to->n++] = name;
    else
        log_write(LOG_WARN, "conflicting server name \"%s\" on %s, ignored",
                  name->text.data, listen->address);
}

static bool reserve(struct names *to, struct conf *conf, size_t count)
{
    to->n = 0;
    to->all = arena_alloc(&conf->arena, (count + 1) * sizeof *to->all);
    return to->all != NULL;
}

static size_t count_names(const struct conf_listen *listen)
{
    size_t count = 0;
    for (unsigned i = 0; i < listen->nservers; i++)
        for (const struct conf_server_name *n = listen->servers[i]->names; n;
             n = n->next)
            count++;
    return count;
}

enum err server_index(struct conf *conf, struct conf_listen *listen)
{
    struct names exacts, wildcards, regexes;
    size_t count = count_names(listen);
    if (!reserve(&exacts, conf, count) || !reserve(&wildcards, conf, count) ||
        !reserve(&regexes, conf, count))
        return fault_memory();
    for (unsigned i = 0; i < listen->nservers; i++)
        for (struct conf_server_name *n = listen->servers[i]->names; n;
             n = n->next)
            add(n->kind == CONF_NAME_EXACT   ? &exacts
                : n->kind == CONF_NAME_REGEX ? &regexes
                                             : &wildcards,
                n, listen);
    qsort(exacts.all, exacts.n, sizeof *exacts.all, by_text);
    qsort(wildcards.all, wildcards.n, sizeof *wildcards.all, by_weight);
    listen->exacts = exacts.all;
    listen->nexacts = exacts.n;
    listen->wildcards = wildcards.all;
    listen->nwildcards = wildcards.n;
    listen->regexes = regexes.all;
    listen->nregexes = regexes.n;
    return OK;
}

/* ---- the search -------------------------------------------------------- */

/* host in lower case, without port and final dot. */
static bool normalize(struct slice host, char out[HOST_MAX], struct slice *to)
{
    bool v6 = slice_starts(host, SLICE("["));
    size_t end = v6 ? slice_find(host, ']') + 1 : slice_find(host, ':');
    if (end < host.len)
        host.len = end;
    if (host.len && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++)
        out[i] = (char)tolower((unsigned char)host.data[i]);
    *to = (struct slice){ out, host.len };
    return true;
}

static const struct conf_server_name *
find_exact(const struct conf_listen *listen, struct slice host)
{
    unsigned low = 0, high = listen->nexacts;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = compare(host, listen->exacts[middle]->text);
        if (!order)
            return listen->exacts[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static const struct conf_server_name *
find_wildcard(const struct conf_listen *listen, struct slice host)
{
    for (unsigned i = 0; i < listen->nwildcards; i++) {
        const struct conf_server_name *name = listen->wildcards[i];
        if (host.len <= name->text.len)
            continue;
        size_t at =
            name->kind == CONF_NAME_SUFFIX ? host.len - name->text.len : 0;
        if (slice_starts(slice_from(host, at), name->text))
            return name;
    }
    return NULL;
}

static const struct conf_server_name *
find_regex(const struct conf_listen *listen, struct slice host, size_t *ovector,
           unsigned room, unsigned *pairs)
{
    for (unsigned i = 0; i < listen->nregexes; i++) {
        int found = regex_match(listen->regexes[i]->pattern.regex, host, 0, 0,
                                ovector, room);
        if (found <= 0)
            continue; /* a fault in matching is no match */
        *pairs = (unsigned)found < room ? (unsigned)found : room;
        return listen->regexes[i];
    }
    return NULL;
}

const struct conf_server *server_find(const struct conf_listen *listen,
                                      struct slice host, size_t *ovector,
                                      unsigned *pairs,
                                      const struct conf_server_name **name)
{
    char text[HOST_MAX];
    unsigned room = *pairs;
    const struct conf_server_name *found = NULL;
    *pairs = 0;
    if (normalize(host, text, &host)) {
        found = find_exact(listen, host);
        if (!found)
            found = find_wildcard(listen, host);
        if (!found && listen->nregexes)
            found = find_regex(listen, host, ovector, room, pairs);
    }
    if (name)
        *name = found;
    return found ? found->server : listen->default_server;
}
