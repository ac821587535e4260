/* SPDX-License-Identifier: MIT */
/*
 * State of children that only a machine shows, through /dev/mshv. Each test prints one line.
 *
 *   child_state registers  good and bad values of registers that the processor keeps
 *   child_state blobs      local APIC, XSAVE and timers, out and in again
 *   child_state leak       two children take turns, each with its own registers
 *   child_state eoi        the end of a level-triggered interrupt
 *   child_state dirty      the dirty bits of a guest that writes, in large pages
 *   child_state msr        MSRs that the parent answers
 *   child_state cpuid      a leaf of CPUID that the parent answers
 *   child_state exceptions #UD and #DE that the parent sees first
 *   child_state calls      hypercalls that there are not, and a page fault, of a 64-bit guest
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hv/abi/hypercall.h"
#include "hv/abi/intercept.h"
#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "tests/system/guest/state/child.h"

#define PATTERN      0x2000u
#define RESULT       0x2020u
#define WRITE_FIRST  0x5000u
#define WRITE_SECOND 0x7123u
#define LEVEL_VECTOR ((size_t)0x40)
#define STATE_SIZE   16384u

/* ---- registers that the processor keeps ---- */

static void test_registers(void)
{
    static const struct {
        unsigned name;
        unsigned long good, bad;
    } cases[] = {
        {HV_REGISTER_XFEM, 3, 4},
        {HV_REGISTER_XFEM, 1, 1ul << 62},
        {HV_REGISTER_XFEM, 3, 2},
        {HV_REGISTER_DR0, 0xffff800012345678, 0},
        {HV_REGISTER_DR3, 0x1234, 0},
        {HV_REGISTER_DR6, 0xffff0ff1, 1ul << 32},
        {HV_REGISTER_DR7, 0x401, 1ul << 40},
        {HV_REGISTER_TSC_AUX, 0x1234, 1ul << 32},
        {HV_REGISTER_PAT, 0x0007040600070406, 0x02},
        {HV_REGISTER_CR0, 0x60000011, 1ul << 32},
        {HV_REGISTER_CR3, 0x5000, 1ul << 60},
        {HV_REGISTER_EFER, 0x500, 0x1000},
        {HV_REGISTER_SINT0 + 2, 0xf3, 1},
        {HV_REGISTER_APIC_BASE, 0, 1ul << 40},
    };
    struct child child;
    const unsigned char code[] = {0xe6, PORT_END};
    create(&child, code, sizeof code);
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const unsigned name = cases[i].name;
        const unsigned long good =
            cases[i].good != 0 ? cases[i].good : get_register(&child, name).u64;
        expect(set_scalar(&child, name, good) == 0, "a good value was refused");
        if (cases[i].bad != 0)
            expect(set_scalar(&child, name, cases[i].bad) == HV_STATUS_INVALID_REGISTER_VALUE,
                   "a bad value was taken");
        expect(get_register(&child, name).u64 == good, "a value did not stay");
    }
    expect(set_scalar(&child, 0x12345678, 0) == HV_STATUS_INVALID_PARAMETER, "an unknown register");
    destroy(&child);
    printf("registers good\n");
}

/* ---- blobs ---- */

static int move_state(const struct child *child, bool set, unsigned type, void *buffer)
{
    struct mshv_get_set_vp_state arguments = {
        .type = (__u8)type, .buf_sz = STATE_SIZE, .buf_ptr = (__u64)buffer};
    return ioctl(child->vp, set ? MSHV_SET_VP_STATE : MSHV_GET_VP_STATE, &arguments);
}

static void test_blobs(void)
{
    static _Alignas(4096) unsigned char blob[STATE_SIZE], again[STATE_SIZE];
    static const unsigned types[] = {MSHV_VP_STATE_LAPIC, MSHV_VP_STATE_XSAVE,
                                     MSHV_VP_STATE_SYNTHETIC_TIMERS};
    const size_t xmm3 = 160 + 3 * 16; /* in the XSAVE area */
    const union hv_register_value pattern = {.u128 = {0x1122334455667788, 0x99aabbccddeeff00}};
    struct child child;
    const unsigned char code[] = {0xe6, PORT_END};
    create(&child, code, sizeof code);
    run(&child);
    expect(set_register(&child, HV_REGISTER_XMM0 + 3, pattern) == 0, "XMM3");
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        memset(blob, 0, sizeof blob);
        memset(again, 0, sizeof again);
        expect(move_state(&child, false, types[i], blob) == 0, "get a blob");
        expect(move_state(&child, true, types[i], blob) == 0, "set a blob");
        expect(move_state(&child, false, types[i], again) == 0, "get a blob again");
        expect(memcmp(blob, again, sizeof blob) == 0, "a blob has changed on its way");
    }
    expect(move_state(&child, false, MSHV_VP_STATE_XSAVE, blob) == 0, "get XSAVE");
    expect(memcmp(blob + xmm3, pattern.u128, 16) == 0, "XMM3 is not in the blob");
    memset(blob + xmm3, 0x77, 16);
    expect(move_state(&child, true, MSHV_VP_STATE_XSAVE, blob) == 0, "set XSAVE");
    expect(get_register(&child, HV_REGISTER_XMM0 + 3).u64 == 0x7777777777777777, "XMM3");
    blob[520] = 1;
    memset(blob + xmm3, 0x55, 16);
    expect(move_state(&child, true, MSHV_VP_STATE_XSAVE, blob) != 0, "a malformed area was taken");
    expect(get_register(&child, HV_REGISTER_XMM0 + 3).u64 == 0x7777777777777777, "XMM3 changed");
    destroy(&child);
    printf("blobs good\n");
}

/* ---- two children ---- */

/* Real mode: XMM0 and DR0 from PATTERN, a pause, and back to RESULT. */
static const unsigned char keeper[] = {
    0x0f, 0x10,        0x06, 0x00, 0x20, /* movups xmm0, [0x2000] */
    0x66, 0xa1,        0x10, 0x20,       /* mov eax, [0x2010] */
    0x0f, 0x23,        0xc0,             /* mov dr0, eax */
    0xe6, PORT_MIDDLE,                   /* out 0x81, al */
    0x0f, 0x11,        0x06, 0x20, 0x20, /* movups [0x2020], xmm0 */
    0x66, 0x0f,        0x21, 0xc0,       /* mov eax, dr0 */
    0x66, 0xa3,        0x30, 0x20,       /* mov [0x2030], eax */
    0xe6, PORT_END,                      /* out 0x80, al */
    0xeb, 0xe1,                          /* jmp to the start */
};

static void test_leak(void)
{
    struct child child[2];
    for (unsigned i = 0; i < 2; i++)
        create(&child[i], keeper, sizeof keeper);
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 2; i++) {
            memset(child[i].memory + PATTERN, (int)(2 * round + i), 20);
            expect(run(&child[i]) == PORT_MIDDLE, "no stop in the middle");
        }
        for (unsigned i = 0; i < 2; i++) {
            expect(run(&child[i]) == PORT_END, "no stop at the end");
            expect(memcmp(child[i].memory + PATTERN, child[i].memory + RESULT, 20) == 0,
                   "a child has registers of another");
        }
    }
    for (unsigned i = 0; i < 2; i++)
        destroy(&child[i]);
    printf("leak none\n");
}

/* ---- end of a level interrupt ---- */

/* Real mode: the APIC and interrupts on, wait for ever; the handler ends the interrupt. */
static const unsigned char waiter[] = {
    0x66, 0xb9,        0x0f, 0x08, 0x00, 0x00, /* mov ecx, 0x80f */
    0x66, 0xb8,        0xff, 0x01, 0x00, 0x00, /* mov eax, 0x1ff */
    0x66, 0x31,        0xd2,                   /* xor edx, edx */
    0x0f, 0x30,                                /* wrmsr */
    0xfb,                                      /* sti */
    0xf4,                                      /* hlt */
    0xeb, 0xfd,                                /* jmp to the hlt */
    0xe6, PORT_MIDDLE,                         /* out 0x81, al */
    0x66, 0xb9,        0x0b, 0x08, 0x00, 0x00, /* mov ecx, 0x80b */
    0x66, 0x31,        0xc0,                   /* xor eax, eax */
    0x66, 0x31,        0xd2,                   /* xor edx, edx */
    0x0f, 0x30,                                /* wrmsr */
    0xcf,                                      /* iret */
};
#define HANDLER (CODE + 21u)

static void test_eoi(void)
{
    struct child child;
    struct hv_input_assert_interrupt interrupt = {.flags = HV_INTERRUPT_LEVEL_TRIGGERED,
                                                  .vector = LEVEL_VECTOR};
    struct mshv_root_hvcall arguments = {.code = HVCALL_ASSERT_VIRTUAL_INTERRUPT,
                                         .in_sz = sizeof interrupt,
                                         .in_ptr = (__u64)&interrupt};
    const struct hv_apic_eoi_message *end;

    create(&child, waiter, sizeof waiter);
    end = (const void *)child.message.payload;
    set_scalar(&child, HV_REGISTER_RSP, STACK);
    child.memory[LEVEL_VECTOR * 4] = HANDLER & 0xff;
    child.memory[LEVEL_VECTOR * 4 + 1] = HANDLER >> 8;
    for (unsigned round = 0; round < 3; round++) {
        call(child.vp, MSHV_ROOT_HVCALL, &arguments, "assert an interrupt");
        expect(run(&child) == PORT_MIDDLE, "the handler does not run");
        call(child.vp, MSHV_RUN_VP, &child.message, "run to the end of the interrupt");
        expect(child.message.type == HV_MESSAGE_APIC_EOI && end->vp_index == 0 &&
                   end->vector == LEVEL_VECTOR,
               "no message of the end of the interrupt");
    }
    destroy(&child);
    printf("eoi told\n");
}

/* ---- dirty bits ---- */

static const unsigned char writer[] = {
    0xa2, 0x00,     0x50, /* mov [0x5000], al */
    0xa2, 0x23,     0x71, /* mov [0x7123], al */
    0xe6, PORT_END,       /* out 0x80, al */
    0xa2, 0x00,     0x50, /* mov [0x5000], al */
    0xe6, PORT_END,       /* out 0x80, al */
    0xa0, 0x00,     0x90, /* mov al, [0x9000] */
    0xe6, PORT_END,       /* out 0x80, al */
};

/* The dirty pages, whose bits are clear afterwards: their number, and a bit for each of the first
 * 64. */
static unsigned take_dirty(const struct child *child, unsigned long *first)
{
    unsigned long bitmap[LARGE_PAGE / 4096 / 64] = {0};
    struct mshv_gpap_access_bitmap arguments = {.access_type = MSHV_GPAP_ACCESS_TYPE_DIRTY,
                                                .access_op = MSHV_GPAP_ACCESS_OP_CLEAR,
                                                .page_count = LARGE_PAGE / 4096,
                                                .bitmap_ptr = (__u64)bitmap};
    unsigned count = 0;
    call(child->partition, MSHV_GET_GPAP_ACCESS_BITMAP, &arguments, "get the bitmap");
    expect(arguments.page_count == LARGE_PAGE / 4096, "a part of the bitmap only");
    for (unsigned i = 0; i < sizeof bitmap / sizeof bitmap[0]; i++)
        count += (unsigned)__builtin_popcountl(bitmap[i]);
    *first = bitmap[0];
    return count;
}

static void test_dirty(void)
{
    const unsigned long written = 1ul << (WRITE_FIRST >> 12) | 1ul << (WRITE_SECOND >> 12);
    struct hv_input_set_partition_property input = {.code = HV_PROPERTY_GPA_ACCESS_TRACKING,
                                                    .value = 1};
    struct mshv_root_hvcall track = {
        .code = HVCALL_SET_PARTITION_PROPERTY, .in_sz = sizeof input, .in_ptr = (__u64)&input};
    struct child child;
    unsigned long first;
    create(&child, writer, sizeof writer);
    call(child.partition, MSHV_ROOT_HVCALL, &track, "track accesses");
    (void)take_dirty(&child, &first);
    expect(take_dirty(&child, &first) == 0, "dirty without a write");
    run(&child);
    expect(take_dirty(&child, &first) == 2 && first == written, "not the two pages written");
    run(&child);
    expect(take_dirty(&child, &first) == 1 && first == 1ul << (WRITE_FIRST >> 12),
           "not the page written again");
    run(&child);
    expect(take_dirty(&child, &first) == 0, "dirty by a read");
    destroy(&child);
    printf("dirty exact\n");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*test)(void);
    } tests[] = {{"registers", test_registers}, {"blobs", test_blobs},
                 {"leak", test_leak},           {"eoi", test_eoi},
                 {"dirty", test_dirty},         {"msr", test_msr},
                 {"cpuid", test_cpuid},         {"exceptions", test_exceptions},
                 {"calls", test_calls}};
    node = open("/dev/mshv", O_RDWR | O_CLOEXEC);
    if (node < 0)
        fail("/dev/mshv");
    for (unsigned i = 0; argc == 2 && i < sizeof tests / sizeof tests[0]; i++) {
        if (strcmp(argv[1], tests[i].name) == 0) {
            tests[i].test();
            return 0;
        }
    }
    printf("usage: child_state registers | blobs | leak | eoi | dirty | msr | cpuid | exceptions | "
           "calls\n");
    return 2;
}
