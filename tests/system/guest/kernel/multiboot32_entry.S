/* SPDX-License-Identifier: MIT */
/* A Multiboot 1 kernel that stays in 32-bit protected mode: header, stack, and on to C. */
#define MAGIC 0x1badb002
#define FLAGS 3 /* modules page-aligned, memory map wanted */

        .section .header, "a"
        .align 4
        .long MAGIC
        .long FLAGS
        .long -(MAGIC + FLAGS)

        .text
        .globl entry
entry:
        mov $stack_top, %esp
        push %ebx
        push %eax
        call kernel_main
        hlt

        .bss
        .align 16
        .skip 16384
stack_top:
        .section .note.GNU-stack, "", @progbits
