/* SPDX-License-Identifier: MIT */
/* parent/partition/host.c against a simulated driver. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parent/worker/crash.h"
#include "tests/unit/parent/fake_driver.h"

static int setup(void **state)
{
    (void)state;
    fake_driver_reset();
    return 0;
}

static struct bh_host *open_host(void)
{
    struct bh_error error;
    struct bh_host *host = bh_host_open(&fake_device_layer, &error);

    assert_non_null(host);
    return host;
}

static void expect_open_error(int number, bool on_bulkhead, const char *remedy)
{
    struct bh_error error;

    fake_driver.open_errno = number;
    fake_driver.on_bulkhead = on_bulkhead;
    assert_null(bh_host_open(&fake_device_layer, &error));
    assert_int_equal(error.number, number);
    assert_non_null(strstr(error.text, remedy));
}

static void open_errors_name_the_remedy(void **state)
{
    (void)state;
    expect_open_error(ENOENT, true, "modprobe bulkhead");
    expect_open_error(ENODEV, true, "modprobe bulkhead");
    expect_open_error(ENOENT, false, "boot entry");
    expect_open_error(EACCES, true, "as root");
    expect_open_error(EPERM, false, "as root");
    expect_open_error(EMFILE, true, strerror(EMFILE));
}

static void closing_closes_the_file(void **state)
{
    struct bh_host *host = open_host();

    (void)state;
    assert_int_equal(fake_driver.open_files, 1);
    bh_host_close(host);
    assert_int_equal(fake_driver.open_files, 0);
    bh_host_close(NULL);
}

static void texts_without_end_are_ended(void **state)
{
    struct bh_host *host = open_host();
    struct bh_info info;
    struct bh_error error;

    (void)state;
    memset(fake_driver.info.release, 'x', sizeof(fake_driver.info.release));
    memset(fake_driver.info.command_line, 'y', sizeof(fake_driver.info.command_line));
    assert_true(bh_host_info(host, &info, &error));
    assert_int_equal(strlen(info.release), sizeof(info.release) - 1);
    assert_int_equal(strlen(info.command_line), sizeof(info.command_line) - 1);
    bh_host_close(host);
}

static void statistics_come_from_the_object_asked_for(void **state)
{
    struct bh_host *host = open_host();
    struct bh_error error;
    struct bh_hypervisor_stats hypervisor;
    struct bh_lp_stats lp;
    struct bh_partition_stats partition;
    struct bh_vp_stats vp;

    (void)state;
    assert_true(bh_host_hypervisor_stats(host, &hypervisor, &error));
    assert_int_equal(hypervisor.frames_parent, 261120);
    assert_true(bh_host_lp_stats(host, 1, &lp, &error));
    assert_int_equal(lp.apic_id, 1);
    assert_true(bh_host_partition_stats(host, BH_PARTITION_SELF, &partition, &error));
    assert_int_equal(partition.hypercalls, 42);
    assert_true(bh_host_vp_stats(host, 1, 1, &vp, &error));
    assert_int_equal(vp.exits[BH_EXIT_HLT], 4001);
    bh_host_close(host);
}

static void an_object_that_is_not_there_is_named(void **state)
{
    struct bh_host *host = open_host();
    struct bh_error error;
    struct bh_lp_stats lp;
    struct bh_vp_stats vp;
    struct bh_partition_stats partition;

    (void)state;
    assert_false(bh_host_lp_stats(host, 2, &lp, &error));
    assert_int_equal(error.number, ENOENT);
    assert_non_null(strstr(error.text, "LP 2"));
    assert_false(bh_host_vp_stats(host, 1, 3, &vp, &error));
    assert_non_null(strstr(error.text, "VP 3"));
    assert_false(bh_host_partition_stats(host, 9, &partition, &error));
    assert_int_equal(error.number, ENOENT);
    bh_host_close(host);
}

static void a_partition_is_known_by_its_file(void **state)
{
    struct bh_host *host = open_host();
    struct bh_error error;
    uint64_t id = 0;

    (void)state;
    assert_true(bh_host_partition_id(host, 78, &id, &error));
    assert_int_equal(id, 2);
    assert_false(bh_host_partition_id(host, 3, &id, &error));
    assert_int_equal(error.number, EINVAL);
    bh_host_close(host);
}

static void a_failing_driver_is_an_error_everywhere(void **state)
{
    struct bh_host *host = open_host();
    struct bh_error error;
    struct bh_info info;
    struct bh_log_output log;
    struct bh_hypervisor_stats stats;

    (void)state;
    fake_driver.ioctl_errno = EIO;
    assert_false(bh_host_info(host, &info, &error));
    assert_false(bh_host_read_log(host, 0, &log, &error));
    assert_false(bh_host_hypervisor_stats(host, &stats, &error));
    assert_int_equal(error.number, EIO);
    bh_host_close(host);
}

static void each_crash_report_is_seen_once(void **state)
{
    struct bh_host *host = open_host();
    struct bh_crash_watch watch = {0};
    uint64_t parameters[BH_CRASH_PARAMETERS];

    (void)state;
    assert_false(bh_crash_look(&watch, host, 0, parameters));
    assert_false(bh_crash_look(&watch, host, 1, parameters));
    fake_driver.partition.crash_count = 1;
    fake_driver.partition.crash_parameter[4] = 0xdead;
    assert_true(bh_crash_look(&watch, host, 1, parameters));
    assert_int_equal(parameters[4], 0xdead);
    assert_false(bh_crash_look(&watch, host, 1, parameters));
    fake_driver.partition.crash_count = 2;
    assert_true(bh_crash_look(&watch, host, 1, parameters));
    assert_false(bh_crash_look(&watch, NULL, 1, parameters));
    fake_driver.partition.partition_id = 5; /* after a reset: another one, counting from 0 */
    fake_driver.partition.crash_count = 1;
    assert_true(bh_crash_look(&watch, host, 5, parameters));
    bh_host_close(host);
}

static void every_exit_has_its_own_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BH_EXIT_COUNT; i++) {
        assert_non_null(bh_exit_name(i));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(bh_exit_name(i), bh_exit_name(j));
    }
    assert_null(bh_exit_name(BH_EXIT_COUNT));
    assert_string_equal(bh_vendor_name(BH_VENDOR_VMX), "vmx");
    assert_string_equal(bh_vendor_name(77), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(open_errors_name_the_remedy, setup),
        cmocka_unit_test_setup(closing_closes_the_file, setup),
        cmocka_unit_test_setup(texts_without_end_are_ended, setup),
        cmocka_unit_test_setup(statistics_come_from_the_object_asked_for, setup),
        cmocka_unit_test_setup(an_object_that_is_not_there_is_named, setup),
        cmocka_unit_test_setup(a_partition_is_known_by_its_file, setup),
        cmocka_unit_test_setup(a_failing_driver_is_an_error_everywhere, setup),
        cmocka_unit_test_setup(each_crash_report_is_seen_once, setup),
        cmocka_unit_test(every_exit_has_its_own_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
