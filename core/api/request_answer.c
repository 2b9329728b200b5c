/* request_answer.c -- an answer's headers, and how a request ends. */
#include "api/request.h"

enum { HTTP_OK = 200, HTTP_TIMEOUT = 408, HTTP_CLOSE = 444, HTTP_GONE = 499 };

static void remove_header(struct request *r, struct slice name)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < r->out_count; i++)
        if (!slice_eq_nocase(r->out[i].name, name))
            r->out[kept++] = r->out[i];
    r->out_count = kept;
}

static bool more_room(struct request *r)
{
    unsigned cap = r->out_cap ? r->out_cap * 2 : 8;
    struct http_header *out = arena_alloc(&r->http->arena, cap * sizeof *out);
    if (!out)
        return false;
    if (r->out_count)
        memcpy(out, r->out, r->out_count * sizeof *out);
    r->out = out;
    r->out_cap = cap;
    return true;
}

void request_add_constant(struct request *r, struct slice name,
                          struct slice value)
{
    if (value.data && (r->out_count < r->out_cap || more_room(r)))
        r->out[r->out_count++] = (struct http_header){ name, value };
}

void request_set_header(struct request *r, struct slice name,
                        struct slice value, bool replace)
{
    if (replace)
        remove_header(r, name);
    if (value.data)
        request_add_constant(r, arena_dup(&r->http->arena, name),
                             arena_dup(&r->http->arena, value));
}

void request_set_location(struct request *r, struct slice to)
{
    struct buf url = { 0 };
    if (to.len && to.data[0] == '/' && !r->parent) {
        struct buf port = { 0 };
        bool tls = http_tls(r->http);
        buf_add(&url, tls ? SLICE("https://") : SLICE("http://"));
        variable_get(r, SLICE("host"), &url);
        variable_get(r, SLICE("server_port"), &port);
        if (port.len &&
            !slice_eq(buf_slice(&port), tls ? SLICE("443") : SLICE("80")))
            buf_addf(&url, ":%.*s", SLICE_FMT(buf_slice(&port)));
        buf_free(&port);
    }
    buf_add(&url, to);
    request_set_header(r, SLICE("Location"), buf_slice(&url), true);
    buf_free(&url);
}

struct slice request_out_header(const struct request *r, struct slice name)
{
    for (unsigned i = 0; i < r->out_count; i++)
        if (slice_eq_nocase(r->out[i].name, name))
            return r->out[i].value;
    return SLICE_NONE;
}

/* ---- the end ------------------------------------------------------------ */

static void drop(struct request *r, int status)
{
    r->status = status;
    r->replied = r->finished = true;
    http_drop(r->http);
}

static void finish(struct request *r)
{
    r->finished = true;
    if (r->parent)
        capture_done(r);
    else
        http_finish(r->http);
}

/* nginx: these are not worth an answer. */
bool request_drops(int status)
{
    return status == HTTP_CLOSE || status == HTTP_GONE ||
           status == HTTP_TIMEOUT;
}

static const struct conf_error_page *find_page(const struct request *r,
                                               int status)
{
    const struct conf_error_page *p = r->location->error_pages;
    while (p && p->status != status)
        p = p->next;
    return r->error_page ? NULL : p; /* not for a fault of a page itself */
}

static struct slice page_uri(struct request *r,
                             const struct conf_error_page *page)
{
    struct buf to = { 0 };
    variable_render(r, &page->to, &to);
    struct slice own = arena_dup(&r->http->arena, buf_slice(&to));
    buf_free(&to);
    return own;
}

/* The script's headers stay, but for those of the body that there is not. */
static void drop_body_headers(struct request *r)
{
    remove_header(r, SLICE("Content-Type"));
    remove_header(r, SLICE("Content-Length"));
    r->type_set = false;
}

/* Answers with what error_page names; false: nothing. */
static bool use_page(struct request *r, int status)
{
    const struct conf_error_page *page = find_page(r, status);
    if (!page)
        return false;
    struct slice to = page_uri(r, page);
    r->error_page = true;
    drop_body_headers(r);
    if (to.len && to.data[0] != '/' && to.data[0] != '@') {
        request_set_header(r, SLICE("Location"), to, true);
        request_finish(r, page->answer > 0 ? page->answer : 302);
        return true;
    }
    r->error_status = page->answer < 0    ? r->status
                      : page->answer == 0 ? status
                                          : page->answer;
    r->status = 0;
    if (to.data && *to.data != '@' && !slice_eq(r->method, SLICE("HEAD")))
        r->method = SLICE("GET");
    size_t mark = slice_find(to, '?');
    phase_redirect(r, (struct slice){ to.data, mark },
                   slice_from(to, mark + 1));
    return true;
}

void request_finish(struct request *r, int status)
{
    if (r->finished)
        return;
    if (r->replied) { /* by ngx.eof */
        finish(r);
        return;
    }
    if (request_drops(status) && !r->parent) {
        drop(r, status);
        return;
    }
    if (r->raw) {
        drop(r, r->status ? r->status : HTTP_OK);
        return;
    }
    if (r->parent && !r->headers_sent && status >= 300) {
        r->status = status; /* whoever captures it makes no page of it */
    } else if (!r->headers_sent && r->fd <= 0 && status >= 300) {
        if (use_page(r, status))
            return;
        r->status = status;
        errorpage_fill(r, status);
    } else if (r->error_status && !r->headers_sent) {
        r->status = r->error_status;
    } else if (!r->status) {
        r->status = status >= HTTP_OK ? status : HTTP_OK;
    }
    output_end(r, false);
}

void request_fail(struct request *r)
{
    if (!r->headers_sent || r->replied) {
        request_finish(r, 500);
        return;
    }
    r->failed = true;
    if (r->parent)
        finish(r);
    else if (!r->finished)
        drop(r, r->status);
}
