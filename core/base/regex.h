/* regex.h -- PCRE2 with JIT: compile once, match from any thread.
 *
 * A compiled pattern never changes, so threads may share it; what a match
 * needs in memory belongs to the thread that matches. */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <stdint.h>

struct regex;

/* regex_match found nothing; an offset in the ovector that took no part. */
enum { REGEX_NO_MATCH = -1 };
#define REGEX_UNSET (~(size_t)0)

/* PCRE2_CASELESS, for those who need no other option. */
enum { REGEX_CASELESS = 0x8 };

/* options are PCRE2's (PCRE2_CASELESS, ...).  ERR_INVALID: err_text() is
 * PCRE2's reason and *offset (may be NULL) where in the pattern. */
enum err regex_compile(struct regex **out, struct slice pattern,
                       uint32_t options, size_t *offset);

/* Matches subject from byte start on; options are those of pcre2_match.
 * ovector has room for pairs (start, end) offsets and those beyond the last
 * group of the pattern are left alone, the others REGEX_UNSET where a group
 * took no part.  Gives how many pairs the match has (at least 1, and maybe
 * more than there was room for), REGEX_NO_MATCH, or another negative PCRE2
 * code for a fault (regex_reason). */
int regex_match(const struct regex *re, struct slice subject, size_t start,
                uint32_t options, size_t *ovector, unsigned pairs);

/* PCRE2's words for a negative code; the text is the calling thread's. */
const char *regex_reason(int code);

/* As regex_compile, without the JIT: for a pattern that is used once. */
enum err regex_compile_plain(struct regex **out, struct slice pattern,
                             uint32_t options, size_t *offset);

struct regex_how {
    uint32_t options; /* of pcre2_match */
    uint32_t limit;   /* of steps, 0: PCRE2's own */
    bool dfa;         /* the longest match, without groups */
};

/* As regex_match, but *pairs points to offsets of the thread's own, as many
 * as the result says, until its next match. */
int regex_search(const struct regex *re, struct slice subject, size_t start,
                 const struct regex_how *how, const size_t **pairs);

/* The number that PCRE (before PCRE2) gave a fault: scripts know those. */
int regex_classic_code(int code);

/* How much the calling thread's JIT may stack up.  ERR_NOMEM. */
enum err regex_jit_stack(size_t bytes);

/* How many capture groups the pattern has. */
unsigned regex_groups(const struct regex *re);

/* The number of the group called name (the first, where PCRE2_DUPNAMES
 * allowed several), or -1. */
int regex_group(const struct regex *re, struct slice name);

/* Walks the named groups: `for (unsigned i = 0; regex_next(re, &i, &name,
 * &group);)`.  The name lives as long as re. */
bool regex_next(const struct regex *re, unsigned *at, struct slice *name,
                unsigned *group);

/* Whether the JIT took the pattern. */
bool regex_jit(const struct regex *re);

void regex_free(struct regex *re);
