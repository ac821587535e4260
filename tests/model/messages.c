/* SPDX-License-Identifier: MIT */
/*
 * What the messages of a child's intercepts say, for every kind of exit with all classes of exit
 * information, in all execution states: hv/x86/svm/svm_child.c and exit.c over a processor of the
 * program's own. The message expected is made byte by byte, from the public layout of the message
 * and the processor's manual (AMD64 APM 2, 15.10 to 15.12, 15.25 and appendix C), not from the
 * code's structures.
 *
 * Not here: CPUID and hypercall messages, which depend on what the parent has registered.
 *
 *   messages            exit status 0: all messages are right
 *   messages --mutant   exit status 0: one was wrong, as it must be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/svm_machine.h"

#define BIT(n)         (1ull << (n))
#define HEADER         40u
#define INSTRUCTION    16u
#define REGISTERS      16u
#define RSP            4u
#define EVENT_VALID    BIT(31)
#define EVENT_SOFTWARE 4u
#define EXIT_IO        0x7bu
#define EXIT_MSR       0x7cu
#define EXIT_SHUTDOWN  0x7fu
#define EXIT_NESTED    0x400u
#define TYPE_UNMAPPED  0x80000000u
#define TYPE_MEMORY    0x80000001u
#define TYPE_FATAL     0x80000021u
#define TYPE_IO        0x80010000u
#define TYPE_MSR       0x80010001u
#define TYPE_EXCEPTION 0x80010003u
#define READ           0u
#define WRITE          1u
#define EXECUTE        2u
#define WITH_ERROR                                                                            \
    (BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(17) | BIT(21) | BIT(29) | \
     BIT(30))

/* What the guest is when it exits. */
static struct {
    uint64_t level, protected, alignment, long_mode, shadow, event, priority;
} mode;
static struct {
    uint64_t base, rip;
    unsigned readable; /* bytes of the instruction */
} place;
static struct {
    uint64_t code, info1, info2;
} exit_now;

static struct svm_machine_state start;
static unsigned char code[PAGE_SIZE];
static uint64_t messages;
static bool wrong;

/* ---- the processor ---- */

static uint64_t general(unsigned number)
{
    return 0x1111111111111111ull * number + 0x0102030405060708ull;
}

/* Segments differ in all fields. Attributes as the control block packs them. */
static struct vmcb_segment segment(unsigned number, uint64_t base)
{
    return (struct vmcb_segment){.selector = (uint16_t)(8 * number + 3),
                                 .attributes = (uint16_t)(0xa93 + 0x100 * number),
                                 .limit = 0xffff0000u + number,
                                 .base = base};
}

static void processor(struct vmcb *vmcb)
{
    vmcb->cpl = (uint8_t)mode.level;
    vmcb->cr0 = mode.protected | mode.alignment << 18;
    vmcb->efer = BIT(12) | BIT(8) | mode.long_mode << 10;
    vmcb->interrupt_shadow = mode.shadow;
    vmcb->exit_interrupt = mode.event;
    vmcb->cs = segment(1, place.base);
    vmcb->ss = segment(2, 0x2000000);
    vmcb->ds = segment(3, 0x3000000);
    vmcb->es = segment(4, 0x4000000);
    vmcb->rip = place.rip;
    vmcb->rflags = 0x10246;
    vmcb->rax = general(0);
    vmcb->rsp = general(RSP);
    vmcb->exit_code = exit_now.code;
    vmcb->exit_info1 = exit_now.info1;
    vmcb->exit_info2 = exit_now.info2;
}

/* ---- the message expected ---- */

static struct {
    unsigned char byte[HV_MESSAGE_PAYLOAD_SIZE];
    uint32_t type;
    uint8_t size;
} expected;

static void put(unsigned at, unsigned size, uint64_t value)
{
    memcpy(&expected.byte[at], &value, size);
}

static void put_segment(unsigned at, unsigned number, uint64_t base)
{
    const struct vmcb_segment from = segment(number, base);

    put(at, 8, base);
    put(at + 8, 4, from.limit);
    put(at + 12, 2, from.selector);
    put(at + 14, 2, (from.attributes & 0xffu) | (from.attributes & 0xf00u) << 4);
}

static void put_header(uint32_t type, uint8_t size, unsigned access, uint64_t length)
{
    const bool pending = (mode.event & EVENT_VALID) && (mode.event >> 8 & 7) != EVENT_SOFTWARE;

    memset(&expected, 0, sizeof expected);
    expected.type = type;
    expected.size = size;
    put(4, 1, length | mode.priority >> 4 << 4);
    put(5, 1, access);
    put(6, 2,
        mode.level | mode.protected << 2 | mode.alignment << 3 | mode.long_mode << 4 |
            (uint64_t)pending << 6 | (mode.shadow & 1) << 12);
    put_segment(8, 1, place.base);
    put(24, 8, place.rip);
    put(32, 8, 0x10246);
}

static void put_instruction(unsigned at_count, unsigned at)
{
    put(at_count, 1, place.readable);
    memcpy(&expected.byte[at], &code[(place.base + place.rip) % PAGE_SIZE], place.readable);
}

static void complain(const struct hv_message *message)
{
    unsigned at = 0;

    while (at < HV_MESSAGE_PAYLOAD_SIZE - 1 && message->payload[at] == expected.byte[at]) {
        at++;
    }
    printf("messages: exit %llx, info %llx %llx: type %x, %u bytes; expected %x, %u bytes; byte %u "
           "is %x, not %x\n",
           (unsigned long long)exit_now.code, (unsigned long long)exit_now.info1,
           (unsigned long long)exit_now.info2, message->type, message->payload_size, expected.type,
           expected.size, at, message->payload[at], expected.byte[at]);
    wrong = true;
}

/* One exit from the start, and its message. */
static void check(void)
{
    struct vp *vp = &svm_machine.child[0].vp;
    const uint64_t rdx = vp->registers.rdx;

    if (wrong) {
        return;
    }
    vp->apic.tpr = (uint32_t)mode.priority;
    svm_machine_run(0);
    messages++;
    const struct hv_message message = svm_machine_take_message(0);

    if (message.type != expected.type || message.payload_size != expected.size ||
        message.sender != SVM_CHILD || !vp->intercept_suspend || vp->registers.rdx != rdx ||
        svm_machine.child[0].vmcb.rip != place.rip ||
        memcmp(message.payload, expected.byte, sizeof expected.byte) != 0) {
        complain(&message);
    }
    svm_machine = start.machine;
    host = start.host;
}

/* ---- exits ---- */

/* Bits: in, string, repeated; 8, 16 or 32 bits wide; of the address, too. */
static void try_io(uint64_t kind, unsigned size, unsigned width, uint64_t port, uint64_t length)
{
    const bool string = kind & 2;

    exit_now.code = EXIT_IO;
    exit_now.info1 = (kind & 1) | (kind & 6) << 1 | BIT(4 + size) | BIT(7 + width) | port << 16;
    exit_now.info2 = place.rip + length;
    put_header(TYPE_IO, 128, kind & 1 ? READ : WRITE, length);
    put(40, 2, port);
    put(42, 1, BIT(size) | (kind & 2 ? BIT(3) : 0) | (kind & 4 ? BIT(4) : 0));
    if (string) {
        put_instruction(43, 56);
    }
    put(48, 8, general(0));
    put_segment(72, 3, 0x3000000);
    put_segment(88, 4, 0x4000000);
    put(104, 8, general(1));
    put(112, 8, general(6));
    put(120, 8, general(7));
    check();
}

/* Present, write, user, reserved bits, fetch; at the guest's page or at its tables. */
static void try_memory(uint64_t fault, uint64_t where, uint64_t gpa)
{
    exit_now.code = EXIT_NESTED;
    exit_now.info1 = fault | where << 32;
    exit_now.info2 = gpa;
    put_header(fault & 1 ? TYPE_MEMORY : TYPE_UNMAPPED, 80,
               fault & 16  ? EXECUTE
               : fault & 2 ? WRITE
                           : READ,
               0);
    put_instruction(44, 64);
    put(46, 1, mode.priority >> 4);
    put(56, 8, gpa);
    check();
}

static void try_exception(unsigned vector, uint64_t info)
{
    const bool error = WITH_ERROR & BIT(vector);

    exit_now.code = 0x40 + vector;
    exit_now.info1 = info;
    exit_now.info2 = ~info;
    put_header(TYPE_EXCEPTION, 240, EXECUTE, 0);
    put(40, 2, vector);
    put(42, 1, error);
    put_instruction(43, 64);
    put(44, 4, error ? info : 0);
    put(48, 8, vector == 14 ? ~info : 0);
    put_segment(80, 3, 0x3000000);
    put_segment(96, 2, 0x2000000);
    for (unsigned i = 0; i < REGISTERS; i++) {
        put(112 + 8 * i, 8, general(i));
    }
    check();
}

static void try_msr(uint64_t write, uint32_t number)
{
    exit_now.code = EXIT_MSR;
    exit_now.info1 = write;
    exit_now.info2 = 0;
    svm_machine.child[0].vp.registers.rcx = 0xffffffff00000000ull | number;
    put_header(TYPE_MSR, 64, write ? WRITE : READ, 2);
    put(40, 4, number);
    put(48, 8, general(2));
    put(56, 8, general(0));
    check();
}

static void try_fatal(uint64_t exit_code)
{
    exit_now.code = exit_code;
    exit_now.info1 = exit_now.info2 = UINT64_MAX;
    put_header(TYPE_FATAL, HEADER, EXECUTE, 0);
    check();
}

/* ---- all of them ---- */

static void try_all_exits(void)
{
    static const uint64_t fatal[] = {EXIT_SHUTDOWN, 0x8e, 0x401, UINT64_MAX};

    for (uint64_t kind = 0; kind < 8; kind++) {
        for (unsigned size = 0; size < 9; size++) {
            try_io(kind, size % 3, size / 3, size & 1 ? 0x3f8 : 0xfffe, 1 + (kind + size) % 15);
        }
    }
    for (uint64_t fault = 0; fault < 32; fault++) {
        try_memory(fault, 1 + fault % 2, 0xfedc00000000 + fault);
    }
    for (unsigned vector = 0; vector < 32; vector++) {
        try_exception(vector, 0xabcdef0087654321);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(fatal); i++) {
        try_fatal(fatal[i]);
    }
    try_msr(0, 0xc0011029);
    try_msr(1, 0x8b1);
}

static void try_all_modes(void)
{
    static const uint64_t events[] = {0, EVENT_VALID | 0x41, EVENT_VALID | 0x30e, 0x30e,
                                      EVENT_VALID | 0x480};
    static const uint64_t priorities[] = {0, 0x1f, 0xf0};

    const unsigned states = 4 * 2 * 2 * 2 * 4, combinations = ARRAY_COUNT(events) * states;

    for (unsigned i = 0; i < combinations * ARRAY_COUNT(priorities) && !wrong; i++) {
        mode.level = i & 3;
        mode.protected = i >> 2 & 1;
        mode.alignment = i >> 3 & 1;
        mode.long_mode = i >> 4 & 1;
        mode.shadow = i >> 5 & 3;
        mode.event = events[i / states % ARRAY_COUNT(events)];
        mode.priority = priorities[i / combinations];
        try_all_exits();
    }
}

static void begin(void)
{
    struct vp_registers *registers;

    svm_processor = processor;
    svm_machine_begin();
    for (unsigned i = 0; i < PAGE_SIZE; i++) {
        code[i] = (unsigned char)(i * 7 + i / 256 + 1);
    }
    host_guest_write(SVM_CODE, code, sizeof code);
    registers = &svm_machine.child[0].vp.registers;
    for (unsigned i = 0; i < REGISTERS; i++) {
        const uint64_t value = general(i);

        memcpy((char *)registers + i * sizeof value, &value, sizeof value);
    }
    svm_machine.partition.msr_intercepts = 3; /* reads, writes */
    svm_machine_save(&start);
}

int main(int argc, char **argv)
{
    const bool mutant = argc > 1 && strcmp(argv[1], "--mutant") == 0;
    static const struct {
        uint64_t base, rip;
        unsigned readable;
    } places[] = {
        {0, SVM_CODE, INSTRUCTION},
        {SVM_CODE, 0x123, INSTRUCTION},
        {0, SVM_CODE + PAGE_SIZE - 7, 7}, /* the next page is not there */
        {0x10000, 0x5000, 0},
    };

    begin();
    for (unsigned i = 0; i < ARRAY_COUNT(places) && !wrong; i++) {
        place.base = places[i].base;
        place.rip = places[i].rip;
        place.readable = places[i].readable;
        try_all_modes();
    }
    printf("messages: %llu, %s\n", (unsigned long long)messages,
           wrong ? "one is wrong" : "all right");
    return wrong == mutant ? EXIT_SUCCESS : EXIT_FAILURE;
}
