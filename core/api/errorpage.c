/* errorpage.c -- the body of an answer that the core itself refuses with.
 *
 * nginx's page for browsers; our API's envelope (contract section 3) for
 * whoever speaks JSON, since a body over the limit never reaches a script. */
#define _GNU_SOURCE
#include "api/request.h"
#include "base/version.h"
#include <stdio.h>

static const struct page {
    int status;
    const char *text;   /* RFC 9110's */
    const char *reason; /* the API's; NULL: by the class of the status */
    const char *action;
} pages[] = {
    { 301, "Moved Permanently", NULL, NULL },
    { 302, "Found", NULL, NULL },
    { 303, "See Other", NULL, NULL },
    { 307, "Temporary Redirect", NULL, NULL },
    { 308, "Permanent Redirect", NULL, NULL },
    { 400, "Bad Request", "bad_request", "fix" },
    { 401, "Authorization Required", "token_invalid", "login" },
    { 402, "Payment Required", NULL, NULL },
    { 403, "Forbidden", "denied", "none" },
    { 404, "Not Found", "not_found", "fix" },
    { 405, "Not Allowed", "method_not_allowed", "fix" },
    { 406, "Not Acceptable", NULL, NULL },
    { 408, "Request Time-out", NULL, NULL },
    { 409, "Conflict", NULL, NULL },
    { 410, "Gone", NULL, NULL },
    { 411, "Length Required", NULL, NULL },
    { 412, "Precondition Failed", NULL, NULL },
    { 413, "Request Entity Too Large", "body_too_large", "fix" },
    { 414, "Request-URI Too Large", "bad_request", "fix" },
    { 415, "Unsupported Media Type", NULL, NULL },
    { 416, "Requested Range Not Satisfiable", NULL, NULL },
    { 429, "Too Many Requests", "rate_limited", "retry" },
    { 431, "Request Header Fields Too Large", "bad_request", "fix" },
    { 500, "Internal Server Error", "policy_error", "none" },
    { 501, "Not Implemented", NULL, NULL },
    { 502, "Bad Gateway", "platform_error", "retry" },
    { 503, "Service Temporarily Unavailable", "shutting_down", "retry" },
    { 504, "Gateway Time-out", "platform_timeout", "login" },
    { 505, "HTTP Version Not Supported", NULL, NULL },
    { 507, "Insufficient Storage", NULL, NULL },
};

static const struct page *find(int status)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (pages[i].status == status)
            return &pages[i];
    return NULL;
}

const char *errorpage_reason(int status)
{
    const struct page *page = find(status);
    return page ? page->text : NULL;
}

static bool mentions_json(struct slice header)
{
    return header.len && memmem(header.data, header.len, "application/json",
                                strlen("application/json"));
}

static bool wants_json(const struct request *r)
{
    return (r->http && r->http->malformed) ||
           slice_starts(r->uri, SLICE("/v1/")) ||
           mentions_json(request_header(r, SLICE("Content-Type"))) ||
           mentions_json(request_header(r, SLICE("Accept")));
}

static void fill_json(struct request *r, const struct page *page)
{
    struct slice id = request_id(r);
    const char *text = page ? page->text : "error";
    const char *reason = page && page->reason ? page->reason
                         : r->status >= 500   ? "policy_error"
                                              : "bad_request";
    const char *action = page && page->action ? page->action : "fix";
    buf_addf(&r->output,
             "{\"code\":%d,\"reason\":\"%s\",\"msg\":\"%s\",\"action\":\"%s\","
             "\"request_id\":\"%.*s\"}",
             r->status, reason, text, action, SLICE_FMT(id));
    request_set_header(r, SLICE("Content-Type"),
                       SLICE("application/json; charset=utf-8"), true);
    request_set_header(r, SLICE("Cache-Control"), SLICE("no-store"), true);
    request_set_header(r, SLICE("X-Request-Id"), id, true);
}

static void fill_html(struct request *r, const struct page *page)
{
    char title[64];
    snprintf(title, sizeof title, page ? "%d %s" : "%d", r->status,
             page ? page->text : "");
    buf_addf(&r->output,
             "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n"
             "<center><h1>%s</h1></center>\r\n<hr><center>%s</center>\r\n"
             "</body>\r\n</html>\r\n",
             title, title,
             r->location->server_tokens == CONF_TOKENS_OFF
                 ? "latchkey"
                 : "latchkey/" VERSION);
    request_set_header(r, SLICE("Content-Type"), SLICE("text/html"), true);
}

void errorpage_fill(struct request *r, int status)
{
    const struct page *page = find(status);
    buf_clear(&r->output);
    if (status == 304 || (status >= 300 && !page))
        return;
    if (status >= 400 && wants_json(r))
        fill_json(r, page);
    else
        fill_html(r, page);
}
