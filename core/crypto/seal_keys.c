/* seal_keys.c -- the master keys that seal what is stored. */
#include "crypto/seal_keys.h"
#include "base/buf.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/secret.h"
#include "crypto/secret_file.h"
#include <stdlib.h>

enum { FILE_MAX = 4096 }; /* of bytes read: keys and some comments */

/* base64 of a key and its newline, or false where there is no randomness. */
static bool make_line(struct buf *line)
{
    char key[SEAL_KEY];
    if (!secret_random(key, sizeof key))
        return false;
    text_base64(line, SLICE_OF(key, sizeof key));
    buf_add_char(line, '\n');
    secret_wipe(key, sizeof key);
    return buf_ok(line);
}

static enum err make_file(const char *path)
{
    struct buf line = { 0 };
    enum err e = make_line(&line)
                     ? secret_file_make(path, buf_slice(&line))
                     : err_set(ERR_IO, "%s: no randomness for a key", path);
    buf_wipe(&line);
    return e;
}

static enum err read_env(const char *name, struct buf *text)
{
    const char *value = getenv(name);
    if (!value)
        return err_set(ERR_CONFIG, "env:%s: not set", name);
    buf_add_str(text, value);
    return buf_ok(text) ? OK : ERR_NOMEM;
}

static enum err read_spec(const char *spec, bool make, struct buf *text)
{
    if (!strncmp(spec, "env:", 4))
        return read_env(spec + 4, text);
    if (strncmp(spec, "file:", 5))
        return err_set(ERR_CONFIG, "master key: \"file:PATH\" or \"env:NAME\" "
                                   "expected");
    enum err e = secret_file_read(spec + 5, FILE_MAX, text);
    if (e != ERR_NOT_FOUND)
        return e;
    if (!make)
        return ERR_CONFIG;
    e = make_file(spec + 5);
    return e ? e : secret_file_read(spec + 5, FILE_MAX, text);
}

/* Takes the next line off rest, without blanks around. */
static struct slice next_line(struct slice *rest)
{
    size_t end = slice_find(*rest, '\n');
    struct slice line = { rest->data, end };
    *rest = slice_from(*rest, end + 1);
    if (line.len && line.data[line.len - 1] == '\r')
        line.len--;
    return slice_trim(line);
}

static bool add_key(struct seal_keys *keys, struct slice bytes)
{
    uint8_t hash[DIGEST_SHA256];
    digest_sha256_pair(SLICE("latchkey key id"), bytes, hash);
    for (unsigned i = 0; i < keys->count; i++)
        if (!memcmp(keys->keys[i].id, hash, SEAL_KEY_ID))
            return false;
    struct seal_key *key = &keys->keys[keys->count++];
    memcpy(key->id, hash, SEAL_KEY_ID);
    memcpy(key->bytes, bytes.data, SEAL_KEY);
    return true;
}

/* What is wrong with the line, or NULL.  key is room for its bytes. */
static const char *take_line(struct seal_keys *keys, struct slice line,
                             struct buf *key)
{
    buf_clear(key);
    if (!text_unbase64(key, line))
        return "not base64";
    if (key->len != SEAL_KEY)
        return "not 32 bytes";
    if (keys->count == SEAL_KEYS_MAX)
        return "more keys than 8";
    return add_key(keys, buf_slice(key)) ? NULL : "a key that is there already";
}

static enum err parse(struct seal_keys *keys, const char *spec,
                      struct slice text)
{
    struct buf key = { 0 };
    const char *wrong = NULL;
    unsigned number = 0;
    if (!buf_reserve(&key, FILE_MAX)) /* at once: growth would leave copies */
        return ERR_NOMEM;
    while (text.len && !wrong) {
        struct slice line = next_line(&text);
        number++;
        if (line.len && line.data[0] != '#')
            wrong = take_line(keys, line, &key);
    }
    buf_wipe(&key);
    if (wrong)
        return err_set(ERR_CONFIG, "%s: line %u: %s", spec, number, wrong);
    return keys->count ? OK : err_set(ERR_CONFIG, "%s: holds no key", spec);
}

enum err seal_keys_load(struct seal_keys **out, const char *spec, bool make)
{
    struct buf text = { 0 };
    enum err e = ERR_NOMEM;
    struct seal_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        goto done;
    keys->refs = 1;
    if ((e = read_spec(spec, make, &text)))
        goto done;
    if ((e = parse(keys, spec, buf_slice(&text))))
        goto done;
    digest_hmac_sha256(SLICE_OF(keys->keys[0].bytes, SEAL_KEY),
                       SLICE("latchkey lookup"), keys->lookup);
    *out = keys;
    keys = NULL; /* handed over */

done:
    seal_keys_free(keys);
    buf_wipe(&text);
    return e;
}

struct seal_keys *seal_keys_ref(struct seal_keys *keys)
{
    atomic_fetch_add(&keys->refs, 1);
    return keys;
}

void seal_keys_free(struct seal_keys *keys)
{
    if (!keys || atomic_fetch_sub(&keys->refs, 1) > 1)
        return;
    secret_wipe(keys, sizeof *keys);
    free(keys);
}
