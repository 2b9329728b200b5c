/* platform_answer.c -- reads what a platform says to a call. */
#define _GNU_SOURCE
#include "platform/platform_answer.h"
#include "base/text.h"
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_ROOM = 88 }; /* the longest text of a session key */

/* jansson copies keys and identities, so what it frees is wiped. */
static void wiping_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

__attribute__((constructor)) static void init_jansson(void)
{
    json_set_alloc_funcs(malloc, wiping_free);
}

/* The member at "data.openid"; NULL where there is none, or null. */
static json_t *member(const json_t *root, const char *path)
{
    while (path) {
        const char *dot = strchr(path, '.');
        size_t len = dot ? (size_t)(dot - path) : strlen(path);
        char name[64];
        if (len >= sizeof name)
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        json_t *value = json_object_get(root, name);
        if (!dot)
            return json_is_null(value) ? NULL : value;
        root = value;
        path = dot + 1;
    }
    return NULL;
}

/* Codes come as numbers, and as numbers in quotes. */
static bool read_number(const json_t *value, long *out)
{
    if (json_is_integer(value)) {
        *out = (long)json_integer_value(value);
        return true;
    }
    const char *text = json_string_value(value);
    char *end;
    if (!text || (*text != '-' && (*text < '0' || *text > '9')))
        return false;
    errno = 0;
    *out = strtol(text, &end, 10);
    return !errno && end != text && !*end;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

static bool key_fits(const struct platform_field *field, const char *key)
{
    struct buf bytes = { 0 };
    struct slice text = slice_str(key);
    if (text.len > KEY_ROOM)
        return false;
    buf_reserve(&bytes, KEY_ROOM);
    bool fits = true;
    if (field->kind == PLATFORM_KEY_BASE64)
        fits = text_unbase64(&bytes, text);
    else if (field->kind == PLATFORM_KEY_HEX)
        fits = text_unhex(&bytes, text);
    else
        buf_add(&bytes, text);
    fits = fits && buf_ok(&bytes) && (!field->size || bytes.len == field->size);
    buf_wipe(&bytes);
    return fits;
}

static bool field_fits(const struct platform_field *field, const json_t *value)
{
    const char *text = json_string_value(value);
    long number;
    switch (field->kind) {
    case PLATFORM_NUMBER:
        return read_number(value, &number);
    case PLATFORM_PHONE:
        return json_is_object(value);
    case PLATFORM_SEALED_PHONE:
        return text || json_is_object(value);
    case PLATFORM_TEXT:
        return text && !has_control(text) &&
               strlen(text) <= (field->size ? field->size : PLATFORM_ID);
    default:
        return text && key_fits(field, text);
    }
}

static bool is_wanted(const struct platform_call *call,
                      const struct platform_field *field)
{
    return call->values[field->with].len && !call->values[field->less].len;
}

/* Notes what is wrong with a success, if anything. */
static bool read_fields(struct platform_call *call, const json_t *root)
{
    char why[96];
    const struct platform_field *field = call->api->answer.fields;
    for (; field && field->name; field++) {
        const json_t *value = member(root, field->path);
        const char *text = json_string_value(value);
        bool absent = !value || (text && !*text);
        if (absent ? !is_wanted(call, field) : field_fits(field, value))
            continue;
        snprintf(why, sizeof why, "%s %s in the answer",
                 absent ? "no" : "a senseless", field->name);
        platform_answer_note(call, slice_str(why));
        return false;
    }
    return true;
}

/* NULL, or what is wrong.  *ok tells success; otherwise call->errcode is
 * set. */
static const char *read_status(struct platform_call *call, const json_t *root,
                               bool *ok)
{
    const struct platform_answer *how = &call->api->answer;
    *ok = true;
    if ((how->ok || how->must_say) && !member(root, how->status[0]))
        return "no status in the answer";
    for (int i = 0; i < PLATFORM_STATUS; i++) {
        const json_t *value = member(root, how->status[i]);
        long code = how->ok;
        if (value && !read_number(value, &code))
            return "a status that is no number";
        if (code != how->ok && *ok) {
            *ok = false;
            call->errcode = code;
        }
    }
    return NULL;
}

/* The platform's own words, and Douyin's trace of the call after them. */
static void note_message(struct platform_call *call, const json_t *root)
{
    static const char *const traces[] = { "log_id", "extra.logid" };
    const char *trace = NULL;
    const json_t *text = NULL;
    struct buf all = { 0 };
    for (int i = 0; i < PLATFORM_STATUS && !text; i++)
        text = member(root, call->api->answer.message[i]);
    for (size_t i = 0; i < sizeof traces / sizeof *traces && !trace; i++)
        trace = json_string_value(member(root, traces[i]));
    buf_add(&all, slice_str(json_string_value(text)));
    if (trace && *trace)
        buf_addf(&all, "%slog_id: %s", all.len ? ", " : "", trace);
    platform_answer_note(call, buf_slice(&all));
    buf_free(&all);
}

static enum platform_retry read_refusal(struct platform_call *call,
                                        const json_t *root)
{
    struct platform_error e =
        platform_error(call->platform, call->api, call->errcode);
    call->reason = e.reason;
    note_message(call, root);
    return e.retry;
}

static enum platform_retry read_root(struct platform_call *call, json_t *root)
{
    bool ok;
    if (!json_is_object(root))
        return platform_answer_reject(call, "the answer is no JSON object");
    const char *wrong = read_status(call, root, &ok);
    if (wrong)
        return platform_answer_reject(call, wrong);
    if (!ok)
        return read_refusal(call, root);
    call->reason = PLATFORM_ERROR;
    if (!read_fields(call, root))
        return PLATFORM_FINAL;
    call->reason = PLATFORM_OK;
    call->answer = json_incref(root);
    return PLATFORM_FINAL;
}

static bool tells(struct slice text, struct slice secret)
{
    return text.len && secret.len &&
           memmem(text.data, text.len, secret.data, secret.len);
}

/* Cuts at whole UTF-8 characters. */
static size_t shorten(struct slice text, size_t len)
{
    while (len && ((unsigned char)text.data[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static void copy_message(char *out, struct slice text)
{
    enum { ROOM = PLATFORM_MESSAGE - 1, TAIL = 56, DOTS = 3 };
    if (text.len <= ROOM) {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
        return;
    }
    size_t head = shorten(text, ROOM - TAIL - DOTS);
    size_t from = text.len - TAIL;
    while (from < text.len && ((unsigned char)text.data[from] & 0xc0) == 0x80)
        from++;
    memcpy(out, text.data, head);
    memcpy(out + head, "...", DOTS);
    memcpy(out + head + DOTS, text.data + from, text.len - from);
    out[head + DOTS + text.len - from] = '\0';
}

static bool tells_any(struct slice text, const struct platform_call *call)
{
    static const enum platform_value secrets[] = {
        PLATFORM_SECRET, PLATFORM_CODE, PLATFORM_ANONYMOUS_CODE, PLATFORM_TOKEN,
        PLATFORM_SIGNATURE
    };
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (tells(text, call->values[secrets[i]]))
            return true;
    return false;
}

enum platform_retry platform_answer_reject(struct platform_call *call,
                                           const char *why)
{
    platform_answer_drop(call);
    call->reason = PLATFORM_ERROR;
    platform_answer_note(call, slice_str(why));
    return PLATFORM_FINAL;
}

enum platform_retry platform_answer_read(struct platform_call *call,
                                         struct slice body)
{
    call->errcode = 0;
    *call->errmsg = '\0';
    platform_answer_drop(call);
    json_t *root = json_loadb(body.data ? body.data : "", body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    enum platform_retry retry = read_root(call, root);
    json_decref(root);
    return retry;
}

void platform_answer_note(struct platform_call *call, struct slice text)
{
    struct buf clean = { 0 };
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] >= ' ' && text.data[i] != 0x7f)
            buf_add_char(&clean, text.data[i]);
    struct slice safe = buf_slice(&clean);
    if (!buf_ok(&clean) || tells_any(safe, call))
        safe = SLICE_NONE;
    *call->errmsg = '\0';
    if (safe.len)
        copy_message(call->errmsg, safe);
    buf_wipe(&clean);
}

void platform_answer_drop(struct platform_call *call)
{
    json_decref(call->answer);
    call->answer = NULL;
}

static json_t *find_field(const struct platform_call *call, const char *name)
{
    const struct platform_field *field = call->api->answer.fields;
    for (; field && field->name; field++)
        if (!strcmp(field->name, name))
            return member(call->answer, field->path);
    return NULL;
}

const char *platform_answer_text(const struct platform_call *call,
                                 const char *name)
{
    const char *text = json_string_value(find_field(call, name));
    return text ? text : "";
}

long platform_answer_number(const struct platform_call *call, const char *name)
{
    long number = 0;
    read_number(find_field(call, name), &number);
    return number;
}

const json_t *platform_answer_json(const struct platform_call *call,
                                   const char *name)
{
    return find_field(call, name);
}
