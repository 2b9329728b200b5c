/* static.c -- files under root or alias, with index. */
#include "api/request.h"
#include "base/clock.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The normalized uri has no "..", but of "/a../b" under `location /a` with an
 * alias "../b" is left. */
static bool climbs(struct slice rest)
{
    return slice_starts(rest, SLICE("..")) &&
           (rest.len == 2 || rest.data[2] == '/');
}

static bool file_path(struct request *r, struct slice uri, struct buf *out)
{
    const struct conf_location *at = r->location;
    variable_path(r, &at->root, out);
    struct slice rest = uri;
    if (at->alias && at->kind != CONF_REGEX)
        rest = slice_from(uri, at->name.len);
    else if (at->alias)
        rest = SLICE("");
    buf_add(out, rest);
    return !climbs(rest) && buf_str(out) && strlen(out->data) == out->len;
}

static int status_of(int error)
{
    return error == EACCES                                                ? 403
           : error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG ? 404
                                                                          : 500;
}

/* The uri was decoded; what a URL cannot hold is escaped again. */
static void add_path(struct buf *out, struct slice uri)
{
    while (uri.len) {
        buf_add_char(out, '/');
        uri = slice_from(uri, 1);
        size_t end = slice_find(uri, '/');
        text_escape_uri(out, (struct slice){ uri.data, end });
        uri = slice_from(uri, end);
    }
}

static void redirect_to_folder(struct request *r)
{
    struct buf to = { 0 };
    add_path(&to, r->uri);
    buf_addf(&to, "/%s%.*s", r->args.len ? "?" : "", SLICE_FMT(r->args));
    request_set_location(r, buf_slice(&to));
    buf_free(&to);
    request_finish(r, 301);
}

static bool not_modified(struct request *r, const struct stat *st)
{
    time_t since;
    return clock_parse_http(request_header(r, SLICE("If-Modified-Since")),
                            &since) &&
           st->st_mtime <= since;
}

static void send_file(struct request *r, struct slice uri, int fd,
                      const struct stat *st)
{
    char stamp[CLOCK_HTTP];
    clock_http(st->st_mtime, stamp);
    request_set_header(r, SLICE("Last-Modified"), slice_str(stamp), true);
    if (not_modified(r, st)) {
        close(fd);
        request_finish(r, 304);
        return;
    }
    request_set_header(r, SLICE("Content-Type"), conf_mime(r->location, uri),
                       true);
    r->fd = fd;
    r->fd_size = (uint64_t)st->st_size;
    request_finish(r, 200);
}

static void log_refusal(struct request *r, const char *path, int error)
{
    struct buf text = { 0 };
    buf_addf(&text, "open() \"%s\" failed (%d: %s)", path, error,
             strerror(error));
    request_log(r, LOG_ERR, buf_slice(&text));
    buf_free(&text);
}

/* 0: served (or redirected); else the status that says why not. */
static int try_file(struct request *r, struct slice uri)
{
    struct stat st;
    struct buf path = { 0 };
    bool ok = file_path(r, uri, &path);
    int fd = ok ? open(path.data, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    int error = ok ? errno : ENOENT;
    if (fd < 0 && ok)
        log_refusal(r, path.data, error);
    buf_free(&path);
    if (fd < 0)
        return status_of(error);
    bool known = !fstat(fd, &st), file = known && S_ISREG(st.st_mode);
    if (file && slice_eq(r->method, SLICE("POST"))) {
        close(fd);
        return 405;
    }
    if (file) {
        send_file(r, uri, fd, &st);
        return 0;
    }
    close(fd);
    if (!known || !S_ISDIR(st.st_mode))
        return 404;
    redirect_to_folder(r);
    return 0;
}

static bool is_folder(struct request *r)
{
    struct stat st;
    struct buf path = { 0 };
    bool found = file_path(r, r->uri, &path) && !stat(path.data, &st) &&
                 S_ISDIR(st.st_mode);
    buf_free(&path);
    return found;
}

static int try_indexes(struct request *r)
{
    int status = 404;
    for (unsigned i = 0; i < r->location->nindex; i++) {
        struct buf uri = { 0 };
        buf_add(&uri, r->uri);
        variable_render(r, &r->location->index[i], &uri);
        struct slice kept = arena_dup(&r->http->arena, buf_slice(&uri));
        buf_free(&uri);
        status = try_file(r, kept);
        if (status != 404)
            return status;
    }
    return status == 404 && is_folder(r) ? 403 : status; /* not listed */
}

void static_serve(struct request *r)
{
    if (!slice_eq(r->method, SLICE("GET")) &&
        !slice_eq(r->method, SLICE("HEAD")) &&
        !slice_eq(r->method, SLICE("POST"))) { /* which may yet be a 404 */
        request_finish(r, 405);
        return;
    }
    bool folder = r->uri.len && r->uri.data[r->uri.len - 1] == '/';
    int status = folder ? try_indexes(r) : try_file(r, r->uri);
    if (status)
        request_finish(r, status);
}
