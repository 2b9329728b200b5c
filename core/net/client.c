/* client.c -- HTTP requests to others: curl's multi interface in our loop. */
#define _GNU_SOURCE
#include "net/client_private.h"
#include <malloc.h>
#include <stdlib.h>

enum {
    IDLE_SECONDS = 60,
    /* Busy ones count too, and past the limit each answer would cost an idle
     * connection: far above what runs at a time. */
    CONNECTIONS = 256,
    RECEIVE = 4096 /* platforms answer in less */
};

/* curl copies URLs, headers and answers, so what it frees is wiped. */
static void wiping_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *wiping_realloc(void *p, size_t size)
{
    size_t have = p ? malloc_usable_size(p) : 0;
    if (p && size <= have)
        return p;
    void *wider = malloc(size);
    if (wider && p) {
        memcpy(wider, p, have);
        wiping_free(p);
    }
    return wider;
}

/* Before main: whoever comes first decides on memory, and it must not race. */
__attribute__((constructor)) static void init_curl(void)
{
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free,
                         wiping_realloc, strdup, calloc);
}

static struct slice host_of(const char *url)
{
    struct slice host = slice_str(strstr(url, "://") + 3);
    host.len = strcspn(host.data, "/?#");
    for (size_t at; (at = slice_find(host, '@')) < host.len;)
        host = slice_from(host, at + 1);
    return host;
}

static bool valid(const struct client_request *req)
{
    const char *method = req->method ? req->method : "GET";
    size_t letters = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    if (!letters || method[letters] || !req->url ||
        (strncasecmp(req->url, "http://", 7) &&
         strncasecmp(req->url, "https://", 8)))
        return false;
    for (const char *p = req->url; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return false;
    for (const char *const *line = req->headers; line && *line; line++)
        if (strpbrk(*line, "\r\n"))
            return false;
    return true;
}

static unsigned timeout_of(const struct client_request *req)
{
    return req->timeout_ms ? req->timeout_ms : CLIENT_TIMEOUT;
}

static enum err result_of(const struct client_request *req, CURLcode rc)
{
    switch (rc) {
    case CURLE_OK:
        return OK;
    case CURLE_WRITE_ERROR: /* on_body and on_header said which */
        return req->result ? req->result : ERR_IO;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return req->sent || req->seconds * 1000 >= timeout_of(req)
                   ? ERR_TIMEOUT
                   : ERR_CONNECT;
    case CURLE_URL_MALFORMAT:
        return ERR_INVALID;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_ABORTED_BY_CALLBACK: /* on_ready */
        return req->sent ? ERR_CLOSED : ERR_CONNECT;
    default:
        return req->sent ? ERR_IO : ERR_CONNECT;
    }
}

/* As buf_add, but growth leaves nothing behind: an answer may hold a key. */
static bool take(struct buf *b, struct slice s)
{
    if (b->cap - b->len < s.len) {
        struct buf wider = { 0 };
        if (!buf_reserve(&wider, (b->len + s.len) * 2))
            return false;
        buf_add(&wider, buf_slice(b));
        buf_wipe(b);
        *b = wider;
    }
    buf_add(b, s);
    return true;
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct client_request *req = user;
    size_t max = req->max_body ? req->max_body : CLIENT_BODY;
    n *= size;
    if (n > max - req->body_in.len)
        req->result = ERR_TOO_LARGE;
    else if (!take(&req->body_in, SLICE_OF(data, n)))
        req->result = ERR_NOMEM;
    return req->result ? 0 : n;
}

static size_t on_header(char *data, size_t size, size_t n, void *user)
{
    struct client_request *req = user;
    (void)data;
    n *= size;
    req->headers_in += n;
    if (req->headers_in > CLIENT_HEADERS)
        req->result = ERR_TOO_LARGE;
    return req->result ? 0 : n;
}

/* Connected, and about to send.  Where a kept connection dies unanswered
 * curl comes here again to repeat the request; only we may decide that. */
static int on_ready(void *user, char *peer, char *local, int peer_port,
                    int local_port)
{
    struct client_request *req = user;
    long sent = 0;
    (void)peer, (void)local, (void)peer_port, (void)local_port;
    curl_easy_getinfo(req->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (req->sent && sent > 0)
        return CURL_PREREQFUNC_ABORT;
    req->sent = true;
    return CURL_PREREQFUNC_OK;
}

static void detach(struct client_request *req)
{
    curl_multi_remove_handle(req->client->multi, req->easy);
    curl_easy_cleanup(req->easy);
    curl_slist_free_all(req->lines);
    *req->prev = req->next;
    if (req->next)
        req->next->prev = req->prev;
    req->client = NULL;
    req->easy = req->lines = NULL;
}

static void note_answer(struct client_request *req)
{
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(req->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(req->easy, CURLINFO_CONTENT_TYPE, &type);
    struct slice text = slice_str(type);
    if (text.len >= sizeof req->content_type)
        text.len = sizeof req->content_type - 1;
    if (text.len)
        memcpy(req->content_type, text.data, text.len);
    req->content_type_in = SLICE_OF(req->content_type, text.len);
    req->status = (int)status;
}

static void finish(struct client_request *req, CURLcode rc)
{
    curl_easy_getinfo(req->easy, CURLINFO_TOTAL_TIME, &req->seconds);
    req->result = result_of(req, rc);
    if (req->result == OK)
        note_answer(req);
    else
        buf_wipe(&req->body_in);
    detach(req);
    if (req->result == ERR_TOO_LARGE)
        err_set(req->result, "%.*s: the answer is too large",
                SLICE_FMT(host_of(req->url)));
    else if (req->result)
        err_set(req->result, "%.*s: %s", SLICE_FMT(host_of(req->url)),
                curl_easy_strerror(rc));
    req->on_done(req);
}

#define SET(option, value)                                                     \
    (rc = rc ? rc : curl_easy_setopt(easy, CURLOPT_##option, value))

static CURLcode set_common(CURL *easy, struct client *c)
{
    CURLcode rc = CURLE_OK;
    SET(NOSIGNAL, 1L);
    SET(PROXY, "");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    SET(SSL_VERIFYPEER, 1L);
    SET(SSL_VERIFYHOST, 2L);
    if (c->ca_file)
        SET(CAINFO, c->ca_file);
    SET(SHARE, c->share);
    SET(MAXAGE_CONN, (long)IDLE_SECONDS);
    SET(BUFFERSIZE, (long)RECEIVE);
    SET(USERAGENT, "latchkey");
    SET(OPENSOCKETFUNCTION, client_open_socket);
    SET(WRITEFUNCTION, on_body);
    SET(HEADERFUNCTION, on_header);
    SET(PREREQFUNCTION, on_ready);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A request that ends while its name is looked up must not stop the
     * loop until the resolver's thread is through. */
    SET(QUICK_EXIT, 1L);
#endif
    return rc;
}

static CURLcode set_method(CURL *easy, const struct client_request *req)
{
    CURLcode rc = CURLE_OK;
    const char *method = req->method ? req->method : "GET";
    bool posts = !strcmp(method, "POST") || !strcmp(method, "PUT") ||
                 !strcmp(method, "PATCH");
    if (!strcmp(method, "HEAD"))
        return SET(NOBODY, 1L);
    if (req->body.len || posts) {
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
        SET(POSTFIELDS, req->body.len ? req->body.data : "");
    }
    return SET(CUSTOMREQUEST, method);
}

static CURLcode set_request(CURL *easy, struct client_request *req)
{
    CURLcode rc = CURLE_OK;
    SET(URL, req->url);
    SET(HTTPHEADER, (struct curl_slist *)req->lines);
    SET(TIMEOUT_MS, (long)timeout_of(req));
    SET(CONNECTTIMEOUT_MS,
        (long)(req->connect_timeout_ms ? req->connect_timeout_ms
                                       : timeout_of(req)));
    SET(PRIVATE, req);
    SET(WRITEDATA, req);
    SET(HEADERDATA, req);
    SET(PREREQDATA, req);
    return rc ? rc : set_method(easy, req);
}

static bool add_line(struct client_request *req, const char *line)
{
    struct curl_slist *list = curl_slist_append(req->lines, line);
    if (list)
        req->lines = list;
    return list;
}

/* No waiting for "100 Continue", and no content type that nobody gave. */
static bool add_lines(struct client_request *req)
{
    bool typed = false;
    for (const char *const *line = req->headers; line && *line; line++) {
        typed |= !strncasecmp(*line, "Content-Type:", 13);
        if (!add_line(req, *line))
            return false;
    }
    return add_line(req, "Expect:") &&
           (typed || add_line(req, "Content-Type:"));
}

static void reset_request(struct client_request *req)
{
    client_clear(req);
    req->result = OK;
    req->sent = req->stalled = false;
    req->status = 0;
    req->seconds = 0;
    req->headers_in = 0;
    req->lines = NULL;
}

/* on_done may send, cancel, and free the client, so nothing is kept over it. */
void client_collect(struct client *c)
{
    CURLMsg *msg;
    int left;
    while (!c->closing && (msg = curl_multi_info_read(c->multi, &left))) {
        char *req = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode rc = msg->data.result;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &req);
        finish((struct client_request *)(void *)req, rc);
    }
}

enum err client_new(struct client **out, uv_loop_t *loop)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->loop = loop;
    c->multi = curl_multi_init();
    c->share = curl_share_init();
    if (!c->multi || !c->share || !client_loop_open(c))
        goto fail;
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS);
    curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    c->ca_file = secure_getenv("CURL_CA_BUNDLE");
    if (!c->ca_file)
        c->ca_file = secure_getenv("SSL_CERT_FILE");
    *out = c;
    return OK;
fail:
    curl_multi_cleanup(c->multi);
    curl_share_cleanup(c->share);
    free(c);
    return ERR_NOMEM;
}

void client_free(struct client *c, void (*on_closed)(void *user), void *user)
{
    if (!c)
        return;
    while (c->requests)
        client_cancel(c->requests);
    c->closing = true;
    c->on_closed = on_closed;
    c->user = user;
    curl_multi_cleanup(c->multi);
    curl_share_cleanup(c->share);
    client_loop_close(c);
}

uv_loop_t *client_loop(const struct client *c)
{
    return c->loop;
}

enum err client_send(struct client *c, struct client_request *req)
{
    if (c->closing)
        return ERR_CLOSED;
    if (!valid(req))
        return err_set(ERR_INVALID, "not a request that can be sent");
    reset_request(req);
    CURL *easy = curl_easy_init();
    if (!easy || !add_lines(req) || set_common(easy, c) ||
        set_request(easy, req) || curl_multi_add_handle(c->multi, easy))
        goto fail;
    req->easy = easy;
    req->client = c;
    req->prev = &c->requests;
    if ((req->next = c->requests))
        req->next->prev = &req->next;
    c->requests = req;
    return PENDING;
fail:
    curl_easy_cleanup(easy);
    curl_slist_free_all(req->lines);
    req->lines = NULL;
    return ERR_NOMEM;
}

void client_cancel(struct client_request *req)
{
    if (!req->client)
        return;
    detach(req);
    client_clear(req);
}

void client_clear(struct client_request *req)
{
    buf_wipe(&req->body_in);
    explicit_bzero(req->content_type, sizeof req->content_type);
    req->content_type_in = SLICE_NONE;
}
