/* threads.c -- a pool of threads for work that may take long or block. */
#define _GNU_SOURCE
#include "base/threads.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct threads {
    struct threads_rules rules;
    char name[16];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct threads_work *first, **last;
    unsigned waiting;       /* work that no thread has taken */
    unsigned running, idle; /* threads, and those of them without work */
    bool closed;
};

/* All threads of all pools, for who ends the process. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_ended = PTHREAD_COND_INITIALIZER;
static unsigned all_running;

static void count(int change)
{
    pthread_mutex_lock(&all_lock);
    all_running += (unsigned)change;
    pthread_cond_broadcast(&all_ended);
    pthread_mutex_unlock(&all_lock);
}

struct threads *threads_new(const struct threads_rules *rules)
{
    struct threads *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->rules = *rules;
    snprintf(t->name, sizeof t->name, "%s", rules->name);
    t->last = &t->first;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->wake, NULL);
    return t;
}

/* Nobody knows it any more. */
static void destroy(struct threads *t)
{
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->wake);
    if (t->rules.release)
        t->rules.release(t->rules.user);
    free(t);
}

/* Under the lock; NULL: the pool is closed. */
static struct threads_work *take(struct threads *t)
{
    while (!t->first && !t->closed)
        pthread_cond_wait(&t->wake, &t->lock);
    struct threads_work *work = t->first;
    if (!work)
        return NULL;
    t->idle--;
    t->first = work->next;
    if (!t->first)
        t->last = &t->first;
    t->waiting--;
    return work;
}

static void serve(struct threads *t, void *state)
{
    struct threads_work *work;
    pthread_mutex_lock(&t->lock);
    while ((work = take(t))) {
        pthread_mutex_unlock(&t->lock);
        work->run(work, state);
        pthread_mutex_lock(&t->lock);
        work->done(work, t->closed);
        t->idle++;
    }
    pthread_mutex_unlock(&t->lock);
}

static void *thread(void *user)
{
    struct threads *t = user;
    pthread_setname_np(pthread_self(), t->name);
    void *state = t->rules.begin(t->rules.user);
    serve(t, state);
    t->rules.end(state);
    pthread_mutex_lock(&t->lock);
    bool last = !--t->running;
    pthread_mutex_unlock(&t->lock);
    if (last)
        destroy(t);
    count(-1);
    return NULL;
}

/* Under the lock. */
static enum err start(struct threads *t)
{
    pthread_attr_t detached;
    pthread_t id;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    count(+1);
    int rc = pthread_create(&id, &detached, thread, t);
    pthread_attr_destroy(&detached);
    if (!rc) {
        t->running++;
        t->idle++;
        return OK;
    }
    count(-1);
    return err_set(ERR_NOMEM, "pthread_create() failed (%d)", rc);
}

/* Under the lock.  Where there is a thread at all, work may wait for it. */
static enum err make_room(struct threads *t)
{
    if (t->waiting < t->idle)
        return OK;
    if (t->running < t->rules.threads && start(t) == OK)
        return OK;
    if (!t->running)
        return ERR_NOMEM;
    if (t->waiting - t->idle < t->rules.queue)
        return OK;
    return err_set(ERR_TOO_LARGE,
                   "thread pool \"%s\" queue overflow: %u tasks waiting",
                   t->rules.name, t->waiting - t->idle);
}

enum err threads_post(struct threads *t, struct threads_work *work)
{
    pthread_mutex_lock(&t->lock);
    enum err e = make_room(t);
    if (e == OK) {
        work->next = NULL;
        *t->last = work;
        t->last = &work->next;
        t->waiting++;
        pthread_cond_signal(&t->wake);
    }
    pthread_mutex_unlock(&t->lock);
    return e;
}

struct threads_work *threads_close(struct threads *t)
{
    if (!t)
        return NULL;
    pthread_mutex_lock(&t->lock);
    struct threads_work *left = t->first;
    t->first = NULL;
    t->closed = true;
    bool last = !t->running;
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
    if (last)
        destroy(t);
    return left;
}

bool threads_ended(unsigned msec)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += msec / 1000;
    until.tv_nsec += (long)(msec % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int rc = 0;
    pthread_mutex_lock(&all_lock);
    while (all_running && !rc)
        rc = pthread_cond_timedwait(&all_ended, &all_lock, &until);
    bool ended = !all_running;
    pthread_mutex_unlock(&all_lock);
    return ended;
}
