/* SPDX-License-Identifier: MIT */
/*
 * Start of the bench's guest: a Multiboot 1 kernel that notes the time-stamp counter with its first
 * instruction, goes to long mode with the first GiB mapped one to one, and calls guest_main. A second
 * processor comes in by the code that is copied to START_PAGE.
 */
#define START_PAGE   0x8000
#define CODE_32      0x08
#define CODE_64      0x10
#define DATA         0x18
#define CR0_PE       0x1
#define CR0_PAGING   0x80000001
#define CR4_PAE      0x20
#define MSR_EFER     0xc0000080
#define EFER_LME     0x100
#define HEADER_MAGIC 0x1badb002
#define HEADER_FLAGS 0x2 /* memory information */
#define STACK_SIZE   16384

    .section .multiboot, "a", @progbits
    .balign 4
    .long HEADER_MAGIC, HEADER_FLAGS, -(HEADER_MAGIC + HEADER_FLAGS)

    .text
    .code32
    .globl guest_start
guest_start:
    rdtsc
    mov %eax, first_tsc
    mov %edx, first_tsc + 4
    mov %ebx, multiboot_info
    lgdt gdt_pointer
    ljmp $CODE_32, $1f
1:  mov $stack_top, %esp
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
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %cr4, %eax
    or $CR4_PAE, %eax
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov $EFER_LME, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_PAGING, %eax
    mov %eax, %cr0
    ljmp $CODE_64, $2f
    .code64
2:  mov %esp, %esp
    mov %edi, %edi
    cld
    call *%rdi
3:  hlt
    jmp 3b

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
    .balign 4
    .globl second_size
second_size:
    .long second_end - second_start

    .data
    .balign 4096
pml4:
    .quad pdpt + 3
    .fill 511, 8, 0
pdpt:
    .quad directory + 3
    .fill 511, 8, 0
directory:
    .set at, 0
    .rept 512
    .quad at + 0x83
    .set at, at + 0x200000
    .endr
    .globl first_tsc, multiboot_info
first_tsc:
    .quad 0
multiboot_info:
    .quad 0

    .bss
    .balign 16
    .skip STACK_SIZE
stack_top:
    .skip STACK_SIZE
second_stack_top:

    .section .note.GNU-stack, "", @progbits
