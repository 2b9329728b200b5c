/* keyring.c -- a user's latest session keys, newest first. */
#include "login/keyring.h"
#include "crypto/secret.h"

/* A key's tail: verdict and four times.  Version 1 had no `checked`. */
enum { VERSION = 2, KEY_TAIL = 1 + 4 * 8, KEY_TAIL_1 = 1 + 3 * 8 };

static int find(const struct keyring *ring, struct slice text)
{
    for (unsigned i = 0; i < ring->count; i++)
        if (secret_equal(keyring_text(&ring->keys[i]), text))
            return (int)i;
    return -1;
}

static void drop(struct keyring *ring, unsigned rank)
{
    size_t after = --ring->count - rank;
    struct session_key *key = &ring->keys[rank];
    memmove(key, key + 1, after * sizeof *key);
    secret_wipe(&ring->keys[ring->count], sizeof *key);
}

static void put_u64(char *to, uint64_t n)
{
    for (int i = 0; i < 8; i++)
        to[i] = (char)(n >> (56 - 8 * i));
}

static uint64_t get_u64(const char *from)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | (unsigned char)from[i];
    return n;
}

/* Reads one key with a tail of so many bytes off rest. */
static bool take_key(struct session_key *key, struct slice *rest, size_t tails)
{
    size_t len = rest->len ? (unsigned char)rest->data[0] : 0;
    if (!len || len > KEYRING_TEXT || rest->len < 1 + len + tails)
        return false;
    const char *tail = rest->data + 1 + len;
    memcpy(key->text, rest->data + 1, len);
    key->len = (uint8_t)len;
    key->verdict = (uint8_t)tail[0];
    key->learnt = get_u64(tail + 1);
    key->used = get_u64(tail + 9);
    key->verified = get_u64(tail + 17);
    key->checked = tails == KEY_TAIL ? get_u64(tail + 25) : 0;
    *rest = slice_from(*rest, 1 + len + tails);
    return key->verdict <= KEYRING_STALE;
}

static bool decode(struct keyring *ring, struct slice rest)
{
    if (rest.len < 2 || (rest.data[0] != VERSION && rest.data[0] != 1))
        return false;
    size_t tails = rest.data[0] == VERSION ? KEY_TAIL : KEY_TAIL_1;
    unsigned count = (unsigned char)rest.data[1];
    if (count > KEYRING_MAX)
        return false;
    rest = slice_from(rest, 2);
    for (unsigned i = 0; i < count; i++) {
        struct session_key *key = &ring->keys[i];
        if (!take_key(key, &rest, tails) || find(ring, keyring_text(key)) >= 0)
            return false;
        ring->count++;
    }
    return rest.len == 0;
}

bool keyring_push(struct keyring *ring, struct slice text, uint64_t now)
{
    if (!text.len || text.len > KEYRING_TEXT)
        return false;
    struct session_key key = { .len = (uint8_t)text.len, .learnt = now };
    memcpy(key.text, text.data, text.len);
    key.verdict = KEYRING_GOOD;
    key.verified = now;
    int known = find(ring, text);
    if (known >= 0) {
        key.used = ring->keys[known].used;
        drop(ring, (unsigned)known);
    } else if (ring->count == KEYRING_MAX) {
        drop(ring, KEYRING_MAX - 1);
    }
    unsigned rank = 0;
    while (rank < ring->count && ring->keys[rank].learnt > now)
        rank++;
    memmove(ring->keys + rank + 1, ring->keys + rank,
            (ring->count - rank) * sizeof key);
    ring->keys[rank] = key;
    ring->count++;
    secret_wipe(&key, sizeof key);
    return true;
}

void keyring_trim(struct keyring *ring, uint64_t now, unsigned keep,
                  uint64_t window)
{
    while (ring->count > keep &&
           ring->keys[ring->count - 1].learnt + KEYRING_FRESH < now)
        drop(ring, ring->count - 1);
    for (unsigned i = ring->count; window && i-- > 0;) {
        uint64_t learnt = ring->keys[i].learnt;
        if (now > learnt && now - learnt > window)
            drop(ring, i);
    }
}

void keyring_used(struct keyring *ring, unsigned rank, uint64_t now)
{
    if (rank < ring->count)
        ring->keys[rank].used = now;
}

void keyring_judge(struct keyring *ring, unsigned rank,
                   enum keyring_verdict verdict, uint64_t now)
{
    if (rank >= ring->count)
        return;
    ring->keys[rank].verdict = (uint8_t)verdict;
    ring->keys[rank].verified = now;
}

void keyring_checked(struct keyring *ring, uint64_t now)
{
    if (ring->count)
        ring->keys[0].checked = now;
}

const char *keyring_verdict_name(enum keyring_verdict verdict)
{
    static const char *const names[] = { "unknown", "good", "stale" };
    return names[verdict];
}

void keyring_encode(const struct keyring *ring, struct buf *out)
{
    char tail[KEY_TAIL];
    /* All at once: growth would leave copies of keys behind. */
    if (!buf_reserve(out, 2 + ring->count * (1 + KEYRING_TEXT + KEY_TAIL)))
        return;
    buf_add_char(out, VERSION);
    buf_add_char(out, (char)ring->count);
    for (unsigned i = 0; i < ring->count; i++) {
        const struct session_key *key = &ring->keys[i];
        buf_add_char(out, (char)key->len);
        buf_add(out, keyring_text(key));
        tail[0] = (char)key->verdict;
        put_u64(tail + 1, key->learnt);
        put_u64(tail + 9, key->used);
        put_u64(tail + 17, key->verified);
        put_u64(tail + 25, key->checked);
        buf_add(out, SLICE_OF(tail, sizeof tail));
    }
}

bool keyring_decode(struct keyring *ring, struct slice bytes)
{
    keyring_wipe(ring);
    if (decode(ring, bytes))
        return true;
    keyring_wipe(ring);
    return false;
}

void keyring_wipe(struct keyring *ring)
{
    secret_wipe(ring, sizeof *ring);
}
