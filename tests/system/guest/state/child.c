/* SPDX-License-Identifier: MIT */
/* Making a child and using its registers, by /dev/mshv alone. */
#include "tests/system/guest/state/child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/abi/hypercall.h"
#include "hv/abi/intercept.h"

#define CODE_ATTRIBUTES 0x9bu

int node;

_Noreturn void fail(const char *what)
{
    printf("error: %s: %s\n", what, strerror(errno));
    exit(1);
}

void expect(bool ok, const char *what)
{
    if (!ok) {
        printf("error: %s\n", what);
        exit(1);
    }
}

int call(int file, unsigned long command, void *argument, const char *what)
{
    const int result = ioctl(file, command, argument);
    if (result < 0)
        fail(what);
    return result;
}

/* ---- registers ---- */

int set_register(const struct child *child, unsigned name, union hv_register_value value)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element;
    } input = {.element = {.name = name, .value = value}};
    struct mshv_root_hvcall arguments = {
        .code = HVCALL_SET_VP_REGISTERS, .reps = 1, .in_sz = sizeof input, .in_ptr = (__u64)&input};
    return ioctl(child->vp, MSHV_ROOT_HVCALL, &arguments) == 0 ? 0 : arguments.status;
}

int set_scalar(const struct child *child, unsigned name, unsigned long value)
{
    return set_register(child, name, (union hv_register_value){.u128 = {value, 0}});
}

union hv_register_value get_register(const struct child *child, unsigned name)
{
    struct {
        struct hv_input_vp_registers head;
        unsigned name;
    } input = {.name = name};
    union hv_register_value value;
    struct mshv_root_hvcall arguments = {.code = HVCALL_GET_VP_REGISTERS,
                                         .reps = 1,
                                         .in_sz = sizeof input.head + sizeof input.name,
                                         .out_sz = sizeof value,
                                         .in_ptr = (__u64)&input,
                                         .out_ptr = (__u64)&value};
    call(child->vp, MSHV_ROOT_HVCALL, &arguments, "get a register");
    return value;
}

/* ---- a child ---- */

static void map_memory(struct child *child)
{
    child->area =
        mmap(NULL, 2 * LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (child->area == MAP_FAILED)
        fail("memory");
    child->memory =
        child->area + (LARGE_PAGE - (unsigned long)child->area % LARGE_PAGE) % LARGE_PAGE;
    madvise(child->memory, LARGE_PAGE, MADV_HUGEPAGE);
    memset(child->memory, 0, LARGE_PAGE);
    struct mshv_user_mem_region region = {.size = LARGE_PAGE,
                                          .userspace_addr = (__u64)child->memory,
                                          .flags = 1u << MSHV_SET_MEM_BIT_WRITABLE |
                                                   1u << MSHV_SET_MEM_BIT_EXECUTABLE};
    call(child->partition, MSHV_SET_GUEST_MEMORY, &region, "map memory");
}

void create(struct child *child, const unsigned char *code, size_t size)
{
    struct mshv_create_partition partition = {.pt_flags = 1u << MSHV_PT_BIT_LAPIC |
                                                          1u << MSHV_PT_BIT_X2APIC |
                                                          1u << MSHV_PT_BIT_GPA_SUPER_PAGES};
    struct mshv_create_vp vp = {.vp_index = 0};
    child->partition = call(node, MSHV_CREATE_PARTITION, &partition, "create a partition");
    call(child->partition, MSHV_INITIALIZE_PARTITION, NULL, "initialize");
    map_memory(child);
    memcpy(child->memory + CODE, code, size);
    child->vp = call(child->partition, MSHV_CREATE_VP, &vp, "create a VP");
    const union hv_register_value cs = {
        .segment = {.limit = 0xffff, .attributes = CODE_ATTRIBUTES}};
    expect(set_register(child, HV_REGISTER_CS, cs) == 0, "CS");
    expect(set_scalar(child, HV_REGISTER_RIP, CODE) == 0, "RIP");
    expect(set_scalar(child, HV_REGISTER_CR4, CR4_OSFXSR) == 0, "CR4");
}

void destroy(struct child *child)
{
    close(child->vp);
    close(child->partition);
    munmap(child->area, 2 * LARGE_PAGE);
}

/* Up to the next OUT, and over it. */
unsigned run(struct child *child)
{
    const struct hv_io_port_intercept *io = (const void *)child->message.payload;
    call(child->vp, MSHV_RUN_VP, &child->message, "run");
    if (child->message.type != HV_MESSAGE_IO_PORT) {
        printf("error: message %x instead of a port\n", child->message.type);
        exit(1);
    }
    set_scalar(child, HV_REGISTER_RIP, io->header.rip + 2);
    return io->port;
}
