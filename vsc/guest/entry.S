/* SPDX-License-Identifier: MIT */
/*
 * Start of the small guest: a Multiboot 1 kernel, which both the worker and QEMU's -kernel take. It
 * notes the time-stamp counter, goes to long mode with the first GiB mapped one to one, and calls
 * guest_main on a stack of its own. All exceptions end in guest_exception.
 */
#define CODE_32      0x08
#define CODE_64      0x10
#define DATA         0x18
#define CR0_PAGING   0x80000001
#define CR4_PAE      0x20
#define MSR_EFER     0xc0000080
#define EFER_LME     0x100
#define HEADER_MAGIC 0x1badb002
#define HEADER_FLAGS 0x2 /* memory information */
#define STACK_SIZE   65536

/* Exceptions for which the processor pushes an error code. */
#define HAS_ERROR(n) ((n) == 8 || ((n) >= 10 && (n) <= 14) || (n) == 17 || (n) == 21)

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
1:  mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $stack_top, %esp
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
2:  mov $stack_top, %rsp
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

    .section .note.GNU-stack, "", @progbits
