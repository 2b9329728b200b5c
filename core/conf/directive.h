/* directive.h -- what a statement may be, and how statements become a conf.
 *
 * A block is applied in two passes: first all that it says of itself, onto a
 * copy of what the outer block says; then the blocks within.  So a setting
 * is inherited wherever in its block it is written. */
#pragma once
#include "conf/scope.h"

enum {
    IN_MAIN = 1,
    IN_EVENTS = 2,
    IN_HTTP = 4,
    IN_SERVER = 8,
    IN_LOCATION = 16,
    IN_IF = 512, /* within `if`, whatever that stands in */
    IN_ALL = IN_HTTP | IN_SERVER | IN_LOCATION,
    IN_SCRIPTS = IN_ALL | IN_IF,
    IN_REWRITE = IN_SERVER | IN_LOCATION | IN_IF,
    MANY = 32,    /* may come again in the same block */
    BLOCK = 64,   /* has braces */
    NESTED = 128, /* a block of the second pass */
    TWICE = 256   /* applied in both */
};

enum { ARGS_ANY = 255 };

/* The struct whose field a directive sets. */
enum target { TO_NONE, TO_CONF, TO_SERVER, TO_LOCATION };

typedef enum err setter(struct scope *s, const struct directive *d,
                        const struct node *n);

struct directive {
    const char *name;
    unsigned flags;
    unsigned char min, max; /* arguments */
    setter *set;
    enum target target;
    size_t offset;
};

/* The field that d sets, or NULL where it sets none. */
void *directive_field(const struct scope *s, const struct directive *d);

/* Applies a block's statements. */
enum err directive_apply(struct scope *s, const struct node *nodes);
