/* conf_fixture.h -- configurations in a folder of their own.
 *
 * FIXTURE/conf/nginx.conf is the file, FIXTURE/ the prefix.  A fault's text
 * is compared without the folder: "... in nginx.conf:3". */
#pragma once
#include "conf/conf.h"
#include "unit.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char prefix[64], path[128];
    struct conf_options options;
    struct conf *conf;
};

static inline void fixture_write(const struct fixture *f, const char *name,
                                 const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/conf/%s", f->prefix, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->prefix, sizeof f->prefix, "/tmp/test-conf-XXXXXX");
    assert_non_null(mkdtemp(f->prefix));
    snprintf(f->path, sizeof f->path, "%s/conf", f->prefix);
    mkdir(f->path, 0700);
    snprintf(f->path, sizeof f->path, "%s/conf/d", f->prefix);
    mkdir(f->path, 0700);
    snprintf(f->path, sizeof f->path, "%s/conf/nginx.conf", f->prefix);
    f->options.prefix = f->prefix;
    f->options.file = "conf/nginx.conf";
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    conf_free(f->conf);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", f->prefix);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Loads what the file has now. */
static inline enum err fixture_reload(struct fixture *f)
{
    conf_free(f->conf);
    f->conf = NULL;
    return conf_load(&f->conf, &f->options);
}

/* Writes and loads; fails with the reason where it does not load. */
static inline struct conf *fixture_load(struct fixture *f, const char *text)
{
    fixture_write(f, "nginx.conf", text);
    if (fixture_reload(f) != OK)
        fail_msg("%s", err_text());
    return f->conf;
}

/* The text of the fault, with the folders cut out. */
static inline void fixture_fault(struct fixture *f, const char *text,
                                 const char *want)
{
    char got[1024] = "", folder[128];
    fixture_write(f, "nginx.conf", text);
    assert_int_equal(fixture_reload(f), ERR_CONFIG);
    snprintf(folder, sizeof folder, "%s/conf/", f->prefix);
    const char *from = err_text(), *at;
    while ((at = strstr(from, folder))) {
        strncat(got, from, (size_t)(at - from));
        from = at + strlen(folder);
    }
    strncat(got, from, sizeof got - strlen(got) - 1);
    if (strcmp(got, want))
        fail_msg("%s\ngives: %s\n   not: %s", text, got, want);
}

/* The first server and its first location. */
static inline const struct conf_location *fixture_server(struct fixture *f)
{
    assert_non_null(f->conf->servers);
    return f->conf->servers->root;
}

static inline const struct conf_location *fixture_location(struct fixture *f)
{
    assert_non_null(fixture_server(f)->children);
    return fixture_server(f)->children;
}

#define fixture_test(name)                                                     \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
