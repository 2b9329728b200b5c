/* system.c -- system(3) that leaves the process alone.
 *
 * In place of libc's, which has the whole process ignore SIGINT and SIGQUIT
 * while its command runs: a script's os.execute in one thread would keep the
 * server from hearing that it is to end. */
#define _GNU_SOURCE
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int system(const char *command)
{
    char *argv[] = { "sh", "-c", (char *)(uintptr_t)command, NULL };
    pid_t pid;
    int status;
    if (!command)
        return 1;
    int rc = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
    if (rc) {
        errno = rc;
        return -1;
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}
