/* SPDX-License-Identifier: MIT */
/* Bulkhead's own hypercalls: information, log, statistics. */
#include "hv/abi/bulkhead.h"
#include "hv/core/log.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_call.h"

static void test_get_info(void **state)
{
    (void)state;
    struct bh_info info;

    host_page_fill(spa_make(OUTPUT), 0xff);
    assert_int_equal(host_call(BH_CALL_GET_INFO, 0, OUTPUT), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &info, sizeof info);
    assert_int_equal(info.abi_version, BH_ABI_VERSION);
    assert_int_equal(info.vendor, BH_VENDOR_SVM);
    assert_int_equal(info.lp_count, HOST_VPS);
    assert_int_equal(info.partition_count, 1);
    assert_int_equal(info.tsc_hz, HOST_TSC_HZ);
    assert_int_equal(info.uptime, host.now);
    assert_string_equal(info.release, "test");
    /* The rest of the page is zero: nothing of the hypervisor's memory shows. */
    for (uint64_t at = sizeof info; at < PAGE_SIZE; at += 4) {
        assert_int_equal(host_guest_read32(OUTPUT + at), 0);
    }
}

static void read_log_at(uint64_t position, struct bh_log_output *output)
{
    const struct bh_log_input input = {position};

    host_guest_write(INPUT, &input, sizeof input);
    assert_int_equal(host_call(BH_CALL_READ_LOG, INPUT, OUTPUT), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, output, sizeof *output);
}

static void test_read_log(void **state)
{
    (void)state;
    static struct bh_log_output output;
    const uint64_t begin = log_written();

    log_line(LOG_DEBUG, "hello %u", 5u);
    read_log_at(begin, &output);
    assert_int_equal(output.position, begin);
    assert_int_equal(output.end, log_written());
    assert_int_equal(output.length, output.end - begin);
    assert_memory_equal(output.text, "bulkhead: hello 5\n", output.length);
    read_log_at(output.end, &output);
    assert_int_equal(output.length, 0);
    assert_int_equal(output.position, output.end);
    read_log_at(UINT64_MAX, &output); /* from the future: as from the end */
    assert_int_equal(output.length, 0);
    assert_int_equal(output.position, output.end);
}

/* A long log is read piece by piece, and what was overwritten shows by the position. */
static void test_read_log_in_pieces(void **state)
{
    (void)state;
    static struct bh_log_output output;
    uint64_t position = 0, lines = 0;

    for (unsigned i = 0; i < 8000; i++) {
        log_line(LOG_DEBUG, "line %u", i);
    }
    read_log_at(position, &output);
    assert_int_equal(output.position, log_written() - LOG_RING_SIZE);
    assert_int_equal(output.length, BH_LOG_TEXT_SIZE);
    for (position = output.position; position < output.end; position += output.length) {
        read_log_at(position, &output);
        assert_int_equal(output.position, position);
        for (uint32_t i = 0; i < output.length; i++) {
            lines += output.text[i] == '\n';
        }
    }
    assert_in_range(lines, LOG_RING_SIZE / 21, LOG_RING_SIZE / 19);
}

static uint64_t get_stats(uint32_t object, uint32_t index, uint64_t partition)
{
    const struct bh_stats_input input = {object, index, partition};

    host_guest_write(INPUT, &input, sizeof input);
    return host_call(BH_CALL_GET_STATS, INPUT, OUTPUT);
}

static void test_hypervisor_stats(void **state)
{
    (void)state;
    struct bh_hypervisor_stats stats;

    assert_int_equal(get_stats(BH_STATS_HYPERVISOR, 99, 99), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    assert_int_equal(stats.uptime, host.now);
    assert_int_equal(stats.frames_total, HOST_PAGE_COUNT - 1);
    assert_int_equal(stats.frames_hypervisor, 1);
    assert_int_equal(stats.frames_parent, HOST_GUEST_PAGES + 1);
    assert_int_equal(stats.frames_shared, 1);
    assert_int_equal(stats.frames_deposited, 1);
    assert_int_equal(stats.frames_unassigned, 1);
    assert_int_equal(stats.frames_total, stats.frames_hypervisor + stats.frames_parent +
                                             stats.frames_deposited + stats.frames_unassigned);
    assert_int_equal(stats.pool_pages_total, 8);
    assert_int_equal(stats.pool_pages_free, 5);
    assert_int_equal(stats.log_bytes, log_written());
    assert_int_equal(stats.log_lost_bytes, log_lost());
}

static void test_lp_stats(void **state)
{
    (void)state;
    struct bh_lp_stats stats;

    for (uint32_t i = 0; i < HOST_VPS; i++) {
        assert_int_equal(get_stats(BH_STATS_LP, i, 0), HV_STATUS_SUCCESS);
        host_guest_read(OUTPUT, &stats, sizeof stats);
        assert_int_equal(stats.apic_id, i);
    }
    assert_int_equal(get_stats(BH_STATS_LP, HOST_VPS, 0), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(get_stats(BH_STATS_LP, ~0u, 0), HV_STATUS_INVALID_PARAMETER);
}

static void test_partition_stats(void **state)
{
    (void)state;
    struct bh_partition_stats stats;

    host.partition.crash_parameter[3] = 0x33;
    host.partition.nested.table_pages = 12;
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, SELF), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    assert_int_equal(stats.partition_id, PARTITION_PARENT);
    assert_int_equal(stats.vp_count, HOST_VPS);
    assert_int_equal(stats.frames_owned, HOST_GUEST_PAGES + 1);
    assert_int_equal(stats.nested_table_pages, 12);
    assert_int_equal(stats.hypercalls, 0); /* completed ones */
    assert_int_equal(stats.crash_parameter[3], 0x33);
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, PARTITION_PARENT), HV_STATUS_SUCCESS);
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, 0), HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(get_stats(BH_STATS_PARTITION, 0, 0x10001), HV_STATUS_INVALID_PARTITION_ID);
}

static void test_vp_stats(void **state)
{
    (void)state;
    struct bh_vp_stats stats;

    host.vp[3].stats.time_guest = 500 * HOST_TSC_PER_UNIT;
    host.vp[3].stats.exits[BH_EXIT_CPUID] = 17;
    assert_int_equal(get_stats(BH_STATS_VP, 3, SELF), HV_STATUS_SUCCESS);
    host_guest_read(OUTPUT, &stats, sizeof stats);
    assert_int_equal(stats.time_guest, 500);
    assert_int_equal(stats.exits[BH_EXIT_CPUID], 17);
    assert_int_equal(get_stats(BH_STATS_VP, HOST_VPS, SELF), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(get_stats(BH_STATS_VP, ~0u, SELF), HV_STATUS_INVALID_VP_INDEX);
    assert_int_equal(get_stats(BH_STATS_VP, 0, 7), HV_STATUS_INVALID_PARTITION_ID);
    assert_int_equal(get_stats(BH_STATS_VP + 1, 0, SELF), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(get_stats(~0u, 0, SELF), HV_STATUS_INVALID_PARAMETER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_get_info, host_call_setup),
        cmocka_unit_test_setup(test_read_log, host_call_setup),
        cmocka_unit_test_setup(test_read_log_in_pieces, host_call_setup),
        cmocka_unit_test_setup(test_hypervisor_stats, host_call_setup),
        cmocka_unit_test_setup(test_lp_stats, host_call_setup),
        cmocka_unit_test_setup(test_partition_stats, host_call_setup),
        cmocka_unit_test_setup(test_vp_stats, host_call_setup),
    };

    return cmocka_run_group_tests_name("hypercall_bulkhead", tests, NULL, NULL);
}
