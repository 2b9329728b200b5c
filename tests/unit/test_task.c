/* test_task.c -- tasks: waiting, light threads, cancelling, unwinding. */
#include "unit.h"
#include "vm/task.h"
#include "vm/traceback.h"
#include <stdlib.h>

struct fixture {
    uv_loop_t loop;
    struct vm *vm;
    struct buf trace; /* what the script said, and on_done's words */
    struct task *held, *child;
    unsigned cancels, drained;
};

static struct fixture *fixture_of(lua_State *L)
{
    return vm_of(L)->host;
}

/* ---- what the scripts call ---------------------------------------------- */

static int f_say(lua_State *L)
{
    struct buf *trace = &fixture_of(L)->trace;
    if (trace->len)
        buf_add_char(trace, ' ');
    buf_add(trace, vm_check_slice(L, 1));
    return 0;
}

static void on_rested(uv_timer_t *timer)
{
    task_resume(timer->data, 0);
}

static void cancel_rest(struct task *t)
{
    uv_timer_stop(&t->timer);
}

static int f_nap(lua_State *L)
{
    struct task *t = task_check(L);
    uv_update_time(t->vm->loop);
    uv_timer_start(&t->timer, on_rested, (uint64_t)luaL_optinteger(L, 1, 1), 0);
    return task_wait(t, cancel_rest, NULL);
}

static void cancel_hold(struct task *t)
{
    struct fixture *f = t->vm->host;
    f->cancels++;
    f->held = NULL;
}

/* Waits until the test resumes f->held. */
static int f_hold(lua_State *L)
{
    struct task *t = task_check(L);
    fixture_of(L)->held = t;
    return task_wait(t, cancel_hold, NULL);
}

static int f_exit(lua_State *L)
{
    return task_unwind(task_check(L));
}

static void on_child_done(struct task *t, bool ok)
{
    struct fixture *f = t->vm->host;
    buf_addf(&f->trace, " child:%s", ok ? "ok" : lua_tostring(t->co, -1));
    if (t->parent->state != TASK_DONE)
        task_mark(t, "zombie");
}

static int f_spawn(lua_State *L)
{
    struct task *t = task_check(L);
    struct task *child = task_new(t->vm, L, lua_gettop(L) - 1);
    task_adopt(t, child);
    child->on_done = on_child_done;
    fixture_of(L)->child = child;
    lua_rawgeti(L, LUA_REGISTRYINDEX, child->ref);
    task_start(child);
    return task_root(t)->unwinding ? task_unwind(t) : 1;
}

/* ---- the fixture -------------------------------------------------------- */

static int setup(void **state)
{
    static const luaL_Reg funcs[] = { { "say", f_say },     { "nap", f_nap },
                                      { "hold", f_hold },   { "exit", f_exit },
                                      { "spawn", f_spawn }, { NULL, NULL } };
    struct fixture *f = calloc(1, sizeof *f);
    uv_loop_init(&f->loop);
    if (vm_new(&f->vm, &f->loop) != OK)
        return -1;
    f->vm->host = f;
    lua_pushvalue(f->vm->L, LUA_GLOBALSINDEX);
    vm_register(f->vm, f->vm->L, funcs);
    lua_pop(f->vm->L, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(lua_gettop(f->vm->L), 0);
    vm_free(f->vm);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    buf_free(&f->trace);
    free(f);
    return 0;
}

static void on_done(struct task *t, bool ok)
{
    struct fixture *f = t->vm->host;
    const char *text = lua_gettop(t->co) ? lua_tostring(t->co, -1) : NULL;
    buf_addf(&f->trace, " done:%s", ok ? "ok" : "failed");
    if (text)
        buf_addf(&f->trace, ":%s", text);
}

static struct task *start(struct fixture *f, const char *script)
{
    assert_int_equal(vm_load(f->vm, slice_str(script), "=test"), OK);
    struct task *t = task_new(f->vm, f->vm->L, 0);
    assert_non_null(t);
    t->on_done = on_done;
    task_start(t);
    return t;
}

static void run(struct fixture *f, const char *script)
{
    start(f, script);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static struct slice trace(struct fixture *f)
{
    return buf_slice(&f->trace);
}

/* ---- waiting ------------------------------------------------------------ */

static void a_task_that_never_waits_is_done_at_once(void **state)
{
    struct fixture *f = *state;
    start(f, "say 'a' return 'b'");
    assert_slice(trace(f), "a done:ok:b");
    assert_null(f->vm->tasks);
    assert_int_equal(f->vm->holds, 0);
}

static void an_error_is_told_to_on_done(void **state)
{
    struct fixture *f = *state;
    run(f, "nap() error('bad', 0)");
    assert_slice(trace(f), " done:failed:bad");
}

static void a_wait_passes_through_pcall(void **state)
{
    struct fixture *f = *state;
    run(f, "say(tostring(pcall(function() nap() error 'x' end))) say 'b'");
    assert_slice(trace(f), "false b done:ok");
}

static void a_wait_passes_through_coroutines(void **state)
{
    struct fixture *f = *state;
    run(f, "local co = coroutine.create(function(a)\n"
           "  nap() say(a)\n"
           "  local b = coroutine.yield('out')\n"
           "  nap() say(b)\n"
           "  return 'end'\n"
           "end)\n"
           "say(select(2, coroutine.resume(co, 'in')))\n"
           "say(select(2, coroutine.resume(co, 'again')))\n"
           "say(coroutine.status(co))");
    assert_slice(trace(f), "in out again end dead done:ok");
}

static void a_wait_passes_through_nested_wraps(void **state)
{
    struct fixture *f = *state;
    run(f, "local function deep(n)\n"
           "  if n == 0 then nap() return 'bottom' end\n"
           "  return coroutine.wrap(function() return deep(n - 1) end)()\n"
           "end\n"
           "say(deep(20))");
    assert_slice(trace(f), "bottom done:ok");
}

static void a_wait_gives_what_it_is_resumed_with(void **state)
{
    struct fixture *f = *state;
    struct task *t = start(f, "local w = coroutine.wrap(function()\n"
                              "  return hold()\n"
                              "end)\n"
                              "local a, b = w() say(a) say(b)");
    assert_ptr_equal(f->held, t);
    lua_pushliteral(t->co, "one");
    lua_pushliteral(t->co, "two");
    task_resume(t, 2);
    assert_slice(trace(f), "one two done:ok");
}

static void two_tasks_wait_at_once(void **state)
{
    struct fixture *f = *state;
    start(f, "nap(30) say 'slow'");
    start(f, "nap(1) say 'fast'");
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_slice(trace(f), "fast done:ok slow done:ok");
}

static void a_yield_of_the_task_itself_lets_others_run(void **state)
{
    struct fixture *f = *state;
    start(f, "say 'a1' coroutine.yield(1) say 'a2'");
    start(f, "say 'b1' coroutine.yield(2) say 'b2'");
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_slice(trace(f), "a1 b1 a2 done:ok b2 done:ok");
}

static void no_wait_outside_tasks(void **state)
{
    struct fixture *f = *state;
    lua_getglobal(f->vm->L, "nap");
    assert_int_equal(vm_call(f->vm, 0, 0), ERR_SCRIPT);
    assert_non_null(
        strstr(err_text(), "API disabled in the context of init_by_lua*"));
}

static void no_wait_in_a_phase_inside_a_task(void **state)
{
    struct fixture *f = *state;
    struct task *t = start(f, "hold() say(select(2, pcall(nap)))");
    f->vm->phase = "header_filter_by_lua*";
    task_resume(t, 0);
    f->vm->phase = NULL;
    assert_slice(trace(f), "API disabled in the context of "
                           "header_filter_by_lua* done:ok");
}

static void a_wait_inside_a_c_function_raises_and_starts_nothing(void **state)
{
    struct fixture *f = *state;
    run(f, "say(tostring(pcall(table.sort, {2, 1}, hold)))");
    assert_slice(trace(f), "false done:ok");
    assert_int_equal(f->cancels, 0);
}

static void a_wait_that_could_not_be_is_cancelled_by_the_next(void **state)
{
    struct fixture *f = *state;
    run(f, "local function inside() coroutine.wrap(hold)() end\n"
           "say(tostring(pcall(string.gsub, 'a', 'a', inside)))\n"
           "nap() say 'slept'\n"
           "pcall(string.gsub, 'a', 'a', inside)");
    assert_slice(trace(f), "false slept done:ok");
    assert_int_equal(f->cancels, 2);
    assert_null(f->held);
}

static void what_waits_cannot_be_resumed_by_a_script(void **state)
{
    struct fixture *f = *state;
    start(f, "co = coroutine.create(function() hold() say 'mine' end)\n"
             "main = coroutine.running()\n"
             "coroutine.resume(co)");
    start(f, "say(select(2, coroutine.resume(co, 'wrong')))\n"
             "say(select(2, coroutine.resume(main, 'wrong')))");
    task_resume(f->held, 0);
    assert_slice(trace(f), "cannot resume running coroutine "
                           "cannot resume normal coroutine done:ok "
                           "mine done:ok");
}

/* ---- light threads ------------------------------------------------------ */

static void a_root_is_done_after_its_light_threads(void **state)
{
    struct fixture *f = *state;
    run(f, "spawn(function() nap(5) say 'thread' end) say 'root'");
    assert_slice(trace(f), "root thread child:ok done:ok");
}

static void a_root_that_fails_drops_its_light_threads(void **state)
{
    struct fixture *f = *state;
    run(f, "spawn(function() hold() say 'never' end) error('bad', 0)");
    assert_slice(trace(f), " done:failed:bad");
    assert_int_equal(f->cancels, 1);
}

static void a_light_thread_that_fails_fails_alone(void **state)
{
    struct fixture *f = *state;
    run(f, "spawn(function() error('bad', 0) end) say 'on'");
    assert_slice(trace(f), " child:bad on done:ok");
}

static void the_threads_of_an_ended_thread_go_to_the_root(void **state)
{
    struct fixture *f = *state;
    struct task *root = start(f, "spawn(function()\n"
                                 "  spawn(function() nap(5) say 'inner' end)\n"
                                 "  nap(1) say 'outer'\n"
                                 "end)\n"
                                 "nap(2) say 'root'");
    struct task *inner = f->child;
    uv_run(&f->loop, UV_RUN_ONCE);
    while (inner->parent != root)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_null(inner->user);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_slice(trace(f), "outer child:ok root inner child:ok done:ok");
}

static void a_zombie_is_freed_with_its_parent(void **state)
{
    struct fixture *f = *state;
    run(f, "local t = spawn(function() end)\n"
           "say(coroutine.status(t)) nap() say(coroutine.status(t))");
    assert_slice(trace(f), " child:ok zombie zombie done:ok");
    assert_null(f->vm->tasks);
}

static void a_task_knows_its_coroutines(void **state)
{
    struct fixture *f = *state;
    lua_State *L = f->vm->L;
    start(f, "thread = spawn(hold)\n"
             "plain = coroutine.create(nap) hold()");
    lua_getglobal(L, "thread");
    assert_true(task_owns(f->vm, L, -1));
    lua_getglobal(L, "plain");
    assert_false(task_owns(f->vm, L, -1));
    lua_pop(L, 2);
}

/* ---- unwinding ---------------------------------------------------------- */

static void unwinding_ends_the_task_as_if_well(void **state)
{
    struct fixture *f = *state;
    run(f, "pcall(function() coroutine.wrap(exit)() end) say 'never'");
    assert_slice(trace(f), " done:ok");
}

static void unwinding_from_a_nested_thread_ends_all(void **state)
{
    struct fixture *f = *state;
    run(f, "spawn(function()\n"
           "  spawn(function() say 'exit' exit() say 'never 1' end)\n"
           "  say 'never 2'\n"
           "end)\n"
           "say 'never 3'");
    assert_slice(trace(f), "exit done:ok");
}

static void unwinding_below_a_thread_that_runs_ends_a_waiting_root(void **state)
{
    struct fixture *f = *state;
    run(f, "spawn(function() nap() spawn(exit) say 'never 1' end)\n"
           "hold() say 'never 2'");
    assert_slice(trace(f), " done:ok");
    assert_int_equal(f->cancels, 1);
}

/* ---- cancelling, the end, reuse ----------------------------------------- */

static void a_cancelled_task_is_gone_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct task *t = start(f, "spawn(function() nap(1) say 'never' end)\n"
                              "hold() say 'never'");
    task_cancel(t);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_slice(trace(f), "");
    assert_int_equal(f->cancels, 1);
    assert_null(f->vm->tasks);
}

static void a_cancelled_thread_leaves_its_root(void **state)
{
    struct fixture *f = *state;
    struct task *root = start(f, "spawn(hold) say 'root'");
    assert_int_equal(root->running_children, 1);
    root->on_done = NULL;
    task_cancel(f->child);
    assert_int_equal(f->cancels, 1);
    assert_int_equal(root->running_children, 0);
    task_cancel(root);
}

static void a_coroutine_that_ended_well_serves_again(void **state)
{
    struct fixture *f = *state;
    lua_State *first = start(f, "nap()")->co;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_ptr_equal(start(f, "nap() say 'again'")->co, first);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_slice(trace(f), " done:ok again done:ok");
    assert_int_equal(f->vm->idle_count, 1);
}

static void a_coroutine_that_failed_does_not(void **state)
{
    struct fixture *f = *state;
    run(f, "first = coroutine.running() nap() error 'x'");
    run(f, "say(tostring(coroutine.running() == first))");
    assert_non_null(strstr(buf_str(&f->trace), "false done:ok"));
}

static void on_drained(struct vm *vm)
{
    ((struct fixture *)vm->host)->drained++;
}

static void a_retired_vm_is_drained_by_its_last_task(void **state)
{
    struct fixture *f = *state;
    start(f, "nap(1)");
    start(f, "hold()");
    vm_retire(f->vm, on_drained);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->drained, 0);
    task_resume(f->held, 0);
    assert_int_equal(f->drained, 1);
}

static void freeing_a_vm_cancels_what_runs(void **state)
{
    struct fixture *f = *state;
    start(f, "spawn(hold) spawn(nap, 1000) nap(1000)");
    start(f, "coroutine.wrap(function() nap(1000) end)()");
    vm_free(f->vm);
    assert_int_equal(f->cancels, 1);
    assert_int_equal(vm_new(&f->vm, &f->loop), OK);
}

/* ---- tracebacks --------------------------------------------------------- */

static void on_failed(struct task *t, bool ok)
{
    struct fixture *f = t->vm->host;
    assert_false(ok);
    traceback_add(t, &f->trace);
}

static void a_traceback_goes_from_the_failure_to_the_root(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        vm_load(f->vm,
                SLICE("local function inner() nap() error 'bad' end\n"
                      "local function outer()\n"
                      "  coroutine.wrap(inner)()\n"
                      "end\n"
                      "pcall(coroutine.wrap(error), 'caught')\n"
                      "coroutine.wrap(outer)()"),
                "=test"),
        OK);
    struct task *t = task_new(f->vm, f->vm->L, 0);
    t->on_done = on_failed;
    task_start(t);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    const char *text = buf_str(&f->trace);
    const char *at[4] = { strstr(text, "\ncoroutine 0:\n"),
                          strstr(text, "in function <test:1>"),
                          strstr(text, "in function <test:2>"),
                          strstr(text, "in main chunk") };
    for (int i = 0; i < 4; i++)
        assert_non_null(at[i]);
    assert_true(at[0] < at[1] && at[1] < at[2] && at[2] < at[3]);
    assert_non_null(strstr(text, "\ncoroutine 2:\n"));
    assert_null(strstr(text, "\ncoroutine 3:\n"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_that_never_waits_is_done_at_once),
        TEST(an_error_is_told_to_on_done),
        TEST(a_wait_passes_through_pcall),
        TEST(a_wait_passes_through_coroutines),
        TEST(a_wait_passes_through_nested_wraps),
        TEST(a_wait_gives_what_it_is_resumed_with),
        TEST(two_tasks_wait_at_once),
        TEST(a_yield_of_the_task_itself_lets_others_run),
        TEST(no_wait_outside_tasks),
        TEST(no_wait_in_a_phase_inside_a_task),
        TEST(a_wait_inside_a_c_function_raises_and_starts_nothing),
        TEST(a_wait_that_could_not_be_is_cancelled_by_the_next),
        TEST(what_waits_cannot_be_resumed_by_a_script),
        TEST(a_root_is_done_after_its_light_threads),
        TEST(a_root_that_fails_drops_its_light_threads),
        TEST(a_light_thread_that_fails_fails_alone),
        TEST(the_threads_of_an_ended_thread_go_to_the_root),
        TEST(a_zombie_is_freed_with_its_parent),
        TEST(a_task_knows_its_coroutines),
        TEST(unwinding_ends_the_task_as_if_well),
        TEST(unwinding_from_a_nested_thread_ends_all),
        TEST(unwinding_below_a_thread_that_runs_ends_a_waiting_root),
        TEST(a_cancelled_task_is_gone_without_a_word),
        TEST(a_cancelled_thread_leaves_its_root),
        TEST(a_coroutine_that_ended_well_serves_again),
        TEST(a_coroutine_that_failed_does_not),
        TEST(a_retired_vm_is_drained_by_its_last_task),
        TEST(freeing_a_vm_cancels_what_runs),
        TEST(a_traceback_goes_from_the_failure_to_the_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
