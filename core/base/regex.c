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
    bool jit;
};

/* The match block grows with the largest pattern that its thread has met,
 * and goes with the thread. */
struct scratch {
    pcre2_match_data *data;
    uint32_t pairs;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void scratch_free(void *p)
{
    struct scratch *s = p;
    pcre2_match_data_free(s->data);
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
    if (pthread_setspecific(scratch_key, s)) {
        free(s);
        return NULL;
    }
    return s;
}

static pcre2_match_data *match_data(uint32_t pairs)
{
    struct scratch *s = scratch_get();
    if (!s)
        return NULL;
    if (s->pairs < pairs) {
        pcre2_match_data_free(s->data);
        s->data = pcre2_match_data_create(pairs, NULL);
        s->pairs = s->data ? pairs : 0;
    }
    return s->data;
}

static void read_facts(struct regex *re)
{
    size_t jit_size = 0;
    pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMECOUNT, &re->names);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMEENTRYSIZE, &re->name_size);
    pcre2_pattern_info(re->code, PCRE2_INFO_NAMETABLE, &re->name_table);
    pcre2_pattern_info(re->code, PCRE2_INFO_JITSIZE, &jit_size);
    re->jit = jit_size > 0;
}

enum err regex_compile(struct regex **out, struct slice pattern,
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
    pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE); /* else: interpreted */
    read_facts(re);
    *out = re;
    return OK;
}

static void copy_pairs(pcre2_match_data *data, unsigned found, unsigned have,
                       size_t *ovector, unsigned room)
{
    const PCRE2_SIZE *from = pcre2_get_ovector_pointer(data);
    for (unsigned i = 0; i < room && i < have; i++) {
        ovector[2 * i] = i < found ? from[2 * i] : REGEX_UNSET;
        ovector[2 * i + 1] = i < found ? from[2 * i + 1] : REGEX_UNSET;
    }
}

int regex_match(const struct regex *re, struct slice subject, size_t start,
                uint32_t options, size_t *ovector, unsigned pairs)
{
    pcre2_match_data *data = match_data(re->groups + 1);
    if (!data)
        return PCRE2_ERROR_NOMEMORY;
    int found =
        pcre2_match(re->code, (PCRE2_SPTR)(subject.data ? subject.data : ""),
                    subject.len, start, options, data, NULL);
    if (found > 0)
        copy_pairs(data, (unsigned)found, re->groups + 1, ovector, pairs);
    return found;
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
