/* SPDX-License-Identifier: MIT */
/*
 * Start of the small guest: a Multiboot 1 kernel, which both the worker and QEMU's -kernel take. It
 * notes the time-stamp counter, goes to long mode, and calls guest_main on a stack of its own. All
 * exceptions end in guest_exception.
 */
#include "vsc/guest/start.inc"

#define STACK_SIZE 65536

/* Exceptions for which the processor pushes an error code. */
#define HAS_ERROR(n) ((n) == 8 || ((n) >= 10 && (n) <= 14) || (n) == 17 || (n) == 21)

    .text
    .code32
    .globl guest_start
guest_start:
    NOTE_START
    GO_LONG
    mov $stack_top, %rsp
    xor %ebp, %ebp
    cld
    call guest_main
3:  hlt
    jmp 3b

    .balign 16
    .globl exception_entries
exception_entries: /* 16 bytes each */
    .set vector, 0
    .rept 32
    .balign 16
    .if !HAS_ERROR(vector)
    push $0
    .endif
    push $vector
    jmp exception
    .set vector, vector + 1
    .endr
exception:
    cld
    mov (%rsp), %rdi
    mov 8(%rsp), %rsi
    mov 16(%rsp), %rdx
    and $~15, %rsp
    call guest_exception

    .bss
    .balign 16
    .skip STACK_SIZE
stack_top:

    .section .note.GNU-stack, "", @progbits
