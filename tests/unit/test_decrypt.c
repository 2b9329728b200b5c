/* test_decrypt.c -- the command line of `latchkey decrypt`.
 *
 * Runs in the project's root. */
#include "base/buf.h"
#include "base/text.h"
#include "crypto/cipher.h"
#include "decrypt.h"
#include "unit.h"
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define KEY "AAAAAAAAAAAAAAAAAAAAAA=="
#define IV "MDEyMzQ1Njc4OTo7PD0+Pw=="

enum { ARGS = 8 };

struct outcome {
    int status;
    char out[2048], err[512];
};

/* Puts a file in the place of a standard descriptor; what was there. */
static int put_in_place(FILE *file, int fd)
{
    int kept = dup(fd);
    assert_true(kept >= 0 && dup2(fileno(file), fd) == fd);
    return kept;
}

static void put_back(int kept, int fd)
{
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
}

static void read_all(FILE *file, char *text, size_t size)
{
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Runs it with these arguments (up to a NULL) and this input. */
static struct outcome run(const char *input, const char *const *args)
{
    struct outcome got;
    char *argv[ARGS + 2] = { "decrypt" };
    int argc = 1;
    for (; args[argc - 1]; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
    fputs(input, in);
    rewind(in);
    int stdin_was = put_in_place(in, 0);
    int stdout_was = put_in_place(out, 1);
    int stderr_was = put_in_place(err, 2);
    got.status = decrypt_main(argc, argv);
    put_back(stdin_was, 0);
    put_back(stdout_was, 1);
    put_back(stderr_was, 2);
    fclose(in);
    read_all(out, got.out, sizeof got.out);
    read_all(err, got.err, sizeof got.err);
    return got;
}

#define RUN(input, ...) run(input, (const char *const[]){ __VA_ARGS__, NULL })

static void assert_opens(struct outcome got, const char *plain)
{
    assert_string_equal(got.err, "");
    assert_int_equal(got.status, 0);
    assert_int_equal(got.out[strlen(got.out) - 1], '\n');
    got.out[strlen(got.out) - 1] = '\0';
    assert_string_equal(got.out, plain);
}

/* One line on standard error that holds these words, nothing else. */
static void assert_refused(struct outcome got, const char *says)
{
    assert_int_equal(got.status, 1);
    assert_string_equal(got.out, "");
    assert_non_null(strstr(got.err, says));
    assert_int_equal(strncmp(got.err, "latchkey: ", 10), 0);
    assert_ptr_equal(strchr(got.err, '\n'), got.err + strlen(got.err) - 1);
}

/* Base64 of text sealed under KEY and IV; the static buffer is used anew. */
static const char *seal(const char *text)
{
    static char out[1024];
    struct buf raw = { 0 }, base64 = { 0 };
    static const char zeros[16];
    assert_int_equal(cipher_cbc_encrypt(SLICE_OF(zeros, 16),
                                        (const uint8_t *)"0123456789:;<=>?",
                                        slice_str(text), &raw),
                     OK);
    text_base64(&base64, buf_slice(&raw));
    snprintf(out, sizeof out, "%s", buf_str(&base64));
    buf_free(&raw);
    buf_free(&base64);
    return out;
}

static void the_public_vectors_are_told_apart(void **state)
{
    (void)state;
    json_t *all = json_load_file("tests/data/vectors.json", 0, NULL), *vector;
    size_t i;
    assert_non_null(all);
    json_array_foreach(json_object_get(all, "open_data"), i, vector)
    {
        const char *appid, *key, *iv, *data, *plain = NULL, *says = NULL;
        assert_int_equal(json_unpack(vector, "{s:s,s:s,s:s,s:s,s?s,s?s}",
                                     "appid", &appid, "key", &key, "iv", &iv,
                                     "data", &data, "plain", &plain, "says",
                                     &says),
                         0);
        struct outcome got =
            RUN("", "--key", key, "--iv", iv, "--appid", appid, data);
        if (plain)
            assert_opens(got, plain);
        else
            assert_refused(got, says);
    }
    assert_int_equal(i, 11);
    json_decref(all);
}

static void key_and_data_may_come_from_elsewhere(void **state)
{
    (void)state;
    const char *data = seal("{\"a\": 1}");
    char input[1100];
    unsetenv("LATCHKEY_KEY");
    snprintf(input, sizeof input, "%s\r\n%s\n", KEY, data);
    assert_opens(RUN(data, "--key", KEY, "--iv", IV), "{\"a\": 1}");
    assert_opens(RUN(data, "--key", KEY, "--iv", IV, "-"), "{\"a\": 1}");
    assert_opens(RUN(KEY "\n", "--key", "-", "--iv", IV, data), "{\"a\": 1}");
    assert_opens(RUN(KEY, "--key=-", "--iv=" IV, data), "{\"a\": 1}");
    assert_opens(RUN(input, "--key", "-", "--iv", IV), "{\"a\": 1}");
    assert_opens(RUN(input, "--key", "-", "--iv", IV, "-"), "{\"a\": 1}");
    setenv("LATCHKEY_KEY", KEY, 1);
    assert_opens(RUN("", "--iv", IV, data), "{\"a\": 1}");
    setenv("LATCHKEY_KEY", "nonsense", 1); /* the option wins */
    assert_opens(RUN("", "--key", KEY, "--iv", IV, data), "{\"a\": 1}");
    unsetenv("LATCHKEY_KEY");
}

static void blanks_for_plus_signs_are_understood(void **state)
{
    (void)state;
    char data[1024];
    snprintf(data, sizeof data, "%s", seal("{\"a\":\"some plus signs\"}"));
    assert_non_null(strchr(data, '+'));
    for (char *c = data; *c; c++)
        if (*c == '+')
            *c = ' ';
    assert_opens(RUN("", "--key", KEY, "--iv", IV, data),
                 "{\"a\":\"some plus signs\"}");
}

static void wrong_calls_get_the_usage(void **state)
{
    (void)state;
    unsetenv("LATCHKEY_KEY");
    assert_refused(RUN("", "--iv", IV, "AAAA"), "usage: ");
    assert_refused(RUN("", "--key", KEY, "AAAA"), "usage: ");
    assert_refused(RUN("", "--key", KEY, "--iv"), "usage: ");
    assert_refused(RUN("", "--key", KEY, "--iv", IV, "--x"), "usage: ");
    assert_refused(RUN("", "--key", KEY, "--iv", IV, "AA", "BB"), "usage: ");
}

static void each_malformed_part_is_named(void **state)
{
    (void)state;
    const char *data = seal("{}");
    assert_refused(RUN("", "--key", "a_b", "--iv", IV, data),
                   "malformed session_key: not base64");
    assert_refused(
        RUN("", "--key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "--iv", IV, data),
        "malformed session_key: 24 bytes, not 16");
    assert_refused(RUN("", "--key", KEY, "--iv", "!", data),
                   "malformed iv: not base64");
    assert_refused(RUN("", "--key", KEY, "--iv", "AAAA", data),
                   "malformed iv: 3 bytes, not 16");
    assert_refused(RUN("", "--key", KEY, "--iv", IV, "!"),
                   "malformed data: not base64");
    assert_refused(RUN("", "--key", KEY, "--iv", IV, "AAAA"),
                   "malformed data: 3 bytes are not whole blocks");
    assert_refused(RUN("", "--key", KEY, "--iv", IV), "malformed data: empty");
}

static void text_that_is_no_object_is_told_as_what_it_is(void **state)
{
    (void)state;
    assert_refused(RUN("", "--key", KEY, "--iv", IV, seal("[1]")),
                   "opens it, but the text is no JSON object");
    assert_refused(RUN("", "--key", KEY, "--iv", IV, seal("{\"a\":\"\xff\"}")),
                   "opens it, but the text is not UTF-8");
    assert_refused(RUN("", "--key", KEY, "--iv", "/////////////////////w==",
                       seal("{\"phoneNumber\":\"13800000000\","
                            "\"purePhoneNumber\":\"13800000000\"}")),
                   "opens all but the first block");
}

static void a_missing_watermark_matters_only_with_an_appid(void **state)
{
    (void)state;
    const char *data = seal("{\"openGId\":\"g\"}");
    assert_opens(RUN("", "--key", KEY, "--iv", IV, data),
                 "{\"openGId\":\"g\"}");
    assert_refused(RUN("", "--key", KEY, "--iv", IV, "--appid", "wx1", data),
                   "no watermark.appid");
}

static void what_goes_to_the_terminal_is_escaped(void **state)
{
    (void)state;
    const char *data = seal("{\"watermark\":{\"appid\":\"\\u001b[2J\\n\"}}");
    struct outcome got =
        RUN("", "--key", KEY, "--iv", IV, "--appid", "wx1", data);
    assert_refused(got, "watermark.appid is \"\\u001b[2J\\n\"");
    assert_null(strchr(got.err, '\x1b'));
}

static void no_refusal_shows_the_key(void **state)
{
    (void)state;
    struct outcome got = RUN("", "--key", "c2VjcmV0IHNlY3JldA==", "--iv", IV,
                             "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_refused(got, "malformed session_key");
    assert_null(strstr(got.err, "c2Vj"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_public_vectors_are_told_apart),
        cmocka_unit_test(key_and_data_may_come_from_elsewhere),
        cmocka_unit_test(blanks_for_plus_signs_are_understood),
        cmocka_unit_test(wrong_calls_get_the_usage),
        cmocka_unit_test(each_malformed_part_is_named),
        cmocka_unit_test(text_that_is_no_object_is_told_as_what_it_is),
        cmocka_unit_test(a_missing_watermark_matters_only_with_an_appid),
        cmocka_unit_test(what_goes_to_the_terminal_is_escaped),
        cmocka_unit_test(no_refusal_shows_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
