/* log_capture.c -- a thread's latest log lines, for its scripts to read. */
#include "base/log_capture.h"
#include "base/buf.h"
#include "base/clock.h"

struct entry { /* its text follows */
    uint64_t msec;
    uint32_t len;
    uint32_t level;
};

static _Thread_local struct {
    size_t size; /* 0: not open */
    struct buf kept;
    size_t from; /* where the oldest begins */
    enum log_level level;
} self;

void log_capture_open(size_t size)
{
    if (size == self.size)
        return;
    buf_free(&self.kept);
    self.from = 0;
    self.size = size;
    self.level = LOG_DEBUG;
}

bool log_capture_is_open(void)
{
    return self.size > 0;
}

void log_capture_filter(enum log_level level)
{
    self.level = level;
}

bool log_capture_take(struct log_captured *out)
{
    struct entry entry;
    if (self.from == self.kept.len)
        return false;
    memcpy(&entry, self.kept.data + self.from, sizeof entry);
    *out = (struct log_captured){
        (enum log_level)entry.level, entry.msec,
        SLICE_OF(self.kept.data + self.from + sizeof entry, entry.len)
    };
    self.from += sizeof entry + entry.len;
    return true;
}

/* What was taken makes room at the front. */
static void compact(void)
{
    struct buf *b = &self.kept;
    if (self.from && self.from >= b->len / 2) {
        memmove(b->data, b->data + self.from, b->len - self.from);
        b->len -= self.from;
        self.from = 0;
    }
}

void log_capture_add(enum log_level level, struct slice line)
{
    struct entry entry = { clock_msec(), (uint32_t)line.len, level };
    size_t need = sizeof entry + line.len;
    struct log_captured oldest;
    if (level > self.level || need > self.size)
        return;
    while (self.kept.len - self.from + need > self.size)
        log_capture_take(&oldest);
    compact();
    char *to = buf_reserve(&self.kept, need);
    if (!to)
        return;
    memcpy(to, &entry, sizeof entry);
    memcpy(to + sizeof entry, line.data, line.len);
    self.kept.len += need;
}
