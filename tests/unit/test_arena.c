/* test_arena.c -- memory dropped in one step. */
#include "base/arena.h"
#include "unit.h"

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena a = { 0 };
    for (size_t size = 0; size < 600; size += 7) {
        char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        assert_true(is_zero(p, size));
        memset(p, 0xaa, size);
    }
    arena_free(&a);
}

static void pieces_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    static unsigned char *pieces[COUNT];
    struct arena a = { 0 };
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 100 == 99 ? 5000 : i % 50 + 1;
        pieces[i] = arena_alloc(&a, size);
        memset(pieces[i], (int)(i % 251), size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = i % 100 == 99 ? 5000 : i % 50 + 1;
        assert_int_equal(pieces[i][0], i % 251);
        assert_int_equal(pieces[i][size - 1], i % 251);
    }
    arena_free(&a);
}

static void a_copy_ends_with_a_nul_of_its_own(void **state)
{
    (void)state;
    struct arena a = { 0 };
    char source[] = "a\0b";
    struct slice copy = arena_dup(&a, SLICE_OF(source, 3));
    source[0] = 'x';
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.data, "a\0b", 4);
    assert_string_equal(arena_dup(&a, SLICE_NONE).data, "");
    arena_free(&a);
}

static void formatted_texts_have_any_length(void **state)
{
    (void)state;
    struct arena a = { 0 };
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 5), "x-5");
    assert_int_equal(strlen(arena_printf(&a, "%*s", 10000, "x")), 10000);
    arena_free(&a);
}

static void an_absurd_size_is_refused(void **state)
{
    (void)state;
    struct arena a = { 0 };
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
    assert_non_null(arena_alloc(&a, 1)); /* and is none the worse for it */
    arena_free(&a);
}

static void after_free_it_is_ready_again(void **state)
{
    (void)state;
    struct arena a = { 0 };
    arena_free(&a);
    for (int i = 0; i < 3; i++) {
        assert_non_null(arena_alloc(&a, 100));
        assert_non_null(arena_alloc(&a, 100000));
        arena_free(&a);
        assert_null(a.blocks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(a_copy_ends_with_a_nul_of_its_own),
        cmocka_unit_test(formatted_texts_have_any_length),
        cmocka_unit_test(an_absurd_size_is_refused),
        cmocka_unit_test(after_free_it_is_ready_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
