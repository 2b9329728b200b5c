/* ops.c -- set, set_by_lua, return, rewrite, break and if, in the order of
 * writing. */
#include "api/request.h"
#include <sys/stat.h>
#include <unistd.h>

enum verdict { GO_ON, STOP, ANSWERED };

static void assign(struct request *r, const struct conf_op *op,
                   struct slice value)
{
    if (op->variable >= 0)
        r->variables[op->variable] = arena_dup(&r->http->arena, value);
    else
        variable_set(r, op->name, value);
}

static enum verdict set(struct request *r, const struct conf_op *op)
{
    struct buf value = { 0 };
    variable_render(r, &op->text, &value);
    assign(r, op, buf_slice(&value));
    buf_free(&value);
    return GO_ON;
}

static enum verdict set_lua(struct request *r, const struct conf_op *op)
{
    lua_State *L = r->api->vm->L;
    const struct conf_op *outer = r->set;
    r->set = op;
    bool ok = phase_call(r, CONF_SET_LUA_PHASE, op->code, 1);
    r->set = outer;
    if (!ok) {
        request_finish(r, 500);
        return ANSWERED;
    }
    struct slice value = vm_slice(L, -1);
    if (lua_isboolean(L, -1))
        value = lua_toboolean(L, -1) ? SLICE("true") : SLICE("false");
    assign(r, op, value.data ? value : SLICE(""));
    lua_pop(L, 1);
    return GO_ON;
}

static void return_text(struct request *r, const struct conf_op *op)
{
    struct buf text = { 0 };
    variable_render(r, &op->text, &text);
    if (op->status >= 301 && op->status <= 308 && op->status != 304) {
        request_set_location(r, buf_slice(&text));
        buf_free(&text);
        request_finish(r, (int)op->status);
        return;
    }
    r->status = (int)op->status;
    r->output = text;
    request_set_header(r, SLICE("Content-Length"), SLICE("0"), true);
    r->headers_sent = true;
    request_finish(r, (int)op->status);
}

static enum verdict answer(struct request *r, const struct conf_op *op)
{
    if (op->has_text)
        return_text(r, op);
    else
        request_finish(r, (int)op->status);
    return ANSWERED;
}

static bool match(struct request *r, const struct conf_pattern *p,
                  struct slice subject)
{
    int pairs =
        regex_match(p->regex, subject, 0, 0, r->ovector, REQUEST_CAPTURES);
    if (pairs > 0)
        variable_captures(r, p, subject, (unsigned)pairs);
    return pairs > 0;
}

/* "/path?a=b" and the request's own query, unless that is dropped. */
static void change_uri(struct request *r, const struct conf_op *op,
                       struct slice to)
{
    struct slice own = arena_dup(&r->http->arena, to);
    size_t mark = slice_find(own, '?');
    struct slice args = slice_from(own, mark + 1);
    r->uri = (struct slice){ own.data, mark };
    r->located &= r->phase != CONF_SERVER_REWRITE;
    if (args.len && r->args.len && !op->drop_args)
        args = slice_str(arena_printf(&r->http->arena, "%.*s&%.*s",
                                      SLICE_FMT(args), SLICE_FMT(r->args)));
    if (mark < own.len || op->drop_args)
        r->args = args;
}

static void redirect(struct request *r, const struct conf_op *op,
                     struct buf *to)
{
    if (r->args.len && !op->drop_args)
        buf_addf(to, "%c%.*s",
                 slice_find(buf_slice(to), '?') < to->len ? '&' : '?',
                 SLICE_FMT(r->args));
    request_set_location(r, buf_slice(to));
    request_finish(r, (int)op->status);
}

static enum verdict rewrite(struct request *r, const struct conf_op *op)
{
    static const enum verdict after[] = { [CONF_REWRITE_ON] = GO_ON,
                                          [CONF_REWRITE_LAST] = STOP,
                                          [CONF_REWRITE_BREAK] = STOP,
                                          [CONF_REWRITE_REDIRECT] = ANSWERED };
    struct buf to = { 0 };
    if (!match(r, &op->pattern, r->uri))
        return GO_ON;
    variable_render(r, &op->text, &to);
    if (op->flag == CONF_REWRITE_REDIRECT) {
        redirect(r, op, &to);
    } else {
        change_uri(r, op, buf_slice(&to));
        r->internal = true;
        r->jumped = op->flag != CONF_REWRITE_BREAK;
    }
    buf_free(&to);
    return after[op->flag];
}

static bool test_file(enum conf_test test, const char *path)
{
    struct stat st;
    if (test == CONF_TEST_EXECUTABLE)
        return !access(path, X_OK);
    if (stat(path, &st))
        return false;
    return test == CONF_TEST_EXISTS ||
           (test == CONF_TEST_FILE ? S_ISREG(st.st_mode) : S_ISDIR(st.st_mode));
}

static bool is_true(struct request *r, const struct conf_op *op)
{
    bool yes;
    struct buf value = { 0 }, other = { 0 };
    variable_render(r, &op->text, &value);
    struct slice v = buf_slice(&value);
    switch (op->test) {
    case CONF_TEST_TRUE:
        yes = v.len && !slice_eq(v, SLICE("0"));
        break;
    case CONF_TEST_EQUAL:
        variable_render(r, &op->other, &other);
        yes = slice_eq(v, buf_slice(&other));
        break;
    case CONF_TEST_MATCH:
        yes = match(r, &op->pattern, v.data ? v : SLICE(""));
        break;
    default:
        yes = buf_str(&value) && test_file(op->test, value.data);
    }
    buf_free(&value);
    buf_free(&other);
    return yes != op->negated;
}

static enum verdict run(struct request *r, const struct conf_op *op);

/* What holds within holds from here on. */
static enum verdict run_if(struct request *r, const struct conf_op *op)
{
    if (!is_true(r, op))
        return GO_ON;
    if (r->phase != CONF_SERVER_REWRITE)
        r->location = op->then;
    return run(r, op->then->ops);
}

static enum verdict run(struct request *r, const struct conf_op *op)
{
    enum verdict v = GO_ON;
    for (; op && v == GO_ON; op = op->next) {
        switch (op->kind) {
        case CONF_SET:
            v = set(r, op);
            break;
        case CONF_SET_LUA:
            v = set_lua(r, op);
            break;
        case CONF_RETURN:
            v = answer(r, op);
            break;
        case CONF_IF:
            v = run_if(r, op);
            break;
        case CONF_REWRITE_URI:
            v = rewrite(r, op);
            break;
        case CONF_BREAK:
            v = STOP;
        }
    }
    return v;
}

bool ops_run(struct request *r, const struct conf_op *op)
{
    return !op || run(r, op) != ANSWERED;
}
