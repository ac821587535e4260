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
#define REG_RCX 0x08
#define REG_RDX 0x10
#define REG_RBX 0x18
#define REG_RBP 0x28
#define REG_RSI 0x30
#define REG_RDI 0x38
#define REG_R8  0x40
#define REG_R9  0x48
#define REG_R10 0x50
#define REG_R11 0x58
#define REG_R12 0x60
#define REG_R13 0x68
#define REG_R14 0x70
#define REG_R15 0x78

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

    mov REG_RCX(%rdi), %rcx
    mov REG_RDX(%rdi), %rdx
    mov REG_RBX(%rdi), %rbx
    mov REG_RBP(%rdi), %rbp
    mov REG_RSI(%rdi), %rsi
    mov REG_R8(%rdi), %r8
    mov REG_R9(%rdi), %r9
    mov REG_R10(%rdi), %r10
    mov REG_R11(%rdi), %r11
    mov REG_R12(%rdi), %r12
    mov REG_R13(%rdi), %r13
    mov REG_R14(%rdi), %r14
    mov REG_R15(%rdi), %r15
    mov REG_RDI(%rdi), %rdi

    vmload %rax
    jz 3f
    sti
3:  vmrun %rax
    vmsave %rax

    xchg %rdi, (%rsp)
    mov %rcx, REG_RCX(%rdi)
    mov %rdx, REG_RDX(%rdi)
    mov %rbx, REG_RBX(%rdi)
    mov %rbp, REG_RBP(%rdi)
    mov %rsi, REG_RSI(%rdi)
    mov %r8, REG_R8(%rdi)
    mov %r9, REG_R9(%rdi)
    mov %r10, REG_R10(%rdi)
    mov %r11, REG_R11(%rdi)
    mov %r12, REG_R12(%rdi)
    mov %r13, REG_R13(%rdi)
    mov %r14, REG_R14(%rdi)
    mov %r15, REG_R15(%rdi)
    pop %rcx
    mov %rcx, REG_RDI(%rdi)

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
