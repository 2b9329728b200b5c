/* latchkey_metrics.c -- `require "latchkey.metrics"`: counters and histograms
 * of the whole process. */
#include "api/api.h"
#include "base/metrics.h"

#define METRIC "latchkey.metric"

struct handle {
    struct metric *metric;
    unsigned labels;
};

/* Names at index 3 into names; how many. */
static unsigned check_labels(lua_State *L,
                             const char *names[METRICS_LABELS + 1])
{
    unsigned n = 0;
    if (lua_isnoneornil(L, 3))
        return 0;
    luaL_checktype(L, 3, LUA_TTABLE);
    size_t count = lua_objlen(L, 3);
    luaL_argcheck(L, count <= METRICS_LABELS, 3, "too many labels");
    for (; n < count; n++) {
        lua_rawgeti(L, 3, (int)n + 1);
        names[n] = luaL_checkstring(L, -1);
        lua_pop(L, 1); /* the table keeps it */
    }
    return n;
}

static int push_metric(lua_State *L, struct metric *metric, unsigned labels)
{
    if (!metric)
        return luaL_error(L, "%s", err_text());
    struct handle *h = lua_newuserdata(L, sizeof *h);
    *h = (struct handle){ metric, labels };
    luaL_getmetatable(L, METRIC);
    lua_setmetatable(L, -2);
    return 1;
}

/* metrics.counter(name, help, labels) -> a counter; labels: a list of names.
 * The same name gives the same one. */
static int f_counter(lua_State *L)
{
    const char *names[METRICS_LABELS + 1] = { NULL };
    unsigned n = check_labels(L, names);
    return push_metric(L,
                       metrics_counter(luaL_checkstring(L, 1),
                                       luaL_checkstring(L, 2),
                                       n ? names : NULL),
                       n);
}

static int f_gauge(lua_State *L)
{
    const char *names[METRICS_LABELS + 1] = { NULL };
    unsigned n = check_labels(L, names);
    return push_metric(L,
                       metrics_gauge(luaL_checkstring(L, 1),
                                     luaL_checkstring(L, 2), n ? names : NULL),
                       n);
}

/* metrics.histogram(name, help, labels, bounds) */
static int f_histogram(lua_State *L)
{
    enum { MAX = 32 };
    const char *names[METRICS_LABELS + 1] = { NULL };
    double bounds[MAX];
    unsigned n = check_labels(L, names);
    luaL_checktype(L, 4, LUA_TTABLE);
    size_t count = lua_objlen(L, 4);
    luaL_argcheck(L, count <= MAX, 4, "too many bounds");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 4, (int)i + 1);
        bounds[i] = luaL_checknumber(L, -1);
        lua_pop(L, 1);
    }
    return push_metric(L,
                       metrics_histogram(luaL_checkstring(L, 1),
                                         luaL_checkstring(L, 2),
                                         n ? names : NULL, bounds, count),
                       n);
}

/* The metric, its value at index 2, its labels' values from 3 on. */
static struct metric *check_update(lua_State *L, double *v,
                                   struct slice values[METRICS_LABELS])
{
    struct handle *h = luaL_checkudata(L, 1, METRIC);
    *v = luaL_checknumber(L, 2);
    for (unsigned i = 0; i < h->labels; i++) {
        struct slice s = vm_slice(L, (int)i + 3);
        values[i] = s.data ? s : SLICE("");
    }
    return h->metric;
}

static int f_add(lua_State *L)
{
    double v;
    struct slice values[METRICS_LABELS];
    struct metric *m = check_update(L, &v, values);
    metric_add(m, values, v);
    return 0;
}

static int f_set(lua_State *L)
{
    double v;
    struct slice values[METRICS_LABELS];
    struct metric *m = check_update(L, &v, values);
    metric_set(m, values, v);
    return 0;
}

static int f_observe(lua_State *L)
{
    double v;
    struct slice values[METRICS_LABELS];
    struct metric *m = check_update(L, &v, values);
    metric_observe(m, values, v);
    return 0;
}

/* metrics.expose() -> Prometheus text */
static int f_expose(lua_State *L)
{
    struct buf out = { 0 };
    metrics_expose(&out);
    vm_push(L, buf_slice(&out));
    buf_free(&out);
    return 1;
}

void latchkey_metrics_open(struct vm *vm, lua_State *L)
{
    static const luaL_Reg funcs[] = { { "counter", f_counter },
                                      { "gauge", f_gauge },
                                      { "histogram", f_histogram },
                                      { "expose", f_expose },
                                      { NULL, NULL } };
    static const luaL_Reg methods[] = { { "add", f_add },
                                        { "set", f_set },
                                        { "observe", f_observe },
                                        { NULL, NULL } };
    (void)L;
    vm_class(vm, METRIC, methods);
    api_preload(vm, "latchkey.metrics", funcs);
}
