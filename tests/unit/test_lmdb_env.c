/* test_lmdb_env.c -- disks that fail, and a map that fills, under a store
 * that is in use.
 *
 * The system calls that LMDB makes land here, as a program's own functions
 * come before the C library's: a test says which of them fail. */
#define _GNU_SOURCE
#include "base/metrics.h"
#include "store_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static struct {
    atomic_int sync, data, meta, writable; /* errno to fail with, or 0 */
    atomic_int opens, syncs;
} disk;

enum { META = 2 * 4096 }; /* LMDB's first two pages */

static int fail_with(atomic_int *why)
{
    errno = atomic_load(why);
    return errno;
}

int fdatasync(int fd)
{
    disk.syncs++;
    return fail_with(&disk.sync) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    /* the page at its offset, as LMDB writes it through; what it puts back
     * after that went wrong is another descriptor's */
    bool through = fcntl(fd, F_GETFL) & O_DSYNC;
    if (at < META ? through && fail_with(&disk.meta) : fail_with(&disk.data))
        return -1;
    return syscall(SYS_pwrite64, fd, data, n, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return fail_with(&disk.data) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    disk.opens += strstr(path, "data.mdb") != NULL;
    if ((flags & O_ACCMODE) != O_RDONLY && strstr(path, "/store/") &&
        fail_with(&disk.writable))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int access(const char *path, int how)
{
    if ((how & W_OK) && strstr(path, "/store/") && fail_with(&disk.writable))
        return -1;
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, how);
}

static int setup(void **state)
{
    disk.sync = disk.data = disk.meta = disk.writable = 0;
    fixture_init(*state = calloc(1, sizeof(struct fixture)), "lmdb");
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

static bool exposes(const char *line)
{
    struct buf text = { 0 };
    metrics_expose(&text);
    bool found = strstr(buf_str(&text), line) != NULL;
    buf_free(&text);
    return found;
}

/* What is acknowledged is there, now and when the store is opened again. */
static void holds_all(struct fixture *f)
{
    for (int i = 0; i < 2; i++) {
        assert_true(fixture_holds(f, "before", "v"));
        assert_true(fixture_holds(f, "after", "v"));
        fixture_close(f);
        fixture_open(f);
    }
}

/* The disk fails as it was told until it is `healed`. */
static void a_write_is_refused_and_reads_go_on(struct fixture *f,
                                               atomic_int *healed)
{
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_put(f, "lost", "v", 0), ERR_STORE);
        assert_non_null(strstr(err_text(), "lmdb"));
        assert_true(fixture_holds(f, "before", "v"));
        assert_true(fixture_holds(f, "lost", NULL));
    }
    assert_true(exposes("latchkey_store_failing 1\n"));
    *healed = 0;
    assert_int_equal(fixture_put(f, "after", "v", 0), OK);
}

static void a_sync_that_fails_is_a_write_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "before", "v", 0), OK);
    disk.sync = EIO;
    a_write_is_refused_and_reads_go_on(f, &disk.sync);
    holds_all(f);
}

static void a_full_disk_is_a_write_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "before", "v", 0), OK);
    disk.data = ENOSPC;
    a_write_is_refused_and_reads_go_on(f, &disk.data);
    holds_all(f);
}

/* After this LMDB gives the environment up, for readers too. */
static void a_commit_that_fails_at_its_last_page_is_recovered(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "before", "v", 0), OK);
    int opens = disk.opens;
    disk.meta = EIO;
    a_write_is_refused_and_reads_go_on(f, &disk.meta);
    assert_true(disk.opens > opens);
    holds_all(f);
}

/* ... and writes no more before the old page is on the disk again. */
static void after_a_broken_commit_comes_a_sync(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "before", "v", 0), OK);
    disk.meta = EIO;
    assert_int_equal(fixture_put(f, "lost", "v", 0), ERR_STORE);
    disk.meta = 0;
    disk.sync = disk.data = EIO; /* no data is written, as no sync comes */
    int opens = disk.opens;
    assert_int_equal(fixture_put(f, "lost", "v", 0), ERR_STORE);
    assert_true(fixture_holds(f, "before", "v"));
    assert_int_equal(disk.opens, opens);
    disk.sync = 0;
    int syncs = disk.syncs;
    assert_int_equal(fixture_put(f, "lost", "v", 0), ERR_STORE);
    assert_true(disk.syncs > syncs);
    disk.data = 0;
    assert_int_equal(fixture_put(f, "after", "v", 0), OK);
    holds_all(f);
}

static void files_that_cannot_be_written_are_read(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_put(f, "before", "v", 0), OK);
    fixture_close(f);
    disk.writable = EROFS;
    fixture_open(f);
    assert_true(fixture_holds(f, "before", "v"));
    a_write_is_refused_and_reads_go_on(f, &disk.writable);
    holds_all(f);
}

static void a_folder_that_was_never_written_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    char url[160], path[160];
    snprintf(path, sizeof path, "%s/store/", f->dir);
    snprintf(url, sizeof url, "lmdb:%s/store/new", f->dir);
    disk.writable = EROFS;
    assert_int_equal(store_open(&s, url, f->keys), ERR_STORE);
    assert_non_null(strstr(err_text(), "is not writable"));
    assert_non_null(strstr(err_text(), path));
    disk.writable = 0;
    snprintf(path, sizeof path, "%s/store/new", f->dir);
    assert_int_equal(rmdir(path), 0);
}

/* -- a map that fills --------------------------------------------------- */

enum { LOOKERS = 3, LARGE = 60 };

struct looker {
    struct fixture *f;
    pthread_t thread;
    atomic_uint looks;
};

static atomic_bool looked_enough;

static void *look(void *arg)
{
    struct looker *l = arg;
    struct fixture own = *l->f;
    uv_loop_init(&own.loop);
    assert_int_equal(store_attach(own.store, &own.loop, &own.conn), OK);
    do {
        struct store_read r = { .key = SLICE("steady") };
        assert_int_equal(store_get(own.conn, &r), OK);
        assert_true(slice_eq(buf_slice(&r.value), SLICE("v")));
        buf_wipe(&r.value);
        l->looks++;
    } while (!looked_enough);
    fixture_detach(&own);
    return NULL;
}

static void the_map_grows_while_others_read(void **state)
{
    struct fixture *f = *state;
    struct looker lookers[LOOKERS] = { 0 };
    struct store_stat stat;
    char *large = calloc(1, STORE_VALUE_MAX), key[32];
    looked_enough = false;
    assert_int_equal(fixture_put(f, "steady", "v", 0), OK);
    for (int i = 0; i < LOOKERS; i++) {
        lookers[i].f = f;
        pthread_create(&lookers[i].thread, NULL, look, &lookers[i]);
    }
    int opens = disk.opens;
    for (int i = 0; i < LARGE; i++) {
        snprintf(key, sizeof key, "large-%d", i);
        struct store_write w = { .key = slice_str(key),
                                 .value = SLICE_OF(large, STORE_VALUE_MAX) };
        assert_int_equal(fixture_commit(f, &w, 1), OK);
    }
    assert_true(disk.opens >= opens + 2); /* 16 MB were not enough, nor 32 */
    looked_enough = true;
    for (int i = 0; i < LOOKERS; i++) {
        pthread_join(lookers[i].thread, NULL);
        assert_true(lookers[i].looks > 0);
    }
    store_stat(f->store, &stat);
    assert_int_equal(stat.failures, 0);
    assert_int_equal(stat.records, LARGE + 1);
    fixture_close(f);
    fixture_open(f); /* with a file that is beyond the first map */
    assert_int_equal(fixture_put(f, "after", "v", 0), OK);
    assert_true(fixture_holds(f, "steady", "v"));
    free(large);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(a_sync_that_fails_is_a_write_refused),
        ON_DISK(a_full_disk_is_a_write_refused),
        ON_DISK(a_commit_that_fails_at_its_last_page_is_recovered),
        ON_DISK(after_a_broken_commit_comes_a_sync),
        ON_DISK(files_that_cannot_be_written_are_read),
        ON_DISK(a_folder_that_was_never_written_is_refused),
        ON_DISK(the_map_grows_while_others_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
