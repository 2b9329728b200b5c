/* rewrite.c -- set, set_by_lua, return, rewrite, break and if. */
#include "base/text.h"
#include "conf/setters.h"
#include <ctype.h>

/* Appends; what an outer block does is not inherited. */
static struct conf_op *add_op(struct scope *s, const struct directive *d,
                              enum conf_op_kind kind)
{
    struct conf_op **at = directive_field(s, d);
    while (*at)
        at = &(*at)->next;
    if ((*at = arena_alloc(s->arena, sizeof **at)))
        (*at)->kind = kind;
    return *at;
}

static bool valid_name(struct slice name)
{
    for (size_t i = 1; i < name.len; i++)
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_')
            return false;
    return name.len > 1 && name.data[0] == '$';
}

/* The operation that sets the variable of n's first argument. */
static enum err add_set(struct scope *s, const struct directive *d,
                        const struct node *n, enum conf_op_kind kind,
                        struct conf_op **out)
{
    if (!valid_name(n->args[0]))
        return node_fail(n, "invalid variable name \"%s\"", n->args[0].data);
    struct conf_op *op = *out = add_op(s, d, kind);
    struct slice name = arena_dup(s->arena, slice_from(n->args[0], 1));
    if (!op || !name.data)
        return fault_memory();
    for (size_t i = 0; i < name.len; i++)
        ((char *)name.data)[i] = (char)tolower((unsigned char)name.data[i]);
    op->name = name;
    return scope_variable(s, n, name, &op->variable);
}

enum err rewrite_set(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    struct conf_op *op;
    enum err e = add_set(s, d, n, CONF_SET, &op);
    return e ? e : scope_template(s, n, n->args[1], &op->text);
}

enum err rewrite_set_lua(struct scope *s, const struct directive *d,
                         const struct node *n)
{
    struct conf_op *op;
    enum err e = add_set(s, d, n, CONF_SET_LUA, &op);
    if (!e)
        e = code_make(s, d, n, 1, &op->code);
    unsigned nargs = n->nargs > 2 ? n->nargs - 2 : 0;
    if (!e && nargs &&
        !(op->args = arena_alloc(s->arena, nargs * sizeof *op->args)))
        return fault_memory();
    for (; !e && op->nargs < nargs; op->nargs++)
        e = scope_template(s, n, n->args[op->nargs + 2], &op->args[op->nargs]);
    return e;
}

static bool is_url(struct slice s)
{
    return slice_starts(s, SLICE("http://")) ||
           slice_starts(s, SLICE("https://")) ||
           slice_starts(s, SLICE("$scheme"));
}

enum err rewrite_return(struct scope *s, const struct directive *d,
                        const struct node *n)
{
    uint64_t status = 302;
    bool only_url = n->nargs == 1 && is_url(n->args[0]);
    if (!only_url && (!text_u64(n->args[0], &status) || status > 999))
        return node_fail(n, "invalid return code \"%s\"", n->args[0].data);
    struct conf_op *op = add_op(s, d, CONF_RETURN);
    if (!op)
        return fault_memory();
    op->status = (unsigned)status;
    op->has_text = only_url || n->nargs == 2;
    if (!op->has_text)
        return OK;
    return scope_template(s, n, n->args[n->nargs - 1], &op->text);
}

static enum err set_flag(const struct node *n, struct conf_op *op)
{
    static const struct {
        const char *word;
        enum conf_rewrite flag;
        unsigned status;
    } flags[] = {
        { "last", CONF_REWRITE_LAST, 0 },
        { "break", CONF_REWRITE_BREAK, 0 },
        { "redirect", CONF_REWRITE_REDIRECT, 302 },
        { "permanent", CONF_REWRITE_REDIRECT, 301 },
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (slice_eq(n->args[2], slice_str(flags[i].word))) {
            op->flag = flags[i].flag;
            op->status = flags[i].status;
            return OK;
        }
    return node_fail(n, "invalid parameter \"%s\"", n->args[2].data);
}

enum err rewrite_uri(struct scope *s, const struct directive *d,
                     const struct node *n)
{
    struct slice to = n->args[1];
    struct conf_op *op = add_op(s, d, CONF_REWRITE_URI);
    if (!op)
        return fault_memory();
    if (is_url(to)) {
        op->flag = CONF_REWRITE_REDIRECT;
        op->status = 302;
    }
    op->drop_args = to.len && to.data[to.len - 1] == '?';
    to.len -= op->drop_args;
    enum err e = n->nargs == 3 ? set_flag(n, op) : OK;
    if (!e)
        e = scope_pattern(s, n, n->args[0], false, &op->pattern);
    return e ? e : scope_template(s, n, arena_dup(s->arena, to), &op->text);
}

enum err rewrite_break(struct scope *s, const struct directive *d,
                       const struct node *n)
{
    (void)n;
    return add_op(s, d, CONF_BREAK) ? OK : fault_memory();
}

/* ---- if ---------------------------------------------------------------- */

/* The words between the parentheses; at most three. */
static unsigned words_within(const struct node *n, struct slice out[3])
{
    unsigned count = 0;
    struct slice last = n->args[n->nargs - 1];
    if (!slice_starts(n->args[0], SLICE("(")) || !last.len ||
        last.data[last.len - 1] != ')')
        return 0;
    for (unsigned i = 0; i < n->nargs; i++) {
        struct slice word = n->args[i];
        if (i == 0)
            word = slice_from(word, 1);
        if (i == n->nargs - 1)
            word.len--;
        if (!word.len && (i == 0 || i == n->nargs - 1) && n->nargs > 1 &&
            n->args[i].len == 1)
            continue;
        if (count == 3)
            return 0;
        out[count++] = word;
    }
    return count;
}

static enum err set_comparison(struct scope *s, const struct node *n,
                               struct slice how, struct slice with,
                               struct conf_op *op)
{
    op->negated = slice_starts(how, SLICE("!"));
    struct slice sign = slice_from(how, op->negated);
    struct slice own = arena_dup(s->arena, with);
    if (!own.data)
        return fault_memory();
    if (slice_eq(sign, SLICE("="))) {
        op->test = CONF_TEST_EQUAL;
        return scope_template(s, n, own, &op->other);
    }
    op->test = CONF_TEST_MATCH;
    if (slice_eq(sign, SLICE("~")) || slice_eq(sign, SLICE("~*")))
        return scope_pattern(s, n, own, sign.len == 2, &op->pattern);
    return node_fail(n, "unexpected \"%.*s\" in condition", SLICE_FMT(how));
}

static enum err set_file_test(const struct node *n, struct slice word,
                              struct conf_op *op)
{
    static const char letters[] = "fdex";
    op->negated = slice_starts(word, SLICE("!"));
    struct slice test = slice_from(word, op->negated);
    const char *at = test.len == 2 && *test.data == '-' && test.data[1]
                         ? strchr(letters, test.data[1])
                         : NULL;
    if (!at)
        return node_fail(n, "invalid condition \"%.*s\"", SLICE_FMT(word));
    op->test = CONF_TEST_FILE + (enum conf_test)(at - letters);
    return OK;
}

static enum err set_condition(struct scope *s, const struct node *n,
                              struct conf_op *op)
{
    struct slice words[3];
    unsigned count = words_within(n, words);
    if (!count)
        return node_fail(n, "invalid condition \"%s\"", n->args[0].data);
    bool variable = slice_starts(words[0], SLICE("$"));
    enum err e = OK;
    if (!variable && count == 2)
        e = set_file_test(n, words[0], op);
    else if (variable && count == 3)
        e = set_comparison(s, n, words[1], words[2], op);
    else if (!variable || count == 2)
        e = node_fail(n, "invalid condition \"%.*s\"", SLICE_FMT(words[0]));
    struct slice own = arena_dup(s->arena, words[variable ? 0 : 1]);
    return e ? e : scope_template(s, n, own, &op->text);
}

/* First its place among the operations, then, when all around it is known,
 * what holds within. */
enum err rewrite_if(struct scope *s, const struct directive *d,
                    const struct node *n)
{
    if (!s->second) {
        struct conf_op *op = add_op(s, d, CONF_IF);
        if (!op)
            return fault_memory();
        op->node = n;
        return set_condition(s, n, op);
    }
    struct conf_op *op = s->location->ops;
    while (op->node != n)
        op = op->next;
    return block_if(s, n, &op->then);
}
