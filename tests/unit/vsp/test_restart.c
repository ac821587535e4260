/* SPDX-License-Identifier: MIT */
/*
 * Processes that serve a guest's disk are killed again and again, each at some moment, and another
 * one goes on: every request is answered once, and what is read is what was written last.
 *
 * The guest is this process. What it shares with the servers is its memory and the journal.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/protocol/storvsc.h"
#include "vsp/storage/controller.h"
#include "vsp/storage/file.h"

#define KILLS     60
#define SLOTS     24u    /* requests at a time */
#define PAGES     3u     /* of a request */
#define SIZE      12288u /* its bytes */
#define RING      16u    /* first page of the rings */
#define RING_EACH 8u
#define DATA      200u /* first page of data: of each slot, what is written and what is read */

enum step { WRITING, FLUSHING, READING };

struct slot {
    enum step step;
    uint64_t transaction; /* 0: nothing is asked */
    uint64_t rounds;
};

/* Between the guest and the server that runs. */
struct shared {
    _Atomic int ring; /* the server's io_uring; -1: not yet */
    _Atomic bool resumed;
};

struct setup {
    struct guest *guest;
    struct guest_ring ring;
    struct shared *shared;
    void *journal;
    struct bh_controller *controller; /* of the first bus */
    struct bh_uring uring;
    struct slot slot[SLOTS];
    uint64_t last; /* transaction */
    uint32_t relid;
    int left; /* io_uring of the server before; -1: none */
    char path[32];
};

_Static_assert(SIZE == PAGES * 4096u, "whole pages");

static void *map_shared(size_t size)
{
    void *at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

/* --- a server ----------------------------------------------------------------------------- */

static void on_failed(void *context, const char *id, const char *operation, const char *sentence)
{
    (void)context;
    (void)id;
    (void)operation;
    (void)fprintf(stderr, "%s\n", sentence);
}

static struct bh_controller *make_controller(struct setup *setup, struct bh_uring *uring)
{
    const struct bh_disk_options options = {
        .vm = "vm", .id = "disk", .failed = on_failed, .context = setup};
    struct guest *guest = setup->guest;
    struct bh_controller *controller;
    struct bh_error error;
    int fd = open(setup->path, O_RDWR | O_CLOEXEC);
    struct bh_disk *disk;

    assert_true(fd >= 0 && bh_uring_open(uring, guest->loop) == 0);
    controller = bh_controller_create(guest->bus, "vm");
    assert_non_null(controller);
    disk = bh_disk_create(guest->loop, &options, bh_file_open(uring, fd, false, &error));
    assert_true(disk != NULL && bh_controller_add(controller, disk));
    return controller;
}

/* Goes on with the guest until it is killed. The guest can not ring: it is looked at. */
static _Noreturn void serve(struct setup *setup)
{
    static struct bh_uring uring;
    struct guest *guest = setup->guest;
    struct pollfd wait;

    if (setup->left >= 0 && !bh_uring_wait_idle(setup->left))
        _exit(2);
    memset(guest->doorbell, -1, sizeof(guest->doorbell));
    guest->loop = bh_loop_create();
    guest->bus = bh_vmbus_create(&guest->host, guest->loop);
    (void)make_controller(setup, &uring);
    atomic_store(&setup->shared->ring, uring.ring.ring_fd);
    if (!bh_vmbus_resume(guest->bus))
        _exit(3);
    atomic_store(&setup->shared->resumed, true);
    wait = (struct pollfd){.fd = bh_loop_fd(guest->loop), .events = POLLIN};
    for (;;) {
        uint64_t one = 1;

        (void)!write(guest->doorbell[0x2000 + setup->relid], &one, sizeof(one));
        (void)poll(&wait, 1, 1);
        bh_loop_serve(guest->loop);
    }
}

/* --- the guest ---------------------------------------------------------------------------- */

static uint8_t *page_of(const struct setup *setup, uint32_t slot, bool read)
{
    return guest_page(setup->guest, DATA + (2 * slot + read) * PAGES);
}

static bool send_request(struct setup *setup, uint32_t number)
{
    struct slot *slot = &setup->slot[number];
    uint32_t pages = slot->step == FLUSHING ? 0 : PAGES;
    uint32_t payload = pages > 0 ? 4 + pages : 2;
    uint32_t block = number * SIZE / 512;
    uint64_t packet[32] = {0};
    struct storvsc_packet vstor = {.operation = STORVSC_EXECUTE_SRB,
                                   .srb = {.length = 52,
                                           .cdb_length = 16,
                                           .direction = slot->step == WRITING   ? 0
                                                        : slot->step == READING ? 1
                                                                                : 2,
                                           .transfer_length = pages * 4096,
                                           .cdb = {slot->step == WRITING   ? 0x2a
                                                   : slot->step == READING ? 0x28
                                                                           : 0x35,
                                                   0, 0, 0, (uint8_t)(block >> 8), (uint8_t)block,
                                                   0, 0, (uint8_t)(SIZE / 512)}}};

    if (slot->step == FLUSHING)
        memset(vstor.srb.cdb + 1, 0, sizeof(vstor.srb.cdb) - 1);
    packet[0] = (pages > 0 ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_INBAND) |
                (uint64_t)payload << 16 | (uint64_t)(payload + 8) << 32 | UINT64_C(1) << 48;
    packet[1] = ++setup->last;
    packet[2] = UINT64_C(1) << 32;
    packet[3] = SIZE;
    for (uint32_t i = 0; i < pages; i++)
        packet[4 + i] = DATA + (2 * number + (slot->step == READING)) * PAGES + i;
    memcpy(&packet[payload], &vstor, sizeof(vstor));
    if (!guest_ring_write(&setup->ring, packet, (payload + 8) * 8))
        return false;
    slot->transaction = packet[1];
    return true;
}

static void begin_write(struct setup *setup, uint32_t number)
{
    uint64_t *words = (uint64_t *)(void *)page_of(setup, number, false);

    setup->slot[number].step = WRITING;
    for (uint32_t i = 0; i < SIZE / 8; i++)
        words[i] = setup->slot[number].rounds << 32 | number << 16 | i;
    memset(page_of(setup, number, true), 0xee, SIZE);
}

/* Some are flushed between the write and the read. */
static void next_step(struct setup *setup, uint32_t number)
{
    struct slot *slot = &setup->slot[number];

    slot->transaction = 0;
    if (slot->step == WRITING && (slot->rounds + number) % 4 == 0) {
        slot->step = FLUSHING;
    } else if (slot->step != READING) {
        slot->step = READING;
    } else {
        assert_memory_equal(page_of(setup, number, false), page_of(setup, number, true), SIZE);
        slot->rounds++;
        begin_write(setup, number);
    }
}

/* Takes one answer; false when there is none. */
static bool take_answer(struct setup *setup)
{
    struct storvsc_packet answer;
    uint64_t packet[16];
    uint32_t number = 0;

    if (guest_ring_read(&setup->ring, packet, sizeof(packet)) == 0)
        return false;
    while (number < SLOTS && setup->slot[number].transaction != packet[1])
        number++;
    assert_true(packet[1] != 0 && number < SLOTS); /* else it was answered before */
    memcpy(&answer, &packet[2], sizeof(answer));
    assert_int_equal(answer.srb.srb_status, SRB_SUCCESS);
    assert_int_equal(answer.srb.scsi_status, 0);
    next_step(setup, number);
    return true;
}

static uint64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Is the guest; `more`: it also asks for more. */
static void be_guest(struct setup *setup, bool more)
{
    while (take_answer(setup))
        continue;
    for (uint32_t i = 0; more && i < SLOTS; i++)
        if (setup->slot[i].transaction == 0 && !send_request(setup, i))
            break;
    (void)usleep(20);
}

static bool is_quiet(const struct setup *setup)
{
    for (uint32_t i = 0; i < SLOTS; i++)
        if (setup->slot[i].transaction != 0)
            return false;
    return true;
}

/* --- the tests ---------------------------------------------------------------------------- */

/* A server, and its io_uring, which outlives it. */
static pid_t start_server(struct setup *setup)
{
    int process;
    pid_t pid;

    atomic_store(&setup->shared->ring, -1);
    atomic_store(&setup->shared->resumed, false);
    pid = fork();
    if (pid == 0)
        serve(setup);
    while (atomic_load(&setup->shared->ring) < 0) {
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        (void)usleep(50);
    }
    if (setup->left >= 0)
        (void)close(setup->left);
    process = (int)syscall(SYS_pidfd_open, pid, 0);
    setup->left = (int)syscall(SYS_pidfd_getfd, process, atomic_load(&setup->shared->ring), 0);
    (void)close(process);
    return pid;
}

static void stop_server(pid_t pid)
{
    int status;

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void each_request_is_answered_once(void **state)
{
    struct setup *setup = *state;
    uint64_t rounds = 0;
    pid_t pid;

    for (int i = 0; i < KILLS; i++) {
        uint64_t until;

        pid = start_server(setup);
        until = now_us() + (uint64_t)random() % 6000;
        while (now_us() < until || (i % 4 == 0 && !atomic_load(&setup->shared->resumed)))
            be_guest(setup, true);
        stop_server(pid);
    }
    pid = start_server(setup);
    for (uint64_t until = now_us() + 20000000; !is_quiet(setup) && now_us() < until;)
        be_guest(setup, false);
    stop_server(pid);
    assert_true(is_quiet(setup));
    for (uint32_t i = 0; i < SLOTS; i++)
        rounds += setup->slot[i].rounds;
    assert_true(rounds > 0);
}

static void ask(struct setup *setup, const struct storvsc_packet *request)
{
    uint64_t packet[16];

    assert_true(guest_send(&setup->ring, 1, request, sizeof(*request)));
    guest_run(setup->guest);
    assert_true(guest_ring_read(&setup->ring, packet, sizeof(packet)) > 0);
}

/* The unit attention of a disk that was just switched on is taken by TEST UNIT READY. */
static void open_disk(struct setup *setup)
{
    ask(setup, &(struct storvsc_packet){.operation = STORVSC_BEGIN_INITIALIZATION});
    ask(setup, &(struct storvsc_packet){.operation = STORVSC_END_INITIALIZATION});
    ask(setup, &(struct storvsc_packet){.operation = STORVSC_EXECUTE_SRB,
                                        .srb = {.length = 52, .cdb_length = 16, .direction = 2}});
}

/* The guest opens its channel with a first bus of this process, which then does nothing more. */
static int begin(void **state)
{
    struct setup *setup = calloc(1, sizeof(*setup));
    struct guest *guest;
    int fd;

    assert_non_null(setup);
    setup->left = -1;
    setup->shared = map_shared(sizeof(*setup->shared));
    setup->journal = map_shared(bh_vmbus_journal_size());
    guest = setup->guest = guest_begin_with_journal(setup->journal);
    (void)snprintf(setup->path, sizeof(setup->path), "/var/tmp/bh-disk-XXXXXX");
    fd = mkstemp(setup->path);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)SLOTS * SIZE) == 0);
    (void)close(fd);
    setup->controller = make_controller(setup, &setup->uring);
    guest_connect(guest);
    setup->relid = guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid;
    (void)guest_take(guest, VMBUS_ALL_OFFERS_DELIVERED);
    assert_int_equal(guest_open(guest, setup->relid, RING, RING_EACH), 0);
    setup->ring = guest_ring_of(guest, setup->relid, RING, RING_EACH);
    guest_run(guest);
    open_disk(setup);
    for (uint32_t i = 0; i < SLOTS; i++)
        begin_write(setup, i);
    *state = setup;
    return 0;
}

static int end(void **state)
{
    struct setup *setup = *state;

    (void)bh_vmbus_reset(setup->guest->bus, -1);
    bh_controller_destroy(setup->controller);
    bh_uring_close(&setup->uring);
    guest_end(setup->guest);
    if (setup->left >= 0)
        (void)close(setup->left);
    (void)unlink(setup->path);
    (void)munmap(setup->journal, bh_vmbus_journal_size());
    (void)munmap(setup->shared, sizeof(*setup->shared));
    free(setup);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_request_is_answered_once, begin, end),
    };

    srandom((unsigned)getpid());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
