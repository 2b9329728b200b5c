/* platform_login.c -- the engine: builds the call, tries, waits, gives up. */
#include "platform/platform_login.h"
#include "base/clock.h"
#include "base/text.h"
#include "platform/platform_answer.h"
#include <stdlib.h>
#include <sys/random.h>

enum {
    TRIES = 2,          /* more than the first */
    BACKOFF = 50,       /* ms; then twice that; each up to doubled by chance */
    ANSWER = 64 * 1024, /* bytes; a real one has 300 */
    ESCAPE = 6          /* a byte may become \u0000 */
};

/* --- the call --- */

static struct slice value_of(const struct platform_login *l,
                             const struct platform_param *param)
{
    switch (param->value) {
    case PLATFORM_APPID:
        return l->appid;
    case PLATFORM_SECRET:
        return l->secret;
    case PLATFORM_CODE:
        return l->code;
    case PLATFORM_ANONYMOUS_CODE:
        return l->anonymous_code;
    default:
        return slice_str(param->text);
    }
}

static void add_pairs(struct buf *out, const struct platform_login *l)
{
    const struct platform_param *param = l->platform->login.params;
    bool first = true;
    for (; param->name; param++) {
        struct slice value = value_of(l, param);
        if (!value.len)
            continue;
        if (!first)
            buf_add_char(out, '&');
        first = false;
        text_escape_uri(out, slice_str(param->name));
        buf_add_char(out, '=');
        text_escape_uri(out, value);
    }
}

static bool add_json(struct buf *out, const struct platform_login *l)
{
    const struct platform_param *param = l->platform->login.params;
    char before = '{';
    for (; param->name; param++) {
        struct slice value = value_of(l, param);
        if (!value.len)
            continue;
        if (!text_is_utf8(value))
            return false;
        buf_add_char(out, before);
        buf_add_char(out, '"');
        text_json_escape(out, slice_str(param->name));
        buf_add_str(out, "\":\"");
        text_json_escape(out, value);
        buf_add_char(out, '"');
        before = ',';
    }
    buf_add_char(out, '}');
    return true;
}

static void add_url(struct platform_login *l)
{
    struct slice base = slice_str(l->base ? l->base : l->platform->base);
    while (base.len && base.data[base.len - 1] == '/')
        base.len--;
    buf_add(&l->url, base);
    buf_add_str(&l->url, l->platform->login.path);
    if (l->platform->login.form != PLATFORM_QUERY)
        return;
    buf_add_char(&l->url, '?');
    add_pairs(&l->url, l);
}

/* The most that names and values can come to: buffers that hold secrets do
 * not grow, since growth leaves copies behind. */
static size_t room_for(const struct platform_login *l)
{
    const struct platform_param *param = l->platform->login.params;
    const char *base = l->base ? l->base : l->platform->base;
    size_t room = strlen(base) + strlen(l->platform->login.path) + 16;
    for (; param->name; param++)
        room += (strlen(param->name) + value_of(l, param).len) * ESCAPE + 8;
    return room;
}

static enum err build(struct platform_login *l)
{
    static const char *const json[] = { "Content-Type: application/json",
                                        NULL };
    static const char *const form[] = {
        "Content-Type: application/x-www-form-urlencoded", NULL
    };
    enum platform_form kind = l->platform->login.form;
    struct client_request *req = &l->request;
    buf_reserve(&l->url, room_for(l));
    add_url(l);
    if (kind != PLATFORM_QUERY) {
        req->method = "POST";
        req->headers = kind == PLATFORM_JSON ? json : form;
        buf_reserve(&l->body, room_for(l));
    }
    if (kind == PLATFORM_FORM)
        add_pairs(&l->body, l);
    else if (kind == PLATFORM_JSON && !add_json(&l->body, l))
        return err_set(ERR_INVALID, "%s: not UTF-8", l->platform->name);
    req->url = buf_str(&l->url);
    req->body = buf_slice(&l->body);
    return req->url && buf_ok(&l->body) ? OK : ERR_NOMEM;
}

/* --- its life --- */

static unsigned timeout_of(const struct platform_login *l)
{
    return l->timeout_ms ? l->timeout_ms : CLIENT_TIMEOUT;
}

/* Milliseconds that are left of all. */
static uint64_t time_left(const struct platform_login *l)
{
    uint64_t all = (uint64_t)timeout_of(l) * 2;
    uint64_t gone = clock_ticks() - l->started;
    return gone < all ? all - gone : 0;
}

static enum err try(struct platform_login *l)
{
    uint64_t left = time_left(l), most = timeout_of(l);
    if (left > most)
        left = most;
    l->request.timeout_ms = left ? (unsigned)left : 1;
    l->attempts++;
    return client_send(l->client, &l->request);
}

static void on_timer_closed(uv_handle_t *timer)
{
    free(timer);
}

static void let_go(struct platform_login *l)
{
    client_cancel(&l->request);
    if (l->timer)
        uv_close((uv_handle_t *)l->timer, on_timer_closed);
    l->timer = NULL;
}

static void end(struct platform_login *l)
{
    let_go(l);
    l->seconds = (double)(clock_ticks() - l->started) / 1000;
    /* Busy now, but an earlier try may have been served. */
    if (l->lost && l->reason == PLATFORM_BUSY)
        l->reason = PLATFORM_TIMEOUT;
    if (l->ambiguous && l->reason == PLATFORM_CODE_USED)
        l->reason = PLATFORM_CODE_INVALID;
    l->on_done(l);
}

static void on_retry(uv_timer_t *timer)
{
    struct platform_login *l = timer->data;
    if (try(l) == PENDING)
        return;
    l->reason = PLATFORM_ERROR;
    end(l);
}

static uint64_t backoff(unsigned attempts)
{
    uint16_t chance = 0;
    uint64_t ms = (uint64_t)BACKOFF << (attempts - 1);
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
        return ms; /* then all in step, for once */
    return ms + ms * chance / UINT16_MAX;
}

static bool wait_for_retry(struct platform_login *l)
{
    uint64_t ms = backoff(l->attempts);
    if (!l->tries_left || ms >= time_left(l))
        return false;
    if (!l->timer) {
        if (!(l->timer = malloc(sizeof *l->timer)))
            return false;
        uv_timer_init(client_loop(l->client), l->timer);
        l->timer->data = l;
    }
    l->tries_left--;
    uv_timer_start(l->timer, on_retry, ms, 0);
    return true;
}

static enum platform_retry judge_status(struct platform_login *l)
{
    l->status = l->request.status;
    l->reason = l->status == 429 ? PLATFORM_RATE_LIMITED : PLATFORM_BUSY;
    if (l->status == 429)
        return PLATFORM_FINAL;
    if (l->status >= 500)
        return PLATFORM_AGAIN;
    enum platform_retry retry =
        platform_answer_read(l, buf_slice(&l->request.body_in));
    if (l->reason == PLATFORM_OK && l->status / 100 != 2)
        return platform_answer_reject(l, "a success with an HTTP error");
    return retry;
}

/* An answer that was lost on the way: its code may be spent.  One more try
 * tells, and no more than one. */
static enum platform_retry judge_lost(struct platform_login *l)
{
    l->reason = PLATFORM_TIMEOUT;
    if (l->lost)
        return PLATFORM_FINAL;
    l->lost = true;
    if (l->tries_left > 1)
        l->tries_left = 1;
    return PLATFORM_AGAIN;
}

static enum platform_retry judge(struct platform_login *l)
{
    const struct client_request *req = &l->request;
    l->errcode = 0;
    l->status = 0;
    platform_answer_note(l, req->result ? slice_str(err_text()) : SLICE_NONE);
    switch (req->result) {
    case OK:
        return judge_status(l);
    case ERR_TIMEOUT:
    case ERR_CLOSED:
        if (req->sent)
            return judge_lost(l); /* fall through */
    case ERR_CONNECT:
        l->reason = PLATFORM_BUSY;
        return PLATFORM_AGAIN;
    case ERR_INVALID:
        l->reason = PLATFORM_MISCONFIGURED;
        return PLATFORM_FINAL;
    default:
        l->reason = PLATFORM_ERROR;
        return PLATFORM_FINAL;
    }
}

static void on_answer(struct client_request *req)
{
    struct platform_login *l = req->user;
    enum platform_retry retry = judge(l);
    bool sent = req->sent;
    client_clear(req);
    if (retry == PLATFORM_AGAIN && wait_for_retry(l)) {
        l->ambiguous |= sent;
        return;
    }
    end(l);
}

static void reset(struct platform_login *l, struct client *c)
{
    platform_login_clear(l);
    l->client = c;
    l->request = (struct client_request){ .max_body = ANSWER,
                                          .on_done = on_answer,
                                          .user = l };
    l->attempts = 0;
    l->tries_left = TRIES;
    l->lost = l->ambiguous = false;
    l->timer = NULL;
    l->started = clock_ticks();
}

enum err platform_login_start(struct client *c, struct platform_login *login)
{
    enum err e;
    reset(login, c);
    if (!login->code.len && !(login->anonymous_code.len &&
                              login->platform->answer.anonymous_openid))
        return err_set(ERR_INVALID, "%s: no code", login->platform->name);
    e = build(login);
    if (e == OK)
        e = try(login);
    if (e != PENDING)
        platform_login_clear(login);
    return e;
}

void platform_login_cancel(struct platform_login *login)
{
    let_go(login);
}

void platform_login_clear(struct platform_login *login)
{
    client_clear(&login->request);
    buf_wipe(&login->url);
    buf_wipe(&login->body);
    explicit_bzero(login->session_key, sizeof login->session_key);
    explicit_bzero(login->openid, sizeof login->openid);
    explicit_bzero(login->unionid, sizeof login->unionid);
    explicit_bzero(login->anonymous_openid, sizeof login->anonymous_openid);
}
