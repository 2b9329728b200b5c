/* fuzz_keys.c -- any text is a file of master keys, or a fault that does not
 * quote it. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include "crypto/seal_keys.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOLD = 12 }; /* so much of the file in a row is no accident */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_keys(const struct seal_keys *keys)
{
    check(keys->count >= 1 && keys->count <= SEAL_KEYS_MAX);
    for (unsigned i = 0; i < keys->count; i++)
        for (unsigned j = 0; j < i; j++)
            check(memcmp(keys->keys[i].bytes, keys->keys[j].bytes, SEAL_KEY));
}

static void check_fault(const uint8_t *data, size_t size)
{
    const char *told = err_text();
    check(*told != '\0');
    for (size_t i = 0; i + TOLD <= size; i++)
        check(!memmem(told, strlen(told), data + i, TOLD));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char spec[64];
    struct seal_keys *keys = NULL;
    int fd = memfd_create("keys", MFD_CLOEXEC);
    check(fd >= 0 && !fchmod(fd, 0600) &&
          write(fd, data, size) == (ssize_t)size);
    snprintf(spec, sizeof spec, "file:/proc/self/fd/%d", fd);
    if (seal_keys_load(&keys, spec, false) == OK)
        check_keys(keys);
    else if (!memmem(data, size, "/proc/", 6))
        check_fault(data, size);
    seal_keys_free(keys);
    close(fd);
    return 0;
}
