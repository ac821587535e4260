/* SPDX-License-Identifier: MIT */
/*
 * A guest that means harm: random MSRs, ports, memory-mapped registers,
 * hypercalls, interprocessor interrupts, page tables and control registers,
 * with triple faults again and again. `seed=N` on the command line makes its
 * acts; a line now and then tells how many it has done. A fault of its own
 * brings it back to its loop.
 */
#include "tests/system/guest/kernel/idt.h"
#include "tests/system/guest/kernel/port.h"
#include "tests/system/guest/kernel/pvh.h"

#define GATES        256u
#define STACK_SIZE   4096u
#define REPORT_EVERY 100u
#define LOW_MEMORY   0x40000000u

#define MSR_HYPERCALL   0x40000001u
#define MSR_GUEST_OS_ID 0x40000000u
#define MSR_X2APIC_ICR  0x830u
#define MSR_ICR         0x40000071u
#define MSR_GUEST_IDLE  0x400000f0u
#define MODE_INIT       5
#define ICR_ASSERT      0x4000u
#define MSR_X2APIC_SELF 0x83fu
#define MSR_SCONTROL    0x40000080u
#define MSR_EOM         0x40000084u
#define MSR_SINT0       0x40000090u
#define MSR_STIMER0     0x400000b0u
#define HYPERCALL_PAGE  0x800000u /* in RAM, behind the kernel */
#define MESSAGE         0x801000u
#define FREE_MEMORY     0x900000u
#define FREE_PAGES      256u
#define ENABLED         1u

#define CALL_LONG_SPIN    0x8u
#define CALL_POST_MESSAGE 0x5cu
#define CALL_SIGNAL_EVENT 0x5du
#define CALL_FAST         0x10000u

static struct gate gates[GATES];
static uint64_t state;
static uint64_t acts;

void kernel_main(const struct pvh_information *information);
void act_for_ever(void);

/* xorshift64*: the seed must not be 0. */
static uint64_t random64(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717ull;
}

static uint64_t below(uint64_t limit)
{
    return random64() % limit;
}

/* Numbers at which checks tend to be wrong, and any others. */
static uint64_t odd_number(void)
{
    static const uint64_t odd[] = {
        0, 1, 0xfff, 0x1000, 0x7fffffff, 0xffffffff, 0x100000000, 1ull << 47, 1ull << 63, ~0ull,
    };
    uint64_t kind = below(4);

    if (kind == 0)
        return odd[below(sizeof(odd) / sizeof(odd[0]))];
    if (kind == 1)
        return 1ull << below(64);
    return kind == 2 ? random64() >> below(64) : random64();
}

/* --- acts --------------------------------------------------------------------------------- */

static void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t read_msr(uint32_t msr)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static void read_cpuid(uint64_t leaf, uint64_t subleaf)
{
    __asm__ volatile("cpuid" : "+a"(leaf), "+c"(subleaf) : : "ebx", "edx");
}

static void touch_msr(void)
{
    static const struct {
        uint32_t first;
        uint32_t count;
    } ranges[] = {
        {0, 0x500},         {0x800, 0x100},      {0x40000000, 0x200},
        {0xc0000080, 0x90}, {0xc0010000, 0x200}, {0x6e0, 1},
    };
    uint64_t kind = below(sizeof(ranges) / sizeof(ranges[0]) + 1);
    uint32_t msr = kind < sizeof(ranges) / sizeof(ranges[0])
                       ? ranges[kind].first + (uint32_t)below(ranges[kind].count)
                       : (uint32_t)random64();

    if (msr == MSR_X2APIC_ICR || msr == MSR_ICR || msr == MSR_GUEST_IDLE)
        return; /* may stop this processor for good: below */
    if (below(2) == 0)
        (void)read_msr(msr);
    else
        write_msr(msr, odd_number());
}

/* Not those by which a guest ends itself as it should, nor the console. */
static uint16_t any_port(void)
{
    uint16_t port = (uint16_t)(below(2) == 0 ? below(0x1000) : random64());

    return (port >= 0x3f4 && port <= 0x3ff) || (port >= 0x5fc && port <= 0x604) ||
                   (port >= 0xf0 && port <= 0xf8)
               ? 0x80
               : port;
}

static void touch_port(void)
{
    static uint8_t buffer[64];
    uint16_t port = any_port();
    uint32_t value = (uint32_t)random64();
    uint64_t count = below(16);
    void *at = buffer;

    switch (below(6)) {
    case 0:
        port_write8(port, (uint8_t)value);
        break;
    case 1:
        __asm__ volatile("outw %w0, %1" : : "a"(value), "d"(port));
        break;
    case 2:
        port_write32(port, value);
        break;
    case 3:
        __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
        break;
    case 4:
        __asm__ volatile("rep outsl" : "+S"(at), "+c"(count) : "d"(port) : "memory");
        break;
    default:
        __asm__ volatile("rep insb" : "+D"(at), "+c"(count) : "d"(port) : "memory");
        break;
    }
}

static uint64_t any_register_address(void)
{
    static const uint64_t bases[] = {0xfec00000, 0xfee00000, 0xfed00000,
                                     0xe0000,    0xa0000,    0xf8000000};

    return below(2) == 0 ? bases[below(sizeof(bases) / sizeof(bases[0]))] + below(0x1100)
                         : LOW_MEMORY + below(0xffffffffu - LOW_MEMORY);
}

static void touch_register(void)
{
    uint64_t at = any_register_address();
    uint64_t value = random64();
    uint64_t count = below(40);

    switch (below(6)) {
    case 0:
        __asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(at) : "memory");
        break;
    case 1:
        __asm__ volatile("movzwl (%1), %k0" : "=r"(value) : "r"(at));
        break;
    case 2:
        __asm__ volatile("lock; addl %k0, (%1)" : : "r"(value), "r"(at) : "memory");
        break;
    case 3:
        __asm__ volatile("xchgb %b0, (%1)" : "+q"(value) : "r"(at) : "memory");
        break;
    case 4:
        __asm__ volatile("testw %w0, (%1)" : : "r"(value), "r"(at) : "memory");
        break;
    default:
        __asm__ volatile("rep stosl" : "+D"(at), "+c"(count) : "a"(value) : "memory");
        break;
    }
}

/* Instructions on registers that no worker emulates. */
static void touch_register_oddly(void)
{
    static uint8_t buffer[64];
    uint64_t at = any_register_address();
    uint64_t count = below(40);
    void *other = buffer;

    if (below(3) == 0)
        __asm__ volatile("rep movsb" : "+S"(other), "+D"(at), "+c"(count) : : "memory");
    else if (below(2) == 0)
        __asm__ volatile("pushq (%0); popq (%0)" : : "r"(at) : "memory");
    else
        __asm__ volatile("btsl %k1, (%0)" : : "r"(at), "r"(count) : "memory");
}

static void call_hypervisor(void)
{
    register uint64_t r8 __asm__("r8") = odd_number();
    uint64_t control = below(0x100) | (below(8) == 0 ? 0x8000 : 0);
    uint64_t input = below(2) == 0 ? below(0x1000000) & ~7ull : odd_number();
    uint64_t result;

    switch (below(4)) {
    case 0:
        control |= 1ull << 16; /* fast */
        break;
    case 1:
        control |= below(0x1000) << 32 | below(0x1000) << 48; /* repetitions, and where to begin */
        break;
    case 2:
        control |= random64() << 17;
        break;
    default:
        break;
    }
    if (below(50) == 0) {
        write_msr(MSR_GUEST_OS_ID, 1);
        write_msr(MSR_HYPERCALL, HYPERCALL_PAGE | ENABLED);
    }
    __asm__ volatile("vmmcall"
                     : "=a"(result), "+c"(control), "+d"(input), "+r"(r8)
                     :
                     : "memory", "r9", "r10", "r11");
}

/* Pages lent to the hypervisor: in RAM, in registers, nowhere, over each other; timers at any time.
 */
static void lend_page(void)
{
    static const uint32_t pages[] = {0x40000021, 0x40000073, 0x40000082, 0x40000083};
    uint64_t at = below(3) != 0 ? FREE_MEMORY + (below(FREE_PAGES) << 12)
                                : (below(2) == 0 ? any_register_address() : odd_number());

    switch (below(6)) {
    case 0:
    case 1:
        write_msr(pages[below(4)], (at & ~0xfffull) | below(4));
        break;
    case 2:
        write_msr(MSR_SCONTROL, below(2));
        break;
    case 3:
        write_msr(MSR_SINT0 + (uint32_t)below(16), below(0x100) | below(8) << 16);
        break;
    case 4:
        write_msr(MSR_STIMER0 + (uint32_t)below(8), below(2) == 0 ? odd_number() : below(0x200000));
        break;
    default:
        write_msr(MSR_EOM, 0);
        break;
    }
}

static uint64_t call_with(uint64_t control, uint64_t input)
{
    register uint64_t r8 __asm__("r8") = FREE_MEMORY;
    uint64_t result;

    __asm__ volatile("vmmcall"
                     : "=a"(result), "+c"(control), "+d"(input), "+r"(r8)
                     :
                     : "memory", "r9", "r10", "r11");
    return result;
}

/* Messages as the bus's driver sends them, their contents at random, often many at once. */
static void post_messages(void)
{
    uint32_t *block = (uint32_t *)MESSAGE;
    uint64_t count = below(8) == 0 ? below(200) : 1;

    for (unsigned i = 4; i < 64; i++)
        block[i] = (uint32_t)(below(2) == 0 ? below(32) : odd_number());
    block[0] = (uint32_t)below(8);
    block[1] = 0;
    block[2] = below(8) == 0 ? (uint32_t)random64() : 1;
    block[3] = (uint32_t)below(below(8) == 0 ? 0x200 : 241);
    while (count-- > 0)
        (void)call_with(CALL_POST_MESSAGE, MESSAGE);
    (void)call_with(CALL_SIGNAL_EVENT | CALL_FAST, below(0x10000));
}

/* Many of the same at once: exits, and interrupts of its own. */
static void flood(void)
{
    uint64_t kind = below(4);

    for (uint64_t count = below(500); count-- > 0;) {
        if (kind == 0)
            port_write8(0x80, (uint8_t)count);
        else if (kind == 1)
            (void)call_with(CALL_LONG_SPIN | CALL_FAST, 0);
        else if (kind == 2)
            write_msr(MSR_X2APIC_SELF, 0x20 + (uint32_t)below(0xe0));
        else
            read_cpuid(kind, 0);
    }
    if (below(2) == 0)
        __asm__ volatile("sti; nop; nop; cli");
}

/* An INIT goes to the other processor only: one that sends it to itself is quiet for good. */
static void interrupt_others(void)
{
    uint64_t mode = below(7);
    uint64_t destination = mode == MODE_INIT ? 1 : below(4);

    write_msr(MSR_X2APIC_ICR, destination << 32 | mode << 8 | below(256) | ICR_ASSERT);
}

static void run_instruction(void)
{
    uint64_t value = odd_number();

    switch (below(12)) {
    case 0:
        __asm__ volatile("vmrun %%rax" : : "a"(value) : "memory");
        break;
    case 1:
        __asm__ volatile("vmload %%rax" : : "a"(value) : "memory");
        break;
    case 2:
        __asm__ volatile("clgi");
        break;
    case 3:
        __asm__ volatile("xsetbv" : : "a"((uint32_t)value), "d"(0), "c"((uint32_t)below(2)));
        break;
    case 4:
        __asm__ volatile("wbinvd");
        break;
    case 5:
        __asm__ volatile("monitor" : : "a"(value), "c"(0), "d"(0));
        break;
    case 6:
        __asm__ volatile("rdpmc" : : "c"((uint32_t)value) : "eax", "edx");
        break;
    case 7:
        __asm__ volatile("mov %0, %%cr8" : : "r"(below(16)));
        break;
    case 8: /* nothing enabled: QEMU 7.2 ends by breakpoints of a nested guest */
        __asm__ volatile("mov %0, %%dr7" : : "r"(value & 0xffffff00));
        break;
    case 9:
        read_cpuid(value, below(8));
        break;
    case 10:
        __asm__ volatile("sti; nop; nop; cli");
        break;
    default:
        __asm__ volatile("invlpg (%0)" : : "r"(value) : "memory");
        break;
    }
}

/* Nearly always the last act of this life. */
static void break_itself(void)
{
    static const struct descriptor none;
    uint64_t value = odd_number();

    switch (below(8)) {
    case 0:
        __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
        break;
    case 1:
        __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
        break;
    case 2:
        __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
        break;
    case 3:
        for (unsigned i = 0; i < 64; i++)
            *(volatile uint64_t *)(0x1000 + below(0x80000) * 8) = random64();
        break;
    case 4:
        touch_register_oddly();
        break;
    case 5:
        write_msr(below(2) == 0 ? MSR_X2APIC_ICR : MSR_ICR, random64());
        break;
    case 6:
        (void)read_msr(MSR_GUEST_IDLE);
        break;
    default:
        __asm__ volatile("lidt %0; int3" : : "m"(none));
        break;
    }
}

static void act(void)
{
    static void (*const kinds[])(void) = {touch_msr,       touch_port,       touch_register,
                                          call_hypervisor, interrupt_others, run_instruction,
                                          lend_page,       post_messages};

    if (acts++ % REPORT_EVERY == 0)
        print_value("acts", acts);
    if (below(3000) == 0)
        break_itself();
    else if (below(300) == 0)
        flood();
    else
        kinds[below(sizeof(kinds) / sizeof(kinds[0]))]();
}

void act_for_ever(void)
{
    for (;;)
        act();
}

/* --- faults ------------------------------------------------------------------------------- */

/* Whatever came, the loop begins again on an empty stack; IRET lets NMIs in again. */
__asm__(".text\n"
        "recover:\n"
        "    mov $stack_top, %rsp\n"
        "    push $16\n"
        "    push $stack_top - 8\n"
        "    push $2\n"
        "    push $8\n"
        "    push $act_for_ever\n"
        "    iretq\n");
extern const char recover[];

static void catch_faults(void)
{
    for (unsigned i = 0; i < GATES; i++)
        gates[i] = idt_gate((uint64_t)recover);
    idt_load(gates, GATES);
}

static uint64_t read_seed(const char *text)
{
    uint64_t seed = 0;

    while (*text != '\0' && *text != '=')
        text++;
    for (text++; *text >= '0' && *text <= '9'; text++)
        seed = seed * 10 + (uint64_t)(*text - '0');
    return seed;
}

void kernel_main(const struct pvh_information *information)
{
    state = read_seed((const char *)information->command_line) * 0x9e3779b97f4a7c15ull | 1;
    print_value("hostile", state);
    catch_faults();
    act_for_ever();
}
