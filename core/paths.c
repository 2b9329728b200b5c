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

/* What lies between ROOT and lua/: in the project's own tree, installed. */
static const char *const places[] = { "", "/share/latchkey" };

static bool has_modules(const char *root, const char *place)
{
    char probe[PATH_MAX + 64];
    snprintf(probe, sizeof probe, "%s%s/lua/latchkey", root, place);
    return !access(probe, R_OK);
}

static const char *search_path(struct arena *arena, const char *root)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (has_modules(root, places[i]))
            return arena_printf(arena, "%s%s/lua/?.lua;%s%s/lua/?/init.lua",
                                root, places[i], root, places[i]);
    return NULL;
}

const char *paths_lua(struct arena *arena)
{
    char root[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
    if (n <= 0)
        return NULL;
    root[n] = '\0';
    const char *found = NULL;
    for (int i = 0; i < 3 && !found && go_up(root); i++)
        found = search_path(arena, root);
    return found;
}
