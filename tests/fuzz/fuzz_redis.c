/* fuzz_redis.c -- whatever a Redis says: what its bounds let pass, hiredis
 * reads with little memory, in one piece or in many. */
#include "store/redis_frame.h"
#include <hiredis/hiredis.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* How many bytes pass, in pieces of so many. */
static size_t take(const uint8_t *data, size_t size, size_t piece)
{
    struct redis_frame frame = { 0 };
    size_t at = 0;
    while (at < size) {
        size_t n = size - at < piece ? size - at : piece;
        if (!redis_frame_take(&frame, SLICE_OF(data + at, n)))
            break;
        at += n;
    }
    check(at == size || !redis_frame_take(&frame, SLICE("+OK\r\n")));
    return at;
}

static size_t elements_of(const redisReply *reply)
{
    size_t n = 1;
    for (size_t i = 0; i < (reply ? reply->elements : 0); i++)
        n += elements_of(reply->element[i]);
    return n;
}

static void read_all(const uint8_t *data, size_t size)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    check(reader && redisReaderFeed(reader, (const char *)data, size) == 0);
    while (redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        check(elements_of(reply) <= REDIS_FRAME_ELEMENTS + 1);
        freeReplyObject(reply);
        reply = NULL;
    }
    redisReaderFree(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t whole = take(data, size, size ? size : 1);
    size_t single = take(data, size, 1);
    check((whole == size) == (single == size));
    read_all(data, single);
    return 0;
}
