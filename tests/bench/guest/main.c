/* SPDX-License-Identifier: MIT */
/*
 * The bench's guest: does one kind of work at a time and says on the serial port what it took in
 * ticks of the time-stamp counter. It runs alike under any hypervisor with a 16550 at 0x3f8, x2APIC
 * with TSC deadline, and the hypercalls of the TLFS.
 *
 *   first N         the counter at its first instruction
 *   begin NAME      and some time later
 *   end NAME N C P90 P99 MAX
 *                   the median of N ticks over C repetitions, and percentiles of them
 *
 * Between the lines it waits without leaving its virtual processor, so that somebody may read the
 * hypervisor's counters there. It begins when it gets a byte. Its command line chooses: "ipi" for
 * two processors and interrupts between them, anything else for all other work.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL          0x3f8
#define SERIAL_SCRATCH  0x3ff
#define LINE_STATUS     0x3fd
#define LINE_RECEIVED   1u
#define PIC_FIRST_MASK  0x21
#define PIC_SECOND_MASK 0xa1
#define MSR_APIC_BASE   0x1bu
#define APIC_X2         0xc00u
#define MSR_DEADLINE    0x6e0u
#define MSR_X2APIC_EOI  0x80bu
#define MSR_X2APIC_SVR  0x80fu
#define MSR_X2APIC_ICR  0x830u
#define MSR_X2APIC_LVTT 0x832u
#define LVT_DEADLINE    0x40000u
#define SVR_ENABLED     0x1ffu
#define ICR_INIT        0x4500u
#define ICR_STARTUP     0x4600u
#define MSR_OS_ID       0x40000000u
#define MSR_HYPERCALL   0x40000001u
#define OS_ID           0x8100000000000000ull
#define CALL_SEND_IPI   0x1000bull /* as a fast call */
#define VECTOR_TIMER    0x40
#define VECTOR_ASK      0x41
#define VECTOR_ANSWER   0x42
#define SECOND          (1ull << 32) /* its APIC id, as a destination */
#define START_PAGE      0x8000
#define CODE_64         0x10
#define GATE            0x8e00u
#define REPETITIONS     400
#define GAP             40000000u /* ticks; a reader of counters is done by then */
#define AHEAD           40000u    /* ticks from arming the timer to its deadline */
#define SPIN            120000u   /* iterations; longer than AHEAD and all that arming costs */
#define SLEEP           1000000u  /* ticks from arming to a deadline that is slept through */

extern uint64_t first_tsc, multiboot_info;
extern const char second_start[];
extern const uint32_t second_size;
_Noreturn void guest_main(void);
_Noreturn void guest_second(void);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

struct frame;

static struct {
    uint16_t low, selector, flags, middle;
    uint32_t high, reserved;
} gates[256];

static uint64_t sample[REPETITIONS];
static _Alignas(4096) uint8_t hypercall_page[4096];
static volatile uint32_t timers_seen, answers, second_ready;
static volatile uint64_t woken_at; /* the counter in the last handler of a timer or a question */

/* ---- the processor ---- */

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile char *)to)[i] = (char)byte;
    return to;
}

__attribute__((no_caller_saved_registers)) static uint64_t read_tsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

__attribute__((no_caller_saved_registers)) static void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static uint8_t read_port(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static void write_port(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

/* Two instructions for each iteration. */
static void spin(uint64_t iterations)
{
    __asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(iterations));
}

/* ---- words ---- */

static void say(const char *text)
{
    while (*text != '\0')
        write_port(SERIAL, (uint8_t)*text++);
}

static void say_number(uint64_t number)
{
    char digits[21];
    char *at = &digits[20];
    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    say(at);
}

static void wait_for_byte(void)
{
    while (!(read_port(LINE_STATUS) & LINE_RECEIVED))
        spin(1000000);
    (void)read_port(SERIAL);
}

/* ---- interrupts ---- */

__attribute__((interrupt)) static void on_timer(struct frame *frame)
{
    (void)frame;
    woken_at = read_tsc();
    timers_seen++;
    write_msr(MSR_X2APIC_EOI, 0);
}

/* The second processor answers; the first counts the answers. */
__attribute__((interrupt)) static void on_ask(struct frame *frame)
{
    (void)frame;
    woken_at = read_tsc();
    write_msr(MSR_X2APIC_ICR, VECTOR_ANSWER);
    write_msr(MSR_X2APIC_EOI, 0);
}

__attribute__((interrupt)) static void on_answer(struct frame *frame)
{
    (void)frame;
    answers++;
    write_msr(MSR_X2APIC_EOI, 0);
}

static void set_gate(unsigned vector, void (*handler)(struct frame *))
{
    const uint64_t address = (uint64_t)handler;
    gates[vector].low = (uint16_t)address;
    gates[vector].middle = (uint16_t)(address >> 16);
    gates[vector].high = (uint32_t)(address >> 32);
    gates[vector].selector = CODE_64;
    gates[vector].flags = GATE;
}

static void load_gates(void)
{
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof gates - 1, (uint64_t)gates};
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* A firmware may have left the old interrupt controllers with a running clock. */
static void mask_legacy(void)
{
    write_port(PIC_FIRST_MASK, 0xff);
    write_port(PIC_SECOND_MASK, 0xff);
}

static void enable_apic(void)
{
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_X2);
    write_msr(MSR_X2APIC_SVR, SVR_ENABLED);
}

/* ---- work: each returns its ticks ---- */

static uint64_t work_nothing(void)
{
    return 0;
}

static uint64_t work_cpuid(void)
{
    uint32_t eax = 0, ebx, ecx = 0, edx;
    const uint64_t began = read_tsc();
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return read_tsc() - began;
}

/* A call with work to look at and nobody to send to. */
static uint64_t work_hypercall(void)
{
    uint64_t status;
    register uint64_t targets __asm__("r8") = 0;
    const uint64_t began = read_tsc();
    __asm__ volatile("call *%[page]"
                     : "=a"(status)
                     : [page] "r"(hypercall_page), "c"(CALL_SEND_IPI), "d"((uint64_t)VECTOR_ASK),
                       "r"(targets)
                     : "memory", "r9", "r10", "r11");
    const uint64_t ticks = read_tsc() - began;
    if ((status & 0xffff) != 0)
        say("error: the hypercall fails\n");
    return ticks;
}

static uint64_t work_port(void)
{
    const uint64_t began = read_tsc();
    (void)read_port(SERIAL_SCRATCH);
    return read_tsc() - began;
}

/* What a timer interrupt takes from a busy processor: armed, expired, handled, ended. */
static uint64_t work_timer(void)
{
    const uint32_t seen = timers_seen;
    const uint64_t began = read_tsc();
    write_msr(MSR_DEADLINE, began + AHEAD);
    spin(SPIN);
    const uint64_t ticks = read_tsc() - began;
    if (timers_seen != seen + 1)
        say("error: the timer was not in time\n");
    return ticks - 2ull * SPIN;
}

/* One way: there and back, halved. The waiting processor halts. */
static uint64_t work_ipi(void)
{
    const uint32_t seen = answers;
    const uint64_t began = read_tsc();
    write_msr(MSR_X2APIC_ICR, SECOND | VECTOR_ASK);
    while (answers == seen)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    return (read_tsc() - began) / 2;
}

/* From the deadline to the handler, of a processor that halts. */
static uint64_t work_timer_wake(void)
{
    const uint32_t seen = timers_seen;
    const uint64_t deadline = read_tsc() + SLEEP;
    __asm__ volatile("cli");
    write_msr(MSR_DEADLINE, deadline);
    while (timers_seen == seen)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    __asm__ volatile("sti");
    return woken_at - deadline;
}

/* From the request to the handler on the other processor, which halts. */
static uint64_t work_ipi_wake(void)
{
    const uint64_t began = read_tsc();
    (void)work_ipi();
    return woken_at - began;
}

/* ---- rows ---- */

static void sort(void)
{
    for (unsigned i = 1; i < REPETITIONS; i++) {
        const uint64_t value = sample[i];
        unsigned at = i;
        for (; at > 0 && sample[at - 1] > value; at--)
            sample[at] = sample[at - 1];
        sample[at] = value;
    }
}

static void say_part(unsigned percent)
{
    say(" ");
    say_number(sample[REPETITIONS * percent / 100 - (percent == 100)]);
}

static void run(const char *name, uint64_t (*work)(void))
{
    say("begin ");
    say(name);
    say("\n");
    spin(GAP / 2);
    for (unsigned i = 0; i < REPETITIONS; i++)
        sample[i] = work();
    sort();
    say("end ");
    say(name);
    say_part(50);
    say(" ");
    say_number(REPETITIONS);
    say_part(90);
    say_part(99);
    say_part(100);
    say("\n");
    spin(GAP / 2);
}

static void enable_hypercalls(void)
{
    write_msr(MSR_OS_ID, OS_ID);
    write_msr(MSR_HYPERCALL, (uint64_t)hypercall_page | 1);
}

static void run_alone(void)
{
    write_msr(MSR_X2APIC_LVTT, LVT_DEADLINE | VECTOR_TIMER);
    enable_hypercalls();
    run("nothing", work_nothing);
    run("cpuid", work_cpuid);
    run("hypercall", work_hypercall);
    run("port", work_port);
    __asm__ volatile("sti");
    run("timer", work_timer);
    run("timer-wake", work_timer_wake);
    __asm__ volatile("cli");
}

_Noreturn void guest_second(void)
{
    load_gates();
    enable_apic();
    second_ready = 1;
    for (;;)
        __asm__ volatile("sti; hlt");
}

static void run_pair(void)
{
    memcpy((void *)START_PAGE, second_start, second_size);
    write_msr(MSR_X2APIC_ICR, SECOND | ICR_INIT);
    spin(10000000);
    write_msr(MSR_X2APIC_ICR, SECOND | ICR_STARTUP | START_PAGE >> 12);
    while (!second_ready)
        spin(1000);
    run("nothing", work_nothing);
    run("ipi", work_ipi);
    run("ipi-wake", work_ipi_wake);
}

/* The loader's command line, if it says "ipi" anywhere. */
static bool wants_pair(void)
{
    const char *at = (const char *)(uint64_t)((const uint32_t *)multiboot_info)[4];
    for (; *at != '\0'; at++)
        if (at[0] == 'i' && at[1] == 'p' && at[2] == 'i')
            return true;
    return false;
}

_Noreturn void guest_main(void)
{
    set_gate(VECTOR_TIMER, on_timer);
    set_gate(VECTOR_ASK, on_ask);
    set_gate(VECTOR_ANSWER, on_answer);
    load_gates();
    mask_legacy();
    enable_apic();
    wait_for_byte();
    say("first ");
    say_number(first_tsc);
    say("\n");
    if (wants_pair())
        run_pair();
    else
        run_alone();
    say("done\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}
