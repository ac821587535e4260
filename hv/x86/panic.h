/* SPDX-License-Identifier: MIT */
/*
 * Ends: a refusal to start is one sentence; a fault of the hypervisor itself is a
 * report with registers and a symbolised back-trace. Both halt the machine.
 */
#ifndef HV_X86_PANIC_H
#define HV_X86_PANIC_H

#include "hv/x86/cpu.h"

/* What the exception stubs leave on the stack. */
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Prints "bulkhead: fatal: SENTENCE" and halts this LP; the others are told to halt. */
__attribute__((noreturn, format(printf, 1, 2))) void refuse(const char *format, ...);

/* A fault that only a defect of the hypervisor can cause. */
_Noreturn void panic_exception(const struct exception_frame *frame);
__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *format, ...);

/* For states that cannot be: never for anything a guest can influence. */
#define ASSERT(condition)                                                               \
    do {                                                                                \
        if (!(condition))                                                               \
            panic("%s:%u: %s does not hold", __FILE__, (unsigned)__LINE__, #condition); \
    } while (0)

#endif
