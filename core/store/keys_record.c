/* keys_record.c -- what a store on disk notes of the master keys that seal it.
 */
#include "store/keys_record.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "store/record.h"

enum { NOTE_MAX = 1 + SEAL_KEYS_MAX * SEAL_KEY_ID + SEAL_LOOKUP };

struct note {
    unsigned count;
    uint8_t ids[SEAL_KEYS_MAX][SEAL_KEY_ID];
    uint64_t version; /* of the record; 0: there is none */
    bool changed;
};

static bool is_known(const struct seal_keys *keys, const void *id)
{
    for (unsigned i = 0; i < keys->count; i++)
        if (!memcmp(keys->keys[i].id, id, SEAL_KEY_ID))
            return true;
    return false;
}

static enum err missing(const uint8_t *id)
{
    return err_set(ERR_CONFIG,
                   "store: records are sealed with the master key "
                   "%02x%02x%02x%02x, which latchkey_master_key does not "
                   "have: put its line back, after the newest",
                   id[0], id[1], id[2], id[3]);
}

/* Takes the ids that count: of our keys, and of those that nothing is sealed
 * with any more none. */
static enum err take_ids(const struct store_engine *engine, void *reader,
                         const struct seal_keys *keys, struct slice ids,
                         struct note *note)
{
    uint64_t now = (uint64_t)clock_now();
    for (; ids.len >= SEAL_KEY_ID; ids = slice_from(ids, SEAL_KEY_ID)) {
        const uint8_t *id = (const uint8_t *)ids.data;
        bool known = is_known(keys, id);
        if (!known && engine->has_seal(reader, id, now))
            return missing(id);
        if (known && note->count < SEAL_KEYS_MAX)
            memcpy(note->ids[note->count++], id, SEAL_KEY_ID);
        else
            note->changed = true;
    }
    return OK;
}

static enum err read_value(const struct store_engine *engine, void *reader,
                           struct seal_keys *keys, struct slice value,
                           struct note *note)
{
    size_t ids = value.len ? (uint8_t)value.data[0] * (size_t)SEAL_KEY_ID : 0;
    if (value.len != 1 + ids + SEAL_LOOKUP)
        return err_set(ERR_STORE, "store: its note of keys is damaged");
    memcpy(keys->lookup, value.data + 1 + ids, SEAL_LOOKUP);
    return take_ids(engine, reader, keys, SLICE_OF(value.data + 1, ids), note);
}

/* A copy of the record, as another look into the store comes later. */
static enum err fetch(const struct store_engine *engine, void *reader,
                      struct buf *record)
{
    struct slice found;
    enum err e = engine->get(reader, SLICE(KEYS_RECORD), &found);
    if (e)
        return e;
    buf_add(record, found);
    engine->release(reader);
    return buf_ok(record) ? OK : ERR_NOMEM;
}

static enum err read_note(const struct store_engine *engine, void *reader,
                          struct seal_keys *keys, struct sealer *sealer,
                          struct note *note)
{
    struct buf record = { 0 }, value = { 0 }, bytes = { 0 };
    struct record_head head;
    enum err e = fetch(engine, reader, &record);
    if (e)
        goto done;
    struct slice r = buf_slice(&record);
    if (!record_read_head(r, &head) || r.len < RECORD_HEAD + SEAL_KEY_ID)
        e = err_set(ERR_STORE, "store: its note of keys is damaged");
    else
        e = record_open(sealer, SLICE(KEYS_RECORD), r, &value);
    if (e == ERR_CONFIG)
        e = missing((const uint8_t *)record_sealed(r).data);
    else if (e == ERR_STORE)
        e = err_set(ERR_STORE, "store: its note of keys is damaged");
    if (e)
        goto done;
    note->version = head.version;
    note->changed = !seal_is_newest(keys, record_sealed(r));
    e = text_unhex(&bytes, buf_slice(&value))
            ? read_value(engine, reader, keys, buf_slice(&bytes), note)
            : err_set(ERR_STORE, "store: its note of keys is damaged");

done:
    buf_free(&record);
    buf_wipe(&value);
    buf_wipe(&bytes);
    return e == ERR_NOT_FOUND ? OK : e;
}

static void add_newest(const struct seal_keys *keys, struct note *note)
{
    const uint8_t *id = keys->keys[0].id;
    for (unsigned i = 0; i < note->count; i++)
        if (!memcmp(note->ids[i], id, SEAL_KEY_ID))
            return;
    memcpy(note->ids[note->count++], id, SEAL_KEY_ID);
    note->changed = true;
}

static enum err put(const struct store_engine *engine, void *db,
                    struct slice record, uint64_t version)
{
    struct store_write w = { .key = SLICE(KEYS_RECORD),
                             .record = record,
                             .version = version };
    struct store_commit c = { .writes = &w, .count = 1 };
    enum err e = engine->begin(db);
    if (e)
        return e;
    e = engine->apply(db, &c, (uint64_t)clock_now());
    if (!e)
        return engine->commit(db);
    engine->abort(db);
    return e;
}

static enum err write_note(const struct store_engine *engine, void *db,
                           const struct seal_keys *keys, struct sealer *sealer,
                           const struct note *note)
{
    struct buf record = { 0 }, text = { 0 };
    char value[NOTE_MAX];
    size_t len = 1 + note->count * (size_t)SEAL_KEY_ID;
    value[0] = (char)note->count;
    memcpy(value + 1, note->ids, len - 1);
    memcpy(value + len, keys->lookup, SEAL_LOOKUP);
    text_hex(&text, SLICE_OF(value, len + SEAL_LOOKUP));
    enum err e = !buf_ok(&text)
                     ? ERR_NOMEM
                     : record_seal(sealer, SLICE(KEYS_RECORD),
                                   (struct record_head){ note->version + 1, 0 },
                                   buf_slice(&text), &record);
    if (!e)
        e = put(engine, db, buf_slice(&record), note->version + 1);
    secret_wipe(value, sizeof value);
    buf_wipe(&text);
    buf_free(&record);
    return e;
}

enum err keys_record_check(const struct store_engine *engine, void *db,
                           struct seal_keys *keys)
{
    struct note note = { 0 };
    void *reader;
    struct sealer *sealer = sealer_new(keys);
    if (!sealer)
        return err_set(ERR_NOMEM, "no memory");
    enum err e = engine->reader_open(db, &reader);
    if (!e) {
        e = read_note(engine, reader, keys, sealer, &note);
        engine->reader_close(reader);
    }
    sealer_free(sealer);
    return e;
}

enum err keys_record_settle(const struct store_engine *engine, void *db,
                            struct seal_keys *keys)
{
    struct note note = { 0 };
    void *reader;
    struct sealer *sealer = sealer_new(keys);
    if (!sealer)
        return err_set(ERR_NOMEM, "no memory");
    enum err e = engine->reader_open(db, &reader);
    if (!e) {
        e = read_note(engine, reader, keys, sealer, &note);
        engine->reader_close(reader);
    }
    if (!e) {
        add_newest(keys, &note);
        if (note.changed)
            e = write_note(engine, db, keys, sealer, &note);
    }
    sealer_free(sealer);
    return e;
}
