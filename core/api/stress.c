/* stress.c -- clients that leave at a chosen wait, for tests under ASan.
 *
 * Where the environment has LATCHKEY_STRESS, every wait collects all garbage
 * first, and a request with `X-Leave: N` loses its client at its Nth wait.
 * Only builds with ASan have this. */
#include "api/request.h"
#include "base/text.h"
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)

/* A request's, once it has waited; it goes when the timer is closed. */
struct stress {
    struct cleanup cleanup;
    struct request *r; /* NULL: it has ended */
    uint64_t waits, last;
    uv_timer_t timer;
};

static void on_closed(uv_handle_t *timer)
{
    free(timer->data);
}

static void on_ended(struct cleanup *self)
{
    struct stress *s = (struct stress *)self;
    s->r = NULL;
    uv_close((uv_handle_t *)&s->timer, on_closed);
}

static void on_leave(uv_timer_t *timer)
{
    struct stress *s = timer->data;
    ngx_abort_happened(s->r->http, NULL);
}

static struct stress *find(struct request *r)
{
    struct cleanup *c = r->cleanups;
    while (c && c->run != on_ended)
        c = c->next;
    if (c)
        return (struct stress *)c;
    struct stress *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->r = r;
    text_u64(request_header(r, SLICE("X-Leave")), &s->last);
    uv_timer_init(r->api->vm->loop, &s->timer);
    s->timer.data = s;
    s->cleanup.run = on_ended;
    cleanup_add(&r->cleanups, &s->cleanup);
    return s;
}

static void on_wait(struct task *t)
{
    lua_gc(t->vm->L, LUA_GCCOLLECT, 0);
    struct request *r = task_root(t)->owner;
    while (r && r->parent)
        r = r->parent;
    struct stress *s = r ? find(r) : NULL;
    if (s && ++s->waits == s->last)
        uv_timer_start(&s->timer, on_leave, 0, 0);
}

void stress_begin(struct api *api)
{
    if (getenv("LATCHKEY_STRESS"))
        api->vm->on_wait = on_wait;
}

#else
void stress_begin(struct api *api)
{
    (void)api;
}
#endif
