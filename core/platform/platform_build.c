/* platform_build.c -- a call's URL, headers and body. */
#include "platform/platform_build.h"
#include "base/text.h"

enum { ESCAPE = 6 }; /* a byte may become \u0000 */

static struct slice value_of(const struct platform_call *call,
                             const struct platform_param *param)
{
    if (param->value == PLATFORM_LITERAL)
        return slice_str(param->text);
    return call->values[param->value];
}

/* Is it left out, or somewhere else? */
static bool skips(const struct platform_call *call,
                  const struct platform_param *param, bool url)
{
    if (!value_of(call, param).len || param->place == PLATFORM_IN_HEADER)
        return true;
    bool query = call->api->form == PLATFORM_QUERY;
    return url != (query || param->place == PLATFORM_IN_URL);
}

static void add_pairs(struct buf *out, const struct platform_call *call,
                      bool url)
{
    const struct platform_param *param = call->api->params;
    const char *before = url ? "?" : "";
    for (; param->name; param++) {
        if (skips(call, param, url))
            continue;
        buf_add_str(out, before);
        before = "&";
        text_escape_uri(out, slice_str(param->name));
        buf_add_char(out, '=');
        text_escape_uri(out, value_of(call, param));
    }
}

static bool add_json(struct buf *out, const struct platform_call *call)
{
    const struct platform_param *param = call->api->params;
    char before = '{';
    for (; param->name; param++) {
        struct slice value = value_of(call, param);
        const char *quote = param->place == PLATFORM_BARE ? "" : "\"";
        if (skips(call, param, false))
            continue;
        if (!text_is_utf8(value))
            return false;
        buf_add_char(out, before);
        buf_add_char(out, '"');
        text_json_escape(out, slice_str(param->name));
        buf_add_str(out, "\":");
        buf_add_str(out, quote);
        text_json_escape(out, value);
        buf_add_str(out, quote);
        before = ',';
    }
    buf_add_str(out, before == '{' ? "{}" : "}");
    return true;
}

/* At most one parameter is a header: the access token. */
static bool add_header(struct platform_call *call)
{
    const struct platform_param *param = call->api->params;
    while (param->name && param->place != PLATFORM_IN_HEADER)
        param++;
    struct slice value = param->name ? value_of(call, param) : SLICE_NONE;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.data[i] <= ' ' || value.data[i] == 0x7f)
            return false;
    if (!value.len)
        return true;
    buf_add_str(&call->header, param->name);
    buf_add_str(&call->header, ": ");
    buf_add(&call->header, value);
    return true;
}

static struct slice base_of(const struct platform_call *call)
{
    const char *base = call->base;
    struct slice s =
        slice_str(base ? base : call->platform->hosts[call->api->host]);
    while (s.len && s.data[s.len - 1] == '/')
        s.len--;
    return s;
}

/* The most that names and values can come to: buffers that hold secrets do
 * not grow, since growth leaves copies behind. */
static size_t room_for(const struct platform_call *call)
{
    const struct platform_param *param = call->api->params;
    size_t room = base_of(call).len + strlen(call->api->path) + 16;
    for (; param->name; param++)
        room += (strlen(param->name) + value_of(call, param).len) * ESCAPE + 8;
    return room;
}

static void set_lines(struct platform_call *call, const char *type)
{
    unsigned n = 0;
    if (type)
        call->lines[n++] = type;
    if (call->header.len)
        call->lines[n++] = buf_str(&call->header);
    call->lines[n] = NULL;
    call->request.headers = n ? call->lines : NULL;
}

enum err platform_build(struct platform_call *call)
{
    static const char *const types[] = {
        [PLATFORM_QUERY] = NULL,
        [PLATFORM_JSON] = "Content-Type: application/json",
        [PLATFORM_FORM] = "Content-Type: application/x-www-form-urlencoded",
    };
    enum platform_form form = call->api->form;
    struct client_request *req = &call->request;
    size_t room = room_for(call);
    buf_reserve(&call->url, room);
    buf_reserve(&call->header, room);
    buf_add(&call->url, base_of(call));
    buf_add_str(&call->url, call->api->path);
    add_pairs(&call->url, call, true);
    bool fits = add_header(call);
    if (form != PLATFORM_QUERY) {
        req->method = "POST";
        buf_reserve(&call->body, room);
    }
    if (form == PLATFORM_FORM)
        add_pairs(&call->body, call, false);
    else if (form == PLATFORM_JSON)
        fits = add_json(&call->body, call) && fits;
    if (!fits)
        return err_set(ERR_INVALID, "%s: not UTF-8", call->platform->name);
    set_lines(call, types[form]);
    req->url = buf_str(&call->url);
    req->body = buf_slice(&call->body);
    return req->url && buf_ok(&call->body) && buf_ok(&call->header) ? OK
                                                                    : ERR_NOMEM;
}
