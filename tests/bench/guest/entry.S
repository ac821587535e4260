/* SPDX-License-Identifier: MIT */
/*
 * Start of the bench's guest: a Multiboot 1 kernel that notes the time-stamp counter with its first
 * instruction, goes to long mode, and calls guest_main. A second processor comes in by the code that
 * is copied to START_PAGE.
 */
#include "vsc/guest/start.inc"

#define START_PAGE 0x8000
#define CR0_PE     0x1
#define STACK_SIZE 16384

    .text
    .code32
    .globl guest_start
guest_start:
    NOTE_START
    mov $stack_top, %esp
    mov $guest_main, %edi
    jmp go_long

    .code16
    .globl second_start
second_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl gdt_pointer_copy - second_start + START_PAGE
    mov $CR0_PE, %eax
    mov %eax, %cr0
    ljmpl $CODE_32, $second_32
    .balign 4
gdt_pointer_copy:
    .word gdt_end - gdt - 1
    .long gdt
second_end:

    .code32
second_32:
    mov $second_stack_top, %esp
    mov $guest_second, %edi

/* EDI: the function to call in long mode, on ESP. */
go_long:
    GO_LONG
    mov %esp, %esp
    mov %edi, %edi
    cld
    call *%rdi
3:  hlt
    jmp 3b

    .section .rodata
    .balign 4
    .globl second_size
second_size:
    .long second_end - second_start

    .bss
    .balign 16
    .skip STACK_SIZE
stack_top:
    .skip STACK_SIZE
second_stack_top:

    .section .note.GNU-stack, "", @progbits
