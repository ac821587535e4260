/* SPDX-License-Identifier: MIT */
/*
 * Entry points of all 256 vectors, which lead to vector_handle (interrupts.c).
 * Also the idle wait, which an NMI must not make sleep over its own news, and the
 * MSR accesses that may fault.
 */
#include "hv/x86/layout.h"

    .text
    .altmacro
    .macro STUB number
    .balign 16
    .if !((\number == 8) || (\number >= 10 && \number <= 14) || (\number == 17) || (\number == 21) || (\number == 29) || (\number == 30))
    push $0
    .endif
    push $\number
    jmp vector_common
    .endm

    .balign 16
    .globl vector_stubs
vector_stubs:
    .set number, 0
    .rept 256
    STUB %number
    .set number, number + 1
    .endr
    .noaltmacro

vector_common: /* struct exception_frame */
    .irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
    push %\register
    .endr
    cld
    mov %rsp, %rdi
    call vector_handle
    .irp register, r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax
    pop %\register
    .endr
    add $16, %rsp
    iretq

/*
 * void idle_wait(const volatile bool *nmi_seen): sleeps until an interrupt or NMI
 * came. An NMI between the look at nmi_seen and the HLT would be slept over; its
 * handler therefore moves RIP from inside [idle_begin, idle_end) to idle_end.
 */
    .globl idle_wait, idle_begin, idle_end
idle_wait:
    push %rbp
    mov %rsp, %rbp
idle_begin:
    cmpb $0, (%rdi)
    jne idle_end
    sti
    hlt
idle_end:
    cli
    pop %rbp
    ret

/*
 * bool cpu_read_msr_safe(uint32_t index, uint64_t *value)
 * bool cpu_write_msr_safe(uint32_t index, uint64_t value)
 * A #GP at one of the two marked instructions continues at msr_fault: false.
 */
    .globl cpu_read_msr_safe, cpu_write_msr_safe, msr_read_at, msr_write_at, msr_fault
cpu_read_msr_safe:
    mov %edi, %ecx
msr_read_at:
    rdmsr
    shl $32, %rdx
    or %rdx, %rax
    mov %rax, (%rsi)
    mov $1, %eax
    ret
cpu_write_msr_safe:
    mov %edi, %ecx
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
msr_write_at:
    wrmsr
    mov $1, %eax
    ret
msr_fault:
    xor %eax, %eax
    ret

    .section .note.GNU-stack, "", @progbits
