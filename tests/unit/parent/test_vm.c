/* SPDX-License-Identifier: MIT */
/*
 * parent/worker: a whole VM with its threads, on a simulated driver. Intercepts
 * are scripted; what the VM makes of them is seen in its state, its console and
 * the registers it sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/abi/hypercall.h"
#include "parent/worker/journal.h"
#include "parent/worker/vm.h"
#include "tests/unit/parent/fake_mshv.h"
#include "vsp/bus/parts.h"

static struct bh_vm_config config;
static struct bh_vm *vm;
static struct bh_kept kept;
static int keeper;
static struct bh_vm_journal *journal;
static unsigned changes;
static bool reset_on_crash;
static char kernel_path[] = "/tmp/bh-kernel-XXXXXX";

static void on_change(void *context, const struct bh_vm_status *status)
{
    (void)context;
    (void)status;
    changes++;
}

/* A Multiboot kernel of a few bytes: its header and nothing to run. */
static void write_kernel(void)
{
    const uint32_t header[16] = {0x1badb002, 0x10000,  0u - 0x1badb002u - 0x10000u,
                                 0x100000,   0x100000, 0x100040,
                                 0x100040,   0x100020};
    int fd = mkstemp(kernel_path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, header, sizeof(header)), sizeof(header));
    assert_int_equal(close(fd), 0);
}

static int group_setup(void **state)
{
    (void)state;
    write_kernel();
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    return unlink(kernel_path);
}

static int setup(void **state)
{
    struct bh_error error;
    bool resumed;

    (void)state;
    fake_mshv_reset();
    changes = 0;
    memset(&config, 0, sizeof(config));
    config.vps = 2;
    config.memory_bytes = 32u << 20;
    config.weight = 100;
    config.reset_on_crash = reset_on_crash;
    (void)snprintf(config.kernel, sizeof(config.kernel), "%s", kernel_path);
    if (!bh_kept_open(&kept, -1, &error))
        return 1;
    journal = bh_vm_journal_open(&kept, &resumed, &error);
    if (journal == NULL || resumed)
        return 1;
    vm = bh_vm_create(&config, &fake_mshv_layer, NULL, &kept, journal, on_change, NULL, &error);
    return vm == NULL;
}

static int teardown(void **state)
{
    (void)state;
    bh_vm_destroy(vm);
    reset_on_crash = false;
    return atomic_load(&fake_mshv.open_files);
}

static void start(bool paused)
{
    struct bh_error error;

    if (!bh_vm_start(vm, paused, &error))
        fail_msg("%s", error.text);
}

/* Serves news until the state is this one; fails after ten seconds. */
static void expect_state(enum bh_vm_state state, enum bh_vm_reason reason)
{
    struct pollfd one = {.fd = bh_vm_fd(vm), .events = POLLIN};

    for (unsigned i = 0; i < 100 && (bh_vm_get_status(vm)->state != state ||
                                     bh_vm_get_status(vm)->reason != reason);
         i++) {
        (void)poll(&one, 1, 100);
        bh_vm_serve(vm, bh_vm_take_news(vm));
    }
    assert_int_equal(bh_vm_get_status(vm)->state, state);
    assert_int_equal(bh_vm_get_status(vm)->reason, reason);
}

static void script_write(uint16_t port, unsigned size, uint64_t value)
{
    struct hv_io_port_intercept io = fake_io(port, size, true, value);

    fake_mshv_script(0, HV_MESSAGE_IO_PORT, &io, sizeof(io));
}

static void a_guest_powers_itself_off(void **state)
{
    (void)state;
    script_write(0x600, 1, 5 << 2 | 0x20);
    start(false);
    assert_int_equal(fake_mshv.maps, 1);
    assert_int_equal(fake_mshv.mapped_bytes, 32u << 20);
    expect_state(BH_VM_STOPPED, BH_REASON_GUEST_POWER_OFF);
    assert_int_equal(fake_mshv.vp[0].rip, 0x1002);
    assert_int_equal(changes, 2);
}

static void a_debug_exit_carries_its_value(void **state)
{
    (void)state;
    script_write(0xf4, 4, 0x1234);
    start(false);
    expect_state(BH_VM_STOPPED, BH_REASON_DEBUG_EXIT);
    assert_int_equal(bh_vm_get_status(vm)->exit_code, 0x1234);
}

static void a_reset_builds_a_new_partition(void **state)
{
    (void)state;
    script_write(0x602, 1, 1);
    start(false);
    expect_state(BH_VM_RUNNING, BH_REASON_GUEST_RESET);
    assert_int_equal(fake_mshv.partitions, 2);
    assert_int_equal(bh_vm_get_status(vm)->resets, 1);
}

static void a_triple_fault_stops_or_resets(void **state)
{
    struct hv_intercept_header header = {0};

    (void)state;
    fake_mshv_script(1, HV_MESSAGE_UNRECOVERABLE_EXCEPTION, &header, sizeof(header));
    start(false);
    expect_state(BH_VM_STOPPED, BH_REASON_TRIPLE_FAULT);
}

static void the_end_of_an_interrupt_is_a_note(void **state)
{
    struct hv_apic_eoi_message end = {.vp_index = 0, .vector = 0x41};

    (void)state;
    fake_mshv_script(0, HV_MESSAGE_APIC_EOI, &end, sizeof(end));
    script_write(0x602, 1, 1);
    start(false);
    expect_state(BH_VM_RUNNING, BH_REASON_GUEST_RESET);
}

static void what_cannot_be_served_fails_the_vm(void **state)
{
    struct hv_intercept_header header = {0};

    (void)state;
    fake_mshv_script(0, HV_MESSAGE_EXCEPTION, &header, sizeof(header));
    start(false);
    expect_state(BH_VM_FAILED, BH_REASON_WORKER_ERROR);
    assert_non_null(strstr(bh_vm_get_status(vm)->message, "0x80010003"));
}

static struct hv_gpa_intercept gpa_intercept(uint8_t access, uint64_t gpa)
{
    return (struct hv_gpa_intercept){.header = {.access = access,
                                                .execution_state = HV_EXECUTION_EFER_LMA,
                                                .cs = {.attributes = 0xa09b},
                                                .rip = 0x2000},
                                     .instruction_byte_count = 3,
                                     .gpa = gpa,
                                     .instruction = {0x0f, 0x6f, 0x03}}; /* movq mm0, [rbx] */
}

static void expect_guest_fault(enum bh_vm_state to, const char *part)
{
    expect_state(to, BH_REASON_GUEST_FAULT);
    assert_non_null(strstr(bh_vm_get_status(vm)->message, part));
}

static void an_instruction_that_is_not_emulated_is_a_guest_fault(void **state)
{
    struct hv_gpa_intercept gpa = gpa_intercept(HV_ACCESS_READ, 0xfee00000);

    (void)state;
    fake_mshv_script(0, HV_MESSAGE_UNMAPPED_GPA, &gpa, sizeof(gpa));
    start(false);
    expect_guest_fault(BH_VM_STOPPED, "(first bytes 0f 6f 03) touches 0xfee00000");
}

static void half_an_instruction_is_a_guest_fault(void **state)
{
    struct hv_gpa_intercept gpa = gpa_intercept(HV_ACCESS_READ, 0xfec00000);

    (void)state;
    gpa.instruction_byte_count = 1;
    fake_mshv_script(0, HV_MESSAGE_UNMAPPED_GPA, &gpa, sizeof(gpa));
    start(false);
    expect_guest_fault(BH_VM_STOPPED, "touches 0xfec00000");
}

static void executing_where_no_memory_is_is_a_guest_fault(void **state)
{
    struct hv_gpa_intercept gpa = gpa_intercept(HV_ACCESS_EXECUTE, 0xfec00010);

    (void)state;
    fake_mshv_script(1, HV_MESSAGE_UNMAPPED_GPA, &gpa, sizeof(gpa));
    start(false);
    expect_guest_fault(BH_VM_STOPPED, "executes at 0xfec00010");
}

static void a_string_from_nowhere_is_a_guest_fault(void **state)
{
    struct hv_io_port_intercept io = fake_io(0x3f8, 1, true, 0);

    (void)state;
    io.access_info |= HV_IO_STRING;
    fake_mshv_script(0, HV_MESSAGE_IO_PORT, &io, sizeof(io));
    start(true);
    fake_mshv.vp[0].set[6].u64 = UINT64_C(1) << 40; /* RSI: not translated */
    bh_vm_resume(vm);
    expect_guest_fault(BH_VM_STOPPED, "0x10000000000 is not mapped");
}

static int setup_reset_on_crash(void **state)
{
    reset_on_crash = true;
    return setup(state);
}

static void a_guest_fault_resets_where_that_is_wanted(void **state)
{
    struct hv_gpa_intercept gpa = gpa_intercept(HV_ACCESS_EXECUTE, 0x80000000);

    (void)state;
    fake_mshv_script(0, HV_MESSAGE_UNMAPPED_GPA, &gpa, sizeof(gpa));
    start(false);
    expect_guest_fault(BH_VM_RUNNING, "executes at 0x80000000");
    assert_int_equal(fake_mshv.partitions, 2);
    assert_int_equal(bh_vm_get_status(vm)->resets, 1);
}

/* Waits until the VP has come to the end of its script. */
static void wait_script(unsigned vp)
{
    for (unsigned i = 0; i < 1000; i++) {
        if (atomic_load(&fake_mshv.vp[vp].runs) > fake_mshv.vp[vp].scripted)
            return;
        (void)poll(NULL, 0, 10);
    }
    fail_msg("VP %u hangs", vp);
}

static void the_console_goes_both_ways(void **state)
{
    struct bh_console *console = bh_vm_get_console(vm);
    struct pollfd one = {.fd = bh_console_fd(console), .events = POLLIN};
    struct hv_io_port_intercept in = fake_io(0x3f8, 1, false, 0x1100);
    char text[8] = {0};
    struct bh_console_replay replay;
    int reader;
    int second;

    (void)state;
    script_write(0x3f8, 1, 'h');
    script_write(0x3f8, 1, 'i');
    start(false);
    wait_script(0);
    reader = bh_console_attach(console, 100, &replay);
    assert_int_equal(replay.bytes, 2);
    assert_int_equal(replay.position, 0);
    assert_int_equal(read(reader, text, sizeof(text)), 2);
    assert_string_equal(text, "hi");
    second = bh_console_attach(console, 1, &replay);
    assert_int_equal(replay.bytes, 1);
    assert_int_equal(replay.position, 1);
    assert_int_equal(close(second), 0);
    assert_int_equal(write(reader, "x", 1), 1);
    assert_int_equal(poll(&one, 1, 5000), 1);
    bh_console_serve(console);
    assert_int_equal(bh_console_get_stats(console).in_bytes, 1);
    bh_vm_pause(vm);
    fake_mshv_script(0, HV_MESSAGE_IO_PORT, &in, sizeof(in));
    bh_vm_resume(vm);
    for (unsigned i = 0; i < 1000 && fake_mshv.vp[0].set[0].u64 != (0x1100 | 'x'); i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(fake_mshv.vp[0].set[0].u64, 0x1100 | 'x');
    assert_int_equal(close(reader), 0);
    bh_console_serve(console);
}

static void strings_of_bytes_go_to_ports(void **state)
{
    struct hv_io_port_intercept io = fake_io(0x3f8, 1, true, 0);
    struct bh_console *console = bh_vm_get_console(vm);
    char text[8] = {0};
    struct bh_console_replay replay;
    int reader;

    (void)state;
    io.access_info |= HV_IO_STRING | HV_IO_REP;
    fake_mshv_script(0, HV_MESSAGE_IO_PORT, &io, sizeof(io));
    fake_mshv_script(0, HV_MESSAGE_IO_PORT, &io, sizeof(io));
    start(true);
    memcpy(fake_mshv.ram + 0x300000, "ok", 2);
    fake_mshv.vp[0].set[6].u64 = 0x300000; /* RSI */
    fake_mshv.vp[0].set[1].u64 = 2;        /* RCX */
    bh_vm_resume(vm);
    wait_script(0);
    reader = bh_console_attach(console, 100, &replay);
    assert_int_equal(read(reader, text, sizeof(text)), 2);
    assert_string_equal(text, "ok");
    assert_int_equal(fake_mshv.vp[0].set[6].u64, 0x300002);
    assert_int_equal(fake_mshv.vp[0].set[1].u64, 0);
    assert_int_equal(fake_mshv.vp[0].rip, 0x1002);
    assert_int_equal(close(reader), 0);
}

static void the_register_page_is_used_where_there_is_one(void **state)
{
    struct hv_gpa_intercept gpa = {.header = {.execution_state = HV_EXECUTION_EFER_LMA,
                                              .cs = {.attributes = 0xa09b},
                                              .rip = 0x2000},
                                   .instruction_byte_count = 2,
                                   .gpa = 0xfec00000,
                                   .instruction = {0x89, 0x03}}; /* mov [rbx], eax */
    struct hv_register_page *page = &fake_mshv.vp[0].page;

    (void)state;
    fake_mshv.vp[0].has_page = true;
    page->is_valid = 1;
    page->general[0] = 1;
    fake_mshv_script(0, HV_MESSAGE_UNMAPPED_GPA, &gpa, sizeof(gpa));
    start(false);
    wait_script(0);
    bh_vm_pause(vm);
    assert_int_equal(page->rip, 0x2002);
    assert_int_equal(page->dirty & HV_REGISTER_PAGE_DIRTY_RIP, HV_REGISTER_PAGE_DIRTY_RIP);
}

static void pause_holds_every_vp(void **state)
{
    unsigned runs[2];

    (void)state;
    start(false);
    for (unsigned round = 0; round < 50; round++) {
        bh_vm_pause(vm);
        for (unsigned i = 0; i < 2; i++)
            runs[i] = atomic_load(&fake_mshv.vp[i].runs);
        (void)poll(NULL, 0, 1);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(atomic_load(&fake_mshv.vp[i].runs), runs[i]);
        bh_vm_resume(vm);
    }
    bh_vm_power_off(vm, BH_REASON_REQUESTED);
    assert_int_equal(atomic_load(&fake_mshv.open_files), 1); /* the node, for another start */
}

/* The guest's time is stopped when its VPs have, and goes on before they do. */
static void time_stands_still_in_a_pause(void **state)
{
    uint64_t time;

    (void)state;
    assert_false(bh_vm_reference_time(vm, &time));
    start(false);
    fake_mshv.reference_time = 12345;
    assert_true(bh_vm_reference_time(vm, &time));
    assert_int_equal(time, 12345);
    assert_int_equal(fake_mshv.frozen, 0);
    for (unsigned round = 0; round < 20; round++) {
        bh_vm_pause(vm);
        assert_int_equal(fake_mshv.frozen, 1);
        bh_vm_resume(vm);
        assert_int_equal(fake_mshv.frozen, 0);
    }
    bh_vm_power_off(vm, BH_REASON_REQUESTED);
    assert_int_equal(atomic_load(&fake_mshv.frozen_runs), 0);
    assert_false(bh_vm_reference_time(vm, &time));
}

/* A driver that refuses is no reason to refuse the pause. */
static void a_pause_without_frozen_time(void **state)
{
    (void)state;
    start(false);
    fake_mshv.property_status = HV_STATUS_INVALID_PARAMETER;
    bh_vm_pause(vm);
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_PAUSED);
    bh_vm_resume(vm);
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_RUNNING);
}

static void a_vm_started_paused_has_no_time(void **state)
{
    (void)state;
    start(true);
    assert_int_equal(fake_mshv.frozen, 1);
    bh_vm_resume(vm);
    assert_int_equal(fake_mshv.frozen, 0);
}

static void a_failed_start_says_why_and_leaves_nothing(void **state)
{
    struct bh_error error;

    (void)state;
    fake_mshv.refuse_memory = true;
    assert_false(bh_vm_start(vm, false, &error));
    assert_non_null(strstr(error.text, "32 MiB"));
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_FAILED);
    assert_int_equal(atomic_load(&fake_mshv.open_files), 1);
}

static void without_ports_nothing_starts_and_nothing_is_left(void **state)
{
    struct bh_error error;
    int files = atomic_load(&fake_mshv.open_files);

    (void)state;
    fake_mshv.refuse_ports = true;
    assert_false(bh_vm_start(vm, false, &error));
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_FAILED);
    assert_int_equal(atomic_load(&fake_mshv.open_files), files);
}

/* Ends the run while I/O hangs, and keeps the journal as a process that falls then leaves it. */
static struct bh_vm_journal *journal_of_an_end(bool reset)
{
    struct bh_vmbus *bus = bh_guest_bus_vmbus(bh_vm_get_bus(vm));
    struct bh_vm_journal *left;
    struct bh_error error;
    bool resumed;

    start(false);
    bus->holds++;
    if (reset)
        assert_true(bh_vm_reset(vm, BH_REASON_REQUESTED, &error));
    else
        bh_vm_power_off(vm, BH_REASON_GUEST_POWER_OFF);
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_STOPPING);
    left = bh_vm_journal_open(&kept, &resumed, &error);
    assert_non_null(left);
    *left = *journal;
    bus->holds--;
    expect_state(reset ? BH_VM_RUNNING : BH_VM_STOPPED,
                 reset ? BH_REASON_REQUESTED : BH_REASON_GUEST_POWER_OFF);
    return left;
}

/* Another process, with what the one before left. */
static void begin_again(struct bh_vm_journal *left)
{
    struct bh_error error;

    bh_vm_destroy(vm);
    vm = bh_vm_create(&config, &fake_mshv_layer, NULL, &kept, left, on_change, NULL, &error);
    assert_non_null(vm);
}

/* --- a process that goes on --------------------------------------------------------------- */

/* The simulated driver's: of its partition and VPs. */
static const int descriptors[] = {201, 300, 301};

/* A keeper that has said yes beforehand, to as much as is asked here. */
static void begin_kept(void)
{
    const uint32_t yes[2] = {3, 0};
    struct bh_error error;
    bool resumed;
    int pair[2];

    bh_vm_destroy(vm);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    for (size_t i = 0; i < sizeof(descriptors) / sizeof(int); i++) /* for sending */
        assert_int_equal(dup2(pair[0], descriptors[i]), descriptors[i]);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(send(pair[1], yes, sizeof(yes), 0), sizeof(yes));
    assert_true(bh_kept_open(&kept, pair[0], &error)); /* it takes the first */
    keeper = pair[1];
    journal = bh_vm_journal_open(&kept, &resumed, &error);
    assert_true(journal != NULL && !resumed);
    vm = bh_vm_create(&config, &fake_mshv_layer, NULL, &kept, journal, on_change, NULL, &error);
    assert_non_null(vm);
}

/*
 * Another process, after one that fell with this journal. The partition is as it was; the first
 * process's threads and files are gone, and here its VM is only not looked at any more.
 */
static struct bh_vm *go_on_from(bool may_run, bool frozen, enum bh_vm_state state)
{
    struct bh_vm *fallen = vm;
    struct bh_error error;

    bh_vm_pause(fallen); /* its threads: a process that fell has none */
    journal->may_run = may_run;
    journal->status.state = state;
    memset(journal->status.message, 'x', sizeof(journal->status.message)); /* without an end */
    memset(journal->status.since, 'x', sizeof(journal->status.since));
    fake_mshv.frozen = frozen;
    kept.fd[BH_KEPT_PARTITION] = descriptors[0];
    for (unsigned i = 0; i < 2; i++) {
        kept.fd[BH_KEPT_VP + i] = descriptors[1 + i];
        kept.fd[BH_KEPT_PORT + i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    atomic_fetch_add(&fake_mshv.open_files, 3);
    vm = bh_vm_create(&config, &fake_mshv_layer, NULL, &kept, journal, on_change, NULL, &error);
    assert_non_null(vm);
    if (!bh_vm_go_on(vm, &error))
        fail_msg("%s", error.text);
    return fallen;
}

static void end_kept(struct bh_vm *fallen)
{
    bh_vm_destroy(fallen);
    (void)close(keeper);
    (void)close(kept.socket);
    for (size_t i = 0; i < sizeof(descriptors) / sizeof(int); i++)
        (void)close(descriptors[i]);
}

/* Whatever the fallen process came to, a pause that had begun is one, and its time stands still. */
static void a_pause_outlives_the_process(void **state)
{
    (void)state;
    for (unsigned frozen = 0; frozen < 2; frozen++) {
        struct bh_vm *fallen;

        begin_kept();
        start(false);
        fallen = go_on_from(false, frozen != 0, frozen != 0 ? BH_VM_PAUSED : BH_VM_RUNNING);
        assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_PAUSED);
        assert_int_equal(bh_vm_get_status(vm)->restarts, 1);
        assert_int_equal(fake_mshv.frozen, 1);
        bh_vm_resume(vm);
        assert_int_equal(fake_mshv.frozen, 0);
        assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_RUNNING);
        bh_vm_power_off(vm, BH_REASON_REQUESTED);
        assert_int_equal(atomic_load(&fake_mshv.frozen_runs), 0);
        end_kept(fallen);
    }
}

/* Likewise the end of a pause: the guest runs, and its time does. */
static void the_end_of_a_pause_outlives_the_process(void **state)
{
    (void)state;
    for (unsigned frozen = 0; frozen < 2; frozen++) {
        struct bh_vm *fallen;
        unsigned runs;

        begin_kept();
        start(true);
        runs = atomic_load(&fake_mshv.vp[0].runs);
        fallen = go_on_from(true, frozen != 0, frozen != 0 ? BH_VM_PAUSED : BH_VM_RUNNING);
        assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_RUNNING);
        assert_int_equal(fake_mshv.frozen, 0);
        while (atomic_load(&fake_mshv.vp[0].runs) == runs)
            (void)sched_yield();
        bh_vm_power_off(vm, BH_REASON_REQUESTED);
        assert_int_equal(atomic_load(&fake_mshv.frozen_runs), 0);
        end_kept(fallen);
    }
}

/* A state that no worker writes is none of the guest's. */
static void a_journal_s_texts_and_state_are_bounded(void **state)
{
    struct bh_vm *fallen;

    (void)state;
    begin_kept();
    start(false);
    fallen = go_on_from(true, false, (enum bh_vm_state)1000);
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_RUNNING);
    assert_int_equal(strlen(bh_vm_get_status(vm)->message), sizeof(journal->status.message) - 1);
    bh_vm_power_off(vm, BH_REASON_REQUESTED);
    end_kept(fallen);
}

static void an_end_that_had_begun_is_finished_by_another_process(void **state)
{
    struct bh_vm_journal *left = journal_of_an_end(false);

    (void)state;
    assert_false(left->is_live);
    begin_again(left);
    assert_true(bh_vm_finish_end(vm));
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_STOPPED);
    assert_int_equal(bh_vm_get_status(vm)->reason, BH_REASON_GUEST_POWER_OFF);
    assert_int_equal(bh_vm_get_status(vm)->restarts, 1);
}

static void a_reset_that_had_begun_is_no_end(void **state)
{
    struct bh_vm_journal *left = journal_of_an_end(true);

    (void)state;
    assert_false(left->is_live);
    begin_again(left);
    assert_false(bh_vm_finish_end(vm)); /* it is started */
    start(false);
    assert_int_equal(bh_vm_get_status(vm)->state, BH_VM_RUNNING);
    assert_int_equal(left->ending, 0);
}

static void shares_change_and_are_kept_when_refused(void **state)
{
    struct bh_error error;

    (void)state;
    start(false);
    assert_int_equal(fake_mshv.share, BH_SHARE(100, 0, 0));
    assert_true(bh_vm_set_shares(vm, 400, -1, -1, &error));
    assert_int_equal(fake_mshv.share, BH_SHARE(400, 0, 0));
    assert_true(bh_vm_set_shares(vm, -1, 75, 50, &error)); /* of one LP, for both VPs */
    assert_int_equal(fake_mshv.share, BH_SHARE(400, 2500, 3750));
    fake_mshv.property_status = HV_STATUS_NO_RESOURCES;
    assert_false(bh_vm_set_shares(vm, 500, 200, 190, &error));
    assert_int_equal(error.number, ENOSPC);
    assert_non_null(strstr(error.text, "reserve of 95.00 %"));
    assert_int_equal(bh_vm_get_config(vm)->weight, 400);
    assert_int_equal(bh_vm_get_config(vm)->cap_percent, 75);
    assert_int_equal(bh_vm_get_config(vm)->reserve_percent, 50);
    fake_mshv.property_status = HV_STATUS_INVALID_PARAMETER;
    assert_false(bh_vm_set_shares(vm, 500, -1, -1, &error));
    assert_non_null(strstr(error.text, "status 0x5"));
}

/* What one LP can not limit is no limit; what is too much for one stays too much. */
static void shares_at_their_ends(void **state)
{
    struct bh_error error;

    (void)state;
    start(false);
    assert_true(bh_vm_set_shares(vm, -1, 200, 0, &error));
    assert_int_equal(fake_mshv.share, BH_SHARE(100, 0, 0));
    assert_true(bh_vm_set_shares(vm, -1, 199, 0, &error));
    assert_int_equal(fake_mshv.share, BH_SHARE(100, 0, 9950));
    assert_true(bh_vm_set_shares(vm, 10000, 0, 6400, &error));
    assert_int_equal(fake_mshv.share, BH_SHARE(10000, BH_SHARE_WHOLE, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_guest_powers_itself_off, setup, teardown),
        cmocka_unit_test_setup_teardown(without_ports_nothing_starts_and_nothing_is_left, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_debug_exit_carries_its_value, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_builds_a_new_partition, setup, teardown),
        cmocka_unit_test_setup_teardown(a_triple_fault_stops_or_resets, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_an_interrupt_is_a_note, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_served_fails_the_vm, setup, teardown),
        cmocka_unit_test_setup_teardown(an_instruction_that_is_not_emulated_is_a_guest_fault, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(half_an_instruction_is_a_guest_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(executing_where_no_memory_is_is_a_guest_fault, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_string_from_nowhere_is_a_guest_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_fault_resets_where_that_is_wanted,
                                        setup_reset_on_crash, teardown),
        cmocka_unit_test_setup_teardown(the_console_goes_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_of_bytes_go_to_ports, setup, teardown),
        cmocka_unit_test_setup_teardown(the_register_page_is_used_where_there_is_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(pause_holds_every_vp, setup, teardown),
        cmocka_unit_test_setup_teardown(time_stands_still_in_a_pause, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pause_without_frozen_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_vm_started_paused_has_no_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_start_says_why_and_leaves_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_pause_outlives_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_of_a_pause_outlives_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(a_journal_s_texts_and_state_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(an_end_that_had_begun_is_finished_by_another_process, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_reset_that_had_begun_is_no_end, setup, teardown),
        cmocka_unit_test_setup_teardown(shares_change_and_are_kept_when_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(shares_at_their_ends, setup, teardown),
    };

    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
