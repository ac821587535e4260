/* SPDX-License-Identifier: MIT */
/*
 * bool svm_enter(struct vp_registers *registers, uint64_t vmcb_spa, uint64_t host_vmcb_spa,
 *                const volatile bool *nmi_seen, bool in_shadow)
 *
 * RAX, RSP, RIP and RFLAGS of the guest are in the VMCB. From CLGI on neither
 * interrupts nor NMIs are taken; IF must be set at VMRUN, so that a physical
 * interrupt ends the guest's run whatever the guest's own flags are. It stays
 * pending until the hypervisor opens its window; an NMI is taken at STGI. One that
 * came just before CLGI has left its note in nmi_seen: then the guest is not
 * entered, and the result is false.
 *
 * QEMU 7.2 does not load the guest's interrupt shadow from the VMCB, but hands on the one that
 * STI leaves before VMRUN. Without it a guest's "sti; hlt" would take the interrupt
 * between the two, and sleep after what should have woken it. To real processors
 * a second STI is nothing.
 */
/* Offsets in struct vp_registers. */
    .set offset, 0
    .irp register, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    .set offset_of_\register, offset
    .set offset, offset + 8
    .endr

    .text
    .globl svm_enter
    .type svm_enter, @function
svm_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rdi
    mov %rsi, %rax
    clgi
    cmpb $0, (%rcx)
    jne 1f
    sti
    test %r8b, %r8b /* no instruction from here to the branch changes the flags */

    .irp register, rcx, rdx, rbx, rbp, rsi, r8, r9, r10, r11, r12, r13, r14, r15, rdi
    mov offset_of_\register(%rdi), %\register
    .endr

    vmload %rax
    jz 3f
    sti
3:  vmrun %rax
    vmsave %rax

    xchg %rdi, (%rsp)
    .irp register, rcx, rdx, rbx, rbp, rsi, r8, r9, r10, r11, r12, r13, r14, r15
    mov %\register, offset_of_\register(%rdi)
    .endr
    pop %rcx
    mov %rcx, offset_of_rdi(%rdi)

    pop %rax
    vmload %rax
    cli
    stgi
    mov $1, %eax
    jmp 2f
1:  stgi
    add $16, %rsp
    xor %eax, %eax
2:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .size svm_enter, . - svm_enter

    .section .note.GNU-stack, "", @progbits
