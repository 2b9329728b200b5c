/* paths.c -- where our own files are. */
#include "paths.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Takes the last part off; false where there is none. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = '\0';
    return true;
}

static bool has_modules(const char *root)
{
    char probe[PATH_MAX + 32];
    snprintf(probe, sizeof probe, "%s/lua/latchkey", root);
    return !access(probe, R_OK);
}

const char *paths_lua(struct arena *arena)
{
    char root[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
    if (n <= 0)
        return NULL;
    root[n] = '\0';
    for (int i = 0; i < 3 && go_up(root); i++)
        if (has_modules(root))
            return arena_printf(arena, "%s/lua/?.lua;%s/lua/?/init.lua", root,
                                root);
    return NULL;
}
