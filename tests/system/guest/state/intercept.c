/* SPDX-License-Identifier: MIT */
/* Intercepts that the parent asks for: the child stops, and the parent answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/abi/hypercall.h"
#include "hv/abi/intercept.h"
#include "hv/abi/partition.h"
#include "tests/system/guest/state/child.h"

#define UD_ENTRY 24u /* of vector 6, in the table of real mode */

/* ---- MSRs ---- */

/* Real mode: an MSR that there is; then one that there is not, read and written. */
static const unsigned char stranger[] = {
    0x66, 0xb9,     0x1b, 0x00, 0x00, 0x00, /* mov ecx, 0x1b */
    0x0f, 0x32,                             /* rdmsr */
    0x66, 0xb9,     0x45, 0x23, 0x01, 0x00, /* mov ecx, 0x12345 */
    0x0f, 0x32,                             /* rdmsr */
    0x0f, 0x30,                             /* wrmsr */
    0xe6, PORT_END,                         /* out 0x80, al */
    0xeb, 0xea,                             /* jmp to the start */
};

static int install_for(const struct child *child, unsigned type, unsigned access,
                       unsigned long parameter)
{
    struct hv_input_install_intercept input = {
        .access = access, .type = type, .parameter = parameter};
    struct mshv_root_hvcall arguments = {
        .code = HVCALL_INSTALL_INTERCEPT, .in_sz = sizeof input, .in_ptr = (__u64)&input};
    return ioctl(child->partition, MSHV_ROOT_HVCALL, &arguments) == 0 ? 0 : arguments.status;
}

static int install_intercept(const struct child *child, unsigned type, unsigned access)
{
    return install_for(child, type, access, 0);
}

/* Up to the next stop, which is this intercept: its header. */
static const struct hv_intercept_header *expect_stop(struct child *child, unsigned type)
{
    call(child->vp, MSHV_RUN_VP, &child->message, "run");
    if (child->message.type != type) {
        printf("error: message %x instead of %x\n", child->message.type, type);
        exit(1);
    }
    return (const void *)child->message.payload;
}

/* The next stop is this access to the MSR; goes over it. */
static void expect_msr(struct child *child, unsigned access, unsigned long rdx, unsigned long rax)
{
    const struct hv_msr_intercept *msr = (const void *)child->message.payload;
    call(child->vp, MSHV_RUN_VP, &child->message, "run");
    expect(child->message.type == HV_MESSAGE_MSR && msr->header.access == access &&
               msr->number == 0x12345,
           "not the MSR that the guest used");
    expect(access == HV_ACCESS_READ || (msr->rdx == rdx && msr->rax == rax), "not what it wrote");
    set_scalar(child, HV_REGISTER_RIP,
               msr->header.rip + (msr->header.length_and_cr8 & HV_INTERCEPT_LENGTH_MASK));
}

void test_msr(void)
{
    const unsigned both = HV_INTERCEPT_ACCESS_READ | HV_INTERCEPT_ACCESS_WRITE;
    struct hv_input_set_partition_property input = {.code = HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION,
                                                    .value = 1};
    struct mshv_root_hvcall ignore = {
        .code = HVCALL_SET_PARTITION_PROPERTY, .in_sz = sizeof input, .in_ptr = (__u64)&input};
    struct child child;
    create(&child, stranger, sizeof stranger);
    expect(install_intercept(&child, HV_INTERCEPT_MSR, both) == 0, "install");
    expect(install_intercept(&child, HV_INTERCEPT_IO_PORT, both) == 0, "install for ports");
    expect(install_intercept(&child, HV_INTERCEPT_IO_PORT, 0) == HV_STATUS_OPERATION_DENIED &&
               install_intercept(&child, HV_INTERCEPT_APIC_EOI, 4) == HV_STATUS_INVALID_PARAMETER,
           "an intercept that there is not");
    for (unsigned round = 0; round < 2; round++) { /* the second one, with unknown ones ignored */
        expect_msr(&child, HV_ACCESS_READ, 0, 0);
        set_scalar(&child, HV_REGISTER_RAX, 0x89abcdef);
        set_scalar(&child, HV_REGISTER_RDX, 0x01234567);
        expect_msr(&child, HV_ACCESS_WRITE, 0x01234567, 0x89abcdef);
        expect(run(&child) == PORT_END, "the guest does not go on");
        call(child.partition, MSHV_ROOT_HVCALL, &ignore, "ignore unknown MSRs");
    }
    expect(install_intercept(&child, HV_INTERCEPT_MSR, HV_INTERCEPT_ACCESS_WRITE) == 0, "writes");
    expect_msr(&child, HV_ACCESS_WRITE, 0, 0);
    expect(run(&child) == PORT_END, "the guest does not go on");
    expect(install_intercept(&child, HV_INTERCEPT_MSR, 0) == 0, "remove");
    expect(run(&child) == PORT_END, "the intercept is still there");
    destroy(&child);
    printf("msr answered\n");
}

/* ---- CPUID ---- */

static const unsigned char asker[] = {
    0x66, 0xb8,     0x01, 0x00, 0x00, 0x00, /* mov eax, 1 */
    0x0f, 0xa2,                             /* cpuid */
    0xe6, PORT_END,                         /* out 0x80, al */
    0xeb, 0xf4,                             /* jmp to the start */
};

void test_cpuid(void)
{
    struct child child;
    create(&child, asker, sizeof asker);
    const struct hv_cpuid_intercept *cpuid = (const void *)child.message.payload;
    const struct hv_io_port_intercept *io = (const void *)child.message.payload;
    expect(install_for(&child, HV_INTERCEPT_CPUID, HV_INTERCEPT_ACCESS_EXECUTE, 1) == 0, "install");
    for (unsigned round = 0; round < 3; round++) {
        const struct hv_intercept_header *header = expect_stop(&child, HV_MESSAGE_CPUID);
        expect(cpuid->rax == 1 && cpuid->default_rcx >> 31 == 1, "not what CPUID would say");
        expect((header->length_and_cr8 & HV_INTERCEPT_LENGTH_MASK) == 2, "the length");
        set_scalar(&child, HV_REGISTER_RAX, 0x1234 + round);
        set_scalar(&child, HV_REGISTER_RIP, header->rip + 2);
        expect(run(&child) == PORT_END && io->rax == 0x1234 + round, "not the parent's answer");
    }
    expect(install_for(&child, HV_INTERCEPT_CPUID, 0, 1) == 0, "remove");
    expect(run(&child) == PORT_END && io->rax > 0xffff, "not the processor's answer");
    destroy(&child);
    printf("cpuid answered\n");
}

/* ---- exceptions ---- */

static const unsigned char faulty[] = {
    0x0f, 0x0b,     /* ud2 */
    0x31, 0xc9,     /* xor cx, cx */
    0xf7, 0xf1,     /* div cx */
    0xe6, PORT_END, /* out 0x80, al */
    0xeb, 0xf6,     /* jmp to the start */
};

static void expect_exception(struct child *child, unsigned vector, unsigned length)
{
    const struct hv_exception_intercept *exception = (const void *)child->message.payload;
    const unsigned long rip = expect_stop(child, HV_MESSAGE_EXCEPTION)->rip;
    expect(exception->vector == vector && exception->instruction_byte_count >= length &&
               memcmp(exception->instruction, child->memory + rip, length) == 0,
           "not the exception at this instruction");
    set_scalar(child, HV_REGISTER_RIP, rip + length);
}

void test_exceptions(void)
{
    struct child child;
    create(&child, faulty, sizeof faulty);
    expect(install_for(&child, HV_INTERCEPT_EXCEPTION, HV_INTERCEPT_ACCESS_EXECUTE, 6) == 0 &&
               install_for(&child, HV_INTERCEPT_EXCEPTION, HV_INTERCEPT_ACCESS_EXECUTE, 0) == 0,
           "install");
    expect(install_for(&child, HV_INTERCEPT_EXCEPTION, HV_INTERCEPT_ACCESS_EXECUTE, 2) ==
               HV_STATUS_INVALID_PARAMETER,
           "NMIs are the machine's");
    for (unsigned round = 0; round < 3; round++) {
        expect_exception(&child, 6, 2);
        expect_exception(&child, 0, 2);
        expect(run(&child) == PORT_END, "the guest does not go on");
    }
    expect(install_for(&child, HV_INTERCEPT_EXCEPTION, 0, 6) == 0, "remove");
    child.memory[UD_ENTRY] = (CODE + 2) & 0xff; /* the guest's own handler: what follows the UD2 */
    child.memory[UD_ENTRY + 1] = CODE >> 8;
    set_scalar(&child, HV_REGISTER_RSP, STACK);
    expect_exception(&child, 0, 2);
    destroy(&child);
    printf("exceptions seen\n");
}

/* ---- hypercalls ---- */

static const unsigned char caller[] = {
    0xb9, 0x77,     0x77, 0x00, 0x00,             /* mov ecx, 0x7777 */
    0xb8, 0x99,     0x00, 0x00, 0x00,             /* mov eax, 0x99 */
    0x0f, 0x01,     0xd9,                         /* vmmcall */
    0x8a, 0x1c,     0x25, 0x00, 0x00, 0x00, 0x40, /* mov bl, [0x40000000] */
    0xe6, PORT_END,                               /* out 0x80, al */
    0xeb, 0xe8,                                   /* jmp to the start */
};

/* Long mode; the first 2 MiB are mapped one to one. */
static void enter_long_mode(const struct child *child)
{
    const unsigned long tables[] = {0x9003, 0xa003, 0x83};
    const union hv_register_value cs = {.segment = {.limit = 0xffffffff, .attributes = 0xa09b}};
    for (unsigned i = 0; i < 3; i++)
        memcpy(child->memory + 0x8000 + i * 0x1000ul, &tables[i], sizeof tables[i]);
    expect(set_scalar(child, HV_REGISTER_CR3, 0x8000) == 0 &&
               set_scalar(child, HV_REGISTER_CR4, CR4_OSFXSR | 0x20) == 0 &&
               set_scalar(child, HV_REGISTER_EFER, 0x500) == 0 &&
               set_scalar(child, HV_REGISTER_CR0, 0x80000011) == 0 &&
               set_register(child, HV_REGISTER_CS, cs) == 0,
           "long mode");
}

/* The page fault behind the call, in which RAX is the call's result. */
static void expect_fault(struct child *child, unsigned long rax)
{
    const struct hv_exception_intercept *exception = (const void *)child->message.payload;
    expect_exception(child, 14, 7);
    expect(exception->parameter == 0x40000000 && exception->error_code == 0 &&
               (exception->info & HV_EXCEPTION_ERROR_CODE_VALID),
           "not the fault");
    expect(exception->general[0] == rax && exception->general[1] == 0x7777, "not the registers");
    expect(run(child) == PORT_END, "the guest does not go on");
}

void test_calls(void)
{
    const union hv_register_value pattern = {.u128 = {0x1122334455667788, 0x99aabbccddeeff00}};
    struct child child;
    create(&child, caller, sizeof caller);
    enter_long_mode(&child);
    const struct hv_hypercall_intercept *made = (const void *)child.message.payload;
    expect(set_register(&child, HV_REGISTER_XMM0 + 5, pattern) == 0, "XMM5");
    expect(install_for(&child, HV_INTERCEPT_EXCEPTION, HV_INTERCEPT_ACCESS_EXECUTE, 14) == 0 &&
               install_intercept(&child, HV_INTERCEPT_HYPERCALL, HV_INTERCEPT_ACCESS_EXECUTE) == 0,
           "install");
    for (unsigned long round = 0; round < 3; round++) {
        const struct hv_intercept_header *header = expect_stop(&child, HV_MESSAGE_HYPERCALL);
        expect(made->rcx == 0x7777 && made->rax == 0x99 &&
                   memcmp(made->xmm[5], pattern.u128, sizeof pattern.u128) == 0,
               "not the call that the guest made");
        set_scalar(&child, HV_REGISTER_RAX, 0x500 + round);
        set_scalar(&child, HV_REGISTER_RIP,
                   header->rip + (header->length_and_cr8 & HV_INTERCEPT_LENGTH_MASK));
        expect_fault(&child, 0x500 + round);
    }
    expect(install_intercept(&child, HV_INTERCEPT_HYPERCALL, 0) == 0, "remove");
    expect_fault(&child, HV_STATUS_INVALID_HYPERCALL_CODE);
    destroy(&child);
    printf("calls answered\n");
}
