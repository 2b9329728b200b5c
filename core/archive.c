/* archive.c -- a store's records in a file. */
#include "archive.h"
#include "store/store.h"
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static const struct slice magic = { "latchkey records 1\n", 19 };

enum { RECORD_MAX = STORE_VALUE_MAX + 4096 };

struct frame {
    uint16_t key;
    uint32_t record;
} __attribute__((packed));

static enum err fail(void)
{
    return err_set(ERR_IO, "the dump cannot be written: %s", strerror(errno));
}

static bool put(struct archive *a, const void *data, size_t n)
{
    return !n || fwrite(data, n, 1, a->file) == 1;
}

static bool get(struct archive *a, void *data, size_t n)
{
    return !n || fread(data, n, 1, a->file) == 1;
}

/* bytes: frame, key and record. */
static void add_digest(struct archive *a, struct slice bytes)
{
    digest_sha256_pair(SLICE_OF(a->digest, sizeof a->digest), bytes, a->digest);
    a->count++;
}

enum err archive_create(struct archive *a, FILE *file)
{
    *a = (struct archive){ .file = file };
    return put(a, magic.data, magic.len) ? OK : fail();
}

enum err archive_add(struct archive *a, struct slice key, struct slice record)
{
    struct frame f = { htole16((uint16_t)key.len),
                       htole32((uint32_t)record.len) };
    buf_clear(&a->bytes);
    buf_add(&a->bytes, SLICE_OF(&f, sizeof f));
    buf_add(&a->bytes, key);
    buf_add(&a->bytes, record);
    if (!buf_ok(&a->bytes))
        return err_set(ERR_NOMEM, "no memory");
    add_digest(a, buf_slice(&a->bytes));
    return put(a, a->bytes.data, a->bytes.len) ? OK : fail();
}

enum err archive_end(struct archive *a)
{
    struct frame f = { 0 };
    uint64_t count = htole64(a->count);
    if (!put(a, &f, sizeof f) || !put(a, &count, sizeof count) ||
        !put(a, a->digest, sizeof a->digest) || fflush(a->file))
        return fail();
    if (fsync(fileno(a->file)) && errno != EINVAL && errno != EROFS)
        return fail(); /* EINVAL: a pipe */
    return OK;
}

enum err archive_open(struct archive *a, FILE *file)
{
    char head[32];
    *a = (struct archive){ .file = file };
    if (get(a, head, magic.len) && !memcmp(head, magic.data, magic.len))
        return OK;
    return err_set(ERR_INVALID, "this is no dump of latchkey's records");
}

static enum err read_end(struct archive *a)
{
    uint64_t count;
    uint8_t digest[DIGEST_SHA256];
    if (!get(a, &count, sizeof count) || !get(a, digest, sizeof digest))
        return err_set(ERR_INVALID, "the dump is cut short");
    if (le64toh(count) != a->count || memcmp(digest, a->digest, sizeof digest))
        return err_set(ERR_INVALID, "the dump was damaged");
    return ERR_NOT_FOUND;
}

enum err archive_next(struct archive *a, struct slice *key,
                      struct slice *record)
{
    struct frame f;
    if (!get(a, &f, sizeof f))
        return err_set(ERR_INVALID, "the dump is cut short");
    size_t k = le16toh(f.key), r = le32toh(f.record), all = sizeof f + k + r;
    if (!k && !r)
        return read_end(a);
    if (k > STORE_KEY_MAX || r > RECORD_MAX)
        return err_set(ERR_INVALID, "the dump was damaged");
    buf_clear(&a->bytes);
    if (!buf_reserve(&a->bytes, all))
        return err_set(ERR_NOMEM, "no memory");
    memcpy(a->bytes.data, &f, sizeof f);
    if (!get(a, a->bytes.data + sizeof f, k + r))
        return err_set(ERR_INVALID, "the dump is cut short");
    a->bytes.len = all;
    add_digest(a, buf_slice(&a->bytes));
    *key = SLICE_OF(a->bytes.data + sizeof f, k);
    *record = SLICE_OF(a->bytes.data + sizeof f + k, r);
    return OK;
}

void archive_fini(struct archive *a)
{
    buf_free(&a->bytes);
}
