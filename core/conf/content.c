/* content.c -- directives on how files, types and headers are answered. */
#include "base/text.h"
#include "conf/array.h"
#include "conf/setters.h"
#include <ctype.h>
#include <stdlib.h>

/* Also alias, which keeps a slash at the end. */
enum err content_root(struct scope *s, const struct directive *d,
                      const struct node *n)
{
    struct slice path = n->args[0];
    s->location->alias = !strcmp(d->name, "alias");
    if (s->location->alias && s->location->kind == CONF_NAMED)
        return node_fail(n, "the \"alias\" directive cannot be used inside "
                            "the named location");
    if (!s->location->alias && path.len && path.data[path.len - 1] == '/')
        path.len--;
    struct slice own = arena_dup(s->arena, path);
    if (!own.data)
        return fault_memory();
    if (!path.len && n->args[0].len) /* root /; */
        return scope_template(s, n, own, directive_field(s, d));
    return scope_path_template(s, n, own, directive_field(s, d));
}

enum err content_index(struct scope *s, const struct directive *d,
                       const struct node *n)
{
    (void)d;
    struct conf_location *at = s->location;
    if (!s->again) {
        at->index = NULL;
        at->nindex = 0;
    }
    for (unsigned i = 0; i < n->nargs; i++) {
        if (!n->args[i].len)
            return node_fail(n, "index \"\" in \"index\" directive is invalid");
        struct conf_template *index =
            array_grow(s->arena, at->index, at->nindex, sizeof *index);
        if (!index)
            return fault_memory();
        at->index = index;
        enum err e = scope_template(s, n, n->args[i], &index[at->nindex]);
        if (e)
            return e;
        at->nindex++;
    }
    return OK;
}

/* ---- types ------------------------------------------------------------- */

static int compare_types(const void *a, const void *b)
{
    const struct conf_type *x = a, *y = b;
    return strcmp(x->extension.data, y->extension.data);
}

/* An extension given again takes its last type. */
static enum err add_type(struct scope *s, struct slice extension,
                         struct slice mime)
{
    struct conf_location *at = s->location;
    struct slice own = arena_dup(s->arena, extension);
    if (!own.data)
        return fault_memory();
    for (size_t i = 0; i < own.len; i++)
        ((char *)own.data)[i] = (char)tolower((unsigned char)own.data[i]);
    for (unsigned i = 0; i < at->ntypes; i++)
        if (slice_eq(at->types[i].extension, own)) {
            at->types[i].mime = mime;
            return OK;
        }
    struct conf_type *types =
        array_grow(s->arena, at->types, at->ntypes, sizeof *types);
    if (!types)
        return fault_memory();
    at->types = types;
    types[at->ntypes++] = (struct conf_type){ own, mime };
    return OK;
}

enum err content_types(struct scope *s, const struct directive *d,
                       const struct node *n)
{
    (void)d;
    struct conf_location *at = s->location;
    if (!s->again) {
        at->types = NULL;
        at->ntypes = 0;
    }
    for (const struct node *mime = n->children; mime; mime = mime->next) {
        if (mime->is_block)
            return node_fail(mime, "unexpected \"{\"");
        for (unsigned i = 0; i < mime->nargs; i++) {
            enum err e = add_type(s, mime->args[i], mime->name);
            if (e)
                return e;
        }
    }
    if (at->ntypes)
        qsort(at->types, at->ntypes, sizeof *at->types, compare_types);
    return OK;
}

/* ---- headers and connections ------------------------------------------- */

enum err content_header(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    (void)d;
    struct conf_location *at = s->location;
    if (n->nargs == 3 && !slice_eq(n->args[2], SLICE("always")))
        return node_fail(n, "invalid parameter \"%s\"", n->args[2].data);
    if (!s->again) {
        at->headers = NULL;
        at->nheaders = 0;
    }
    struct conf_header *headers =
        array_grow(s->arena, at->headers, at->nheaders, sizeof *headers);
    if (!headers)
        return fault_memory();
    at->headers = headers;
    struct conf_header *h = &headers[at->nheaders];
    *h = (struct conf_header){ .name = n->args[0], .always = n->nargs == 3 };
    enum err e = scope_template(s, n, n->args[1], &h->value);
    at->nheaders += e == OK;
    return e;
}

/* "=", "=200" before the last argument: the answer's status. */
static bool read_answer(struct slice word, int *answer)
{
    uint64_t status = 0;
    *answer = -1;
    if (word.len == 1)
        return true;
    if (!text_u64(slice_from(word, 1), &status) || status > 999)
        return false;
    *answer = (int)status;
    return true;
}

static enum err add_error_page(struct scope *s, const struct node *n,
                               struct slice word,
                               const struct conf_error_page *like)
{
    uint64_t status;
    struct conf_error_page *page = arena_alloc(s->arena, sizeof *page);
    if (!page)
        return fault_memory();
    if (!text_u64(word, &status) || status < 300 || status > 599)
        return node_fail(n, "value \"%s\" must be between 300 and 599",
                         word.data);
    *page = *like;
    page->status = (int)status;
    page->next = s->location->error_pages;
    s->location->error_pages = page;
    return OK;
}

enum err content_error_page(struct scope *s, const struct directive *d,
                            const struct node *n)
{
    (void)d;
    unsigned codes = n->nargs - 1;
    struct conf_error_page like = { 0 };
    if (!s->again)
        s->location->error_pages = NULL;
    if (codes > 1 && slice_starts(n->args[codes - 1], SLICE("=")) &&
        !read_answer(n->args[--codes], &like.answer))
        return node_fail(n, "invalid value \"%s\"", n->args[codes].data);
    enum err e = scope_template(s, n, n->args[n->nargs - 1], &like.to);
    for (unsigned i = 0; !e && i < codes; i++)
        e = add_error_page(s, n, n->args[i], &like);
    return e;
}

/* The index of the word that the statement has; -1 and a fault for none. */
static int one_of(const struct node *n, const char *const words[], int count)
{
    for (int i = 0; i < count; i++)
        if (slice_eq_nocase(n->args[0], slice_str(words[i])))
            return i;
    node_fail(n, "invalid value \"%s\"", n->args[0].data);
    return -1;
}

enum err content_tokens(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    (void)d;
    static const char *const words[] = { [CONF_TOKENS_OFF] = "off",
                                         [CONF_TOKENS_ON] = "on",
                                         [CONF_TOKENS_BUILD] = "build" };
    int i = one_of(n, words, 3);
    if (i >= 0)
        s->location->server_tokens = (enum conf_tokens)i;
    return i >= 0 ? OK : ERR_CONFIG;
}

enum err content_body_file(struct scope *s, const struct directive *d,
                           const struct node *n)
{
    (void)d;
    static const char *const words[] = { [CONF_BODY_MEMORY] = "off",
                                         [CONF_BODY_FILE] = "on",
                                         [CONF_BODY_FILE_CLEAN] = "clean" };
    int i = one_of(n, words, 3);
    if (i >= 0)
        s->location->client_body_in_file_only = (enum conf_body_file)i;
    return i >= 0 ? OK : ERR_CONFIG;
}

enum err content_keepalive(struct scope *s, const struct directive *d,
                           const struct node *n)
{
    s->location->keepalive_header = 0;
    if (!text_msec(n->args[0], &s->location->keepalive_timeout) ||
        (n->nargs > 1 &&
         !text_msec(n->args[1], &s->location->keepalive_header)))
        return node_fail(n, "\"%s\" directive invalid value", d->name);
    return OK;
}

enum err content_large_buffers(struct scope *s, const struct directive *d,
                               const struct node *n)
{
    uint64_t count, size;
    if (!text_u64(n->args[0], &count) || !count ||
        !text_size(n->args[1], &size) || !size)
        return node_fail(n, "\"%s\" directive invalid value", d->name);
    s->server->large_header_buffers = count;
    s->server->large_header_buffer_size = size;
    return OK;
}
