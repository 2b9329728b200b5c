/* opendata.c -- opens what a platform sealed for us, and says why not. */
#include "login/opendata.h"
#include "base/text.h"
#include "crypto/cipher.h"
#include "crypto/secret.h"
#include "login/lenient.h"
#include "login/plaintext.h"
#include <stdio.h>

enum { IV_TEXT = 64 }; /* longer is not looked at */

/* What one opening works on; wiped as a whole. */
struct work {
    bool (*decode)(struct buf *out, struct slice text); /* of key and iv */
    struct buf data, iv;                                /* decoded */
    struct buf key;      /* decoded, of the key on trial */
    struct buf plain;    /* what that key made of data */
    size_t parsed;       /* bytes that the JSON parser has read for all keys */
    enum plaintext seen; /* the most that a key made of what is no JSON */
};

static enum err check_iv(struct work *w, struct slice iv)
{
    if (!buf_reserve(&w->iv, IV_TEXT))
        return ERR_NOMEM;
    if (iv.len <= IV_TEXT && !w->decode(&w->iv, iv))
        return err_set(ERR_INVALID, "iv is not %s",
                       w->decode == text_unhex ? "hex" : "base64");
    if (w->iv.len != CIPHER_BLOCK)
        return err_set(ERR_INVALID, "iv is not 16 bytes");
    return OK;
}

/* The shape of what the caller sent; no key has a part in it. */
static enum err check_shape(struct work *w, struct slice data, struct slice iv)
{
    if (!data.len)
        return err_set(ERR_INVALID, "encryptedData is empty");
    if (data.len > (OPENDATA_MAX + 2) / 3 * 4)
        return err_set(ERR_INVALID, "encryptedData is over 8 KB");
    if (!buf_reserve(&w->data, data.len))
        return ERR_NOMEM;
    if (!text_unbase64(&w->data, data))
        return err_set(ERR_INVALID, "encryptedData is not base64");
    if (w->data.len > OPENDATA_MAX)
        return err_set(ERR_INVALID, "encryptedData is over 8 KB");
    if (w->data.len % CIPHER_BLOCK)
        return err_set(ERR_INVALID, "encryptedData is not whole blocks");
    return check_iv(w, iv);
}

/* Before a refusal: parses for nothing as many bytes as were not parsed. */
static void parse_decoy(const struct work *w)
{
    static const char phone[] =
        "{\"phoneNumber\":\"+8610000000000\","
        "\"purePhoneNumber\":\"10000000000\",\"countryCode\":\"86\","
        "\"watermark\":{\"timestamp\":1700000000,"
        "\"appid\":\"wx0000000000000000\"}}";
    size_t left = w->data.len > w->parsed ? w->data.len - w->parsed : 0;
    while (left) {
        size_t n = left < sizeof phone - 1 ? left : sizeof phone - 1;
        struct slice text = { phone, n };
        json_decref(lenient_parse(&text));
        left -= n;
    }
}

/* What this key makes of the data, or NULL.  The work does not depend on
 * whether the key's text is a key or the padding is right. */
static json_t *try_key(struct work *w, const struct session_key *key)
{
    static const char zeros[16];
    struct slice aes = SLICE_OF(zeros, sizeof zeros);
    buf_clear(&w->key);
    bool fits =
        w->decode(&w->key, keyring_text(key)) && cipher_key_fits(w->key.len);
    if (fits)
        aes = buf_slice(&w->key);
    uint8_t *plain = (uint8_t *)w->plain.data;
    if (cipher_cbc_raw(aes, (uint8_t *)w->iv.data, buf_slice(&w->data), plain))
        return NULL;
    size_t pad = cipher_unpad(plain, w->data.len);
    struct slice text = SLICE_OF(plain, w->data.len - pad);
    enum plaintext seen = plaintext_judge(text, pad);
    json_t *object = lenient_parse(&text);
    w->parsed += w->data.len - text.len;
    if (object && pad && fits)
        return object;
    json_decref(object);
    if (fits && seen > w->seen)
        w->seen = seen;
    return NULL;
}

/* How many keys count: the first ones, as the newest is in front. */
static unsigned usable(const struct keyring *ring,
                       const struct opendata_rules *rules)
{
    unsigned n = ring->count;
    if (rules->keep && n > rules->keep)
        n = rules->keep;
    while (rules->window && n &&
           ring->keys[n - 1].learnt + rules->window < rules->now)
        n--;
    return n;
}

/* Tries every key, also after one has opened it.  A wrong key leaves the
 * parser at the first byte, the right one at the first fault that a caller
 * has put in: parse_decoy makes up for what was not parsed. */
static json_t *try_all(struct work *w, const struct keyring *ring, unsigned n,
                       int *rank)
{
    json_t *found = NULL;
    for (unsigned i = 0; i < n; i++) {
        json_t *object = try_key(w, &ring->keys[i]);
        if (object && !found) {
            found = object;
            *rank = (int)i;
        } else {
            json_decref(object);
        }
    }
    return found;
}

static bool is_text(const json_t *value, struct slice wanted)
{
    return json_is_string(value) &&
           slice_eq(
               SLICE_OF(json_string_value(value), json_string_length(value)),
               wanted);
}

/* Seconds, also where the platform gave milliseconds; 0 where none. */
static uint64_t time_of(const json_t *watermark)
{
    json_int_t at = json_integer_value(json_object_get(watermark, "timestamp"));
    if (at < 0)
        return 0;
    return (uint64_t)(at > 100000000000 ? at / 1000 : at);
}

static enum opendata_cause judge_age(const json_t *watermark,
                                     const struct opendata_rules *rules)
{
    uint64_t at = time_of(watermark);
    if (!rules->max_age)
        return OPENDATA_OPEN;
    if (at > rules->now)
        return at - rules->now > rules->skew ? OPENDATA_FROM_FUTURE
                                             : OPENDATA_OPEN;
    return rules->now - at > rules->max_age ? OPENDATA_TOO_OLD : OPENDATA_OPEN;
}

static enum opendata_cause judge(const json_t *object,
                                 const struct opendata_rules *rules)
{
    const json_t *watermark = json_object_get(object, "watermark");
    const json_t *openid = json_object_get(object, "openId");
    struct opendata_phone phone;
    enum opendata_cause cause = OPENDATA_OPEN;
    if (watermark || rules->need_watermark) {
        if (!is_text(json_object_get(watermark, "appid"), rules->appid))
            return OPENDATA_WRONG_APP;
        cause = judge_age(watermark, rules);
    }
    if (openid && rules->openid.len && !is_text(openid, rules->openid))
        return OPENDATA_WRONG_USER;
    if (cause == OPENDATA_OPEN && rules->need_phone &&
        opendata_phone(object, &phone))
        return OPENDATA_NOT_PHONE;
    return cause;
}

/* Why none of n keys opened it. */
static enum opendata_cause closed(const struct work *w, unsigned n)
{
    static const enum opendata_cause causes[] = {
        [PLAINTEXT_NOISE] = OPENDATA_KEY_STALE,
        [PLAINTEXT_TEXT] = OPENDATA_DATA_ODD,
        [PLAINTEXT_WRONG_IV] = OPENDATA_IV_MISMATCH,
    };
    return n ? causes[w->seen] : OPENDATA_NO_KEY;
}

static enum err open_shaped(struct work *w, const struct keyring *ring,
                            const struct opendata_rules *rules,
                            struct opendata *out)
{
    if (!buf_reserve(&w->plain, w->data.len) ||
        !buf_reserve(&w->key, KEYRING_TEXT))
        return ERR_NOMEM;
    unsigned n = usable(ring, rules);
    json_t *object = try_all(w, ring, n, &out->rank);
    if (object)
        out->cause = judge(object, rules);
    else
        out->cause = closed(w, n);
    if (out->cause == OPENDATA_OPEN) {
        out->object = object;
        return OK;
    }
    json_decref(object);
    parse_decoy(w);
    return ERR_REFUSED;
}

enum err opendata_open(const struct keyring *ring, struct slice data,
                       struct slice iv, const struct opendata_rules *rules,
                       struct opendata *out)
{
    struct work w = { .decode = rules->hex ? text_unhex : text_unbase64 };
    *out = (struct opendata){ .cause = OPENDATA_KEY_STALE, .rank = -1 };
    enum err e = check_shape(&w, data, iv);
    if (!e)
        e = open_shaped(&w, ring, rules, out);
    buf_free(&w.data);
    buf_free(&w.iv);
    buf_wipe(&w.key);
    buf_wipe(&w.plain);
    return e;
}

const char *opendata_cause_name(enum opendata_cause cause)
{
    static const char *const names[OPENDATA_CAUSES] = {
        [OPENDATA_OPEN] = "open",
        [OPENDATA_NO_KEY] = "no_key",
        [OPENDATA_KEY_STALE] = "key_stale",
        [OPENDATA_WRONG_APP] = "wrong_app",
        [OPENDATA_WRONG_USER] = "wrong_user",
        [OPENDATA_TOO_OLD] = "too_old",
        [OPENDATA_FROM_FUTURE] = "from_future",
        [OPENDATA_SIGNATURE_MISMATCH] = "signature_mismatch",
        [OPENDATA_NOT_PHONE] = "not_phone",
        [OPENDATA_REPLAYED] = "replayed",
        [OPENDATA_DATA_ODD] = "data_odd",
        [OPENDATA_IV_MISMATCH] = "iv_mismatch",
    };
    return names[cause];
}

json_t *opendata_parse(struct slice text)
{
    return lenient_parse(&text);
}

/* "86" or 86 (or 86.0), as text; nothing of any other kind, or too long. */
static bool read_text(const json_t *value, char *out, size_t size)
{
    double real = json_real_value(value);
    int n = -1;
    if (json_is_string(value))
        n = snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        n = snprintf(out, size, "%" JSON_INTEGER_FORMAT,
                     json_integer_value(value));
    else if (json_is_real(value) && real >= 0 && real < 1e15)
        n = snprintf(out, size, "%.0f", real);
    if (n > 0 && (size_t)n < size)
        return true;
    *out = '\0';
    return false;
}

/* What stands before the pure number in the other; both say so without a
 * prefix in mainland China, +86. */
static void guess_country(struct opendata_phone *phone)
{
    const char *number = phone->number + (*phone->number == '+');
    size_t all = strlen(number), pure = strlen(phone->pure);
    if (all == pure && !strcmp(number, phone->pure))
        snprintf(phone->country, sizeof phone->country, "86");
    else if (all > pure && all - pure < sizeof phone->country &&
             !strcmp(number + all - pure, phone->pure))
        snprintf(phone->country, sizeof phone->country, "%.*s",
                 (int)(all - pure), number);
}

/* The number without its country's code, where that is known. */
static void guess_pure(struct opendata_phone *phone, bool told)
{
    const char *number = phone->number + (*phone->number == '+');
    const char *country = told ? phone->country : "86";
    bool prefixed =
        *phone->number == '+' && !strncmp(number, country, strlen(country));
    snprintf(phone->pure, sizeof phone->pure, "%s",
             prefixed ? number + strlen(country) : number);
}

enum err opendata_phone(const json_t *object, struct opendata_phone *out)
{
    bool number = read_text(json_object_get(object, "phoneNumber"), out->number,
                            sizeof out->number);
    bool pure = read_text(json_object_get(object, "purePhoneNumber"), out->pure,
                          sizeof out->pure);
    bool told = read_text(json_object_get(object, "countryCode"), out->country,
                          sizeof out->country);
    if (!number && !pure)
        return ERR_INVALID;
    if (!number)
        memcpy(out->number, out->pure, sizeof out->number);
    if (!pure)
        guess_pure(out, told);
    if (!told)
        guess_country(out);
    return OK;
}

bool opendata_repair(struct slice text, struct buf *out)
{
    if (slice_find(text, ' ') == text.len)
        return false;
    char *to = buf_reserve(out, text.len);
    for (size_t i = 0; to && i < text.len; i++)
        to[i] = text.data[i] == ' ' ? '+' : text.data[i];
    out->len += to ? text.len : 0;
    return true;
}
