/* SPDX-License-Identifier: MIT */
/* parent/tools/bhstat against a simulated driver: options, snapshot, JSON, table, log. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parent/tools/bhstat/json.h"
#include "parent/tools/bhstat/log.h"
#include "parent/tools/bhstat/options.h"
#include "parent/tools/bhstat/table.h"
#include "tests/unit/parent/fake_driver.h"

static struct bh_host *host;

static int setup(void **state)
{
    struct bh_error error;

    (void)state;
    fake_driver_reset();
    host = bh_host_open(&fake_device_layer, &error);
    return host == NULL;
}

static int teardown(void **state)
{
    (void)state;
    bh_host_close(host);
    return fake_driver.open_files;
}

static bool parse(struct bhstat_options *options, char error[256], int argc,
                  const char *const *argv)
{
    return bhstat_options_parse(argc, (char *const *)argv, options, error);
}

#define PARSE(...)                                                                 \
    parse(&options, error,                                                         \
          (int)(sizeof((const char *[]){"bhstat", __VA_ARGS__}) / sizeof(char *)), \
          (const char *[]){"bhstat", __VA_ARGS__, NULL})

static void good_options_are_understood(void **state)
{
    struct bhstat_options options;
    char error[256];

    (void)state;
    assert_true(PARSE("-i", "0.5", "-n", "7"));
    assert_int_equal(options.mode, BHSTAT_LIVE);
    assert_int_equal(options.interval_ms, 500);
    assert_int_equal(options.count, 7);
    assert_true(PARSE("--once"));
    assert_int_equal(options.count, 1);
    assert_true(PARSE("--json"));
    assert_int_equal(options.count, 1);
    assert_true(PARSE("--json", "--count=3"));
    assert_true(options.json);
    assert_int_equal(options.count, 3);
    assert_true(PARSE("--log", "--follow"));
    assert_int_equal(options.mode, BHSTAT_LOG);
    assert_true(options.follow);
    assert_true(PARSE("-h"));
    assert_int_equal(options.mode, BHSTAT_HELP);
}

static void bad_options_are_refused_with_a_sentence(void **state)
{
    struct bhstat_options options;
    char error[256];

    (void)state;
    assert_false(PARSE("-i", "0"));
    assert_non_null(strstr(error, "0.1 to 3600"));
    assert_false(PARSE("-i", "nan"));
    assert_false(PARSE("-i", "1x"));
    assert_false(PARSE("-n", "0"));
    assert_false(PARSE("-n", "-1"));
    assert_false(PARSE("-n", "99999999999999999999999"));
    assert_false(PARSE("--follow"));
    assert_non_null(strstr(error, "--log"));
    assert_false(PARSE("--log", "--json"));
    assert_false(PARSE("--once", "-n", "2"));
    assert_false(PARSE("--bogus"));
    assert_false(PARSE("extra"));
    assert_non_null(strstr(error, "extra"));
}

static void take(struct bhstat_snapshot *snapshot)
{
    struct bh_error error;

    assert_true(bhstat_snapshot_take(host, snapshot, &error));
}

static json_int_t integer_at(const json_t *object, const char *a, const char *b)
{
    const json_t *value = json_object_get(json_object_get(object, a), b);

    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static void json_has_base_units(void **state)
{
    struct bhstat_snapshot snapshot;
    json_t *document;
    const json_t *vps;
    const json_t *share;

    (void)state;
    take(&snapshot);
    document = bhstat_json(&snapshot);
    assert_non_null(document);
    assert_int_equal(integer_at(document, "hypervisor", "uptime_ns"), 10000000000LL);
    assert_int_equal(integer_at(document, "memory", "total_bytes"), 1073741824);
    assert_int_equal(json_array_size(json_object_get(document, "lps")), 2);
    vps = json_object_get(json_array_get(json_object_get(document, "partitions"), 0), "vps");
    assert_int_equal(json_array_size(vps), 2);
    assert_int_equal(integer_at(json_array_get(vps, 1), "exits", "hlt"), 4001);
    assert_int_equal(json_object_size(json_object_get(json_array_get(vps, 0), "exits")),
                     BH_EXIT_COUNT);
    share = json_object_get(json_array_get(json_object_get(document, "partitions"), 0), "share");
    assert_int_equal(json_integer_value(json_object_get(share, "weight")), 250);
    assert_true(json_real_value(json_object_get(share, "reserve_percent")) == 10.5);
    assert_true(json_real_value(json_object_get(share, "cap_percent")) == 50);
    json_decref(document);
    bhstat_snapshot_release(&snapshot);
}

static char *table_text(const struct bhstat_snapshot *before, const struct bhstat_snapshot *now)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    bhstat_table(out, before, now);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void table_shows_averages_since_start(void **state)
{
    struct bhstat_snapshot snapshot;
    char *text;

    (void)state;
    take(&snapshot);
    text = table_text(NULL, &snapshot);
    assert_non_null(strstr(text, "Bulkhead 9.8.7 (svm), up 0:00:10, 2 LPs, 1 partition, averages "
                                 "since start"));
    assert_non_null(strstr(text, "total 1024.0, hypervisor 4.0 (pool 1.0 free of 2.0)"));
    assert_non_null(strstr(text, "   0   25.0   70.0"));
    assert_non_null(strstr(text, "hlt 400\n"));
    assert_non_null(strstr(text, "   1   2    250   10.5   50.0    1020.0"));
    free(text);
    bhstat_snapshot_release(&snapshot);
}

static void table_shows_rates_of_the_interval(void **state)
{
    struct bhstat_snapshot before;
    struct bhstat_snapshot now;
    char *text;

    (void)state;
    take(&before);
    fake_driver.hypervisor.uptime += 20000000; /* 2 s */
    fake_driver.lp[0].time_guest += 10000000;
    fake_driver.vp[1].exits[BH_EXIT_CPUID] += 600;
    fake_driver.vp[1].exits[BH_EXIT_HLT] -= 4000; /* goes down: shown as none */
    take(&now);
    text = table_text(&before, &now);
    assert_non_null(strstr(text, "averages over 2.0 s"));
    assert_non_null(strstr(text, "   0   50.0    0.0"));
    assert_non_null(strstr(text, "cpuid 300\n"));
    assert_null(strstr(text, "hlt"));
    free(text);
    bhstat_snapshot_release(&before);
    bhstat_snapshot_release(&now);
}

static void a_snapshot_that_fails_leaves_nothing(void **state)
{
    struct bhstat_snapshot snapshot;
    struct bh_error error;

    (void)state;
    fake_driver.info.lp_count = 3;
    fake_driver.lp[2].apic_id = 2;
    take(&snapshot);
    bhstat_snapshot_release(&snapshot);
    fake_driver.info.lp_count = 1000000;
    assert_false(bhstat_snapshot_take(host, &snapshot, &error));
    assert_non_null(strstr(error.text, "1000000 processors"));
    assert_null(snapshot.lp);
    fake_driver.info.lp_count = 2;
    fake_driver.ioctl_errno = EIO;
    assert_false(bhstat_snapshot_take(host, &snapshot, &error));
}

static void a_partition_that_ends_meanwhile_is_left_out(void **state)
{
    struct bhstat_snapshot snapshot;

    (void)state;
    fake_driver.vanished_partition = 7;
    take(&snapshot);
    assert_int_equal(snapshot.partition_count, 1);
    assert_int_equal(snapshot.partition[0].stats.partition_id, 1);
    bhstat_snapshot_release(&snapshot);
}

static void fill_log(uint64_t start, uint64_t end)
{
    fake_driver.log_start = start;
    fake_driver.log_end = end;
    for (uint64_t i = start; i < end; i++)
        fake_driver.log[i % sizeof(fake_driver.log)] = (char)('a' + i % 26);
}

static void copy_log(uint64_t *position, uint64_t *lost, uint64_t expected_bytes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct bh_error error;
    uint64_t first;

    assert_non_null(out);
    assert_true(bhstat_log_copy(host, out, position, lost, &error));
    assert_int_equal(fclose(out), 0);
    assert_int_equal(size, expected_bytes);
    first = *position - size;
    for (size_t i = 0; i < size; i++)
        assert_int_equal(text[i], 'a' + (first + i) % 26);
    free(text);
}

static void the_log_is_copied_whole_and_losses_are_counted(void **state)
{
    uint64_t position = 0;
    uint64_t lost = 0;

    (void)state;
    copy_log(&position, &lost, 0);
    fill_log(0, 10000);
    copy_log(&position, &lost, 10000);
    assert_int_equal(lost, 0);
    copy_log(&position, &lost, 0);
    fill_log(10100, 10103);
    copy_log(&position, &lost, 3);
    assert_int_equal(lost, 100);
    assert_int_equal(position, 10103);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_options_are_understood),
        cmocka_unit_test(bad_options_are_refused_with_a_sentence),
        cmocka_unit_test_setup_teardown(json_has_base_units, setup, teardown),
        cmocka_unit_test_setup_teardown(table_shows_averages_since_start, setup, teardown),
        cmocka_unit_test_setup_teardown(table_shows_rates_of_the_interval, setup, teardown),
        cmocka_unit_test_setup_teardown(a_snapshot_that_fails_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_partition_that_ends_meanwhile_is_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_log_is_copied_whole_and_losses_are_counted, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
