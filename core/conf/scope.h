/* scope.h -- where the statements of a block write, and what setters share:
 * paths, templates, variables, regexes. */
#pragma once
#include "conf/fault.h"
#include "conf/tree.h"

struct directive;

/* Parts of templates, kept until every variable is known. */
struct pending {
    struct conf_part *parts;
    unsigned count;
    const struct node *node;
    struct pending *next;
};

/* One conf_load. */
struct loader {
    const struct conf_options *options;
    const char *folder; /* of the configuration file, with a slash */
    struct pending *pending;
};

struct scope {
    struct loader *loader;
    struct arena *arena; /* the conf's */
    struct conf *conf;
    struct conf_server *server;     /* in http: what servers start from */
    struct conf_location *location; /* in server: its implicit one */
    unsigned context;               /* one IN_ bit (directive.h) */
    const struct directive *seen[192];
    unsigned nseen;
    bool second; /* the pass of the blocks within */
    bool again;  /* the directive at hand came before in this block */
};

#define node_fail(n, ...) fault_at((n)->file, (n)->line, __VA_ARGS__)

/* The path from the prefix, absolute.  NULL: no memory. */
const char *scope_path(struct scope *s, struct slice path);

/* Compiles text; what its variables mean is settled by scope_settle. */
enum err scope_template(struct scope *s, const struct node *n,
                        struct slice text, struct conf_template *out);

/* As scope_template for a path: absolute, unless a variable comes first. */
enum err scope_path_template(struct scope *s, const struct node *n,
                             struct slice path, struct conf_template *out);

/* The variable that n makes.  *index is -1 where it is a built-in one that
 * may be set. */
enum err scope_variable(struct scope *s, const struct node *n,
                        struct slice name, int *index);

/* Compiles a regex, which the conf owns, and makes its groups' variables. */
enum err scope_pattern(struct scope *s, const struct node *n, struct slice text,
                       bool caseless, struct conf_pattern *out);

/* When all is read: gives every variable in a template its index, or says
 * that there is no such thing. */
enum err scope_settle(struct scope *s);
