/* SPDX-License-Identifier: MIT */
/*
 * Fault reports. Nothing here takes a lock or trusts much: frame pointers are
 * followed only inside the stack that the fault was on, because between a
 * #VMEXIT and the restoring of registers RBP is the guest's.
 */
#include "hv/x86/panic.h"

#include "hv/arch.h"
#include "hv/core/log.h"
#include "hv/core/text.h"
#include "hv/x86/layout.h"
#include "hv/x86/memory.h"
#include "hv/x86/smp.h"
#include "hv/x86/symbols.h"

#define BACKTRACE_DEPTH 24

struct stack {
    uint64_t start, end;
};

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const size_t length = text_format(line, sizeof line, format, arguments);
    va_end(arguments);
    arch_console_write(line, length); /* which takes no lock */
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

/* The stack, from its lowest mapped byte to its end, that `rsp` points into; empty when into none.
 */
static struct stack stack_of(uint64_t rsp)
{
    if (rsp >= HV_STACK_BASE && rsp < HV_WINDOW_BASE) {
        const uint64_t end = (rsp | (HV_STACK_SLOT - 1)) + 1;
        return (struct stack){end - HV_STACK_SIZE, end};
    }
    if (rsp >= (uint64_t)image_rodata_end && rsp < (uint64_t)image_end) /* the boot stack */
        return (struct stack){rsp & ~7ull, (uint64_t)image_end};
    return (struct stack){0, 0};
}

static void say_backtrace(uint64_t rip, uint64_t rsp, uint64_t rbp)
{
    const struct stack stack = stack_of(rsp);
    say("bulkhead: back-trace:\n");
    say_address(rip);
    for (unsigned i = 0; i < BACKTRACE_DEPTH; i++) {
        const bool inside = rbp >= stack.start && rbp < stack.end && stack.end - rbp >= 16;
        if (!inside || rbp % 8 != 0)
            return;
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
    const uint64_t frame = (uint64_t)__builtin_frame_address(0);
    say_backtrace((uint64_t)__builtin_return_address(0), frame, frame);
    stop();
}

static const char *exception_name(uint64_t vector)
{
    static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD",
                                        "#NM", "#DF", "9",   "#TS", "#NP", "#SS", "#GP",
                                        "#PF", "15",  "#MF", "#AC", "#MC", "#XM"};
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
    say_backtrace(f->rip, f->rsp, f->rbp);
    stop();
}
