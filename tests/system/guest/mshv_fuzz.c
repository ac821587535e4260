/* SPDX-License-Identifier: MIT */
/*
 * Random requests to /dev/mshv and its files, for a bounded time. The driver and
 * the hypervisor must survive; what each request answers does not matter.
 *
 *   mshv_fuzz SECONDS SEED
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "parent/driver/uapi/bulkhead.h"
#include "parent/driver/uapi/mshv.h"

#define FILES_MAX 24
#define RAM_SIZE  (16u << 20)

static int node;
static int host;
static int partitions[FILES_MAX];
static int vps[FILES_MAX];
static int message_ports[FILES_MAX];
static unsigned message_port_count;
static int events[4];
static unsigned partition_count;
static unsigned vp_count;
static uint8_t *ram;
static uint64_t state;
static unsigned long done, accepted;

static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t pick(uint64_t count)
{
    return random_number() % count;
}

/* Often a small number, sometimes an extreme one. */
static uint64_t odd(void)
{
    static const uint64_t extremes[] = {0,          1,          0xfff,     0x1000,
                                        UINT32_MAX, 1ull << 32, INT64_MAX, UINT64_MAX};

    switch (pick(4)) {
    case 0:
        return extremes[pick(sizeof(extremes) / sizeof(extremes[0]))];
    case 1:
        return random_number();
    default:
        return pick(64);
    }
}

static int call(int fd, unsigned long request, void *argument)
{
    int result = ioctl(fd, request, argument);

    done++;
    accepted += result >= 0;
    return result;
}

static void create_partition(void)
{
    struct mshv_create_partition_v2 args = {.pt_flags = pick(4) ? 7 : odd(),
                                            .pt_num_cpu_fbanks = 2};
    int fd = call(node, MSHV_CREATE_PARTITION, &args);

    if (fd >= 0 && partition_count < FILES_MAX)
        partitions[partition_count++] = fd;
    else if (fd >= 0)
        close(fd);
    if (fd >= 0 && pick(8))
        call(fd, MSHV_INITIALIZE_PARTITION, NULL);
}

static void create_vp(int fd)
{
    struct mshv_create_vp args = {.vp_index = (uint32_t)(pick(4) ? pick(4) : odd())};
    int vp = call(fd, MSHV_CREATE_VP, &args);

    if (vp >= 0 && vp_count < FILES_MAX)
        vps[vp_count++] = vp;
    else if (vp >= 0)
        close(vp);
}

static void set_memory(int fd)
{
    struct mshv_user_mem_region args = {
        .size = pick(8) ? pick(RAM_SIZE / 4096) * 4096 : odd(),
        .guest_pfn = pick(8) ? pick(16384) : odd(),
        .userspace_addr = (uintptr_t)ram + (pick(8) ? pick(RAM_SIZE / 4096) * 4096 : odd()),
        .flags = (uint8_t)(pick(4) ? 3 : odd()),
    };

    call(fd, MSHV_SET_GUEST_MEMORY, &args);
    if (pick(2)) {
        args.flags = 4;
        call(fd, MSHV_SET_GUEST_MEMORY, &args);
    }
}

static void hypercall(int fd)
{
    static const uint16_t codes[] = {0x44, 0x101, 0x45, 0x4d, 0x50, 0x51, 0x52, 0x56,
                                     0x91, 0x94,  0xc0, 0xc1, 0xc9, 0xf4, 0x48, 0x4b};
    static const uint32_t names[] = {0,       1,       3,       4,       0x10002,
                                     0x20000, 0x20010, 0x20011, 0x40000, 0x40002,
                                     0x40003, 0x60001, 0x80001, 0x80003, 0xa0010};
    static uint64_t in[512];
    static uint64_t out[512];
    struct mshv_root_hvcall args = {
        .code =
            pick(16) ? codes[pick(sizeof(codes) / sizeof(codes[0]))] : (uint16_t)random_number(),
        .reps = (uint16_t)(pick(2) ? pick(4) : 0),
        .in_sz = (uint16_t)(pick(8) ? 8 + pick(256) : odd()),
        .out_sz = (uint16_t)(pick(8) ? pick(256) : odd()),
        .in_ptr = (uintptr_t)in,
        .out_ptr = (uintptr_t)out,
    };

    for (unsigned i = 0; i < 64; i++)
        in[i] = odd();
    if (args.code == 0x50 || args.code == 0x51) {
        in[1] = pick(4);
        for (unsigned i = 2; i < 64; i += 4)
            in[i] = names[pick(sizeof(names) / sizeof(names[0]))];
        args.in_sz = (uint16_t)(16 + args.reps * (args.code == 0x50 ? 4 : 32));
    }
    if (args.out_sz == 0)
        args.out_ptr = 0;
    call(fd, MSHV_ROOT_HVCALL, &args);
}

static void eventfds(int fd)
{
    struct mshv_user_irqfd irqfd = {.fd = events[pick(4)],
                                    .resamplefd = events[pick(4)],
                                    .gsi = (uint32_t)odd(),
                                    .flags = (uint32_t)(pick(4) ? pick(4) : odd())};
    struct mshv_user_ioeventfd io = {.datamatch = odd(),
                                     .addr = odd(),
                                     .len = (uint32_t)(1u << pick(5)),
                                     .fd = events[pick(4)],
                                     .flags = (uint32_t)(pick(4) ? pick(8) : odd())};
    uint64_t one = 1;

    call(fd, MSHV_IRQFD, &irqfd);
    call(fd, MSHV_IOEVENTFD, &io);
    if (pick(2))
        (void)!write(events[pick(4)], &one, 8);
    if (pick(64) == 0) {
        unsigned i = (unsigned)pick(4);

        close(events[i]);
        events[i] = eventfd(0, EFD_NONBLOCK);
    }
}

/* Message and event ports, messages and events to a VP; what a port has is read. */
static void ports(int fd)
{
    struct bh_message_port message_port = {.connection_id = (uint32_t)(pick(4) ? pick(8) : odd())};
    struct bh_event_port event_port = {.connection_id = (uint32_t)(pick(4) ? pick(8) : odd()),
                                       .fd = events[pick(4)],
                                       .flags = (uint32_t)(pick(8) ? pick(2) : odd())};
    struct bh_signal_event event = {.vp_index = (uint32_t)pick(4),
                                    .sint = (uint8_t)pick(17),
                                    .flag = (uint16_t)random_number()};
    struct bh_watch_room room = {.fd = pick(2) ? events[pick(4)] : (int32_t)odd()};
    static struct bh_post_message message;

    message.vp_index = (uint32_t)pick(4);
    message.sint = (uint32_t)pick(17);
    for (unsigned i = 0; i < 6; i++)
        message.message[i] = (uint8_t)random_number();
    if (pick(2) && message_port_count < FILES_MAX) {
        int port = call(fd, BH_IOC_OPEN_MESSAGE_PORT, &message_port);

        if (port >= 0)
            message_ports[message_port_count++] = port;
    }
    call(fd, BH_IOC_EVENT_PORT, &event_port);
    call(fd, BH_IOC_POST_MESSAGE, &message);
    call(fd, BH_IOC_SIGNAL_EVENT, &event);
    call(fd, BH_IOC_WATCH_ROOM, &room);
    if (message_port_count)
        (void)!read(message_ports[pick(message_port_count)], ram + pick(RAM_SIZE), pick(8192));
}

static void routing(int fd)
{
    static _Alignas(struct mshv_user_irq_table) unsigned char
        room[sizeof(struct mshv_user_irq_table) + 8 * sizeof(struct mshv_user_irq_entry)];
    struct mshv_user_irq_table *table = (struct mshv_user_irq_table *)room;

    table->nr = (uint32_t)(pick(4) ? pick(8) : odd());
    for (unsigned i = 0; i < 8; i++)
        table->entries[i] = (struct mshv_user_irq_entry){
            .gsi = i, .address_lo = 0xfee00000, .data = (uint32_t)odd()};
    call(fd, MSHV_SET_MSI_ROUTING, table);
}

static void bitmap(int fd)
{
    static uint8_t bits[4096];
    struct mshv_gpap_access_bitmap args = {.access_type = (uint8_t)pick(3),
                                           .access_op = (uint8_t)pick(4),
                                           .page_count = pick(8) ? pick(32768) : odd(),
                                           .gpap_base = odd(),
                                           .bitmap_ptr = (uintptr_t)bits};

    call(fd, MSHV_GET_GPAP_ACCESS_BITMAP, &args);
}

static void vp_request(int fd)
{
    struct mshv_get_set_vp_state args = {.type = (uint8_t)pick(6),
                                         .buf_sz = (uint32_t)(pick(4) ? 4096 * pick(5) : odd()),
                                         .buf_ptr = (uintptr_t)ram};
    struct mshv_run_vp message;
    void *page;

    switch (pick(5)) {
    case 0:
        ualarm(2000, 2000); /* again and again: one may come before the call */
        call(fd, MSHV_RUN_VP, &message);
        ualarm(0, 0);
        break;
    case 1:
        call(fd, pick(2) ? MSHV_GET_VP_STATE : MSHV_SET_VP_STATE, &args);
        break;
    case 2:
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (long)pick(4) * 4096);
        if (page != MAP_FAILED) {
            *(volatile uint64_t *)page = random_number();
            munmap(page, 4096);
        }
        break;
    default:
        hypercall(fd);
        break;
    }
}

static void close_one(int *files, unsigned *count)
{
    if (*count == 0)
        return;
    unsigned i = (unsigned)pick(*count);

    close(files[i]);
    files[i] = files[--*count];
}

static void step(void)
{
    int partition = partition_count ? partitions[pick(partition_count)] : node;
    struct bh_partition_id id = {.fd = (int32_t)pick(64)};

    switch (pick(16)) {
    case 0:
        create_partition();
        break;
    case 1:
        create_vp(partition);
        break;
    case 2:
        set_memory(partition);
        break;
    case 3:
        eventfds(partition);
        break;
    case 4:
        routing(partition);
        break;
    case 5:
        bitmap(partition);
        break;
    case 6:
        if (pick(2))
            close_one(partitions, &partition_count);
        else
            close_one(vps, &vp_count);
        break;
    case 10:
        ports(partition);
        break;
    case 11:
        close_one(message_ports, &message_port_count);
        break;
    case 7:
        call(host, BH_IOC_PARTITION_ID, &id);
        break;
    case 8:
        call(pick(2) ? node : partition, random_number(), ram);
        break;
    case 9:
        hypercall(pick(4) ? partition : node);
        break;
    default:
        if (vp_count)
            vp_request(vps[pick(vp_count)]);
        break;
    }
}

static void nothing(int signal)
{
    (void)signal;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = nothing};
    time_t end = time(NULL) + (argc > 1 ? strtol(argv[1], NULL, 10) : 10);

    state = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) | 1;
    printf("mshv_fuzz: seed %llu\n", (unsigned long long)state);
    sigaction(SIGALRM, &action, NULL);
    node = open("/dev/mshv", O_RDWR);
    host = open("/dev/bulkhead", O_RDWR);
    ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < 4; i++)
        events[i] = eventfd(0, EFD_NONBLOCK);
    if (node < 0 || host < 0 || ram == MAP_FAILED) {
        perror("mshv_fuzz");
        return 1;
    }
    while (time(NULL) < end)
        step();
    printf("mshv_fuzz: %lu requests, %lu accepted, %u partitions, %u VPs open\n", done, accepted,
           partition_count, vp_count);
    return 0;
}
