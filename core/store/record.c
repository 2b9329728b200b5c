/* record.c -- a stored record: its header, and its seal. */
#include "store/record.h"
#include "crypto/seal.h"
#include "store/store.h"
#include <endian.h>

void record_write_head(struct record_head head, uint8_t out[RECORD_HEAD])
{
    uint64_t version = htole64(head.version), expires = htole64(head.expires);
    out[0] = RECORD_FORMAT;
    memcpy(out + 1, &version, sizeof version);
    memcpy(out + 9, &expires, sizeof expires);
}

bool record_read_head(struct slice record, struct record_head *out)
{
    if (record.len < RECORD_HEAD || record.data[0] != RECORD_FORMAT)
        return false;
    memcpy(&out->version, record.data + 1, sizeof out->version);
    memcpy(&out->expires, record.data + 9, sizeof out->expires);
    out->version = le64toh(out->version);
    out->expires = le64toh(out->expires);
    return true;
}

bool record_allows(struct slice record, const struct store_write *write,
                   uint64_t now)
{
    struct record_head head = { 0 };
    if (!write->check)
        return true;
    if (record.data && !record_read_head(record, &head))
        return false; /* there is something, and nobody has seen it */
    if (record_expired(head, now))
        head.version = 0;
    return head.version == write->expect;
}

/* What the seal of a record vouches for besides its value. */
struct aad {
    char bytes[STORE_KEY_MAX + RECORD_HEAD];
};

static struct slice make_aad(struct aad *aad, struct slice key,
                             const void *head)
{
    memcpy(aad->bytes, key.data, key.len);
    memcpy(aad->bytes + key.len, head, RECORD_HEAD);
    return SLICE_OF(aad->bytes, key.len + RECORD_HEAD);
}

enum err record_seal(struct sealer *sealer, struct slice key,
                     struct record_head head, struct slice value,
                     struct buf *out)
{
    uint8_t bytes[RECORD_HEAD];
    struct aad aad;
    record_write_head(head, bytes);
    buf_add(out, SLICE_OF(bytes, sizeof bytes));
    enum err e = seal_put(sealer, make_aad(&aad, key, bytes), value, out);
    if (e || !buf_ok(out))
        return err_set(e == ERR_IO ? ERR_STORE : ERR_NOMEM,
                       "store: the record was not sealed: %s",
                       err_name(e ? e : ERR_NOMEM));
    return OK;
}

enum err record_open(struct sealer *sealer, struct slice key,
                     struct slice record, struct buf *out)
{
    struct record_head head;
    struct aad aad;
    if (!record_read_head(record, &head) || key.len > STORE_KEY_MAX)
        return err_set(ERR_STORE, "store: a record is of an unknown format");
    enum err e = seal_open(sealer, make_aad(&aad, key, record.data),
                           record_sealed(record), out);
    if (e == ERR_NOT_FOUND)
        return err_set(ERR_CONFIG, "store: a record is sealed with a master "
                                   "key that is not among ours");
    if (e == ERR_REFUSED)
        return err_set(ERR_STORE, "store: a record was damaged or moved");
    return e;
}
