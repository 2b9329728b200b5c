/* test_rsa.c -- vectors made with openssl, right and wrong ones.
 *
 * Runs in the project's root. */
#include "base/text.h"
#include "crypto/rsa.h"
#include "unit.h"
#include <jansson.h>

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = json_load_file("tests/data/rsa.json", 0, NULL);
    return vectors ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static struct slice text_of(const json_t *object, const char *field)
{
    return slice_str(json_string_value(json_object_get(object, field)));
}

static struct slice key_of(const char *name)
{
    struct slice pem = text_of(json_object_get(vectors, "keys"), name);
    assert_non_null(pem.data);
    return pem;
}

static enum err open_vector(const json_t *vector, struct buf *out)
{
    struct buf sealed = { 0 };
    print_message("    %s\n", text_of(vector, "name").data);
    assert_true(text_unbase64(&sealed, text_of(vector, "sealed")));
    enum err e =
        rsa_open(key_of(text_of(vector, "key").data), buf_slice(&sealed), out);
    buf_free(&sealed);
    return e;
}

static void what_openssl_sealed_opens(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "opens"), i, vector)
    {
        struct buf out = { 0 };
        buf_add_char(&out, '>');
        assert_int_equal(open_vector(vector, &out), OK);
        assert_slice(slice_from(buf_slice(&out), 1),
                     text_of(vector, "text").data);
        buf_free(&out);
    }
    assert_int_equal(i, 5);
}

static void every_failure_is_alike(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "refused"), i, vector)
    {
        struct buf out = { 0 };
        assert_int_equal(open_vector(vector, &out), ERR_REFUSED);
        assert_string_equal(err_text(), "the data does not open");
        assert_int_equal(out.len, 0);
        assert_true(buf_ok(&out));
        buf_free(&out);
    }
    assert_int_equal(i, 18);
}

static void what_was_sealed_here_opens_here(void **state)
{
    (void)state;
    static char text[300];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len <= sizeof text; len += 50) {
        struct buf sealed = { 0 }, out = { 0 };
        struct slice plain = { text, len }, key = key_of("demo");
        assert_int_equal(rsa_seal(text_of(vectors, "public"), plain, &sealed),
                         OK);
        assert_int_equal(sealed.len % 128, 0);
        assert_int_equal(rsa_open(key, buf_slice(&sealed), &out), OK);
        assert_true(slice_eq(buf_slice(&out), plain));
        buf_free(&sealed);
        buf_free(&out);
    }
    struct buf none = { 0 };
    assert_int_equal(rsa_seal(SLICE("no key"), SLICE("x"), &none), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_openssl_sealed_opens),
        cmocka_unit_test(every_failure_is_alike),
        cmocka_unit_test(what_was_sealed_here_opens_here),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
