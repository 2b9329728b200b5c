/* regex.c -- PCRE2 with JIT, and one match block for each thread. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/regex.h"
#include <pcre2.h>
#include <pthread.h>
#include <stdlib.h>

_Static_assert(REGEX_CASELESS == PCRE2_CASELESS, "regex.h");

struct regex {
    pcre2_code *code;
    uint32_t groups, names, name_size;
    PCRE2_SPTR name_table;
    bool jit, fast; /* fast: there is nothing to check before a match */
};

/* The match block grows with the largest pattern that its thread has met,
 * and goes with the thread. */
struct scratch {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL: PCRE2's own, 32 KB */
    uint32_t pairs, limit;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *p)
{
    struct scratch *s = p;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    free(s);
}

static void scratch_setup(void)
{
    if (pthread_key_create(&scratch_key, scratch_free))
        abort(); /* 1024 keys taken: a bug */
}

static struct scratch *scratch_get(void)
{
    pthread_once(&scratch_once, scratch_setup);
    struct scratch *s = pthread_getspecific(scratch_key);
    if (s)
        return s;
    if (!(s = calloc(1, sizeof *s)))
        return NULL;
    s->context = pcre2_match_context_create(NULL);
    if (!s->context || pthread_setspecific(scratch_key, s)) {
        scratch_free(s);
        return NULL;
    }
    return s;
}

/* The thread's scratch, with room for so many pairs. */
static struct scratch *scratch_for(uint32_t pairs)
{
    struct scratch *s = scratch_get();
    if (!s || s->pairs >= pairs)
        return s;
    pcre2_match_data_free(s->data);
    s->data = pcre2_match_data_create(pairs, NULL);
    s->pairs = s->data ? pairs : 0;
    return s->data ? s : NULL;
}

static uint32_t default_limit(void)
{
    uint32_t limit = 0;
    pcre2_config(PCRE2_CONFIG_MATCHLIMIT, &limit);
    return limit;
}

static void set_limit(struct scratch *s, uint32_t limit)
{
    if (s->limit == limit)
        return;
    s->limit = limit;
    pcre2_set_match_limit(s->context, limit ? limit : default_limit());
}

static void read_facts(struct regex *re)
{
    size_t jit_size = 0;
    uint32_t options = 0;
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &re->names);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &re->name_size);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
    pcre2_pattern_info(re->code, PCRE2_INFO_JITSIZE, &jit_size);
    re->jit = jit_size > 0;
    pcre2_pattern_info(re->code, PCRE2_INFO_ALLOPTIONS, &options);
    re->fast = re->jit && !(options & PCRE2_UTF);
}

enum err regex_compile_plain(struct regex **out, struct slice pattern,
                             uint32_t options, size_t *offset)
{
    int code;
    PCRE2_SIZE at = 0;
    struct regex *re = calloc(1, sizeof *re);
    if (!re)
        return err_set(ERR_NOMEM, "no memory");
    re->code = pcre2_compile((PCRE2_SPTR)(pattern.data ? pattern.data : ""),
                             pattern.len, options, &code, &at, NULL);
    if (offset)
        *offset = at;
    if (!re->code) {
        free(re);
        return err_set(ERR_INVALID, "%s", regex_reason(code));
    }
    read_facts(re);
    *out = re;
    return OK;
}

enum err regex_compile(struct regex **out, struct slice pattern,
                       uint32_t options, size_t *offset)
{
    enum err e = regex_compile_plain(out, pattern, options, offset);
    if (e != OK)
        return e;
    pcre2_jit_compile((*out)->code, PCRE2_JIT_COMPLETE); /* else: slower */
    read_facts(*out);
    return OK;
}

static int search_dfa(const struct regex *re, struct slice subject,
                      size_t start, uint32_t options, struct scratch *s)
{
    int space[100]; /* as much as lua-nginx-module gives it */
    int found =
        pcre2_dfa_match(re->code, (PCRE2_SPTR)subject.data, subject.len, start,
                        options, s->data, s->context, space, 100);
    return found >= 0 ? 1 : found; /* the longest; shorter ones follow it */
}

int regex_search(const struct regex *re, struct slice subject, size_t start,
                 const struct regex_how *how, const size_t **pairs)
{
    struct scratch *s = scratch_for(re->groups + 1);
    if (!s)
        return PCRE2_ERROR_NOMEMORY;
    if (!subject.data)
        subject.data = "";
    set_limit(s, how->limit);
    *pairs = pcre2_get_ovector_pointer(s->data);
    if (how->dfa)
        return search_dfa(re, subject, start, how->options, s);
    if (re->fast && !how->options && start <= subject.len)
        return pcre2_jit_match(re->code, (PCRE2_SPTR)subject.data, subject.len,
                               start, 0, s->data, s->context);
    return pcre2_match(re->code, (PCRE2_SPTR)subject.data, subject.len, start,
                       how->options, s->data, s->context);
}

int regex_match(const struct regex *re, struct slice subject, size_t start,
                uint32_t options, size_t *ovector, unsigned pairs)
{
    const size_t *from;
    const struct regex_how how = { .options = options };
    int found = regex_search(re, subject, start, &how, &from);
    for (unsigned i = 0; found > 0 && i < pairs && i <= re->groups; i++) {
        bool took_part = i < (unsigned)found;
        ovector[2 * i] = took_part ? from[2 * i] : REGEX_UNSET;
        ovector[2 * i + 1] = took_part ? from[2 * i + 1] : REGEX_UNSET;
    }
    return found;
}

int regex_classic_code(int code)
{
    static const struct {
        int code, classic; /* pcre.h of PCRE 8.45 */
    } codes[] = {
        { PCRE2_ERROR_MATCHLIMIT, -8 },   { PCRE2_ERROR_BADUTFOFFSET, -11 },
        { PCRE2_ERROR_BADOFFSET, -24 },   { PCRE2_ERROR_DEPTHLIMIT, -21 },
        { PCRE2_ERROR_HEAPLIMIT, -21 },   { PCRE2_ERROR_JIT_STACKLIMIT, -27 },
        { PCRE2_ERROR_NOMEMORY, -6 },     { PCRE2_ERROR_DFA_UITEM, -16 },
        { PCRE2_ERROR_DFA_UCOND, -17 },   { PCRE2_ERROR_DFA_WSSIZE, -19 },
        { PCRE2_ERROR_DFA_RECURSE, -20 }, { PCRE2_ERROR_RECURSELOOP, -26 },
        { PCRE2_ERROR_INTERNAL, -14 },
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code)
            return codes[i].classic;
    bool utf8 = code <= PCRE2_ERROR_UTF8_ERR1 && code >= PCRE2_ERROR_UTF8_ERR21;
    return utf8 ? -10 : code;
}

enum err regex_jit_stack(size_t bytes)
{
    enum { LEAST = 32 * 1024 };
    struct scratch *s = scratch_get();
    pcre2_jit_stack *stack =
        s ? pcre2_jit_stack_create(LEAST, bytes < LEAST ? LEAST : bytes, NULL)
          : NULL;
    if (!stack)
        return err_set(ERR_NOMEM, "pcre jit stack allocation failed");
    pcre2_jit_stack_free(s->stack);
    s->stack = stack;
    pcre2_jit_stack_assign(s->context, NULL, stack);
    return OK;
}

const char *regex_reason(int code)
{
    static _Thread_local char text[256];
    if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text) < 0)
        return "unknown error";
    return text;
}

unsigned regex_groups(const struct regex *re)
{
    return re->groups;
}

bool regex_next(const struct regex *re, unsigned *at, struct slice *name,
                unsigned *group)
{
    if (*at >= re->names)
        return false;
    PCRE2_SPTR entry = re->name_table + *at * re->name_size;
    *group = (unsigned)entry[0] << 8 | entry[1];
    *name = slice_str((const char *)entry + 2);
    ++*at;
    return true;
}

int regex_group(const struct regex *re, struct slice name)
{
    struct slice have;
    for (unsigned i = 0, group; regex_next(re, &i, &have, &group);)
        if (slice_eq(have, name))
            return (int)group;
    return -1;
}

bool regex_jit(const struct regex *re)
{
    return re->jit;
}

void regex_free(struct regex *re)
{
    if (!re)
        return;
    pcre2_code_free(re->code);
    free(re);
}
