/* record.c -- reading and writing a stored record's header. */
#include "store/record.h"
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
