/* test_keyring.c -- which keys a ring keeps, and its stored form. */
#include "login/keyring.h"
#include "unit.h"
#include <stdlib.h>

static struct keyring ring_of(unsigned count)
{
    struct keyring ring = { 0 };
    for (unsigned i = 1; i <= count; i++)
        assert_true(
            keyring_push(&ring, SLICE_OF(&"abcdefghijklmnopq"[i], 1), i));
    return ring;
}

static void assert_keys(const struct keyring *ring, const char *want)
{
    char got[KEYRING_MAX + 1] = { 0 };
    for (unsigned i = 0; i < ring->count; i++)
        got[i] = ring->keys[i].text[0];
    assert_string_equal(got, want);
}

static void assert_wiped(const struct keyring *ring, unsigned from)
{
    static const struct session_key none;
    for (unsigned i = from; i < KEYRING_MAX; i++)
        assert_memory_equal(&ring->keys[i], &none, sizeof none);
}

static void the_newest_key_is_first_and_good(void **state)
{
    (void)state;
    struct keyring ring = ring_of(3);
    assert_keys(&ring, "dcb");
    assert_int_equal(ring.keys[0].verdict, KEYRING_GOOD);
    assert_int_equal(ring.keys[0].learnt, 3);
    assert_int_equal(ring.keys[0].verified, 3);
    assert_int_equal(ring.keys[0].used, 0);
}

static void a_full_ring_drops_its_oldest_key(void **state)
{
    (void)state;
    struct keyring ring = ring_of(KEYRING_MAX + 2);
    assert_int_equal(ring.count, KEYRING_MAX);
    assert_keys(&ring, "onmlkjihgfed");
}

static void the_same_key_moves_to_the_front(void **state)
{
    (void)state;
    struct keyring ring = ring_of(3);
    keyring_used(&ring, 2, 50);
    keyring_judge(&ring, 2, KEYRING_STALE, 60);
    assert_true(keyring_push(&ring, SLICE("b"), 100));
    assert_keys(&ring, "bdc");
    assert_int_equal(ring.keys[0].learnt, 100);
    assert_int_equal(ring.keys[0].used, 50);
    assert_int_equal(ring.keys[0].verdict, KEYRING_GOOD);
    assert_wiped(&ring, 3);
    assert_true(keyring_push(&ring, SLICE("b"), 101)); /* twice in a row */
    assert_keys(&ring, "bdc");
}

static void a_full_ring_keeps_all_when_a_known_key_comes(void **state)
{
    (void)state;
    struct keyring ring = ring_of(KEYRING_MAX);
    assert_true(keyring_push(&ring, SLICE("b"), 100));
    assert_keys(&ring, "bmlkjihgfedc");
}

static void keys_stand_in_the_order_of_their_calls(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    assert_true(keyring_push(&ring, SLICE("b"), 100));
    assert_true(keyring_push(&ring, SLICE("d"), 102)); /* heard before c */
    assert_true(keyring_push(&ring, SLICE("c"), 101));
    assert_keys(&ring, "dcb");
    assert_true(keyring_push(&ring, SLICE("a"), 99));
    assert_keys(&ring, "dcba");
    assert_true(keyring_push(&ring, SLICE("e"), 102));
    assert_keys(&ring, "edcba");
}

static void keys_of_the_last_seconds_are_not_dropped_for_number(void **state)
{
    (void)state;
    struct keyring ring = ring_of(6); /* learnt at 1 to 6 */
    keyring_trim(&ring, 6, 2, 0);
    assert_keys(&ring, "gfedcb");
    keyring_trim(&ring, 4 + KEYRING_FRESH, 2, 0);
    assert_keys(&ring, "gfe");
    keyring_trim(&ring, 1000, 2, 0);
    assert_keys(&ring, "gf");
}

static void keys_of_impossible_length_are_not_taken(void **state)
{
    (void)state;
    struct keyring ring = ring_of(1);
    char text[KEYRING_TEXT + 1];
    memset(text, 'x', sizeof text);
    assert_false(keyring_push(&ring, SLICE_NONE, 9));
    assert_false(keyring_push(&ring, SLICE_OF(text, sizeof text), 9));
    assert_keys(&ring, "b");
    assert_true(keyring_push(&ring, SLICE_OF(text, KEYRING_TEXT), 9));
    assert_int_equal(keyring_text(&ring.keys[0]).len, KEYRING_TEXT);
}

static void trimming_counts_and_wipes(void **state)
{
    (void)state;
    struct keyring ring = ring_of(5);
    keyring_trim(&ring, 100, 2, 0);
    assert_keys(&ring, "fe");
    assert_wiped(&ring, 2);
    keyring_trim(&ring, 100, 0, 0);
    assert_int_equal(ring.count, 0);
    assert_wiped(&ring, 0);
}

static void trimming_goes_by_the_age_of_learning(void **state)
{
    (void)state;
    struct keyring ring = ring_of(5); /* learnt at 1 to 5 */
    keyring_used(&ring, 4, 100);
    keyring_trim(&ring, 103, KEYRING_MAX, 100);
    assert_keys(&ring, "fed");
    keyring_trim(&ring, 1, KEYRING_MAX, 1); /* a clock that went back */
    assert_keys(&ring, "fed");
    keyring_trim(&ring, 1000000, KEYRING_MAX, 0);
    assert_keys(&ring, "fed");
    keyring_trim(&ring, 1000000, KEYRING_MAX, 1);
    assert_int_equal(ring.count, 0);
    assert_wiped(&ring, 0);
}

static void ranks_beyond_the_ring_are_nobody(void **state)
{
    (void)state;
    struct keyring ring = ring_of(2), before = ring;
    keyring_used(&ring, 2, 9);
    keyring_judge(&ring, 7, KEYRING_STALE, 9);
    assert_memory_equal(&ring, &before, sizeof ring);
}

static void assert_key(const struct session_key *got,
                       const struct session_key *want)
{
    assert_true(slice_eq(keyring_text(got), keyring_text(want)));
    assert_int_equal(got->verdict, want->verdict);
    assert_int_equal(got->learnt, want->learnt);
    assert_int_equal(got->used, want->used);
    assert_int_equal(got->verified, want->verified);
}

static void what_is_encoded_comes_back(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= KEYRING_MAX; count++) {
        struct keyring ring = ring_of(count), back = ring_of(3);
        struct buf out = { 0 }, again = { 0 };
        keyring_used(&ring, 0, UINT64_MAX);
        keyring_judge(&ring, 1, KEYRING_STALE, 0x0102030405060708);
        keyring_encode(&ring, &out);
        assert_true(keyring_decode(&back, buf_slice(&out)));
        assert_int_equal(back.count, count);
        for (unsigned i = 0; i < count; i++)
            assert_key(&back.keys[i], &ring.keys[i]);
        keyring_encode(&back, &again);
        assert_true(slice_eq(buf_slice(&out), buf_slice(&again)));
        buf_wipe(&out);
        buf_wipe(&again);
    }
}

static void a_truncated_or_longer_form_is_refused(void **state)
{
    (void)state;
    struct keyring ring = ring_of(3), back = ring_of(2);
    struct buf out = { 0 };
    keyring_encode(&ring, &out);
    for (size_t len = 0; len < out.len; len++) {
        char *exact = malloc(len ? len : 1); /* so that ASan sees the end */
        memcpy(exact, out.data, len);
        assert_false(keyring_decode(&back, SLICE_OF(exact, len)));
        assert_int_equal(back.count, 0);
        assert_wiped(&back, 0);
        free(exact);
    }
    buf_add_char(&out, 0);
    assert_false(keyring_decode(&back, buf_slice(&out)));
    buf_wipe(&out);
}

/* Changes one byte of an encoded ring of two keys of one letter each. */
static bool decodes_with(size_t at, char value)
{
    struct keyring ring = ring_of(2);
    struct buf out = { 0 };
    keyring_encode(&ring, &out);
    out.data[at] = value;
    bool ok = keyring_decode(&ring, buf_slice(&out));
    buf_wipe(&out);
    return ok;
}

static void wrong_fields_are_refused(void **state)
{
    (void)state;
    assert_true(decodes_with(0, 2));
    assert_false(decodes_with(0, 1)); /* version: its keys are shorter */
    assert_false(decodes_with(0, 3));
    assert_false(decodes_with(1, 1)); /* count */
    assert_false(decodes_with(1, 3));
    assert_false(decodes_with(1, (char)255));
    assert_false(decodes_with(2, 0)); /* length of the first key */
    assert_false(decodes_with(2, 65));
    assert_true(decodes_with(4, KEYRING_STALE)); /* verdict */
    assert_false(decodes_with(4, KEYRING_STALE + 1));
    assert_false(decodes_with(3, 'b')); /* the same key twice */
}

static void rings_of_the_first_version_are_read(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    struct buf old = { 0 };
    buf_add(&old, SLICE("\1\1\3abc\2"));
    for (char i = 1; i <= 3; i++)
        buf_add(&old, SLICE_OF(((char[8]){ 0, 0, 0, 0, 0, 0, 0, i }), 8));
    assert_true(keyring_decode(&ring, buf_slice(&old)));
    assert_slice(keyring_text(&ring.keys[0]), "abc");
    assert_int_equal(ring.keys[0].verdict, KEYRING_STALE);
    assert_int_equal(ring.keys[0].verified, 3);
    assert_int_equal(ring.keys[0].checked, 0);
    buf_free(&old);
}

static void being_asked_about_is_of_the_newest_key(void **state)
{
    (void)state;
    struct keyring ring = { 0 };
    keyring_checked(&ring, 7); /* nobody */
    assert_int_equal(ring.keys[0].checked, 0);
    keyring_push(&ring, SLICE("old"), 1);
    keyring_push(&ring, SLICE("new"), 2);
    keyring_checked(&ring, 7);
    assert_int_equal(ring.keys[0].checked, 7);
    assert_int_equal(ring.keys[0].verified, 2);
    assert_int_equal(ring.keys[1].checked, 0);
    keyring_push(&ring, SLICE("new"), 9); /* a login brings it anew */
    assert_int_equal(ring.keys[0].checked, 0);
}

static void verdicts_have_the_names_of_the_contract(void **state)
{
    (void)state;
    assert_string_equal(keyring_verdict_name(KEYRING_UNKNOWN), "unknown");
    assert_string_equal(keyring_verdict_name(KEYRING_GOOD), "good");
    assert_string_equal(keyring_verdict_name(KEYRING_STALE), "stale");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_key_is_first_and_good),
        cmocka_unit_test(a_full_ring_drops_its_oldest_key),
        cmocka_unit_test(the_same_key_moves_to_the_front),
        cmocka_unit_test(a_full_ring_keeps_all_when_a_known_key_comes),
        cmocka_unit_test(keys_stand_in_the_order_of_their_calls),
        cmocka_unit_test(keys_of_the_last_seconds_are_not_dropped_for_number),
        cmocka_unit_test(keys_of_impossible_length_are_not_taken),
        cmocka_unit_test(trimming_counts_and_wipes),
        cmocka_unit_test(trimming_goes_by_the_age_of_learning),
        cmocka_unit_test(ranks_beyond_the_ring_are_nobody),
        cmocka_unit_test(what_is_encoded_comes_back),
        cmocka_unit_test(a_truncated_or_longer_form_is_refused),
        cmocka_unit_test(wrong_fields_are_refused),
        cmocka_unit_test(rings_of_the_first_version_are_read),
        cmocka_unit_test(being_asked_about_is_of_the_newest_key),
        cmocka_unit_test(verdicts_have_the_names_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
