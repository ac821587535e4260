/* SPDX-License-Identifier: MIT */
/*
 * Messages and events between a child and its parent, counted on both sides.
 *
 *   ports messages N   the child posts N messages while they are read
 *   ports full N       the same, but nothing is read until the child was refused
 *   ports events P N   P event ports, N signals in turn
 *   ports removal N    a port opened and closed N times while the child signals it
 *   ports replies N    N messages to the child
 *   ports flags N      N events to the child by each of several flags, each answered
 *   ports interrupts N N interrupts by irqfd, edge- and then level-triggered with resampling
 *   ports routes N     N interrupts by each of several routes, then N while the routes change
 *   ports doorbell N   N stores to an address, with and without an ioeventfd
 *   ports forever      signals and messages until it is killed
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/abi/intercept.h"
#include "parent/driver/uapi/bulkhead.h"
#include "parent/driver/uapi/mshv.h"
#include "parent/partition/partition.h"
#include "parent/partition/port.h"
#include "tests/system/guest/ports/guest.h"

#define CONNECTION 4u
#define EVENTS     0x1000u
#define ANSWER     0x2000u
#define BATCH      16u

static struct bh_partition *partition;
static struct bh_vp *vp;
static unsigned char *memory;
static struct guest_control *control;
static struct bh_error error;
static unsigned returns; /* from running the VP */
static pthread_t runner;

static _Noreturn void fail(const char *what)
{
    printf("error: %s: %s %s\n", what, error.text, strerror(errno));
    exit(1);
}

static void check(bool ok, const char *what)
{
    if (!ok)
        fail(what);
}

/* ---- the child ---- */

/* Where a part of the section guest_text is for the child. */
static uint64_t address_of(const char *part)
{
    return GUEST_CODE + ((uintptr_t)part - (uintptr_t)__start_guest_text);
}

/* Page tables for the first 2 MiB and for the doorbells' page, and a gate for each vector. */
static void fill_memory(void)
{
    uint64_t *tables = (uint64_t *)(memory + GUEST_TABLES);
    const uint64_t handler = address_of(guest_interrupt);
    tables[0] = (GUEST_TABLES + 0x1000) | 3;
    tables[512] = (GUEST_TABLES + 0x2000) | 3;
    tables[512 + (GUEST_DOORBELL >> 30)] = (GUEST_TABLES + 0x3000) | 3;
    tables[1024] = 0x83;
    tables[1536] = GUEST_DOORBELL | 0x83;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t *gate = (uint64_t *)(memory + GUEST_IDT) + 2 * (size_t)i;
        gate[0] = (handler & 0xffff) | 8u << 16 | 0x8e00ull << 32 | (handler >> 16 & 0xffff) << 48;
        gate[1] = handler >> 32;
    }
    memcpy(memory + GUEST_GDT, (const uint64_t[]){0, 0x00af9b000000ffff, 0x00cf93000000ffff}, 24);
    memcpy(memory + GUEST_CODE, __start_guest_text,
           (uintptr_t)__stop_guest_text - (uintptr_t)__start_guest_text);
}

static void set_registers(void)
{
    const struct bh_register registers[] = {
        {HV_REGISTER_CR4, {.u64 = 0x20}},
        {HV_REGISTER_CR3, {.u64 = GUEST_TABLES}},
        {HV_REGISTER_EFER, {.u64 = 0x500}},
        {HV_REGISTER_CR0, {.u64 = 0x80000011}},
        {HV_REGISTER_CS, {.segment = {.limit = 0xffffffff, .selector = 8, .attributes = 0xa09b}}},
        {HV_REGISTER_SS, {.segment = {.limit = 0xffffffff, .selector = 16, .attributes = 0xc093}}},
        {HV_REGISTER_RIP, {.u64 = address_of((const char *)guest_entry)}},
        {HV_REGISTER_RSP, {.u64 = GUEST_STACK - 8}},
        {HV_REGISTER_RDI, {.u64 = GUEST_CONTROL}},
        {HV_REGISTER_RFLAGS, {.u64 = 2}},
    };
    check(bh_vp_set_registers(vp, registers, sizeof registers / sizeof registers[0], &error),
          "registers");
}

static void make_child(void)
{
    const int node = bh_partition_open_node(&bh_device_layer_kernel, &error);
    check(node >= 0, "node");
    partition = bh_partition_create(&bh_device_layer_kernel, node, &error);
    check(partition != NULL && bh_partition_initialize(partition, &error), "partition");
    memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED && bh_partition_map(partition, 0, memory, GUEST_SIZE, &error),
          "memory");
    control = (struct guest_control *)(memory + GUEST_CONTROL);
    fill_memory();
    vp = bh_vp_create(partition, 0, &error);
    check(vp != NULL, "vp");
    set_registers();
}

/* Moves RIP behind the instruction that the message is about. */
static void skip(uint64_t rip, unsigned length)
{
    const struct bh_register next = {HV_REGISTER_RIP, {.u64 = rip + length}};
    check(bh_vp_set_registers(vp, &next, 1, &error), "skip");
}

/* Until the job's end. Stores outside memory are skipped, and counted as returns. */
static void *run(void *argument)
{
    struct hv_message message;
    (void)argument;
    for (returns = 0;;) {
        check(bh_vp_run(vp, &message, &error) == BH_VP_MESSAGE, "run");
        returns++;
        const struct hv_io_port_intercept *io = (const void *)message.payload;
        const struct hv_gpa_intercept *gpa = (const void *)message.payload;
        if (message.type == HV_MESSAGE_IO_PORT) {
            skip(io->header.rip, 2);
            return NULL;
        }
        if (message.type != HV_MESSAGE_UNMAPPED_GPA) {
            printf("error: message %x\n", message.type);
            exit(1);
        }
        /* movl %eax, 8(%reg) is the one store that is not waited for */
        skip(gpa->header.rip, 3);
    }
}

static void begin(enum guest_job job, uint32_t connection, uint32_t count, uint32_t step)
{
    control->job = job;
    control->connection = connection;
    control->count = count;
    control->step = step;
    control->stop = 0;
    control->done = control->refused = control->missing = control->wrong = 0;
    check(pthread_create(&runner, NULL, run, NULL) == 0, "thread");
}

static void finish(void)
{
    pthread_join(runner, NULL);
}

static void do_job(enum guest_job job, uint32_t connection, uint32_t count, uint32_t step)
{
    begin(job, connection, count, step);
    finish();
}

/* ---- the parent's side ---- */

static void wait_for(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    check(poll(&wanted, 1, 30000) == 1, "nothing came for 30 seconds");
}

static uint64_t take(int fd)
{
    uint64_t value = 0;
    return read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

static int make_event(void)
{
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    check(fd >= 0, "eventfd");
    return fd;
}

/* Reads until `count` messages came, in order and whole. */
static void read_messages(int fd, uint32_t count)
{
    struct hv_message message[BATCH];
    for (uint32_t next = 0; next < count;) {
        const ssize_t size = read(fd, message, sizeof message);
        if (size < 0 && errno == EAGAIN)
            wait_for(fd);
        else
            check(size > 0 && size % (ssize_t)sizeof message[0] == 0, "read");
        for (ssize_t i = 0; i < size / (ssize_t)sizeof message[0]; i++, next++) {
            uint32_t number;
            memcpy(&number, message[i].payload, sizeof number);
            if (number != next || message[i].type != 1 ||
                message[i].payload_size != 4 + next % (HV_MESSAGE_PAYLOAD_SIZE - 3)) {
                printf("error: message %u has number %u, type %u, size %u\n", next, number,
                       message[i].type, message[i].payload_size);
                exit(1);
            }
        }
    }
}

static void messages(uint32_t count, bool wait_until_full)
{
    const int fd = bh_message_port_open(partition, CONNECTION, &error);
    check(fd >= 0, "message port");
    check(bh_message_port_open(partition, CONNECTION, &error) < 0 && error.number == EEXIST,
          "a second port");
    begin(JOB_POST, CONNECTION, count, 0);
    while (wait_until_full && control->refused == 0)
        usleep(1000);
    const uint32_t held = control->done;
    read_messages(fd, count);
    finish();
    printf("posted %u status %u", control->done, control->status);
    if (wait_until_full)
        printf(" held %u", held);
    close(fd);
    do_job(JOB_POST, CONNECTION, 1, 0);
    printf(" closed %u\n", control->status);
}

static void events(uint32_t ports, uint32_t count)
{
    int *fd = calloc(ports, sizeof *fd);
    uint32_t right = 0;
    check(fd != NULL, "memory");
    for (uint32_t i = 0; i < ports; i++) {
        fd[i] = make_event();
        check(bh_event_port_open(partition, EVENTS + i, fd[i], &error), "event port");
    }
    do_job(JOB_SIGNAL, EVENTS, count, ports);
    for (uint32_t i = 0; i < ports; i++)
        right += take(fd[i]) == count / ports + (i < count % ports);
    printf("signaled %u right %u of %u", control->done, right, ports);
    control->flag = 1;
    do_job(JOB_SIGNAL, EVENTS, 1, 1);
    control->flag = 0;
    printf(" flag 1 %u heard %lu", control->status, take(fd[0]));
    check(bh_event_port_close(partition, EVENTS, &error), "close");
    check(!bh_event_port_close(partition, EVENTS, &error) && error.number == ENOENT, "close again");
    do_job(JOB_SIGNAL, EVENTS, 1, 1);
    printf(" closed %u\n", control->status);
    free(fd);
}

static void removal(uint32_t count)
{
    const int fd = make_event();
    uint64_t taken = 0;
    begin(JOB_STORM, EVENTS, 0, 1);
    for (uint32_t i = 0; i < count; i++) {
        check(bh_event_port_open(partition, EVENTS, fd, &error), "open");
        wait_for(fd);
        taken += take(fd);
        check(bh_event_port_close(partition, EVENTS, &error), "close");
        taken += take(fd);
        usleep(500); /* the child's turn, with no port there */
    }
    control->stop = 1;
    finish();
    printf("opened %u signaled %u seen %lu missed %u wrong %u\n", count, control->done, taken,
           control->missing, control->wrong);
}

static void replies(uint32_t count)
{
    struct hv_message message = {.type = 1, .payload_size = 8};
    const int room = make_event();
    unsigned waits = 0;
    check(bh_partition_watch_room(partition, room, &error), "room");
    begin(JOB_RECEIVE, 0, count, 0); /* step 0: it does not read before there is no room left */
    for (uint32_t i = 0; i < count;) {
        memcpy(message.payload, &i, sizeof i);
        if (bh_partition_post_message(partition, 0, GUEST_SINT, &message, &error)) {
            i++;
        } else {
            check(error.number == EAGAIN, "post");
            control->step = 1;
            wait_for(room);
            take(room);
            waits++;
        }
    }
    control->step = 1;
    finish();
    printf("received %u wrong %u %s\n", control->done, control->wrong,
           waits > 0 ? "waited for room" : "never full");
}

/* One flag, `count` times; returns how often it was answered. */
static uint64_t raise_flag(uint32_t flag, int answer, uint32_t count)
{
    uint64_t answers = 0;
    begin(JOB_FLAGS, ANSWER, count, flag);
    for (uint32_t i = 0; i < count; i++) {
        check(bh_partition_signal_event(partition, 0, GUEST_SINT, flag, &error), "signal");
        wait_for(answer);
        answers += take(answer);
    }
    finish();
    return answers;
}

static void flags(uint32_t count)
{
    static const uint32_t flag[] = {0, 63, 64, 77, HV_EVENT_FLAGS_PER_SINT - 1};
    const int answer = make_event();
    uint64_t answers = 0;
    uint32_t others = 0;
    check(bh_event_port_open(partition, ANSWER, answer, &error), "event port");
    for (size_t i = 0; i < sizeof flag / sizeof flag[0]; i++) {
        answers += raise_flag(flag[i], answer, count);
        others += control->wrong;
    }
    const struct bh_signal_event none = {.sint = GUEST_SINT, .flag = HV_EVENT_FLAGS_PER_SINT};
    check(ioctl(bh_partition_fd(partition), BH_IOC_SIGNAL_EVENT, &none) < 0, "a flag too high");
    check(!bh_partition_signal_event(partition, 0, GUEST_SINT + 1, flag[1], &error) &&
              error.number == ENOTCONN,
          "a masked source");
    printf("answered %lu others %u interrupts %u\n", answers, others,
           *(const uint32_t *)(memory + GUEST_INTERRUPTS));
}

/* ---- interrupts ---- */

#define GSI         9u
#define IRQ_VECTOR  0x50u
#define ROUTE_LEVEL 0x8000u
#define ROUTES      5u    /* entries of a table, at most */
#define GSI_LIMIT   4096u /* the driver's: numbers are below */

/* A table of these entries, at most ROUTES, that says to have `said` of them. */
static int set_table(const struct mshv_user_irq_entry *entry, uint32_t count, uint32_t said,
                     uint32_t reserved)
{
    const uint32_t head[] = {said, reserved};
    unsigned char table[sizeof head + ROUTES * sizeof *entry];
    _Static_assert(sizeof head == sizeof(struct mshv_user_irq_table), "mshv_user_irq_table");
    memcpy(table, head, sizeof head);
    memcpy(table + sizeof head, entry, count * sizeof *entry);
    return ioctl(bh_partition_fd(partition), MSHV_SET_MSI_ROUTING, table);
}

static struct mshv_user_irq_entry route(uint32_t gsi, uint32_t data)
{
    return (struct mshv_user_irq_entry){.gsi = gsi, .address_lo = 0xfee00000, .data = data};
}

static void set_route(uint32_t data)
{
    const struct mshv_user_irq_entry entry = route(GSI, data);
    check(set_table(&entry, 1, 1, 0) == 0, "routing");
}

static int set_irqfd_of(uint32_t gsi, int fd, int resample, uint32_t how)
{
    struct mshv_user_irqfd args = {.fd = fd, .resamplefd = resample, .gsi = gsi, .flags = how};
    return ioctl(bh_partition_fd(partition), MSHV_IRQFD, &args);
}

static int set_irqfd(int fd, int resample, uint32_t how)
{
    return set_irqfd_of(GSI, fd, resample, how);
}

/* Each write to the eventfd must be answered, and, with resampling, its end be told. */
static uint64_t raise(int irq, int answer, int resample, uint32_t count)
{
    const uint64_t one = 1;
    uint64_t ends = 0;
    begin(JOB_ANSWER, ANSWER, count, 0);
    for (uint32_t i = 0; i < count; i++) {
        check(write(irq, &one, sizeof one) == sizeof one, "irq");
        wait_for(answer);
        take(answer);
        if (resample >= 0) {
            wait_for(resample);
            ends += take(resample);
        }
    }
    finish();
    return ends;
}

static void interrupts(uint32_t count)
{
    const int irq = make_event(), answer = make_event(), resample = make_event();
    const uint32_t resampling = 1u << MSHV_IRQFD_BIT_RESAMPLE;
    const uint32_t away = 1u << MSHV_IRQFD_BIT_DEASSIGN;
    check(bh_event_port_open(partition, ANSWER, answer, &error), "event port");
    set_route(IRQ_VECTOR);
    check(set_irqfd(irq, resample, resampling) < 0 && errno == EINVAL, "resampling an edge");
    check(set_irqfd(irq, -1, 0) == 0, "irqfd");
    check(set_irqfd(irq, -1, 0) < 0 && errno == EBUSY, "irqfd twice");
    raise(irq, answer, -1, count);
    printf("edge %u", control->done);
    check(set_irqfd(irq, -1, away) == 0, "away");
    set_route(IRQ_VECTOR | ROUTE_LEVEL);
    check(set_irqfd(irq, resample, resampling) == 0, "resampling a level");
    const uint64_t ends = raise(irq, answer, resample, count);
    printf(" level %u ends %lu interrupts %u\n", control->done, ends,
           *(const uint32_t *)(memory + GUEST_INTERRUPTS));
}

/* ---- routes ---- */

static uint32_t taken(uint32_t vector)
{
    return ((const volatile uint32_t *)(memory + GUEST_BY_VECTOR))[vector - 0x40];
}

/* Each of these is refused, and the table in use stays. */
static void refuse_tables(void)
{
    const struct mshv_user_irq_entry twice[] = {route(GSI, 0x5e), route(GSI, 0x5f)};
    const struct mshv_user_irq_entry far = route(GSI_LIMIT, 0x5e);
    struct mshv_user_irq_entry high = route(GSI, 0x5e);
    high.address_hi = 1;
    check(set_table(twice, 2, 2, 0) < 0 && errno == EINVAL, "a number twice");
    check(set_table(&far, 1, 1, 0) < 0 && errno == EINVAL, "a number too high");
    check(set_table(&high, 1, 1, 0) < 0 && errno == EINVAL, "an address above 4 GiB");
    check(set_table(twice, 1, 1, 1) < 0 && errno == EINVAL, "a reserved word");
    check(set_table(twice, 1, GSI_LIMIT + 1, 0) < 0 && errno == EINVAL, "too many entries");
    check(ioctl(bh_partition_fd(partition), MSHV_SET_MSI_ROUTING, NULL) < 0 && errno == EFAULT,
          "no table");
}

/* From one table to another, all the while that `stop` is not set. */
struct changer {
    pthread_t thread;
    uint32_t vector[2];
    _Atomic unsigned changes;
    _Atomic bool stop;
};

static void *change_routes(void *argument)
{
    struct changer *changer = argument;
    for (; !changer->stop; changer->changes++)
        set_route(changer->vector[changer->changes % 2]);
    return NULL;
}

static void routes(uint32_t count)
{
    const struct mshv_user_irq_entry table[ROUTES] = {route(0, 0x52), route(GSI_LIMIT - 1, 0x50),
                                                      route(77, 0x5d), route(GSI, 0x51),
                                                      route(78, 0x5d)};
    const int irq[] = {make_event(), make_event(), make_event()}, answer = make_event();
    const uint32_t gsi[] = {GSI_LIMIT - 1, GSI, 0};
    struct changer changer = {.vector = {0x54, 0x55}};
    check(bh_event_port_open(partition, ANSWER, answer, &error), "event port");
    check(set_table(table, ROUTES, ROUTES, 0) == 0, "routing");
    for (unsigned i = 0; i < 3; i++)
        check(set_irqfd_of(gsi[i], irq[i], -1, 0) == 0, "irqfd");
    for (unsigned i = 0; i < 3; i++)
        raise(irq[i], answer, -1, count + i);
    refuse_tables();
    raise(irq[1], answer, -1, 1);
    printf("by route %u %u %u", taken(0x50), taken(0x51), taken(0x52));
    check(pthread_create(&changer.thread, NULL, change_routes, &changer) == 0, "thread");
    while (changer.changes == 0)
        usleep(1000);
    raise(irq[1], answer, -1, count);
    changer.stop = true;
    pthread_join(changer.thread, NULL);
    printf(" meanwhile %u", taken(0x54) + taken(0x55) + taken(0x51) - count - 2);
    check(set_table(table, 0, 0, 0) == 0, "an empty table");
    check(write(irq[1], &(const uint64_t){1}, 8) == 8, "no route");
    set_route(0x56);
    raise(irq[1], answer, -1, 1);
    printf(" at last %u others %u interrupts %u\n", taken(0x56),
           taken(0x5d) + taken(0x5e) + taken(0x5f), *(const uint32_t *)(memory + GUEST_INTERRUPTS));
}

/* ---- doorbells ---- */

static int set_ioeventfd(int fd, uint32_t offset, uint32_t size, uint32_t how, uint64_t value)
{
    struct mshv_user_ioeventfd args = {
        .datamatch = value, .addr = GUEST_DOORBELL + offset, .len = size, .fd = fd, .flags = how};
    return ioctl(bh_partition_fd(partition), MSHV_IOEVENTFD, &args);
}

static void stores(uint32_t count, uint32_t offset, uint32_t size, uint64_t value)
{
    control->size = size;
    control->value = value;
    do_job(JOB_DOORBELL, 0, count, offset);
}

static void doorbell(uint32_t count)
{
    const int all = make_event(), five = make_event(), seven = make_event();
    const uint32_t match = 1u << MSHV_IOEVENTFD_BIT_DATAMATCH;
    const uint32_t away = 1u << MSHV_IOEVENTFD_BIT_DEASSIGN;
    check(set_ioeventfd(all, 0, 4, 0, 0) == 0, "any value");
    check(set_ioeventfd(five, 16, 2, match, 5) == 0 && set_ioeventfd(seven, 16, 2, match, 7) == 0,
          "two values");
    check(set_ioeventfd(five, 16, 2, match, 7) < 0 && errno == EEXIST, "a value twice");
    check(set_ioeventfd(all, 0x80, 4, 1u << MSHV_IOEVENTFD_BIT_PIO, 0) < 0 && errno == EOPNOTSUPP,
          "a port");
    stores(count, 0, 4, 0x12345678);
    printf("with: rung %lu returns %u", take(all), returns);
    stores(count, 16, 2, 5);
    stores(count, 16, 2, 0xff0007);
    printf(" five %lu seven %lu", take(five), take(seven));
    stores(count, 16, 2, 6);
    printf(" other returns %u", returns);
    check(set_ioeventfd(all, 0, 4, away, 0) == 0, "away");
    check(set_ioeventfd(all, 0, 4, away, 0) < 0 && errno == ENOENT, "away twice");
    stores(count, 0, 4, 0);
    printf(" without: rung %lu returns %u\n", take(all), returns);
}

/* ---- to be killed ---- */

static void forever(void)
{
    const int fd = bh_message_port_open(partition, CONNECTION, &error);
    check(fd >= 0, "message port");
    for (uint32_t i = 0; i < 100; i++)
        check(bh_event_port_open(partition, EVENTS + i, make_event(), &error), "event port");
    check(set_ioeventfd(make_event(), 0, 4, 0, 0) == 0, "doorbell");
    do_job(JOB_POST, CONNECTION, BH_MESSAGE_PORT_DEPTH, 0);
    begin(JOB_STORM, EVENTS, 0, 100);
    printf("running\n");
    fflush(stdout);
    finish();
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    const uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;
    make_child();
    do_job(JOB_START, 0, 0, 0);
    if (strcmp(what, "messages") == 0)
        messages(count, false);
    else if (strcmp(what, "full") == 0)
        messages(count, true);
    else if (strcmp(what, "events") == 0 && argc == 4)
        events(count, (uint32_t)strtoul(argv[3], NULL, 0));
    else if (strcmp(what, "removal") == 0)
        removal(count);
    else if (strcmp(what, "replies") == 0)
        replies(count);
    else if (strcmp(what, "flags") == 0)
        flags(count);
    else if (strcmp(what, "interrupts") == 0)
        interrupts(count);
    else if (strcmp(what, "routes") == 0)
        routes(count);
    else if (strcmp(what, "doorbell") == 0)
        doorbell(count);
    else if (strcmp(what, "forever") == 0)
        forever();
    else
        return 2;
    return 0;
}
