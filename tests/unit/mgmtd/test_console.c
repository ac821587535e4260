/* SPDX-License-Identifier: MIT */
/* The scrollback: offsets, trimming, and a life after a restart. */
#include "tests/unit/mgmtd/common.h"

#include "mgmtd/console.h"

#define LIMIT 4096

static void append(struct console *console, int from, int to)
{
    for (int i = from; i < to; i++) {
        char line[32];
        int size = snprintf(line, sizeof(line), "line %06d.....\n", i); /* 17 bytes */

        assert_int_equal(size, 17);
        assert_true(console_append(console, line, (size_t)size));
    }
}

/* Everything from `offset` on is the lines as they were numbered. */
static uint64_t check_from(struct console *console, uint64_t offset)
{
    struct console_span span;
    uint64_t at = 0;
    char bytes[100];
    ssize_t got;

    while ((got = console_read(console, offset, bytes, sizeof(bytes), &span)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            char line[32];

            at = span.first + (uint64_t)i;
            snprintf(line, sizeof(line), "line %06d.....\n", (int)(at / 17));
            assert_int_equal(bytes[i], line[at % 17]);
        }
        offset = span.first + (uint64_t)got;
    }
    assert_int_equal(got, 0);
    assert_int_equal(offset, span.end);
    return span.oldest;
}

static void offsets_are_those_of_the_first_byte_ever(void **state)
{
    struct console *console = console_open(*state, LIMIT);
    uint64_t oldest;

    append(console, 0, 10);
    assert_int_equal(check_from(console, 0), 0);
    check_from(console, 100);
    append(console, 10, 1000);
    oldest = check_from(console, 0);
    assert_true(oldest > 0);
    assert_true(17000 - oldest >= LIMIT);
    assert_true(17000 - oldest < 2L * LIMIT);
    console_close(console);
}

static void a_restart_goes_on_at_the_same_offset(void **state)
{
    struct console *console = console_open(*state, LIMIT);
    uint64_t oldest;

    append(console, 0, 777);
    oldest = check_from(console, 0);
    console_close(console);
    console = console_open(*state, LIMIT);
    assert_int_equal(check_from(console, 0), oldest);
    append(console, 777, 900);
    check_from(console, 0);
    console_close(console);
}

static void a_gap_is_passed_over(void **state)
{
    struct console *console = console_open(*state, LIMIT);

    append(console, 0, 10);
    console_leave_gap(console, 5UL * 17);
    append(console, 15, 30);
    check_from(console, 0);
    check_from(console, 12UL * 17);
    console_close(console);
    console = console_open(*state, LIMIT);
    append(console, 30, 40);
    check_from(console, 0);
    console_close(console);
}

static void reading_behind_the_end_gives_nothing(void **state)
{
    struct console *console = console_open(*state, LIMIT);
    struct console_span span;
    char byte;

    assert_int_equal(console_read(console, 0, &byte, 1, &span), 0);
    append(console, 0, 1);
    assert_int_equal(console_read(console, 17, &byte, 1, &span), 0);
    assert_int_equal(console_read(console, UINT64_MAX, &byte, 0, &span), 0);
    assert_int_equal(span.end, 17);
    assert_int_equal(console_read(console, 16, &byte, 1, &span), 1);
    assert_int_equal(byte, '\n');
    console_close(console);
}

static void a_smaller_limit_trims(void **state)
{
    struct console *console = console_open(*state, 1 << 20);

    append(console, 0, 2000);
    assert_int_equal(check_from(console, 0), 0);
    console_set_limit(console, LIMIT);
    append(console, 2000, 3000);
    assert_true(51000 - check_from(console, 0) < 2L * LIMIT);
    console_close(console);
    console_remove(*state);
    console = console_open(*state, LIMIT);
    append(console, 0, 1);
    assert_int_equal(check_from(console, 0), 0);
    console_close(console);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(offsets_are_those_of_the_first_byte_ever),
        DIRECTORY_TEST(a_restart_goes_on_at_the_same_offset),
        DIRECTORY_TEST(a_gap_is_passed_over),
        DIRECTORY_TEST(reading_behind_the_end_gives_nothing),
        DIRECTORY_TEST(a_smaller_limit_trims),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
