/* SPDX-License-Identifier: MIT */
/* vsp/bus: token buckets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vsp/bus/bucket.h"

#define SECOND UINT64_C(1000000000)

static void no_rate_is_no_limit(void **state)
{
    struct bh_bucket bucket;

    (void)state;
    bh_bucket_init(&bucket, 0, 0, 5);
    for (int i = 0; i < 1000; i++)
        assert_true(bh_bucket_take(&bucket, UINT64_MAX, 5));
    assert_int_equal(bh_bucket_wait(&bucket, 5), 0);
}

static void the_burst_goes_at_once_and_the_rest_at_the_rate(void **state)
{
    struct bh_bucket bucket;
    uint64_t now = 7 * SECOND;

    (void)state;
    bh_bucket_init(&bucket, 100, 10, now);
    for (int i = 0; i < 10; i++)
        assert_true(bh_bucket_take(&bucket, 1, now));
    assert_false(bh_bucket_take(&bucket, 1, now));
    assert_int_equal(bh_bucket_wait(&bucket, now), SECOND / 100);
    assert_false(bh_bucket_take(&bucket, 1, now + SECOND / 100 - 1));
    assert_true(bh_bucket_take(&bucket, 1, now + SECOND / 100));
    assert_false(bh_bucket_take(&bucket, 1, now + SECOND / 100));
}

static void what_is_larger_than_the_burst_goes_and_leaves_a_debt(void **state)
{
    struct bh_bucket bucket;

    (void)state;
    bh_bucket_init(&bucket, 1000, 100, 0);
    assert_true(bh_bucket_take(&bucket, 1100, 0));
    assert_int_equal(bh_bucket_wait(&bucket, 0), SECOND + SECOND / 1000);
    assert_false(bh_bucket_take(&bucket, 1, SECOND));
    assert_true(bh_bucket_take(&bucket, 1, SECOND + SECOND / 1000));
}

static void many_small_steps_give_the_same_as_one(void **state)
{
    struct bh_bucket bucket;
    uint64_t taken = 0;

    (void)state;
    bh_bucket_init(&bucket, 333, 2, 0);
    for (uint64_t now = 0; now < 10 * SECOND; now += 12345)
        taken += bh_bucket_take(&bucket, 1, now);
    assert_in_range(taken, 3328, 3331);
}

static void a_wait_is_enough_and_never_nothing(void **state)
{
    struct bh_bucket bucket;
    uint64_t now = 0;
    int tries = 0;

    (void)state;
    bh_bucket_init(&bucket, 7, 1, now);
    for (int i = 0; i < 100; i++) {
        while (!bh_bucket_take(&bucket, 3, now)) {
            uint64_t wait = bh_bucket_wait(&bucket, now);

            assert_true(wait > 0);
            now += wait;
            tries++;
        }
    }
    assert_int_equal(tries, 99);
    assert_in_range(now, 42 * SECOND, 43 * SECOND);
}

static void time_that_goes_back_gives_nothing(void **state)
{
    struct bh_bucket bucket;

    (void)state;
    bh_bucket_init(&bucket, 10, 1, SECOND);
    assert_true(bh_bucket_take(&bucket, 1, SECOND));
    assert_false(bh_bucket_take(&bucket, 1, 0));
    assert_true(bh_bucket_wait(&bucket, 0) > 0);
    assert_true(bh_bucket_take(&bucket, 1, SECOND + SECOND / 10));
}

static void extreme_rates_do_not_overflow(void **state)
{
    struct bh_bucket bucket;

    (void)state;
    bh_bucket_init(&bucket, UINT64_MAX, UINT64_MAX, 0);
    assert_true(bh_bucket_take(&bucket, UINT64_MAX, 0));
    (void)bh_bucket_take(&bucket, UINT64_MAX, UINT64_MAX);
    assert_true(bh_bucket_wait(&bucket, UINT64_MAX) <= 2 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(the_burst_goes_at_once_and_the_rest_at_the_rate),
        cmocka_unit_test(what_is_larger_than_the_burst_goes_and_leaves_a_debt),
        cmocka_unit_test(many_small_steps_give_the_same_as_one),
        cmocka_unit_test(a_wait_is_enough_and_never_nothing),
        cmocka_unit_test(time_that_goes_back_gives_nothing),
        cmocka_unit_test(extreme_rates_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
