/* test_log.c -- nginx's log lines: their form, levels, files, threads. */
#include "base/log.h"
#include "unit.h"
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
    char folder[32], path[64], moved[64];
    char text[1 << 20]; /* what was read last */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/test_log.XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/error.log", f->folder);
    snprintf(f->moved, sizeof f->moved, "%s/error.log.1", f->folder);
    *state = f;
    return log_open(f->path, LOG_NOTICE) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    log_open(NULL, LOG_ERR);
    unlink(f->path);
    unlink(f->moved);
    rmdir(f->folder);
    free(f);
    return 0;
}

static const char *contents(struct fixture *f, const char *path)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, f->text, sizeof f->text - 1);
    assert_true(n >= 0);
    f->text[n] = '\0';
    close(fd);
    return f->text;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (rc)
        fail_msg("\"%s\" does not match \"%s\"", text, pattern);
}

#define STAMP "[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "

static void a_line_looks_like_nginx(void **state)
{
    struct fixture *f = *state;
    log_write(LOG_WARN, "%d of %s", 3, "them");
    assert_matches(contents(f, f->path),
                   "^" STAMP "\\[warn\\] [0-9]+#[0-9]+: 3 of them\n$");
}

static void a_connection_and_a_tail_come_where_they_belong(void **state)
{
    struct fixture *f = *state;
    log_line(LOG_ERR, 7, SLICE("text"), SLICE(", client: 127.0.0.1"));
    assert_matches(contents(f, f->path),
                   "^" STAMP "\\[error\\] [0-9]+#[0-9]+: \\*7 "
                   "text, client: 127.0.0.1\n$");
}

static void control_bytes_forge_no_line(void **state)
{
    struct fixture *f = *state;
    log_line(LOG_ERR, 0, SLICE("a\nb\n\tc\r\x1b[1m\x7f\0z\t."), SLICE("\n"));
    assert_matches(contents(f, f->path),
                   "^" STAMP "\\[error\\] [0-9]+#[0-9]+: a\n\tb\n\tc"
                   "\\\\x0D\\\\x1B\\[1m\\\\x7F\\\\x00z\t\\.\n\t\n$");
}

static void finer_levels_are_not_written(void **state)
{
    struct fixture *f = *state;
    log_write(LOG_INFO, "quiet");
    log_line(LOG_DEBUG, 1, SLICE("quiet"), SLICE_NONE);
    assert_string_equal(contents(f, f->path), "");
    assert_true(log_enabled(LOG_STDERR));
    assert_true(log_enabled(LOG_NOTICE));
    assert_false(log_enabled(LOG_INFO));
    assert_int_equal(log_open(f->path, LOG_DEBUG), OK);
    log_write(LOG_DEBUG, "loud");
    assert_non_null(strstr(contents(f, f->path), "[debug]"));
}

static void a_long_line_is_written_whole(void **state)
{
    struct fixture *f = *state;
    static char longer[100001];
    memset(longer, 'x', sizeof longer - 1);
    log_write(LOG_ERR, "%s", longer);
    assert_non_null(strstr(contents(f, f->path), longer));
}

static void a_moved_file_is_left_at_reopen(void **state)
{
    struct fixture *f = *state;
    log_write(LOG_ERR, "one");
    assert_int_equal(rename(f->path, f->moved), 0);
    log_write(LOG_ERR, "two");
    assert_int_equal(log_reopen(), OK);
    log_write(LOG_ERR, "three");
    assert_matches(contents(f, f->moved), "one\n.*two\n$");
    assert_matches(contents(f, f->path), "^[^\n]*three\n$");
}

static void a_file_that_cannot_be_opened_changes_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(log_open("/nowhere/at/all.log", LOG_DEBUG), ERR_IO);
    assert_non_null(strstr(err_text(), "/nowhere/at/all.log"));
    assert_false(log_enabled(LOG_DEBUG));
    log_write(LOG_ERR, "still here");
    assert_non_null(strstr(contents(f, f->path), "still here"));
}

static void a_file_is_appended_to(void **state)
{
    struct fixture *f = *state;
    log_write(LOG_ERR, "one");
    assert_int_equal(log_open(f->path, LOG_ERR), OK);
    log_write(LOG_ERR, "two");
    assert_matches(contents(f, f->path), "one\n.*two\n$");
}

static void what_stops_a_start_is_in_the_log_too(void **state)
{
    struct fixture *f = *state;
    int kept = dup(STDERR_FILENO), fd = open(f->moved, O_CREAT | O_RDWR, 0600);
    dup2(fd, STDERR_FILENO);
    log_emerg("no %s", "port");
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(fd);
    assert_string_equal(contents(f, f->moved), "latchkey: [emerg] no port\n");
    assert_matches(contents(f, f->path), "\\[emerg\\] .*: no port\n$");
}

static void level_names_go_there_and_back(void **state)
{
    (void)state;
    for (int i = LOG_EMERG; i <= LOG_DEBUG; i++) {
        enum log_level level = LOG_STDERR;
        const char *name = log_level_name((enum log_level)i);
        assert_true(log_level_parse(slice_str(name), &level));
        assert_int_equal(level, i);
    }
    enum log_level level;
    assert_false(log_level_parse(SLICE("stderr"), &level));
    assert_false(log_level_parse(SLICE("Error"), &level));
    assert_false(log_level_parse(SLICE(""), &level));
}

enum { THREADS = 4, LINES = 400 };

static void *write_lines(void *tag)
{
    for (int i = 0; i < LINES; i++)
        log_write(LOG_ERR, "from %c line %d end", *(char *)tag, i);
    return NULL;
}

/* The file is opened anew all the while. */
static void no_line_of_any_thread_is_lost_or_torn(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    char tags[] = "ABCD";
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_lines, &tags[i]), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(i % 2 ? log_reopen() : log_open(f->path, LOG_ERR), OK);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);

    int next[THREADS] = { 0 }, line;
    char tag;
    contents(f, f->path);
    for (char *at = strtok(f->text, "\n"); at; at = strtok(NULL, "\n")) {
        int end = 0;
        const char *message = strstr(at, ": from ");
        assert_non_null(message);
        sscanf(message, ": from %c line %d end%n", &tag, &line, &end);
        assert_int_equal(message[end], '\0');
        assert_int_equal(line, next[tag - 'A']++);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next[i], LINES);
}

#define with_a_log(test)                                                       \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_a_log(a_line_looks_like_nginx),
        with_a_log(a_connection_and_a_tail_come_where_they_belong),
        with_a_log(control_bytes_forge_no_line),
        with_a_log(finer_levels_are_not_written),
        with_a_log(a_long_line_is_written_whole),
        with_a_log(a_moved_file_is_left_at_reopen),
        with_a_log(a_file_that_cannot_be_opened_changes_nothing),
        with_a_log(a_file_is_appended_to),
        with_a_log(what_stops_a_start_is_in_the_log_too),
        with_a_log(no_line_of_any_thread_is_lost_or_torn),
        cmocka_unit_test(level_names_go_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
