/* SPDX-License-Identifier: MIT */
/*
 * Fault reports. Nothing here takes a lock or trusts much: frame pointers are
 * followed only inside the hypervisor's own stacks.
 */
#include "hv/x86/panic.h"

#include "hv/core/log.h"
#include "hv/core/text.h"
#include "hv/x86/console.h"
#include "hv/x86/layout.h"
#include "hv/x86/smp.h"
#include "hv/x86/symbols.h"

#define BACKTRACE_DEPTH      24
#define VECTOR_MACHINE_CHECK 18

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const size_t length = text_format(line, sizeof line, format, arguments);
    va_end(arguments);
    console_write(line, length);
}

static void say_address(uint64_t address)
{
    uint64_t offset;
    const char *name = symbol_find(address, &offset);
    if (name != NULL)
        say("bulkhead:   %016lx %s+0x%lx\n", address, name, offset);
    else
        say("bulkhead:   %016lx\n", address);
}

static bool on_stack(uint64_t address)
{
    const bool boot_stack = address >= HV_IMAGE_BASE;
    const bool lp_stack = address >= HV_STACK_BASE && address < HV_WINDOW_BASE;
    return (boot_stack || lp_stack) && address % 8 == 0;
}

static void say_backtrace(uint64_t rip, uint64_t rbp)
{
    say("bulkhead: back-trace:\n");
    say_address(rip);
    for (unsigned i = 0; i < BACKTRACE_DEPTH && on_stack(rbp); i++) {
        const uint64_t *frame = (const uint64_t *)rbp;
        if (frame[1] == 0)
            return;
        say_address(frame[1]);
        if (frame[0] <= rbp)
            return;
        rbp = frame[0];
    }
}

_Noreturn static void stop(void)
{
    smp_stop_others();
    cpu_halt_forever();
}

_Noreturn void refuse(const char *format, ...)
{
    char sentence[200];
    va_list arguments;
    va_start(arguments, format);
    text_format(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    log_line(LOG_ERROR, "fatal: %s", sentence);
    stop();
}

_Noreturn void panic(const char *format, ...)
{
    char sentence[200];
    va_list arguments;
    va_start(arguments, format);
    text_format(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    say("\nbulkhead: fatal: defect in the hypervisor: %s\n", sentence);
    say_backtrace((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
    stop();
}

static const char *exception_name(uint64_t vector)
{
    static const char *const names[] = {
        "divide error",
        "debug",
        "NMI",
        "breakpoint",
        "overflow",
        "bound range",
        "invalid opcode",
        "no coprocessor",
        "double fault",
        "coprocessor",
        "invalid TSS",
        "segment not present",
        "stack fault",
        "general protection",
        "page fault",
        "reserved",
        "x87",
        "alignment check",
        "machine check",
        "SIMD",
    };
    return vector < ARRAY_COUNT(names) ? names[vector] : "unexpected vector";
}

_Noreturn void panic_exception(const struct exception_frame *f)
{
    if (f->vector == VECTOR_MACHINE_CHECK)
        say("\nbulkhead: fatal: the processor reports a hardware error (machine check)\n");
    else
        say("\nbulkhead: fatal: defect in the hypervisor: %s (vector %lu, error code 0x%lx)\n",
            exception_name(f->vector), f->vector, f->error_code);
    say("bulkhead: rip %016lx rsp %016lx rflags %08lx cr2 %016lx\n", f->rip, f->rsp, f->rflags,
        cpu_read_cr2());
    say("bulkhead: rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    say("bulkhead: rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    say("bulkhead: r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    say("bulkhead: r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
    say_backtrace(f->rip, f->rbp);
    stop();
}
