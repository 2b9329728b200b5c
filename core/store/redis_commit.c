/* redis_commit.c -- a commit as one script that Redis runs as a whole. */
#include "store/redis_commit.h"
#include "base/clock.h"
#include <endian.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAD = 5,    /* words: EVALSHA, digest, how many keys; time, what to do */
    EACH = 4,    /* a write's: key; expect, due, record */
    NUMBER = 24, /* bytes of a decimal number */
    VERSION = 8,
    NAME = 16, /* what redis_key_name adds, at most */
};

static const uint64_t due_max = 1ull << 43; /* seconds; later is never */

/* ARGV: the time in seconds; "check" or "write"; then for each key the version
 * that must be there (8 bytes as in record.h; zeros: none; "": whatever), its
 * expiry in milliseconds ("0": none; Redis hears how long it is from our now,
 * since its clock may be another), and the record ("": remove it). */
const char redis_commit_script[] =
    "local now = tonumber(ARGV[1])\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local expect = ARGV[3 * i]\n"
    "  if expect ~= '' then\n"
    "    local head = redis.call('GETRANGE', key, 0, 16)\n"
    "    local version = string.rep('\\0', 8)\n"
    "    if head ~= '' then\n"
    "      if #head < 17 or head:byte() ~= 1 then return 0 end\n"
    "      local expires = struct.unpack('<I8', head:sub(10))\n"
    "      if expires == 0 or expires > now then version = head:sub(2, 9) end\n"
    "    end\n"
    "    if version ~= expect then return 0 end\n"
    "  end\n"
    "end\n"
    "if ARGV[2] == 'check' then return 1 end\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local due, record = ARGV[3 * i + 1], ARGV[3 * i + 2]\n"
    "  if record == '' then\n"
    "    redis.call('DEL', key)\n"
    "  else\n"
    "    redis.call('SET', key, record)\n"
    "    if due ~= '0' then\n"
    "      redis.call('PEXPIRE', key, tonumber(due) - now * 1000)\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return 1\n";

/* ---- the command ----------------------------------------------------------
 */

struct command {
    struct slice *words;
    unsigned count;
    struct buf bytes; /* of words; reserved at once, so that they stay */
};

static struct slice add_bytes(struct command *c, const void *data, size_t len)
{
    struct slice word = { c->bytes.data + c->bytes.len, len };
    buf_add(&c->bytes, SLICE_OF(data, len));
    return word;
}

static struct slice add_number(struct command *c, uint64_t n)
{
    char text[NUMBER];
    int len = snprintf(text, sizeof text, "%" PRIu64, n);
    return add_bytes(c, text, (size_t)len);
}

/* n of m writes are of the slot at hand: i counts them. */
static void add_write(struct command *c, const struct redis_conn *conn,
                      const struct store_write *w, unsigned i, unsigned n)
{
    uint64_t expect = htole64(w->expect);
    struct slice *argv = c->words + HEAD - 2 + n;
    size_t start = c->bytes.len;
    redis_conn_key(conn, w->key, &c->bytes);
    c->words[HEAD - 2 + i] =
        SLICE_OF(c->bytes.data + start, c->bytes.len - start);
    argv[2 + 3 * i] = w->check ? add_bytes(c, &expect, VERSION) : SLICE("");
    argv[3 + 3 * i] =
        add_number(c, w->expires < due_max ? w->expires * 1000 : 0);
    argv[4 + 3 * i] = w->remove ? SLICE("") : w->record;
}

static unsigned writes_of(const struct store_commit *commit, uint16_t slot,
                          size_t *bytes)
{
    unsigned n = 0;
    *bytes = HEAD * NUMBER;
    for (unsigned i = 0; i < commit->count; i++) {
        if (commit->writes[i].slot != slot)
            continue;
        n++;
        *bytes += commit->writes[i].key.len + NAME + VERSION + NUMBER;
    }
    return n;
}

static bool build(struct command *c, const struct store_commit *commit,
                  const struct redis_link *link)
{
    const struct redis_trip *trip = &commit->trip;
    size_t bytes;
    unsigned n = writes_of(commit, trip->slot, &bytes);
    c->count = HEAD + EACH * n;
    c->words = malloc(c->count * sizeof *c->words);
    if (!c->words || !buf_reserve(&c->bytes, bytes))
        return false;
    const struct redis_link_settings *s = link->settings;
    c->words[0] = trip->text ? SLICE("EVAL") : SLICE("EVALSHA");
    c->words[1] = slice_str(trip->text ? s->script : s->digest);
    c->words[2] = add_number(c, n);
    c->words[HEAD - 2 + n] = add_number(c, (uint64_t)clock_now());
    c->words[HEAD - 1 + n] = commit->checking ? SLICE("check") : SLICE("write");
    for (unsigned i = 0, at = 0; i < commit->count; i++)
        if (commit->writes[i].slot == trip->slot)
            add_write(c, trip->conn, &commit->writes[i], at++, n);
    return true;
}

static struct store_commit *commit_of(struct redis_trip *trip)
{
    return (struct store_commit *)((char *)trip -
                                   offsetof(struct store_commit, trip));
}

static bool send_slot(struct redis_trip *trip, struct redis_link *link)
{
    struct command c = { 0 };
    bool sent = build(&c, commit_of(trip), link);
    if (sent)
        sent = redis_link_call(link, &trip->call, c.words, c.count);
    else
        err_set(ERR_NOMEM, "no memory");
    free(c.words);
    buf_free(&c.bytes);
    return sent;
}

/* ---- one slot after the other ---------------------------------------------
 *
 * Alone and with Sentinels there is one.  In a cluster what has checks comes
 * first, and where several slots have some, all are checked before the first
 * is written.  What is then still found changed is a conflict like any other,
 * though others are written: callers load again and repeat. */

static bool slot_is_checked(const struct store_commit *c, uint16_t slot)
{
    for (unsigned i = 0; i < c->count; i++)
        if (c->writes[i].slot == slot && c->writes[i].check)
            return true;
    return false;
}

/* The next slot to go to; false: none is left. */
static bool next_slot(struct store_commit *c)
{
    struct store_write *found = NULL;
    for (unsigned i = 0; i < c->count && !(found && found->check); i++) {
        struct store_write *w = &c->writes[i];
        if (!w->sent && (!found || w->check) && (w->check || !c->checking))
            found = w;
    }
    if (!found)
        return false;
    c->trip.slot = found->slot;
    for (unsigned i = 0; i < c->count; i++)
        c->writes[i].sent |= c->writes[i].slot == found->slot;
    return true;
}

/* Checks in more than one slot? */
static bool is_scattered(const struct store_commit *c)
{
    const struct store_write *first = NULL;
    for (unsigned i = 0; i < c->count; i++) {
        if (!c->writes[i].check)
            continue;
        if (first && first->slot != c->writes[i].slot)
            return true;
        first = &c->writes[i];
    }
    return false;
}

static void begin_phase(struct store_commit *c, bool checking)
{
    c->checking = checking;
    c->trip.writes = !checking;
    for (unsigned i = 0; i < c->count; i++)
        c->writes[i].sent = checking && !slot_is_checked(c, c->writes[i].slot);
}

static enum err go(struct store_commit *c)
{
    c->trip.tries = 0;
    c->trip.text = false;
    return redis_conn_send(c->trip.conn, &c->trip);
}

static void on_answer(struct redis_trip *trip, struct redisReply *reply)
{
    struct store_commit *c = commit_of(trip);
    enum err e = ERR_STORE;
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        e = reply->integer ? OK : ERR_CONFLICT;
    else if (reply)
        err_set(ERR_STORE, "redis: an answer makes no sense");
    if (!e && c->checking && !next_slot(c)) {
        begin_phase(c, false);
        next_slot(c);
        e = go(c);
    } else if (!e && (c->checking || next_slot(c))) {
        e = go(c);
    }
    if (e != PENDING)
        c->on_settled(c, e);
}

enum err redis_commit_start(struct redis_conn *conn, struct store_commit *c,
                            void (*on_settled)(struct store_commit *c,
                                               enum err e))
{
    struct buf name = { 0 };
    for (unsigned i = 0; i < c->count; i++) {
        c->writes[i].slot = redis_conn_key(conn, c->writes[i].key, &name);
        buf_clear(&name);
    }
    buf_free(&name);
    c->on_settled = on_settled;
    c->trip = (struct redis_trip){ .conn = conn,
                                   .send = send_slot,
                                   .on_answer = on_answer };
    begin_phase(c, is_scattered(c));
    next_slot(c);
    return go(c);
}
