/* redis_key.c -- what Redis calls our keys, and where a cluster has them. */
#include "store/redis_key.h"

static const struct slice prefix = { "latchkey:", 9 };

void redis_key_name(struct slice key, struct buf *out)
{
    size_t kind = slice_find(key, '/');
    buf_add(out, prefix);
    if (kind == key.len) {
        buf_add(out, key);
        return;
    }
    buf_add(out, (struct slice){ key.data, kind + 1 });
    buf_add_char(out, '{');
    buf_add(out, slice_from(key, kind + 1));
    buf_add_char(out, '}');
}

bool redis_key_read(struct slice name, struct buf *out)
{
    if (!slice_starts(name, prefix))
        return false;
    name = slice_from(name, prefix.len);
    size_t kind = slice_find(name, '/');
    if (kind == name.len) {
        buf_add(out, name);
        return true;
    }
    if (name.len < kind + 3 || name.data[kind + 1] != '{' ||
        name.data[name.len - 1] != '}')
        return false;
    buf_add(out, (struct slice){ name.data, kind + 1 });
    buf_add(out, SLICE_OF(name.data + kind + 2, name.len - kind - 3));
    return true;
}

/* CRC16 as in XMODEM (polynomial 1021), the Cluster specification's. */
static uint16_t crc16(struct slice text)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < text.len; i++) {
        crc ^= (uint16_t)((uint8_t)text.data[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

/* Of the first pair of braces, where something is in it. */
uint16_t redis_key_slot(struct slice name)
{
    size_t open = slice_find(name, '{');
    struct slice rest = slice_from(name, open + 1);
    size_t close = slice_find(rest, '}');
    if (open < name.len && close < rest.len && close)
        name = (struct slice){ rest.data, close };
    return crc16(name) % REDIS_KEY_SLOTS;
}
