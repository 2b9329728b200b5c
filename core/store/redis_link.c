/* redis_link.c -- one lasting connection to one Redis. */
#include "store/redis_link.h"
#include "crypto/secret.h"
#include "store/redis_greeting.h"
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_PAUSE = 50, LAST_PAUSE = 2000, READ_BYTES = 65536, LATE = 50 };

/* ---- deadlines ------------------------------------------------------------
 */

static void receive(struct redis_link *link);

static struct redis_call *oldest(struct redis_link *link)
{
    return link->sent.first ? link->sent.first : link->held.first;
}

/* A worker that was busy may find its answers waiting: it reads first.  Its
 * commands may not even have been sent: they have another second. */
static void on_deadline(uv_timer_t *timer)
{
    struct redis_link *link = timer->data;
    struct redis_call *call = oldest(link);
    if (call && call->deadline <= uv_now(link->loop) &&
        link->state >= REDIS_LINK_GREETING)
        receive(link);
    call = oldest(link);
    if (!call)
        return;
    uint64_t now = uv_now(link->loop);
    if (call->deadline + LATE < now)
        call->deadline = now + REDIS_LINK_MSEC;
    if (call->deadline > now) {
        uv_timer_start(timer, on_deadline, call->deadline - now, 0);
        return;
    }
    err_set(ERR_TIMEOUT, "no answer within %d ms", REDIS_LINK_MSEC);
    redis_link_fail(link);
}

static void watch_deadline(struct redis_link *link)
{
    if (!oldest(link))
        uv_timer_stop(&link->deadline);
    else if (!uv_is_active((uv_handle_t *)&link->deadline))
        uv_timer_start(&link->deadline, on_deadline, REDIS_LINK_MSEC, 0);
}

/* ---- reading and writing --------------------------------------------------
 */

static void on_poll(uv_poll_t *handle, int status, int events);

static void want(struct redis_link *link, int events)
{
    if (link->poll)
        uv_poll_start(link->poll, events, on_poll);
}

static bool send_some(struct redis_link *link)
{
    while (link->out_sent < link->out.len) {
        size_t n;
        enum err e = redis_io_write(
            &link->io, slice_from(buf_slice(&link->out), link->out_sent), &n);
        link->out_sent += n;
        if (e == PENDING) {
            want(link, UV_READABLE | UV_WRITABLE);
            return true;
        }
        if (e)
            return false;
    }
    link->out_sent = 0;
    if (link->out.cap > READ_BYTES)
        buf_free(&link->out);
    else
        buf_clear(&link->out);
    want(link, UV_READABLE);
    return true;
}

static void flush(struct redis_link *link)
{
    uv_idle_stop(&link->flush);
    if (link->state < REDIS_LINK_GREETING)
        return;
    if (link->settings->before_flush && link->state == REDIS_LINK_READY)
        link->settings->before_flush(link);
    uv_idle_stop(&link->flush); /* which that may have started */
    if (!send_some(link))
        redis_link_fail(link);
}

/* All that this turn of the loop gives goes out in one write. */
static void on_flush(uv_idle_t *idle)
{
    flush(idle->data);
}

/* False: the connection is over, or another one. */
static bool dispatch(struct redis_link *link)
{
    unsigned session = link->session;
    void *reply = NULL;
    while (redisReaderGetReply(link->reader, &reply) == REDIS_OK) {
        struct redis_call *call = reply ? redis_queue_pop(&link->sent) : NULL;
        if (!reply)
            return true;
        if (call)
            call->on_reply(call, reply);
        freeReplyObject(reply);
        if (link->closing || link->session != session)
            return false;
        if (!call)
            break; /* nobody asked for that */
        reply = NULL;
    }
    err_set(ERR_STORE, "it does not speak Redis's protocol");
    redis_link_fail(link);
    return false;
}

static void receive(struct redis_link *link)
{
    char bytes[READ_BYTES];
    size_t n;
    enum err e;
    while (!(e = redis_io_read(&link->io, bytes, sizeof bytes, &n))) {
        if (!redis_frame_take(&link->frame, SLICE_OF(bytes, n)))
            e = err_set(ERR_STORE, "an answer of it is beyond all bounds");
        else if (redisReaderFeed(link->reader, bytes, n) != REDIS_OK)
            e = err_set(ERR_NOMEM, "no memory");
        if (e || !dispatch(link))
            break;
    }
    if (e && e != PENDING)
        redis_link_fail(link);
    if (!link->closing)
        watch_deadline(link);
}

/* ---- connecting -----------------------------------------------------------
 */

static void greet(struct redis_link *link)
{
    link->state = REDIS_LINK_GREETING;
    if (!redis_greeting_start(link))
        redis_link_ready(link);
    else
        uv_idle_start(&link->flush, on_flush);
    watch_deadline(link);
}

static void advance(struct redis_link *link)
{
    if (link->state == REDIS_LINK_OPENING) {
        enum err e = redis_io_open(&link->io);
        link->refused |= e == ERR_REFUSED;
        if (e == PENDING)
            want(link, link->io.wants);
        else if (e)
            redis_link_fail(link);
        else
            greet(link);
        return;
    }
    if (link->out.len && !send_some(link))
        redis_link_fail(link);
    else
        receive(link);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct redis_link *link = handle->data;
    (void)status; /* reading or writing says it better */
    (void)events;
    advance(link);
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_retry(uv_timer_t *timer)
{
    struct redis_link *link = timer->data;
    if (link->state != REDIS_LINK_AWAY) {
        err_set(ERR_TIMEOUT, "no connection within %d ms", REDIS_LINK_MSEC);
        redis_link_fail(link);
        return;
    }
    link->state = REDIS_LINK_LOCATING;
    link->settings->locate(link);
}

static void open_socket(struct redis_link *link, const struct sockaddr *address)
{
    link->state = REDIS_LINK_OPENING;
    link->reader = redisReaderCreate();
    link->frame = (struct redis_frame){ 0 };
    enum err e = redis_io_connect(&link->io, address, link->settings->tls,
                                  link->address.host);
    if (e == PENDING && link->reader &&
        (link->poll = malloc(sizeof *link->poll))) {
        uv_poll_init(link->loop, link->poll, link->io.fd);
        uv_unref((uv_handle_t *)link->poll);
        link->poll->data = link;
        want(link, link->io.wants);
        uv_timer_start(&link->retry, on_retry, REDIS_LINK_MSEC, 0);
        return;
    }
    if (e == PENDING)
        err_set(ERR_NOMEM, "no memory");
    redis_link_fail(link);
}

static void free_link(struct redis_link *link)
{
    if (!link->handles && !link->resolving)
        free(link);
}

static void on_resolved(uv_getaddrinfo_t *request, int status,
                        struct addrinfo *found)
{
    struct redis_link *link = request->data;
    free(request);
    link->resolving = NULL;
    if (link->closing) {
        free_link(link);
    } else if (status) {
        err_set(ERR_CONNECT, "%s", uv_strerror(status));
        redis_link_fail(link);
    } else {
        open_socket(link, found->ai_addr);
    }
    uv_freeaddrinfo(found);
}

static void resolve(struct redis_link *link)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    char port[8];
    snprintf(port, sizeof port, "%u", link->address.port);
    link->resolving = malloc(sizeof *link->resolving);
    if (link->resolving) {
        link->resolving->data = link;
        if (!uv_getaddrinfo(link->loop, link->resolving, on_resolved,
                            link->address.host, port, &hints))
            return;
        free(link->resolving);
        link->resolving = NULL;
    }
    err_set(ERR_NOMEM, "no memory");
    redis_link_fail(link);
}

void redis_link_connect(struct redis_link *link,
                        const struct redis_address *address)
{
    struct sockaddr_in6 where;
    link->address = *address;
    if (!uv_ip4_addr(address->host, (int)address->port,
                     (struct sockaddr_in *)&where) ||
        !uv_ip6_addr(address->host, (int)address->port, &where))
        open_socket(link, (struct sockaddr *)&where);
    else
        resolve(link);
}

/* ---- failing --------------------------------------------------------------
 */

static void drop_connection(struct redis_link *link)
{
    link->session++;
    link->state = REDIS_LINK_AWAY;
    if (link->poll) {
        uv_poll_stop(link->poll);
        uv_close((uv_handle_t *)link->poll, on_poll_closed);
    }
    link->poll = NULL;
    redis_io_close(&link->io);
    if (link->reader)
        redisReaderFree(link->reader);
    link->reader = NULL;
    uv_idle_stop(&link->flush);
    uv_timer_stop(&link->deadline);
    buf_wipe(&link->out);
    buf_wipe(&link->holding);
    link->out_sent = 0;
}

/* At first almost at once, for a restart; then ever more seldom. */
static uint64_t pause_of(struct redis_link *link)
{
    unsigned shift = link->attempts < 6 ? link->attempts : 6;
    uint64_t pause = (uint64_t)FIRST_PAUSE << shift, chance = 0;
    if (pause > LAST_PAUSE)
        pause = LAST_PAUSE;
    link->attempts++;
    secret_random(&chance, sizeof chance);
    return pause / 2 + chance % pause;
}

/* dispatch, further up the stack, sees by the session that its reader is gone.
 */
void redis_link_fail(struct redis_link *link)
{
    char why[REDIS_HOST + 256];
    snprintf(why, sizeof why, "redis %s:%u: %s", link->address.host,
             link->address.port, err_text());
    drop_connection(link);
    link->failed = true;
    uv_timer_start(&link->retry, on_retry, pause_of(link), 0);
    err_set(ERR_STORE, "%s", why);
    if (link->settings->on_failure)
        link->settings->on_failure(link);
    redis_queue_fail(&link->sent, why);
    redis_queue_fail(&link->held, why);
}

/* ---- what others use ------------------------------------------------------
 */

void redis_link_start(struct redis_link *link, uv_loop_t *loop,
                      const struct redis_link_settings *settings)
{
    *link = (struct redis_link){ .loop = loop, .settings = settings };
    link->io.fd = -1;
    uv_timer_init(loop, &link->deadline);
    uv_timer_init(loop, &link->retry);
    uv_idle_init(loop, &link->flush);
    link->deadline.data = link->retry.data = link->flush.data = link;
    uv_unref((uv_handle_t *)&link->retry);
    uv_unref((uv_handle_t *)&link->flush);
    link->handles = 3;
    link->state = REDIS_LINK_LOCATING;
    settings->locate(link);
}

/* A RESP array of bulk strings. */
static void format(struct buf *out, const struct slice *words, unsigned count)
{
    char head[32];
    size_t size = 32;
    for (unsigned i = 0; i < count; i++)
        size += words[i].len + 32;
    if (!buf_reserve(out, size)) /* at once: a record is wiped with out */
        return;
    buf_add(out, SLICE_OF(head, (size_t)snprintf(head, sizeof head, "*%u\r\n",
                                                 count)));
    for (unsigned i = 0; i < count; i++) {
        int n = snprintf(head, sizeof head, "$%zu\r\n", words[i].len);
        buf_add(out, SLICE_OF(head, (size_t)n));
        buf_add(out, words[i]);
        buf_add(out, SLICE("\r\n"));
    }
}

void redis_link_say(struct redis_link *link, struct redis_call *call,
                    const struct slice *words, unsigned count)
{
    call->deadline = uv_now(link->loop) + REDIS_LINK_MSEC;
    format(&link->out, words, count);
    redis_queue_push(&link->sent, call);
}

void redis_link_ready(struct redis_link *link)
{
    link->state = REDIS_LINK_READY;
    link->failed = link->refused = false;
    link->attempts = 0;
    uv_timer_stop(&link->retry);
    redis_queue_append(&link->sent, &link->held);
    buf_add(&link->out, buf_slice(&link->holding));
    buf_wipe(&link->holding);
    uv_idle_start(&link->flush, on_flush);
    if (link->settings->on_ready)
        link->settings->on_ready(link);
}

bool redis_link_call(struct redis_link *link, struct redis_call *call,
                     const struct slice *words, unsigned count)
{
    bool ready = link->state == REDIS_LINK_READY;
    struct buf *out = ready ? &link->out : &link->holding;
    if (link->closing || (!ready && link->failed)) {
        err_set(ERR_STORE, "redis %s:%u is away", link->address.host,
                link->address.port);
        return false;
    }
    if (link->sent.count + link->held.count >= REDIS_LINK_CALLS ||
        out->len >= REDIS_LINK_BYTES) {
        err_set(ERR_STORE, "too much waits for redis");
        return false;
    }
    size_t before = out->len;
    format(out, words, count);
    if (!buf_ok(out)) {
        out->len = before;
        out->broken = false;
        err_set(ERR_NOMEM, "no memory");
        return false;
    }
    uv_update_time(link->loop); /* it stands while a script runs */
    call->deadline = uv_now(link->loop) + REDIS_LINK_MSEC;
    redis_queue_push(ready ? &link->sent : &link->held, call);
    watch_deadline(link);
    if (ready)
        uv_idle_start(&link->flush, on_flush);
    return true;
}

void redis_link_drain(struct redis_link *link)
{
    uint64_t end = uv_hrtime() + REDIS_LINK_MSEC * (uint64_t)1000000;
    while (oldest(link) && link->io.fd >= 0 && uv_hrtime() < end) {
        if (link->state >= REDIS_LINK_GREETING)
            flush(link);
        short events = POLLIN;
        if (link->out.len || link->state == REDIS_LINK_OPENING)
            events |= POLLOUT;
        struct pollfd p = { .fd = link->io.fd, .events = events };
        if (link->io.fd >= 0 && poll(&p, 1, 50) > 0)
            advance(link);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;
    link->handles--;
    free_link(link);
}

void redis_link_close(struct redis_link *link)
{
    link->closing = true;
    drop_connection(link);
    redis_queue_fail(&link->sent, "store: closed");
    redis_queue_fail(&link->held, "store: closed");
    if (link->resolving)
        uv_cancel((uv_req_t *)link->resolving);
    uv_close((uv_handle_t *)&link->deadline, on_closed);
    uv_close((uv_handle_t *)&link->retry, on_closed);
    uv_close((uv_handle_t *)&link->flush, on_closed);
}
