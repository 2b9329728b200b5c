/* ngx_sleep.c -- ngx.sleep(seconds): other requests keep running. */
#include "api/api.h"
#include "api/ngx_log.h"
#include "vm/task.h"

/* A line for whoever debugs, in nginx's words; text goes. */
static void note(struct task *t, struct buf *text)
{
    ngx_log_write(task_root(t)->owner, t->context, LOG_DEBUG, text);
    buf_free(text);
}

static void on_wake(uv_timer_t *timer)
{
    struct task *t = timer->data;
    const struct request *r = task_root(t)->owner;
    if (r && log_enabled(LOG_DEBUG)) {
        struct buf text = { 0 };
        buf_addf(&text, "lua sleep timer expired: \"%.*s?%.*s\"",
                 SLICE_FMT(r->uri), SLICE_FMT(r->args));
        note(t, &text);
    }
    task_resume(t, 0);
}

static void cancel_sleep(struct task *t)
{
    uv_timer_stop(&t->timer);
    if (log_enabled(LOG_DEBUG)) {
        struct buf text = { 0 };
        buf_add_str(&text, "lua clean up the timer for pending ngx.sleep");
        note(t, &text);
    }
}

static int f_sleep(lua_State *L)
{
    lua_Number sec = luaL_checknumber(L, 1);
    if (!(sec >= 0 && sec < 1e9))
        return luaL_error(L, "invalid sleep duration \"%f\"", sec);
    struct task *t = task_check(L);
    uint64_t msec = (uint64_t)(sec * 1000 + 0.5);
    if (log_enabled(LOG_DEBUG)) {
        struct buf text = { 0 };
        buf_addf(&text, "lua ready to sleep for %llu ms",
                 (unsigned long long)msec);
        note(t, &text);
    }
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, on_wake, msec, 0);
    return task_wait(t, cancel_sleep, NULL);
}

void ngx_sleep_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "sleep", f_sleep }, { NULL, NULL } };
    vm_register(vm, L, funcs);
}
