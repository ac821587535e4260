/* SPDX-License-Identifier: MIT */
/* Text: copying, comparing, numbers, formatting. */
#include "hv/core/text.h"

#include <limits.h>
#include <string.h>

#include "hv/core/types.h"
#include "tests/unit/hv/unit.h"

static void test_copy(void **state)
{
    (void)state;
    char to[6];

    assert_true(text_copy(to, sizeof to, "hello"));
    assert_string_equal(to, "hello");
    assert_false(text_copy(to, sizeof to, "hello!"));
    assert_string_equal(to, "hello");
    assert_true(text_copy(to, sizeof to, ""));
    assert_string_equal(to, "");
    assert_true(text_copy(to, 1, ""));
    assert_false(text_copy(to, 1, "x"));
    assert_string_equal(to, "");
}

static void test_equal_and_after(void **state)
{
    (void)state;
    assert_true(text_equal("", ""));
    assert_true(text_equal("abc", "abc"));
    assert_false(text_equal("abc", "ab"));
    assert_false(text_equal("ab", "abc"));
    assert_false(text_equal("abc", "abd"));
    assert_string_equal(text_after("lps=4", "lps="), "4");
    assert_string_equal(text_after("lps=", "lps="), "");
    assert_null(text_after("lps", "lps="));
    assert_null(text_after("", "l"));
    assert_string_equal(text_after("x", ""), "x");
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"7", 7},
        {"0x3f8", 0x3f8},
        {"0xAbCdEf", 0xabcdef},
        {"0010", 10},
        {"18446744073709551615", UINT64_MAX},
        {"0xffffffffffffffff", UINT64_MAX},
        {"0x0000000000000000000001", 1},
    };
    static const char *const bad[] = {"",
                                      "x",
                                      "0x",
                                      "0xg",
                                      "12a",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.5",
                                      "0X1",
                                      "18446744073709551616",
                                      "0x10000000000000000",
                                      "99999999999999999999999999",
                                      "4K"};
    uint64_t value;

    for (unsigned i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(text_parse_number(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(text_parse_number(bad[i], &value));
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"512", 512},       {"4K", 4096},           {"512M", 512ull << 20},
                {"3G", 3ull << 30}, {"0x10M", 16ull << 20}, {"17179869183G", 17179869183ull << 30},
                {"0G", 0}};
    static const char *const bad[] = {
        "", "G", "4KB", "4k", "4T", "4 G", "17179869184G", "-1G", "18446744073709551615K", "4GG"};
    uint64_t value;

    for (unsigned i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(text_parse_size(good[i].text, &value));
        assert_int_equal(value, good[i].value);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_false(text_parse_size(bad[i], &value));
    }
}

__attribute__((format(printf, 3, 4))) static size_t format(char *to, size_t size, const char *text,
                                                           ...)
{
    va_list arguments;

    va_start(arguments, text);
    const size_t length = text_format(to, size, text, arguments);
    va_end(arguments);
    return length;
}

/* What the C library makes of it. */
#define SAME(...)                                                       \
    do {                                                                \
        char want[128], got[128];                                       \
        const int length = snprintf(want, sizeof want, __VA_ARGS__);    \
        assert_int_equal(format(got, sizeof got, __VA_ARGS__), length); \
        assert_string_equal(got, want);                                 \
    } while (0)

static void test_format(void **state)
{
    (void)state;
    SAME("plain");
    SAME("%s, 100%%", "text");
    SAME("%u %u %u", 0u, 7u, UINT32_MAX);
    SAME("%x %x %x", 0u, 0xabcu, UINT32_MAX);
    SAME("%lx %lu", UINT64_MAX, UINT64_MAX);
    SAME("%llx %llu", 0x1234567890abcdefull, 10ull);
    SAME("%zu %zx", (size_t)0, (size_t)SIZE_MAX);
    SAME("%8x|%08x|%3u|%02u", 0xabu, 0xabu, 7u, 123u);
    SAME("%016lx", 0x1234ul);
}

static void test_format_cuts(void **state)
{
    (void)state;
    char to[8];

    memset(to, 'z', sizeof to);
    assert_int_equal(format(to, sizeof to, "%s", "0123456789"), 7);
    assert_string_equal(to, "0123456");
    assert_int_equal(format(to, sizeof to, "%u%u", 12345u, 67890u), 7);
    assert_string_equal(to, "1234567");
    assert_int_equal(format(to, sizeof to, "%40u", 1u), 7);
    assert_string_equal(to, "       ");
    assert_int_equal(format(to, 1, "%s", "x"), 0);
    assert_string_equal(to, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),    cmocka_unit_test(test_equal_and_after),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_format),  cmocka_unit_test(test_format_cuts),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
