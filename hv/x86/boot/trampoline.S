/* SPDX-License-Identifier: MIT */
/*
 * Start of another LP: copied to a page below 1 MiB, entered in real mode, goes
 * to long mode on the boot page tables, then to the final ones and lp_main.
 * smp.c fills the fields at the end.
 */
#include "hv/x86/layout.h"

#define CR0_VALUE    0x80010033
#define CR4_PAE      0x20
#define MSR_EFER     0xc0000080
#define EFER_NXE_LME 0x900

    .section .rodata
    .balign 16
    .globl trampoline_start, trampoline_end
    .globl trampoline_gdt_base, trampoline_far, trampoline_long
    .globl trampoline_boot_tables, trampoline_tables, trampoline_stack, trampoline_lp
trampoline_start:
    .code16
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline_start
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov trampoline_boot_tables - trampoline_start, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov $EFER_NXE_LME, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_VALUE, %eax
    mov %eax, %cr0
    ljmpl *(trampoline_far - trampoline_start)

    .code64
trampoline_long:
    mov $HV_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov trampoline_tables(%rip), %rax
    mov trampoline_stack(%rip), %rsp
    mov trampoline_lp(%rip), %rdi
    mov %rax, %cr3
    xor %ebp, %ebp
    movabs $lp_main, %rax
    call *%rax
1:  hlt
    jmp 1b

    .balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
trampoline_gdt_pointer:
    .word 23
trampoline_gdt_base:
    .long 0
    .balign 8
trampoline_far:
    .long 0
    .word HV_CS
    .balign 8
trampoline_boot_tables:
    .quad 0
trampoline_tables:
    .quad 0
trampoline_stack:
    .quad 0
trampoline_lp:
    .quad 0
    .globl trampoline_gdt
trampoline_end:

    .section .note.GNU-stack, "", @progbits
