/* SPDX-License-Identifier: MIT */
/* parent/worker/takeover: what the journal may change of a configuration, and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "parent/worker/keeper.h"
#include "parent/worker/takeover.h"

static struct bh_vm_config file;
static struct bh_vm_config left;
static struct bh_vm_config config;
static struct bh_vm_config added;

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
    memset(&added, 0, sizeof(added));
    return 0;
}

static bool take(void)
{
    return bh_takeover_config(&config, &left, &added);
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
    left.disk_count = 3; /* one without a path, which is no drive */
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

/* A disk, an empty drive and a NIC that the file does not have. */
static void add_devices(void)
{
    struct bh_disk_config *disk = &left.disk[left.disk_count++];
    struct bh_disk_config *drive = &left.disk[left.disk_count++];
    struct bh_nic_config *nic = &left.nic[left.nic_count++];

    (void)snprintf(disk->id, sizeof(disk->id), "more");
    (void)snprintf(disk->path, sizeof(disk->path), "/disks/more");
    disk->iops = 7;
    disk->kept = BH_KEPT_DISKS;
    (void)snprintf(drive->id, sizeof(drive->id), "drive");
    drive->is_cd = true;
    (void)snprintf(nic->id, sizeof(nic->id), "nic1");
    (void)snprintf(nic->tap, sizeof(nic->tap), "tap1");
    nic->mac[5] = 9;
    nic->mtu = 1500;
    nic->queues = 2;
    nic->link_up = true;
    nic->kept = 1;
}

static void what_was_added_is_told_apart(void **state)
{
    struct bh_disk_config disk;
    struct bh_nic_config nic;

    (void)state;
    add_devices();
    (void)snprintf(left.disk[1].path, sizeof(left.disk[1].path), "/disks/other"); /* a disc */
    left.disk[1].kept = 2;
    assert_true(take());
    assert_int_equal(config.disk_count, 1);
    assert_string_equal(config.disk[0].id, "root");
    assert_int_equal(config.nic_count, 1);
    assert_int_equal(added.disk_count, 3);
    assert_int_equal(added.nic_count, 1);
    assert_true(bh_takeover_disk(&added.disk[0], &disk));
    assert_true(disk.is_cd && disk.read_only);
    assert_int_equal(disk.kept, 2);
    assert_true(bh_takeover_disk(&added.disk[1], &disk));
    assert_memory_equal(&disk, &left.disk[2], sizeof(disk));
    assert_true(bh_takeover_disk(&added.disk[2], &disk));
    assert_true(disk.is_cd && disk.path[0] == '\0' && disk.kept == 0);
    assert_true(bh_takeover_nic(&added.nic[0], &nic));
    assert_memory_equal(&nic, &left.nic[1], sizeof(nic));
}

static void expect_no_disk(struct bh_disk_config disk)
{
    struct bh_disk_config ignored;

    assert_false(bh_takeover_disk(&disk, &ignored));
}

static void what_no_request_could_have_added_is_no_device(void **state)
{
    struct bh_disk_config disk;
    struct bh_nic_config nic;

    (void)state;
    add_devices();
    disk = left.disk[2];
    disk.kept++; /* no place */
    expect_no_disk(disk);
    disk = left.disk[2];
    disk.kept = 0; /* a file that nobody has opened */
    expect_no_disk(disk);
    disk = left.disk[2];
    disk.path[0] = 'n'; /* neither a file nor a URI */
    expect_no_disk(disk);
    (void)snprintf(disk.path, sizeof(disk.path), "nbd+unix:///?socket=/s");
    expect_no_disk(disk);
    disk = left.disk[2];
    memset(disk.id, 'a', sizeof(disk.id)); /* it does not end */
    expect_no_disk(disk);
    (void)snprintf(disk.id, sizeof(disk.id), "\xff");
    expect_no_disk(disk);
    memset(&disk, 0xff, sizeof(disk));
    expect_no_disk(disk);
    memset(&nic, 0xff, sizeof(nic));
    assert_false(bh_takeover_nic(&nic, &nic));
    nic = left.nic[1];
    nic.queues = BH_CONFIG_NIC_QUEUES_MAX + 1;
    assert_false(bh_takeover_nic(&nic, &nic));
    nic = left.nic[1];
    nic.kept = 0;
    assert_false(bh_takeover_nic(&nic, &nic));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_set_since_is_kept, setup),
        cmocka_unit_test_setup(a_device_that_was_removed_stays_away, setup),
        cmocka_unit_test_setup(the_file_decides_what_is_opened, setup),
        cmocka_unit_test_setup(what_was_added_is_told_apart, setup),
        cmocka_unit_test_setup(what_no_request_could_have_added_is_no_device, setup),
        cmocka_unit_test_setup(nothing_else_comes_from_the_journal, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
