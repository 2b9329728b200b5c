/* crash.c -- a line in the error log of a process that dies of a fault. */
#define _GNU_SOURCE
#include "base/crash.h"
#include "base/log.h"
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ID = 64, STACK = 64 * 1024, LINE = 4096 };

struct note {
    bool used;
    char id[ID + 1];
};

static _Thread_local struct note notes[CRASH_NOTES];

/* Only what is safe in a signal's handler. */
struct line {
    size_t len;
    char text[LINE];
};

static void add(struct line *line, const char *text)
{
    while (*text && line->len < LINE - 1)
        line->text[line->len++] = *text++;
}

static void add_number(struct line *line, unsigned long n)
{
    char digits[24], *at = digits + sizeof digits - 1;
    *at = '\0';
    do
        *--at = (char)('0' + n % 10);
    while (n /= 10);
    add(line, at);
}

/* ", thread 7, requests under way there: a b" and the end of the line. */
static void add_notes(struct line *line)
{
    add(line, ", thread ");
    add_number(line, (unsigned long)gettid());
    add(line, ", requests under way there:");
    for (int i = 0; i < CRASH_NOTES; i++)
        if (notes[i].used) {
            add(line, " ");
            add(line, notes[i].id);
        }
    add(line, "\n");
    log_raw((struct slice){ line->text, line->len });
}

static void on_fault(int number)
{
    struct line line = { 0 };
    add(&line, "latchkey: [alert] the process dies of signal ");
    add_number(&line, (unsigned long)number);
    add(&line, " (SIG");
    const char *name = sigabbrev_np(number);
    add(&line, name ? name : "?");
    add(&line, ")");
    add_notes(&line);
    raise(number); /* its default action, once this returns */
}

static void on_asked(int number)
{
    int saved = errno;
    struct line line = { 0 };
    (void)number;
    add(&line, "latchkey: [warn] a worker has been in one piece of code for "
               "seconds and serves nobody else");
    add_notes(&line);
    errno = saved;
}

static bool is_free(int number)
{
    struct sigaction now;
    return !sigaction(number, NULL, &now) && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

void crash_catch(void)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
    struct sigaction action = { .sa_handler = on_fault,
                                .sa_flags = SA_ONSTACK | (int)SA_RESETHAND };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (is_free(faults[i]))
            sigaction(faults[i], &action, NULL);
    struct sigaction asked = { .sa_handler = on_asked,
                               .sa_flags = SA_ONSTACK | SA_RESTART };
    sigemptyset(&asked.sa_mask);
    sigaction(SIGRTMIN + 2, &asked, NULL);
    crash_thread();
}

void crash_ask(pthread_t thread)
{
    pthread_kill(thread, SIGRTMIN + 2);
}

void crash_thread(void)
{
    stack_t stack = { .ss_size = STACK };
    stack.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
}

unsigned crash_note(struct slice id)
{
    for (unsigned i = 0; i < CRASH_NOTES; i++) {
        struct note *note = &notes[i];
        if (note->used)
            continue;
        size_t len = id.len < ID ? id.len : ID;
        memcpy(note->id, id.data, len);
        note->id[len] = '\0';
        note->used = true;
        return i + 1;
    }
    return 0;
}

void crash_forget(unsigned number)
{
    if (number)
        notes[number - 1].used = false;
}
