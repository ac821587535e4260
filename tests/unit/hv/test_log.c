/* SPDX-License-Identifier: MIT */
/* The log ring and its console level; crash reports, which end in the log. */
#include "hv/core/log.h"

#include <stdlib.h>
#include <string.h>

#include "hv/abi/msr.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"
#include "tests/unit/hv/unit.h"

#define TEXT_GPA 0x5000u

static struct vp *const vp = &host.vp[0];
static uint64_t begin;

static int setup(void **state)
{
    (void)state;
    host_machine_init(1, PARTITION_PARENT);
    log_set_console_level(LOG_ERROR);
    begin = log_written();
    return 0;
}

/* All that was logged since the test began. */
static const char *logged(void)
{
    static char text[LOG_RING_SIZE + 1];
    uint64_t position = begin;
    const size_t length = log_read(&position, text, sizeof text - 1);

    assert_int_equal(position, begin);
    text[length] = '\0';
    return text;
}

/* ---- the ring ---- */

static void test_lines(void **state)
{
    (void)state;
    log_line(LOG_INFO, "one");
    log_line(LOG_DEBUG, "%s %u", "two", 2u);
    assert_string_equal(logged(), "bulkhead: one\nbulkhead: two 2\n");
}

static void test_console_level(void **state)
{
    (void)state;
    log_set_console_level(LOG_WARNING);
    log_line(LOG_WARNING, "seen");
    assert_string_equal(host.console, "bulkhead: seen\n");
    log_line(LOG_INFO, "not seen");
    assert_string_equal(host.console, "bulkhead: seen\n");
    log_set_console_level(LOG_DEBUG);
    log_line(LOG_DEBUG, "seen too");
    assert_string_equal(host.console, "bulkhead: seen too\n");
}

static void test_long_line_is_cut(void **state)
{
    (void)state;
    char text[600];

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    log_line(LOG_INFO, "%s", text);
    const char *line = logged();

    assert_in_range(strlen(line), 100, 256);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_ring_wraps(void **state)
{
    (void)state;
    static char text[LOG_RING_SIZE];
    uint64_t position = 0;

    for (unsigned i = 0; log_written() < begin + 3ull * LOG_RING_SIZE; i++) {
        log_line(LOG_DEBUG, "%u", i);
    }
    assert_int_equal(log_lost(), log_written() - LOG_RING_SIZE);
    assert_int_equal(log_read(&position, text, sizeof text), LOG_RING_SIZE);
    assert_int_equal(position, log_lost());
    assert_memory_equal(text + LOG_RING_SIZE - 1, "\n", 1);
    /* In pieces that do not divide the ring. */
    char piece[77];
    uint64_t at = position;

    for (size_t sum = 0; sum < LOG_RING_SIZE;) {
        const size_t length = log_read(&at, piece, sizeof piece);

        assert_true(length > 0);
        assert_memory_equal(piece, text + sum, length);
        sum += length;
        at += length;
    }
    assert_int_equal(log_read(&at, piece, sizeof piece), 0);
}

static void test_positions(void **state)
{
    (void)state;
    char text[16];
    uint64_t position = UINT64_MAX;

    assert_int_equal(log_read(&position, text, sizeof text), 0);
    assert_int_equal(position, log_written());
    log_line(LOG_DEBUG, "abc");
    assert_int_equal(log_read(&position, text, 0), 0);
    assert_int_equal(log_read(&position, text, 4), 4);
    assert_memory_equal(text, "bulk", 4);
}

static void test_limit(void **state)
{
    (void)state;
    uint32_t counter = 0;
    unsigned allowed = 0;

    for (unsigned i = 0; i < 100; i++) {
        allowed += log_limit(&counter, 8);
    }
    assert_int_equal(allowed, 8);
}

/* ---- crash reports ---- */

static void write_msr(uint32_t index, uint64_t value)
{
    assert_true(msr_write(vp, index, value));
}

static uint64_t read_msr(uint32_t index)
{
    uint64_t value = 0;

    assert_true(msr_read(vp, index, &value));
    return value;
}

static void crash_with_text(uint64_t gpa, uint64_t length)
{
    write_msr(HV_MSR_CRASH_P0 + 3, gpa);
    write_msr(HV_MSR_CRASH_P0 + 4, length);
    write_msr(HV_MSR_CRASH_CTL, HV_CRASH_NOTIFY | HV_CRASH_MESSAGE);
}

static void test_crash_registers(void **state)
{
    (void)state;
    assert_int_equal(read_msr(HV_MSR_CRASH_CTL), HV_CRASH_NOTIFY | HV_CRASH_MESSAGE);
    for (uint32_t i = 0; i < 5; i++) {
        write_msr(HV_MSR_CRASH_P0 + i, 0x1111111111111111 * (i + 1));
    }
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(read_msr(HV_MSR_CRASH_P0 + i), 0x1111111111111111 * (i + 1));
    }
    assert_string_equal(logged(), "");
    assert_int_equal(host.partition.crash_count, 0);
}

static void test_crash_report(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        write_msr(HV_MSR_CRASH_P0 + i, 0xa0 + i);
    }
    write_msr(HV_MSR_CRASH_CTL, HV_CRASH_NOTIFY);
    assert_string_equal(logged(), "bulkhead: partition 1 crashed: p0=a0 p1=a1 p2=a2 p3=a3 p4=a4\n");
    assert_string_equal(host.console, logged());
    assert_int_equal(host.partition.crash_count, 1);
    write_msr(HV_MSR_CRASH_CTL, HV_CRASH_MESSAGE); /* not a crash */
    write_msr(HV_MSR_CRASH_CTL, 0);
    assert_int_equal(host.partition.crash_count, 1);
}

static void test_crash_text(void **state)
{
    (void)state;
    static const char text[] = "first\nsecond \x1b[31m\x01\xff\n\nlast";

    host_guest_write(TEXT_GPA, text, sizeof text);
    crash_with_text(TEXT_GPA, sizeof text - 1);
    assert_non_null(strstr(logged(), "partition 1 crash | first\n"));
    assert_non_null(strstr(logged(), "partition 1 crash | second .[31m..\n"));
    assert_non_null(strstr(logged(), "partition 1 crash | last\n"));
    assert_null(strchr(logged(), '\x1b'));
}

static void test_crash_long_line(void **state)
{
    (void)state;
    unsigned xs = 0;

    host_page_fill(spa_make(TEXT_GPA), 'x');
    crash_with_text(TEXT_GPA, PAGE_SIZE);
    for (const char *c = logged(); *c != '\0'; c++) {
        xs += *c == 'x';
    }
    assert_int_equal(xs, PAGE_SIZE); /* nothing is lost where lines are broken */
}

static void test_crash_text_elsewhere(void **state)
{
    (void)state;
    static const uint64_t places[] = {HOST_PAGE_HYPERVISOR << 12,
                                      HOST_PAGE_DEPOSITED << 12,
                                      HOST_PAGE_ABSENT << 12,
                                      ~0ull,
                                      ~0ull - 100,
                                      1ull << 52};

    host_page_fill(spa_make(HOST_PAGE_HYPERVISOR << 12), 'S');
    host_page_fill(spa_make(HOST_PAGE_DEPOSITED << 12), 'S');
    for (unsigned i = 0; i < ARRAY_COUNT(places); i++) {
        crash_with_text(places[i], 64);
    }
    assert_null(strstr(logged(), "crash |"));
    /* Runs from the partition's last page into the hypervisor's: stops there. */
    host_page_fill(spa_make((HOST_GUEST_PAGES - 1) << 12), 'a');
    crash_with_text((HOST_GUEST_PAGES << 12) - 3, 64);
    assert_non_null(strstr(logged(), "crash | aaa\n"));
    assert_null(strchr(logged(), 'S'));
    crash_with_text(TEXT_GPA, PAGE_SIZE + 1); /* longer than a page: no text */
    crash_with_text(TEXT_GPA, ~0ull);
    assert_int_equal(host.partition.crash_count, ARRAY_COUNT(places) + 3);
}

static void test_crash_for_ever(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        crash_with_text(TEXT_GPA, 16);
    }
    assert_int_equal(host.partition.crash_count, 10000);
    assert_true(log_written() - begin < 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lines, setup),
        cmocka_unit_test_setup(test_console_level, setup),
        cmocka_unit_test_setup(test_long_line_is_cut, setup),
        cmocka_unit_test_setup(test_ring_wraps, setup),
        cmocka_unit_test_setup(test_positions, setup),
        cmocka_unit_test_setup(test_limit, setup),
        cmocka_unit_test_setup(test_crash_registers, setup),
        cmocka_unit_test_setup(test_crash_report, setup),
        cmocka_unit_test_setup(test_crash_text, setup),
        cmocka_unit_test_setup(test_crash_long_line, setup),
        cmocka_unit_test_setup(test_crash_text_elsewhere, setup),
        cmocka_unit_test_setup(test_crash_for_ever, setup),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
