/* fuzz_record.c -- stored records: any bytes are refused, and what was sealed
 * opens as it was, under its own key and unchanged only.
 *
 * The first byte is a record's changed place, the second how. */
#include "crypto/seal.h"
#include "store/record.h"
#include "store/store.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal_keys keys = { .refs = 1, .count = 1 };
static struct sealer *sealer;

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void open_any(struct slice record)
{
    struct buf out = { 0 };
    struct record_head head;
    struct store_write write = { .check = true, .expect = 1 };
    enum err e = record_open(sealer, SLICE("user/a"), record, &out);
    check(e == ERR_STORE || e == ERR_CONFIG);
    check(*err_text() && !out.len);
    if (!record_read_head(record, &head))
        check(!record_allows(record, &write, 1) || !record.len);
    else if (record_allows(record, &write, 1))
        check(head.version == 1 && !record_expired(head, 1));
    buf_free(&out);
}

static enum err open_as(struct slice key, struct slice record,
                        struct slice value)
{
    struct buf out = { 0 };
    enum err e = record_open(sealer, key, record, &out);
    check(e || slice_eq(buf_slice(&out), value));
    buf_wipe(&out);
    return e;
}

static void seal_and_spoil(struct slice value, uint8_t place, uint8_t how)
{
    struct buf record = { 0 };
    struct record_head head = { place + 1u, how };
    check(!record_seal(sealer, SLICE("user/a"), head, value, &record));
    check(open_as(SLICE("user/a"), buf_slice(&record), value) == OK);
    check(open_as(SLICE("user/b"), buf_slice(&record), value) == ERR_STORE);
    record.data[place % record.len] ^= (char)(how | 1);
    check(open_as(SLICE("user/a"), buf_slice(&record), value) != OK);
    record.data[place % record.len] ^= (char)(how | 1);
    check(open_as(SLICE("user/a"), SLICE_OF(record.data, record.len - 1),
                  value) != OK);
    buf_free(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!sealer)
        check((sealer = sealer_new(&keys)) != NULL);
    open_any(SLICE_OF(data, size));
    if (size >= 2)
        seal_and_spoil(slice_from(SLICE_OF(data, size), 2), data[0], data[1]);
    return 0;
}
