/* SPDX-License-Identifier: MIT */
/*
 * First instructions: from the boot loader's 32-bit flat mode to 64-bit C.
 *
 * Both Multiboot versions enter boot_entry with a magic number in EAX and the
 * address of their information in EBX. Control registers are set absolutely,
 * since loaders leave different bits in them.
 *
 * The page tables made here map the first 4 GiB one to one and the first GiB at
 * HV_IMAGE_BASE, all writable and executable. They serve only until boot_main
 * switches to the final ones.
 */
#include "hv/x86/layout.h"

#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x00000003 /* modules page-aligned, memory map wanted */
#define MB2_MAGIC 0xe85250d6

#define CR0_PG_WP_NE_ET_MP_PE 0x80010033
#define CR4_PAE               0x20
#define MSR_EFER              0xc0000080
#define EFER_NXE_LME          0x900

#define PHYS(symbol) (symbol - HV_IMAGE_BASE)

    .section .boot.header, "a"
    .balign 8
mb2_header:
    .long MB2_MAGIC, 0, mb2_end - mb2_header
    .long -(MB2_MAGIC + (mb2_end - mb2_header))
    /* Information wanted: command line, modules, memory map. */
    .balign 8
    .word 1, 0
    .long 8 + 3 * 4, 1, 3, 6
    /* Modules page-aligned. */
    .balign 8
    .word 6, 0
    .long 8
    .balign 8
    .word 0, 0
    .long 8
mb2_end:
    .balign 4
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

    .section .boot.text, "ax"
    .code32
    .globl boot_entry
boot_entry:
    cli
    cld
    mov %eax, %ebp
    mov %ebx, %edi
    mov $PHYS(boot_stack_end), %esp

    /* Without long mode there is nobody to report through but the serial port. */
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    and $((1 << 29) | (1 << 20)), %edx
    cmp $((1 << 29) | (1 << 20)), %edx
    jne no_long_mode

    /* The four page directories: 2048 entries of 2 MiB. */
    mov $PHYS(boot_directories), %ebx
    mov $0x83, %eax
    xor %ecx, %ecx
1:  mov %eax, (%ebx, %ecx, 8)
    movl $0, 4(%ebx, %ecx, 8)
    add $0x200000, %eax
    inc %ecx
    cmp $2048, %ecx
    jne 1b

    mov $PHYS(boot_pdpt_low), %ebx
    mov $(PHYS(boot_directories) + 3), %eax
    xor %ecx, %ecx
2:  mov %eax, (%ebx, %ecx, 8)
    add $0x1000, %eax
    inc %ecx
    cmp $4, %ecx
    jne 2b

    movl $(PHYS(boot_directories) + 3), PHYS(boot_pdpt_image) + 510 * 8
    movl $(PHYS(boot_pdpt_low) + 3), PHYS(boot_pml4)
    movl $(PHYS(boot_pdpt_image) + 3), PHYS(boot_pml4) + 511 * 8

    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov $CR4_PAE, %eax
    mov %eax, %cr4
    mov $MSR_EFER, %ecx
    mov $EFER_NXE_LME, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_PG_WP_NE_ET_MP_PE, %eax
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $HV_CS, $boot_entry_64

no_long_mode:
    mov $no_long_mode_text, %esi
3:  mov $0x3fd, %edx
    in %dx, %al
    test $0x20, %al
    jz 3b
    lodsb
    test %al, %al
    jz 4f
    mov $0x3f8, %edx
    out %al, %dx
    jmp 3b
4:  hlt
    jmp 4b
no_long_mode_text:
    .asciz "bulkhead: fatal: this processor has no 64-bit mode or no no-execute pages\r\n"

    .code64
boot_entry_64:
    mov $HV_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_end, %rsp
    mov %edi, %esi
    mov %ebp, %edi
    xor %ebp, %ebp
    movabs $boot_main, %rax
    call *%rax
5:  hlt
    jmp 5b

    .section .rodata
    .balign 8
    .globl boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* HV_CS: 64-bit code */
    .quad 0x00cf93000000ffff /* HV_DS: data */
    .globl boot_gdt_pointer
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .quad PHYS(boot_gdt)

    .section .bss
    .balign 4096
    .globl boot_pml4, boot_pdpt_low
boot_pml4:
    .skip 4096
boot_pdpt_low:
    .skip 4096
boot_pdpt_image:
    .skip 4096
boot_directories:
    .skip 4 * 4096
    .globl boot_stack_guard, boot_stack_end
boot_stack_guard: /* not mapped in the final page tables */
    .skip 4096
    .skip 8 * 4096
boot_stack_end:

    .section .note.GNU-stack, "", @progbits
