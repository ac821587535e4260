/* SPDX-License-Identifier: MIT */
/*
 * Children with a few bytes of real-mode code, through /dev/mshv.
 *
 *   child cycle N     N partitions one after the other, each made, run and taken apart
 *   child intercepts  every kind of intercept once; a line for each, with what it said
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/abi/hypercall.h"
#include "hv/abi/intercept.h"
#include "hv/abi/synic.h"
#include "hv/abi/vp.h"
#include "parent/driver/uapi/mshv.h"

#define MEMORY_SIZE     0x4000u
#define CODE            0x1000u
#define NMI_HANDLER     0x1100u
#define NMI_PORT        0x80
#define NMI_VECTOR      ((size_t)2)
#define PORT            0x3f8
#define HOLE            0x8000u
#define RFLAGS_NONE     0x2u
#define CODE_ATTRIBUTES 0x9bu

/* Port 0x3f8 is written and read, the page at 0x8000 is read and written, then CPUID, HLT and an
 * interrupt without a table. */
static const unsigned char code[] = {
    0xb0, 0x5a,                         /* mov al, 0x5a */
    0xba, 0xf8, 0x03,                   /* mov dx, 0x3f8 */
    0xee,                               /* out dx, al */
    0xec,                               /* in al, dx */
    0xa2, 0x01, 0x80,                   /* mov [0x8001], al */
    0xa0, 0x02, 0x80,                   /* mov al, [0x8002] */
    0x66, 0xb8, 0x00, 0x00, 0x00, 0x40, /* mov eax, 0x40000000 */
    0x0f, 0xa2,                         /* cpuid */
    0x66, 0x89, 0xd8,                   /* mov eax, ebx */
    0xba, 0xf8, 0x03,                   /* mov dx, 0x3f8 */
    0x66, 0xef,                         /* out dx, eax */
    0xf4,                               /* hlt */
    0x0f, 0x01, 0x1e, 0x00, 0x12,       /* lidt [0x1200] */
    0xcc,                               /* int3 */
};
static const unsigned char handler[] = {0xe6, NMI_PORT, 0xcf}; /* out 0x80, al; iret */

struct child {
    int partition, vp;
    unsigned char *memory;
    struct hv_message message;
};

static int node;

static _Noreturn void fail(const char *what)
{
    printf("error: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int call(int file, unsigned long command, void *argument, const char *what)
{
    const int result = ioctl(file, command, argument);
    if (result < 0)
        fail(what);
    return result;
}

static void hypercall(int file, unsigned short number, unsigned short reps, void *input,
                      size_t size, const char *what)
{
    struct mshv_root_hvcall arguments = {
        .code = number, .reps = reps, .in_sz = (__u16)size, .in_ptr = (__u64)input};
    call(file, MSHV_ROOT_HVCALL, &arguments, what);
}

struct set_registers {
    struct hv_input_vp_registers head;
    struct hv_register_assoc element[2];
};

static void set_register(const struct child *child, unsigned name, union hv_register_value value)
{
    struct set_registers input = {.element = {{.name = name, .value = value}}};
    hypercall(child->vp, HVCALL_SET_VP_REGISTERS, 1, &input, sizeof input - sizeof input.element[1],
              "set a register");
}

static void set_scalar(const struct child *child, unsigned name, unsigned long value)
{
    set_register(child, name, (union hv_register_value){.u128 = {value, 0}});
}

static void map_memory(struct child *child)
{
    child->memory =
        mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (child->memory == MAP_FAILED)
        fail("memory");
    memset(child->memory, 0, MEMORY_SIZE);
    memcpy(child->memory + CODE, code, sizeof code);
    memcpy(child->memory + NMI_HANDLER, handler, sizeof handler);
    child->memory[NMI_VECTOR * 4] = NMI_HANDLER & 0xff;
    child->memory[NMI_VECTOR * 4 + 1] = NMI_HANDLER >> 8;
    struct mshv_user_mem_region region = {.size = MEMORY_SIZE,
                                          .userspace_addr = (__u64)child->memory,
                                          .flags = 1u << MSHV_SET_MEM_BIT_WRITABLE |
                                                   1u << MSHV_SET_MEM_BIT_EXECUTABLE};
    call(child->partition, MSHV_SET_GUEST_MEMORY, &region, "map memory");
}

static void create(struct child *child)
{
    struct mshv_create_partition partition = {.pt_flags = 1u << MSHV_PT_BIT_LAPIC |
                                                          1u << MSHV_PT_BIT_X2APIC};
    struct mshv_create_vp vp = {.vp_index = 0};
    child->partition = call(node, MSHV_CREATE_PARTITION, &partition, "create a partition");
    call(child->partition, MSHV_INITIALIZE_PARTITION, NULL, "initialize");
    map_memory(child);
    child->vp = call(child->partition, MSHV_CREATE_VP, &vp, "create a VP");
    set_register(
        child, HV_REGISTER_CS,
        (union hv_register_value){.segment = {.limit = 0xffff, .attributes = CODE_ATTRIBUTES}});
    set_scalar(child, HV_REGISTER_RIP, CODE);
    set_scalar(child, HV_REGISTER_RSP, 0x3000);
    set_scalar(child, HV_REGISTER_RFLAGS, RFLAGS_NONE);
}

static void destroy(struct child *child)
{
    close(child->vp);
    close(child->partition);
    munmap(child->memory, MEMORY_SIZE);
}

static const void *run(struct child *child)
{
    call(child->vp, MSHV_RUN_VP, &child->message, "run");
    return child->message.payload;
}

/* Port and size, or the end of the program. */
static const struct hv_io_port_intercept *expect_io(struct child *child, const char *name)
{
    const struct hv_io_port_intercept *io = run(child);
    if (child->message.type != HV_MESSAGE_IO_PORT) {
        printf("error: %s: message %x\n", name, child->message.type);
        exit(1);
    }
    printf("%s port %x size %u access %u rax %lx length %u bytes %u first %x\n", name, io->port,
           io->access_info & HV_IO_SIZE_MASK, io->header.access, io->rax,
           io->header.length_and_cr8 & HV_INTERCEPT_LENGTH_MASK, io->instruction_byte_count,
           io->instruction[0]);
    return io;
}

static void skip(const struct child *child, const struct hv_intercept_header *header,
                 unsigned length)
{
    set_scalar(child, HV_REGISTER_RIP, header->rip + length);
}

static void expect_memory(struct child *child, const char *name)
{
    const struct hv_gpa_intercept *gpa = run(child);
    printf("%s message %x gpa %lx access %u bytes %u first %x\n", name, child->message.type,
           gpa->gpa, gpa->header.access, gpa->instruction_byte_count, gpa->instruction[0]);
    skip(child, &gpa->header, 3);
}

static void on_alarm(int number)
{
    (void)number;
}

/* HLT without interrupts: the run ends by the signal only. Then an NMI wakes the VP. */
static void expect_halt(struct child *child)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    struct hv_input_assert_interrupt nmi = {.type = HV_INTERRUPT_NMI};
    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    if (ioctl(child->vp, MSHV_RUN_VP, &child->message) == 0 || errno != EINTR)
        fail("a halted VP did not wait");
    printf("hlt waits\n");
    hypercall(child->vp, HVCALL_ASSERT_VIRTUAL_INTERRUPT, 0, &nmi, sizeof nmi, "send an NMI");
    const struct hv_io_port_intercept *io = expect_io(child, "nmi");
    skip(child, &io->header, 2);
}

static void intercepts(void)
{
    struct child child;
    create(&child);
    const struct hv_io_port_intercept *io = expect_io(&child, "out");
    skip(&child, &io->header, 1);
    io = expect_io(&child, "in");
    set_scalar(&child, HV_REGISTER_RAX, 0xa5);
    skip(&child, &io->header, 1);
    expect_memory(&child, "write");
    expect_memory(&child, "read");
    io = expect_io(&child, "cpuid");
    skip(&child, &io->header, 2);
    expect_halt(&child);
    run(&child);
    printf("fault message %x\n", child.message.type);
    destroy(&child);
}

static void cycle(unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        struct child child;
        create(&child);
        const struct hv_io_port_intercept *io = run(&child);
        if (child.message.type != HV_MESSAGE_IO_PORT || io->port != PORT) {
            printf("error: cycle %lu: message %x\n", i, child.message.type);
            exit(1);
        }
        destroy(&child);
    }
    printf("cycles %lu\n", count);
}

int main(int argc, char **argv)
{
    node = open("/dev/mshv", O_RDWR | O_CLOEXEC);
    if (node < 0)
        fail("/dev/mshv");
    if (argc == 3 && strcmp(argv[1], "cycle") == 0) {
        cycle(strtoul(argv[2], NULL, 0));
    } else if (argc == 2 && strcmp(argv[1], "intercepts") == 0) {
        intercepts();
    } else {
        printf("usage: child cycle N | child intercepts\n");
        return 2;
    }
    return 0;
}
