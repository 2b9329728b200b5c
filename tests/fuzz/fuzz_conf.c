/* fuzz_conf.c -- any text is a configuration or a fault with a reason; what
 * loads can be searched. */
#define _GNU_SOURCE /* memfd_create, memmem */
#include "conf/location.h"
#include "conf/server.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void search_server(const struct conf_server *server)
{
    static const char *const uris[] = { "", "/", "/a", "/a/b.html", "/ab" };
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        size_t ovector[8];
        unsigned pairs = 4;
        const struct conf_location *at =
            location_find(server, slice_str(uris[i]), ovector, &pairs);
        check(at && at->server == server && at->kind != CONF_NAMED);
        check(pairs <= 4 && (pairs == 0 || ovector[0] <= ovector[1]));
        check(conf_mime(at, slice_str(uris[i])).data != NULL);
    }
    location_named(server, SLICE("@a"));
}

static void search(const struct conf *conf)
{
    static const char *const hosts[] = { "", "a", "A.b.c:80", "[::1]", "." };
    for (const struct conf_listen *l = conf->listens; l; l = l->next)
        for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
            size_t ovector[8];
            unsigned pairs = 4;
            check(server_find(l, slice_str(hosts[i]), ovector, &pairs, NULL));
        }
    for (const struct conf_server *s = conf->servers; s; s = s->next)
        search_server(s);
}

static void load(const char *path, const char *globals)
{
    struct conf *conf;
    struct conf_options options = { .prefix = "/nowhere",
                                    .file = path,
                                    .globals = globals };
    if (conf_load(&conf, &options)) {
        check(*err_text());
        return;
    }
    search(conf);
    conf_free(conf);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    check(log_open("/dev/null", LOG_EMERG) == OK);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    if (memmem(data, size, "include", 7))
        return 0; /* no files but ours */
    int fd = memfd_create("conf", MFD_CLOEXEC);
    check(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    load(path, NULL);
    char *globals = strndup((const char *)data, size);
    load("/dev/null", globals);
    free(globals);
    close(fd);
    return 0;
}
