/* platform_answer.c -- reads what a platform says to a login. */
#define _GNU_SOURCE
#include "platform/platform_answer.h"
#include "base/text.h"
#include <errno.h>
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

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

static json_t *member(const json_t *object, const char *name)
{
    json_t *value = name ? json_object_get(object, name) : NULL;
    return json_is_null(value) ? NULL : value;
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

/* Absent is "", and well; a wrong type or too much is not. */
static bool read_text(const json_t *object, const char *name, char *out,
                      size_t size)
{
    const json_t *value = member(object, name);
    const char *text = json_string_value(value);
    *out = '\0';
    if (!value)
        return true;
    if (!text || strlen(text) >= size || has_control(text))
        return false;
    strcpy(out, text);
    return true;
}

static bool key_fits(const struct platform_answer *how, const char *key)
{
    struct buf bytes = { 0 };
    struct slice text = slice_str(key);
    buf_reserve(&bytes, PLATFORM_KEY);
    bool fits = true;
    if (how->key == PLATFORM_KEY_BASE64)
        fits = text_unbase64(&bytes, text);
    else if (how->key == PLATFORM_KEY_HEX)
        fits = text_unhex(&bytes, text);
    else
        buf_add(&bytes, text);
    fits = fits && buf_ok(&bytes) &&
           (!how->key_size || bytes.len == how->key_size);
    buf_wipe(&bytes);
    return fits;
}

/* NULL, or what is wrong. */
static const char *read_identity(struct platform_login *l, const json_t *data)
{
    const struct platform_answer *how = &l->platform->answer;
    if (!json_is_object(data))
        return "no data in the answer";
    if (!read_text(data, how->openid, l->openid, sizeof l->openid) ||
        !read_text(data, how->unionid, l->unionid, sizeof l->unionid) ||
        !read_text(data, how->anonymous_openid, l->anonymous_openid,
                   sizeof l->anonymous_openid) ||
        !read_text(data, how->session_key, l->session_key,
                   sizeof l->session_key))
        return "a field of the wrong kind in the answer";
    if (l->code.len ? !*l->openid : !*l->anonymous_openid)
        return "no openid in the answer";
    if (l->code.len && how->key != PLATFORM_KEY_NONE && !*l->session_key)
        return "no session_key in the answer";
    if (*l->session_key && !key_fits(how, l->session_key))
        return "a session_key of the wrong form";
    return NULL;
}

static void forget_identity(struct platform_login *l)
{
    explicit_bzero(l->session_key, sizeof l->session_key);
    explicit_bzero(l->openid, sizeof l->openid);
    explicit_bzero(l->unionid, sizeof l->unionid);
    explicit_bzero(l->anonymous_openid, sizeof l->anonymous_openid);
}

/* NULL, or what is wrong.  *ok tells success; otherwise l->errcode is set. */
static const char *read_status(struct platform_login *l, const json_t *root,
                               bool *ok)
{
    const struct platform_answer *how = &l->platform->answer;
    *ok = true;
    if (how->ok && !member(root, how->status[0]))
        return "no status in the answer";
    for (int i = 0; i < PLATFORM_STATUS; i++) {
        const json_t *value = member(root, how->status[i]);
        long code = how->ok;
        if (value && !read_number(value, &code))
            return "a status that is no number";
        if (code != how->ok && *ok) {
            *ok = false;
            l->errcode = code;
        }
    }
    return NULL;
}

static enum platform_retry read_refusal(struct platform_login *l,
                                        const json_t *root)
{
    const struct platform_error *e = platform_error(l->platform, l->errcode);
    const json_t *text = NULL;
    for (int i = 0; i < PLATFORM_STATUS && !text; i++)
        text = member(root, l->platform->answer.message[i]);
    l->reason = e->reason;
    platform_answer_note(l, slice_str(json_string_value(text)));
    return e->retry;
}

static enum platform_retry read_root(struct platform_login *l,
                                     const json_t *root)
{
    const char *envelope = l->platform->answer.envelope;
    bool ok;
    if (!json_is_object(root))
        return platform_answer_reject(l, "the answer is no JSON object");
    const char *wrong = read_status(l, root, &ok);
    if (!wrong && !ok)
        return read_refusal(l, root);
    if (!wrong)
        wrong = read_identity(l, envelope ? member(root, envelope) : root);
    if (wrong)
        return platform_answer_reject(l, wrong);
    l->reason = PLATFORM_OK;
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

enum platform_retry platform_answer_reject(struct platform_login *login,
                                           const char *why)
{
    forget_identity(login);
    login->reason = PLATFORM_ERROR;
    platform_answer_note(login, slice_str(why));
    return PLATFORM_FINAL;
}

enum platform_retry platform_answer_read(struct platform_login *login,
                                         struct slice body)
{
    login->errcode = 0;
    *login->errmsg = '\0';
    forget_identity(login);
    json_t *root = json_loadb(body.data ? body.data : "", body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    enum platform_retry retry = read_root(login, root);
    json_decref(root);
    return retry;
}

void platform_answer_note(struct platform_login *login, struct slice text)
{
    struct buf clean = { 0 };
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] >= ' ' && text.data[i] != 0x7f)
            buf_add_char(&clean, text.data[i]);
    struct slice safe = buf_slice(&clean);
    if (!buf_ok(&clean) || tells(safe, login->code) ||
        tells(safe, login->secret) || tells(safe, login->anonymous_code))
        safe = SLICE_NONE;
    *login->errmsg = '\0';
    if (safe.len)
        copy_message(login->errmsg, safe);
    buf_wipe(&clean);
}
