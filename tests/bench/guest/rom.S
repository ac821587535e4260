/* SPDX-License-Identifier: MIT */
/*
 * A firmware of 64 KiB that writes the time-stamp counter at its first instruction to the serial
 * port, as 16 hexadecimal digits, and stops. With it QEMU tells when a machine that is not ours runs its
 * first instruction, before any firmware of its own.
 */
#define SERIAL 0x3f8

    .section .text
    .code16
    .org 0xff00
first:
    mov %eax, %ebx
    mov $SERIAL, %dx
    mov %edi, %ebp
    call digits
    mov %ebx, %ebp
    call digits
    mov $'\n', %al
    out %al, (%dx)
1:  hlt
    jmp 1b

/* EBP as eight digits. */
digits:
    mov $8, %cx
2:  rol $4, %ebp
    mov %ebp, %eax
    and $15, %al
    cmp $10, %al
    jb 3f
    add $'a' - '0' - 10, %al
3:  add $'0', %al
    out %al, (%dx)
    loop 2b
    ret

    .org 0xfff0
    rdtsc
    mov %edx, %edi
    jmp first
    .org 0x10000

    .section .note.GNU-stack, "", @progbits
