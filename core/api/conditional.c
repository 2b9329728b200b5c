/* conditional.c -- what If-Modified-Since and its like make of an answer. */
#include "api/conditional.h"
#include "base/clock.h"

enum { NOT_MODIFIED = 304, PRECONDITION_FAILED = 412 };

static bool time_of(struct slice text, time_t *out)
{
    return text.data && clock_parse_http(text, out);
}

/* Whether a list such as `"a", W/"b"` or `*` names the tag. */
static bool has_tag(struct slice list, struct slice tag, bool weak)
{
    if (slice_eq(list, SLICE("*")))
        return true;
    if (weak && slice_starts(tag, SLICE("W/")))
        tag = slice_from(tag, 2);
    while (list.len) {
        size_t end = slice_find(list, ',');
        struct slice one = slice_trim((struct slice){ list.data, end });
        if (weak && slice_starts(one, SLICE("W/")))
            one = slice_from(one, 2);
        if (slice_eq(one, tag))
            return true;
        list = slice_from(list, end + 1);
    }
    return false;
}

static bool is_refused(const struct request *r, struct slice tag, bool has_time,
                       time_t changed)
{
    time_t since;
    struct slice match = request_header(r, SLICE("If-Match"));
    struct slice until = request_header(r, SLICE("If-Unmodified-Since"));
    if (has_time && time_of(until, &since) && changed > since)
        return true;
    return match.data && !has_tag(match, tag, false);
}

static bool is_known(const struct request *r, struct slice tag, bool has_time,
                     time_t changed)
{
    time_t since;
    struct slice none = request_header(r, SLICE("If-None-Match"));
    struct slice from = request_header(r, SLICE("If-Modified-Since"));
    if (!none.data && !from.data)
        return false;
    if (from.data && !(has_time && time_of(from, &since) && changed == since))
        return false;
    return !none.data || (tag.data && has_tag(none, tag, true));
}

int conditional_status(const struct request *r)
{
    time_t changed = 0;
    struct slice tag = request_out_header(r, SLICE("ETag"));
    bool has_time =
        time_of(request_out_header(r, SLICE("Last-Modified")), &changed);
    if (!tag.data && !has_time)
        return 0;
    if (is_refused(r, tag, has_time, changed))
        return PRECONDITION_FAILED;
    return is_known(r, tag, has_time, changed) ? NOT_MODIFIED : 0;
}
