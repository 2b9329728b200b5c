/* cleanup.h -- what is to be undone when a request or a task ends, for what a
 * script need not close itself. */
#pragma once
#include <stddef.h>

struct cleanup {
    void (*run)(struct cleanup *self); /* it is out of the list already */
    struct cleanup *next, **prev;      /* prev NULL: in no list */
};

static inline void cleanup_add(struct cleanup **list, struct cleanup *c)
{
    c->next = *list;
    c->prev = list;
    if (c->next)
        c->next->prev = &c->next;
    *list = c;
}

static inline void cleanup_remove(struct cleanup *c)
{
    if (!c->prev)
        return;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->prev = NULL;
}

static inline void cleanup_run(struct cleanup **list)
{
    while (*list) {
        struct cleanup *c = *list;
        cleanup_remove(c);
        c->run(c);
    }
}
