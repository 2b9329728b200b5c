/* upgrade.c -- the same process goes on as a newer binary. */
#define _GNU_SOURCE
#include "upgrade.h"
#include "inherit.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct upgrade {
    uv_process_t test;
    char **argv;
    void (*on_tested)(void *user, bool ok);
    void *user;
    int *fds;
    unsigned count;
    bool closed, dropped; /* the test's handle; by upgrade_free */
};

static void on_closed(uv_handle_t *handle)
{
    struct upgrade *u = handle->data;
    u->closed = true;
    if (u->dropped)
        free(u);
}

static void on_exit_test(uv_process_t *test, int64_t status, int number)
{
    struct upgrade *u = test->data;
    uv_close((uv_handle_t *)test, on_closed);
    u->on_tested(u->user, status == 0 && number == 0);
}

static char **with_test(char **argv)
{
    size_t n = 0;
    while (argv[n])
        n++;
    char **more = calloc(n + 3, sizeof *more);
    if (!more)
        return NULL;
    memcpy(more, argv, n * sizeof *more);
    more[n] = "-t";
    more[n + 1] = "-q";
    return more;
}

struct upgrade *upgrade_new(uv_loop_t *loop, char **argv,
                            void (*on_tested)(void *user, bool ok), void *user)
{
    struct upgrade *u = calloc(1, sizeof *u);
    char **args = with_test(argv);
    uv_stdio_container_t streams[3] = {
        { .flags = UV_IGNORE },
        { .flags = UV_INHERIT_FD, .data.fd = 1 },
        { .flags = UV_INHERIT_FD, .data.fd = 2 },
    };
    int rc = UV_ENOMEM;
    if (u && args) {
        *u = (struct upgrade){ .argv = argv,
                               .on_tested = on_tested,
                               .user = user };
        uv_process_options_t options = { .file = argv[0],
                                         .args = args,
                                         .exit_cb = on_exit_test,
                                         .stdio = streams,
                                         .stdio_count = 3 };
        u->test.data = u;
        rc = uv_spawn(loop, &u->test, &options);
        if (rc)
            uv_close((uv_handle_t *)&u->test, on_closed);
    }
    free(args);
    if (!rc)
        return u;
    err_set(ERR_IO, "%s: %s", argv[0], uv_strerror(rc));
    if (args)
        upgrade_free(u);
    return NULL;
}

enum err upgrade_keep(struct upgrade *u, const struct worker_socket *sockets,
                      unsigned count)
{
    u->fds = calloc(count + 1, sizeof *u->fds);
    if (!u->fds)
        return ERR_NOMEM;
    for (; u->count < count; u->count++) {
        int fd = fcntl(sockets[u->count].fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            return err_set(ERR_IO, "dup: %s", strerror(errno));
        u->fds[u->count] = fd;
    }
    return OK;
}

void upgrade_exec(struct upgrade *u)
{
    inherit_exec(u->argv, u->fds, u->count);
}

void upgrade_free(struct upgrade *u)
{
    if (!u)
        return;
    while (u->count)
        close(u->fds[--u->count]);
    free(u->fds);
    u->fds = NULL;
    u->dropped = true;
    if (u->closed)
        free(u);
}
