/* SPDX-License-Identifier: MIT */
/* parent/worker/takeover: what the journal may change of a configuration, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "parent/worker/takeover.h"

static struct bh_vm_config file;
static struct bh_vm_config left;
static struct bh_vm_config config;

static int setup(void **state)
{
    (void)state;
    memset(&file, 0, sizeof(file));
    file.vps = 2;
    file.memory_bytes = 64u << 20;
    file.weight = 100;
    (void)snprintf(file.kernel, sizeof(file.kernel), "/boot/kernel");
    file.disk_count = 2;
    (void)snprintf(file.disk[0].id, sizeof(file.disk[0].id), "root");
    (void)snprintf(file.disk[0].path, sizeof(file.disk[0].path), "/disks/root");
    (void)snprintf(file.disk[1].id, sizeof(file.disk[1].id), "cd");
    (void)snprintf(file.disk[1].path, sizeof(file.disk[1].path), "/disks/cd");
    file.disk[0].read_only = true;
    file.disk[1].is_cd = true;
    file.nic_count = 1;
    (void)snprintf(file.nic[0].id, sizeof(file.nic[0].id), "nic0");
    (void)snprintf(file.nic[0].tap, sizeof(file.nic[0].tap), "tap0");
    file.nic[0].link_up = true;
    config = left = file;
    return 0;
}

static bool take(void)
{
    return bh_takeover_config(&config, &left);
}

static void expect_refusal(void)
{
    assert_false(take());
    assert_memory_equal(&config, &file, sizeof(file));
}

static void what_was_set_since_is_kept(void **state)
{
    (void)state;
    left.weight = 300;
    left.cap_percent = 50;
    left.disk[0].iops = 1000;
    left.nic[0].receive_bytes_per_second = 5;
    left.nic[0].link_up = false;
    left.disk[1].path[0] = '\0'; /* ejected */
    assert_true(take());
    assert_int_equal(config.weight, 300);
    assert_int_equal(config.cap_percent, 50);
    assert_int_equal(config.disk[0].iops, 1000);
    assert_int_equal(config.nic[0].receive_bytes_per_second, 5);
    assert_false(config.nic[0].link_up);
    assert_string_equal(config.disk[1].path, "");
}

static void a_device_that_was_removed_stays_away(void **state)
{
    (void)state;
    left.disk[0] = left.disk[1];
    left.disk_count = 1;
    left.nic_count = 0;
    assert_true(take());
    assert_int_equal(config.disk_count, 1);
    assert_string_equal(config.disk[0].id, "cd");
    assert_string_equal(config.disk[0].path, "/disks/cd");
    assert_int_equal(config.nic_count, 0);
}

static void the_file_decides_what_is_opened(void **state)
{
    (void)state;
    (void)snprintf(left.disk[0].path, sizeof(left.disk[0].path), "/etc/shadow");
    expect_refusal();
    left = file;
    (void)snprintf(left.nic[0].tap, sizeof(left.nic[0].tap), "other");
    expect_refusal();
    left = file;
    left.disk[0].path[0] = '\0'; /* not a drive */
    expect_refusal();
    left = file;
    left.disk[1] = left.disk[0]; /* twice */
    expect_refusal();
    left = file;
    left.disk_count = 3;
    expect_refusal();
    left.disk_count = UINT32_MAX;
    expect_refusal();
    left = file;
    left.nic_count = UINT32_MAX;
    expect_refusal();
}

static void nothing_else_comes_from_the_journal(void **state)
{
    (void)state;
    memset(&left, 0xff, sizeof(left)); /* no text ends */
    left.disk_count = file.disk_count;
    left.nic_count = file.nic_count;
    memcpy(left.disk, file.disk, sizeof(left.disk));
    memcpy(left.nic, file.nic, sizeof(left.nic));
    left.disk[0].read_only = false;
    left.disk[0].iops = UINT64_MAX;
    left.nic[0].trusted = true;
    assert_true(take());
    assert_memory_equal(&config, &file, sizeof(file));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_set_since_is_kept, setup),
        cmocka_unit_test_setup(a_device_that_was_removed_stays_away, setup),
        cmocka_unit_test_setup(the_file_decides_what_is_opened, setup),
        cmocka_unit_test_setup(nothing_else_comes_from_the_journal, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
