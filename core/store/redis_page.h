/* redis_page.h -- one step through the keys of a Redis: some names, and the
 * record of each. */
#pragma once
#include "base/buf.h"
#include "store/redis_link.h"

struct redis_page {
    struct redis_link *link;
    struct slice match; /* what the names look like */
    unsigned looks;     /* how many names to look at, about */
    bool heads;         /* only records' heads are wanted */
    char cursor[24];    /* "0": the beginning, and in the end the end */
    /* Record by record; false: no more of them. */
    bool (*each)(struct redis_page *page, struct slice key,
                 struct slice record);
    /* In the end: OK, or ERR_STORE and err_text(). */
    void (*on_done)(struct redis_page *page, enum err e);
    void *user;
    struct redis_call call; /* its own, as is the rest */
    struct buf key;
    unsigned pending;
    bool stop;
    char why[256]; /* "": no failure */
};

/* on_done comes later; false: at once, err_text() says why, and it does not. */
bool redis_page_start(struct redis_page *page);
