/* watch.c -- tells when files in a folder (and those below it) change.
 *
 * inotify does not look into folders below, so each has its own handle; the
 * folder above is watched too, for the folder itself may be a link that is
 * pointed elsewhere (as Kubernetes updates a config map). */
#include "watch.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SETTLE_MSEC = 100, FOLDERS_MAX = 64, DEPTH_MAX = 4 };

struct watch {
    uv_loop_t *loop;
    void (*on_change)(void *user);
    void *user;
    uv_timer_t settle;
    uv_fs_event_t *events[FOLDERS_MAX];
    unsigned count;
    char *path;
};

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

static void drop_events(struct watch *w)
{
    while (w->count)
        uv_close((uv_handle_t *)w->events[--w->count], free_handle);
}

static void on_settled(uv_timer_t *timer);

static void on_event(uv_fs_event_t *event, const char *name, int kinds,
                     int status)
{
    struct watch *w = event->data;
    (void)name;
    (void)kinds;
    (void)status;
    uv_timer_start(&w->settle, on_settled, SETTLE_MSEC, 0);
}

static void add_folder(struct watch *w, const char *path)
{
    uv_fs_event_t *event =
        w->count < FOLDERS_MAX ? malloc(sizeof *event) : NULL;
    if (!event)
        return;
    uv_fs_event_init(w->loop, event);
    event->data = w;
    uv_fs_event_start(event, on_event, path, 0);
    w->events[w->count++] = event;
}

static void add_tree(struct watch *w, const char *path, int depth)
{
    char below[PATH_MAX];
    struct dirent *entry;
    struct stat st;
    add_folder(w, path);
    DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (!stat(below, &st) && S_ISDIR(st.st_mode))
            add_tree(w, below, depth + 1);
    }
    if (dir)
        closedir(dir);
}

static void add_all(struct watch *w)
{
    char above[PATH_MAX];
    drop_events(w);
    if (!w->path)
        return;
    add_tree(w, w->path, 0);
    snprintf(above, sizeof above, "%s", w->path);
    char *slash = strrchr(above, '/');
    struct stat st;
    bool link = !lstat(w->path, &st) && S_ISLNK(st.st_mode);
    if (link && slash && slash != above) {
        *slash = '\0';
        add_folder(w, above);
    }
}

static void on_settled(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    add_all(w);
    w->on_change(w->user);
}

enum err watch_new(struct watch **out, uv_loop_t *loop,
                   void (*on_change)(void *user), void *user)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return ERR_NOMEM;
    w->loop = loop;
    w->on_change = on_change;
    w->user = user;
    uv_timer_init(loop, &w->settle);
    w->settle.data = w;
    *out = w;
    return OK;
}

void watch_folder(struct watch *w, const char *path)
{
    free(w->path);
    w->path = path ? strdup(path) : NULL;
    add_all(w);
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    free(w->path);
    free(w);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    drop_events(w);
    uv_close((uv_handle_t *)&w->settle, on_closed);
}
