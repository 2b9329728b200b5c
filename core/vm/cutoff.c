/* cutoff.c -- stops scripts that run too long, also where LuaJIT has compiled
 * them.
 *
 * A timer of each thread's processor time ticks by signal.  When it has ticked
 * often enough within one script, that script's state gets a hook: enough for
 * the interpreter, but compiled code does not look at hooks, and a loop of it
 * may have no exit at all.  So the thread is made to stop at each machine
 * instruction, until it is about to go round: there the code is sent to its
 * exit 0, that of the state in which it was entered.  What it has kept in
 * registers since then is lost, which is fine for a script that is to end.
 *
 * Only a root trace has such an exit 0, and only loops and jumps from trace to
 * trace lead back: so a jump back in it, or the head of a trace that was
 * jumped to, is where that is known.  (lj_asm_x86.h, asm_loop_fixup,
 * asm_tail_fixup, asm_head_root, asm_exitstub_gen.) */
#define _GNU_SOURCE
#include "vm/cutoff.h"
#include "vm/vm.h"
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    TICK_MSEC = 50,
    STEPS_MAX = 200000,
    LEARN_MAX = 20000,
    STEPS_OUTSIDE = 3000, /* of C code in between */
    VDSO_MAX = 1 << 14
};

typedef const unsigned char *code;

static _Thread_local struct {
    struct vm *vm; /* whose script runs now, or NULL */
    uint64_t turn; /* counts scripts */
    uint64_t seen; /* the turn at the last tick */
    uint64_t msec; /* that it has run for */
    pid_t timed;   /* the process that the timer is in */
    timer_t timer;
    bool stepping, learning;
    unsigned steps, outside;
    code head_end; /* of the trace that was jumped to */
} self;

/* ---- compiled code ------------------------------------------------------- */

/* ThreadSanitizer holds signals back: steps in its runtime are deadly. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
enum { SINGLE_STEP = 0x100, PUSH_BYTE = 0x6a, JMP = 0xe9, JMP_SHORT = 0xeb };

/* Neither the program's nor a library's: LuaJIT's or, where no trace runs,
 * PCRE2's. */
static bool is_made(code p)
{
    struct dl_find_object found;
    uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
    return _dl_find_object((void *)(uintptr_t)p, &found) != 0 &&
           (uintptr_t)p - vdso > VDSO_MAX;
}

/* LuaJIT keeps the number of the trace that runs, below 0: of none. */
static bool is_compiled(code p)
{
    const volatile int32_t *trace = self.vm->limits.trace;
    return trace && *trace >= 0 && is_made(p);
}

static code near_target(code at)
{
    int32_t distance;
    memcpy(&distance, at, sizeof distance);
    return at + 4 + distance;
}

/* mov dword [r14 + distance], number: a trace tells that it runs. */
static bool sets_trace(code p)
{
    return p[0] == 0x41 && p[1] == 0xc7 && p[2] == 0x86;
}

static code head_end(code p)
{
    if (p[0] == 0x48 && p[1] == 0x83) /* room on the stack */
        p += 4;
    else if (p[0] == 0x48 && p[1] == 0x81)
        p += 7;
    return sets_trace(p) ? p + 11 : NULL;
}

/* Looks for the first trace's head, to see where that number is. */
static void learn(greg_t *registers)
{
    code p = (code)(uintptr_t)registers[REG_RIP];
    bool found = is_made(p) && sets_trace(p);
    if (found)
        self.vm->limits.trace =
            (void *)(near_target(p + 3) - (p + 7) + registers[REG_R14]);
    self.learning = !found && ++self.steps < LEARN_MAX;
    if (self.learning)
        registers[REG_EFL] |= SINGLE_STEP;
    else
        registers[REG_EFL] &= ~SINGLE_STEP;
}

/* Whether the instruction goes round a loop of a root trace.  A loop's last
 * guard may be its jump back; the jump after it leaves. */
static bool goes_round(code p)
{
    bool near_if = p[0] == 0x0f && (p[1] & 0xf0) == 0x80 && p[6] == JMP;
    bool short_if = (p[0] & 0xf0) == 0x70 && p[2] == JMP;
    if (p[0] == JMP_SHORT || short_if)
        return (signed char)p[1] < 0;
    if (p[0] != JMP && !near_if)
        return false;
    code to = near_target(near_if ? p + 2 : p + 1);
    if (!is_made(to) || *to == PUSH_BYTE) /* it leaves */
        return false;
    if (p[0] == JMP)
        self.head_end = head_end(to);
    return !head_end(to);
}

static void step(greg_t *registers)
{
    code p = (code)(uintptr_t)registers[REG_RIP];
    bool first = !self.steps++, compiled = self.vm && is_compiled(p);
    self.outside = compiled ? 0 : self.outside + 1;
    if (!self.stepping || !self.vm || self.steps > STEPS_MAX ||
        self.outside > STEPS_OUTSIDE) {
        registers[REG_EFL] &= ~SINGLE_STEP;
        self.stepping = false;
    } else if (!first && compiled && (p == self.head_end || goes_round(p))) {
        registers[REG_RIP] = (greg_t)self.vm->limits.exit_stub;
        self.head_end = NULL;
    }
}

static void on_step(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (self.learning)
        learn(registers);
    else
        step(registers);
}

/* A flush of all traces moves it; cutoff_refresh learns of that only later. */
static bool stub_is_there(code stub)
{
    long page = sysconf(_SC_PAGESIZE);
    unsigned char resident;
    void *at = (void *)((uintptr_t)stub & ~((uintptr_t)page - 1));
    return stub && !mincore(at, (size_t)page, &resident) &&
           stub[0] == PUSH_BYTE && stub[1] == 0 && stub[2] == JMP_SHORT;
}

static void begin_steps(ucontext_t *context)
{
    self.steps = self.outside = 0;
    self.head_end = NULL;
    self.stepping =
        self.vm->limits.trace && stub_is_there((code)self.vm->limits.exit_stub);
    if (self.stepping)
        context->uc_mcontext.gregs[REG_EFL] |= SINGLE_STEP;
}

static void catch_steps(struct sigaction *action)
{
    action->sa_sigaction = on_step;
    sigaction(SIGTRAP, action, NULL);
}

void cutoff_refresh(struct vm *vm)
{
    lua_State *L = vm->L;
    if (!vm->limits.stub_of)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->limits.stub_of);
    if (!lua_pcall(L, 0, 1, 0))
        vm->limits.exit_stub = (uintptr_t)lua_tonumber(L, -1);
    lua_pop(L, 1);
}

/* The first trace makes the stubs, also after a flush. */
static void prepare_stubs(struct vm *vm)
{
    static const char text[] =
        "local stub = require('jit.util').traceexitstub\n"
        "return function()\n"
        "  local sum = 0\n"
        "  for i = 1, 1000 do sum = sum + i end\n"
        "  return stub(0)\n"
        "end\n";
    if (vm_load(vm, SLICE_OF(text, sizeof text - 1), "=cutoff") != OK ||
        vm_call(vm, 0, 1) != OK)
        return;
    vm->limits.stub_of = luaL_ref(vm->L, LUA_REGISTRYINDEX);
    cutoff_refresh(vm);
    self.vm = vm;
    self.steps = 0;
    self.learning = true;
    raise(SIGTRAP);
    cutoff_refresh(vm);
    self.learning = false;
    self.vm = NULL;
}

#else /* compiled loops run on: there is nothing to send them by */
static void begin_steps(ucontext_t *context)
{
    (void)context;
}

static void catch_steps(struct sigaction *action)
{
    (void)action;
}

void cutoff_refresh(struct vm *vm)
{
    (void)vm;
}

static void prepare_stubs(struct vm *vm)
{
    (void)vm;
}
#endif

/* ---- the clock ----------------------------------------------------------- */

static bool ran_for_long(void)
{
    uint64_t most;
    if (!self.vm || self.turn != self.seen) {
        self.seen = self.turn;
        self.msec = 0;
        return false;
    }
    self.msec += TICK_MSEC;
    most = limits_msec(self.vm);
    return most && self.msec >= most;
}

/* A tick during steps finds them under way. */
static void on_tick(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    if (!ran_for_long() || self.stepping)
        return;
    self.vm->limits.cut = true;
    self.vm->limits.cut_msec = limits_msec(self.vm);
    limits_interrupt(self.vm);
    begin_steps(context);
}

static int tick_signal(void)
{
    return SIGRTMIN + 1;
}

static void catch_ticks(void)
{
    struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART };
    sigfillset(&action.sa_mask);
    action.sa_sigaction = on_tick;
    sigaction(tick_signal(), &action, NULL);
    catch_steps(&action);
}

/* A fork's child has no timer. */
static void start_timer(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
                              .sigev_signo = tick_signal() };
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    struct itimerspec every = { { 0, TICK_MSEC * 1000000 },
                                { 0, TICK_MSEC * 1000000 } };
    pthread_once(&once, catch_ticks);
    if (self.timed == getpid() ||
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &self.timer))
        return;
    self.timed = getpid();
    timer_settime(self.timer, 0, &every, NULL);
}

void cutoff_stop(void)
{
    if (self.timed == getpid())
        timer_delete(self.timer);
    self.timed = 0;
}

void cutoff_prepare(struct vm *vm)
{
    start_timer();
    prepare_stubs(vm);
}

void cutoff_begin(struct vm *vm)
{
    self.vm = vm;
    self.turn++;
}

void cutoff_end(void)
{
    self.vm = NULL;
}

struct vm *cutoff_arrived(void)
{
    self.stepping = false;
    return self.vm;
}
