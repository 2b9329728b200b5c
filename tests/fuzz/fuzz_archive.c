/* fuzz_archive.c -- any file is a dump of records or is refused; what was
 * written is what is read. */
#define _GNU_SOURCE
#include "archive.h"
#include "store/store.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void read_any(const uint8_t *data, size_t size)
{
    struct archive a;
    struct slice key, record;
    enum err e;
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "rb");
    check(file != NULL);
    e = archive_open(&a, file);
    while (!e && !(e = archive_next(&a, &key, &record))) {
        check(key.len <= STORE_KEY_MAX);
        check(key.len + record.len <= size);
    }
    check(e == ERR_NOT_FOUND || (e == ERR_INVALID && *err_text()));
    archive_fini(&a);
    fclose(file);
}

/* Records of the input's bytes: a key is as long as its first byte says. */
static unsigned write_some(struct archive *a, FILE *file, struct slice in)
{
    unsigned n = 0;
    check(archive_create(a, file) == OK);
    while (in.len > 2) {
        size_t k = (uint8_t)in.data[0] % (in.len - 1) + 1;
        struct slice key = SLICE_OF(in.data, k);
        in = slice_from(in, k);
        size_t r = (uint8_t)in.data[0] % in.len;
        check(archive_add(a, key, SLICE_OF(in.data, r)) == OK);
        in = slice_from(in, r + 1);
        n++;
    }
    check(archive_end(a) == OK);
    archive_fini(a);
    return n;
}

static void write_and_read(struct slice in)
{
    struct archive a;
    struct slice key, record;
    FILE *file = tmpfile();
    check(file != NULL);
    unsigned n = write_some(&a, file, in);
    rewind(file);
    check(archive_open(&a, file) == OK);
    for (; n; n--)
        check(archive_next(&a, &key, &record) == OK);
    check(archive_next(&a, &key, &record) == ERR_NOT_FOUND);
    archive_fini(&a);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    if (data[0] == 'w')
        write_and_read(slice_from(SLICE_OF(data, size), 1));
    else
        read_any(data, size);
    return 0;
}
