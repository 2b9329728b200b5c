/* test_vectors.c -- public values of other SDKs, right and wrong ones.
 *
 * Runs in the project's root. */
#include "login/opendata.h"
#include "login/signature.h"
#include "unit.h"

static json_t *vectors;

static int load(void **state)
{
    (void)state;
    vectors = json_load_file("tests/data/vectors.json", 0, NULL);
    return vectors ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static struct slice text_of(const json_t *vector, const char *field)
{
    return slice_str(json_string_value(json_object_get(vector, field)));
}

static void assert_opens_to(const json_t *got, const json_t *vector)
{
    json_t *want = opendata_parse(text_of(vector, "plain"));
    assert_non_null(want);
    assert_true(json_equal(got, want));
    json_decref(want);
}

/* The outcome, in the words of the file. */
static const char *open_vector(const json_t *vector, json_t **object)
{
    struct keyring ring = { 0 };
    struct opendata_rules rules = { .appid = text_of(vector, "appid"),
                                    .need_watermark = true };
    struct opendata out;
    assert_true(keyring_push(&ring, text_of(vector, "key"), 1));
    enum err e = opendata_open(&ring, text_of(vector, "data"),
                               text_of(vector, "iv"), &rules, &out);
    *object = out.object;
    return e == ERR_INVALID ? "malformed" : opendata_cause_name(out.cause);
}

static void open_data_ends_as_it_should(void **state)
{
    (void)state;
    size_t i;
    json_t *vector, *object;
    json_array_foreach(json_object_get(vectors, "open_data"), i, vector)
    {
        print_message("    %s\n", text_of(vector, "name").data);
        assert_slice(text_of(vector, "want"), open_vector(vector, &object));
        if (object)
            assert_opens_to(object, vector);
        json_decref(object);
    }
    assert_int_equal(i, 11);
}

static void raw_data_signatures_match_where_they_should(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "raw_data"), i, vector)
    {
        struct keyring ring = { 0 };
        print_message("    %s\n", text_of(vector, "name").data);
        assert_true(keyring_push(&ring, text_of(vector, "key"), 1));
        bool match = json_is_true(json_object_get(vector, "match"));
        assert_int_equal(signature_rank(&ring, text_of(vector, "raw_data"),
                                        text_of(vector, "signature")),
                         match ? 0 : -1);
    }
    assert_int_equal(i, 4);
}

static void hmacs_take_the_keys_text(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(json_object_get(vectors, "hmac"), i, vector)
    {
        char hex[SIGNATURE_HMAC];
        signature_hmac(text_of(vector, "key"), text_of(vector, "message"), hex);
        assert_slice(text_of(vector, "signature"), hex);
    }
    assert_int_equal(i, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_data_ends_as_it_should),
        cmocka_unit_test(raw_data_signatures_match_where_they_should),
        cmocka_unit_test(hmacs_take_the_keys_text),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
