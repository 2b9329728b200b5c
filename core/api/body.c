/* body.c -- scripts that wait for the rest of a request's body. */
#include "api/request.h"
#include <stdlib.h>

enum { HTTP_BAD_REQUEST = 400 };

struct await {
    struct body_reader reader; /* first: what the request knows of it */
    struct task *task;
    lua_Integer number;
    int (*push)(lua_State *L, struct request *r, lua_Integer number);
};

static void cancel(struct task *t)
{
    struct request *r = task_root(t)->owner;
    r->reader = NULL;
    free(t->op);
}

/* Without the body there is no request, as in nginx. */
static void on_body(struct body_reader *self, struct request *r)
{
    struct await *a = (struct await *)self;
    struct task *t = a->task;
    if (r->http->arriving)
        return;
    if (r->http->lost) {
        request_drop_task(r);
        request_finish(r, HTTP_BAD_REQUEST);
        return;
    }
    r->reader = NULL;
    int n = a->push(t->co, r, a->number);
    free(a);
    task_resume(t, n);
}

int body_await(lua_State *L, struct request *r, lua_Integer number,
               int (*push)(lua_State *L, struct request *r, lua_Integer number))
{
    if (!r->http->arriving || r->body_read)
        return push(L, r, number);
    if (r->reader)
        return vm_fail(L, "pending request body reading in some other thread");
    struct task *t = task_check(L);
    struct await *a = malloc(sizeof *a);
    if (!a)
        return vm_fail(L, "no memory");
    *a = (struct await){ { on_body }, t, number, push };
    r->reader = &a->reader;
    return task_wait(t, cancel, a);
}

/* A body that is too large is refused whatever the script waits for. */
void body_happened(struct http_request *http, void *user)
{
    struct request *r = http->user;
    if (r->finished)
        return;
    if (http->fault) {
        request_drop_task(r);
        request_finish(r, http->fault);
        return;
    }
    if (!http->arriving && !http->lost && !r->body_read)
        r->body = buf_slice(&http->body);
    if (r->reader)
        r->reader->on_body(r->reader, r);
    else if (http->lost && http->watch)
        ngx_abort_happened(http, user);
}
