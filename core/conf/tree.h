/* tree.h -- configuration text as a tree of statements, includes done. */
#pragma once
#include "conf/conf.h"

enum { TREE_BLOCKS = 64 };

struct node {
    struct slice name;
    struct slice *args;
    unsigned nargs;
    bool is_block, is_lua;
    struct slice code;     /* is_lua: what lies between the braces */
    struct node *children; /* is_block and not is_lua */
    struct node *next;
    const char *file;
    unsigned line; /* of the `;` or the `{`, as nginx counts */
};

/* What reading needs; tail starts at &the first node. */
struct tree {
    struct arena *arena;
    const char *folder;       /* of the first file, with a slash: where
                               * relative includes are */
    struct conf_file **files; /* what was read is added, each path once */
    struct node **tail;
    struct node **open[TREE_BLOCKS]; /* tails of the blocks around */
    unsigned depth, includes;
};

/* Adds the statements of a file at t->tail, which moves on. */
enum err tree_read(struct tree *t, const char *path);

/* Likewise for text; line is 1, or 0 for text given with -g. */
enum err tree_parse(struct tree *t, const char *file, unsigned line,
                    struct slice text);
