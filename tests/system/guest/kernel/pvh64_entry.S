/* SPDX-License-Identifier: MIT */
/*
 * A kernel with a PVH entry: from 32-bit protected mode into long mode, the
 * first 4 GiB mapped one to one, and on to C with the start structure.
 */
#define NOTE_PHYS32_ENTRY 18
#define CR4_PAE           0x20
#define CR0_PG            0x80000000
#define MSR_EFER          0xc0000080
#define EFER_LME          0x100
#define PAGE_FLAGS        3 /* present, writable */
#define PAGE_LARGE        0x83
#define CODE              8

        .section .note, "a", @note
        .align 4
        .long 4, 4, NOTE_PHYS32_ENTRY
        .asciz "Xen"
        .long entry

        .text
        .code32
        .globl entry
entry:
        mov $stack_top, %esp
        mov %ebx, %edi
        movl $tables + 4096 + PAGE_FLAGS, tables
        mov $tables + 4096, %ebx
        mov $tables + 8192 + PAGE_FLAGS, %eax
        mov $4, %ecx
1:      mov %eax, (%ebx)
        add $8, %ebx
        add $4096, %eax
        loop 1b
        mov $tables + 8192, %ebx
        mov $PAGE_LARGE, %eax
        mov $2048, %ecx
2:      mov %eax, (%ebx)
        add $8, %ebx
        add $0x200000, %eax
        loop 2b
        mov $CR4_PAE, %eax
        mov %eax, %cr4
        mov $tables, %eax
        mov %eax, %cr3
        mov $MSR_EFER, %ecx
        rdmsr
        or $EFER_LME, %eax
        wrmsr
        mov %cr0, %eax
        or $CR0_PG, %eax
        mov %eax, %cr0
        lgdt descriptor
        ljmp $CODE, $in_long_mode

        .code64
in_long_mode:
        mov $CODE + 8, %eax
        mov %eax, %ss
        mov %eax, %ds
        mov %eax, %es
        mov %edi, %edi
        call kernel_main
        hlt

        .data
        .align 8
gdt:    .quad 0
        .quad 0x00af9b000000ffff /* code, 64-bit */
        .quad 0x00cf93000000ffff /* data */
descriptor:
        .word . - gdt - 1
        .long gdt

        .bss
        .align 4096
        .globl tables
tables: .skip 6 * 4096
        .skip 16384
        .globl stack_top
stack_top:
        .section .note.GNU-stack, "", @progbits
