/* watch.c -- tells when files in a folder (and those below it) change.
 *
 * Where the system cannot tell (no inotify left, too many folders), or where a
 * network file system would not, we look every two seconds.  inotify does not
 * look into folders below, so each has its own handle; the folder above is
 * watched too, for the folder itself may be a link that is pointed elsewhere
 * (as Kubernetes updates a config map). */
#include "watch.h"
#include "base/log.h"
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SETTLE_MSEC = 100,
    LATEST_MSEC = 1000, /* after the first of a burst that does not end */
    POLL_MSEC = 2000,
    STAMP_MSEC = 10, /* what a file system's times are exact to */
    FOLDERS_MAX = 1024,
    DEPTH_MAX = 16
};

/* What there was when we looked last. */
struct look {
    uint64_t print;  /* a hash of names, sizes, times and inodes */
    uint64_t newest; /* when something changed last; ms */
};

struct watch {
    uv_loop_t *loop;
    void (*on_change)(void *user);
    void *user;
    uv_timer_t settle, poll;
    uint64_t burst; /* uv_now at its first event; 0: none */
    enum conf_watch mode;
    bool told; /* that we look by ourselves */
    struct look seen;
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
static void settle_soon(struct watch *w);

static void on_event(uv_fs_event_t *event, const char *name, int kinds,
                     int status)
{
    struct watch *w = event->data;
    (void)name;
    (void)kinds;
    (void)status;
    settle_soon(w);
}

/* A file that is written without a pause must not put it off for ever. */
static void settle_soon(struct watch *w)
{
    uint64_t now = uv_now(w->loop), wait = SETTLE_MSEC;
    if (!w->burst)
        w->burst = now;
    if (now + wait > w->burst + LATEST_MSEC)
        wait = now < w->burst + LATEST_MSEC ? w->burst + LATEST_MSEC - now : 0;
    uv_timer_start(&w->settle, on_settled, wait, 0);
}

static void on_poll(uv_timer_t *timer);

/* From now on we look by ourselves. */
static void poll_instead(struct watch *w, const char *why)
{
    if (!w->told && w->mode == CONF_WATCH_ON)
        log_write(LOG_WARN,
                  "changes below \"%s\" are looked for every %d s: %s", w->path,
                  POLL_MSEC / 1000, why);
    w->told = true;
    if (!uv_is_active((uv_handle_t *)&w->poll))
        uv_timer_start(&w->poll, on_poll, POLL_MSEC, POLL_MSEC);
}

static void add_folder(struct watch *w, const char *path)
{
    if (w->mode == CONF_WATCH_POLL)
        return;
    uv_fs_event_t *event =
        w->count < FOLDERS_MAX ? malloc(sizeof *event) : NULL;
    if (!event) {
        poll_instead(w, "too many folders");
        return;
    }
    uv_fs_event_init(w->loop, event);
    event->data = w;
    w->events[w->count++] = event;
    int failed = uv_fs_event_start(event, on_event, path, 0);
    if (failed)
        poll_instead(w, uv_strerror(failed));
}

static void mix(struct look *look, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < len; i++)
        look->print = (look->print ^ bytes[i]) * 1099511628211u; /* FNV-1a */
}

static uint64_t msec_of(struct timespec t)
{
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void look_at(struct look *look, const char *path, const struct stat *st)
{
    uint64_t changed = msec_of(st->st_ctim), written = msec_of(st->st_mtim);
    mix(look, path, strlen(path));
    mix(look, &st->st_size, sizeof st->st_size);
    mix(look, &st->st_ino, sizeof st->st_ino);
    mix(look, &st->st_mtim.tv_sec, sizeof st->st_mtim.tv_sec);
    mix(look, &st->st_mtim.tv_nsec, sizeof st->st_mtim.tv_nsec);
    if (changed > look->newest)
        look->newest = changed;
    if (written > look->newest && written < changed + POLL_MSEC)
        look->newest = written;
}

/* Looks at all below path; arm: and watches its folders. */
static void visit(struct watch *w, struct look *look, const char *path,
                  int depth, bool arm)
{
    char below[PATH_MAX];
    struct dirent *entry;
    struct stat st;
    if (arm)
        add_folder(w, path);
    if (!stat(path, &st))
        look_at(look, path, &st);
    DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (stat(below, &st))
            mix(look, below, strlen(below)); /* a link to nowhere */
        else if (S_ISDIR(st.st_mode))
            visit(w, look, below, depth + 1, arm);
        else
            look_at(look, below, &st);
    }
    if (dir)
        closedir(dir);
}

static void add_all(struct watch *w)
{
    char above[PATH_MAX];
    drop_events(w);
    w->seen = (struct look){ 0 };
    if (!w->path) {
        uv_timer_stop(&w->poll);
        return;
    }
    if (w->mode == CONF_WATCH_POLL)
        poll_instead(w, "");
    visit(w, &w->seen, w->path, 0, true);
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
    w->burst = 0;
    add_all(w); /* before the files are read */
    w->on_change(w->user);
}

static void on_poll(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    struct look now = { 0 };
    visit(w, &now, w->path, 0, false);
    if (now.print != w->seen.print)
        settle_soon(w);
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
    uv_timer_init(loop, &w->poll);
    w->settle.data = w->poll.data = w;
    *out = w;
    return OK;
}

void watch_folder(struct watch *w, const char *path, enum conf_watch mode,
                  uint64_t since)
{
    free(w->path);
    w->path = path && mode != CONF_WATCH_OFF ? strdup(path) : NULL;
    w->mode = mode;
    w->told = false;
    uv_timer_stop(&w->poll);
    add_all(w);
    if (w->path && w->seen.newest + STAMP_MSEC >= since)
        settle_soon(w);
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
    uv_close((uv_handle_t *)&w->poll, NULL);
    uv_close((uv_handle_t *)&w->settle, on_closed);
}
