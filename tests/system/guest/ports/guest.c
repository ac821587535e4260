/* SPDX-License-Identifier: MIT */
#include "tests/system/guest/ports/guest.h"

#include "hv/abi/hypercall.h"
#include "hv/abi/msr.h"
#include "hv/abi/synic.h"

#define GUEST         __attribute__((section("guest_text"), used))
#define GUEST_INLINE  static inline __attribute__((always_inline))
#define MSR_APIC_BASE 0x1bu
#define MSR_X2APIC    0x80fu
#define X2APIC        0xc00u
#define APIC_ENABLED  0x1ffu
#define VECTOR        0x40u
#define OS_ID         0x8100000000000001u
#define MESSAGE_TYPE  1u

/* Counts, in all and by vector (the highest one in service, of 0x40 to 0x5f), and ends the
 * interrupt. */
__asm__(".pushsection guest_text,\"ax\",@progbits\n"
        "guest_interrupt:\n"
        "push %rax\n"
        "push %rcx\n"
        "push %rdx\n"
        "mov $0x812, %ecx\n"
        "rdmsr\n"
        "bsr %eax, %eax\n"
        "jz 1f\n"
        "lock incl 0x6900(,%rax,4)\n"
        "1: mov $0x40000070, %ecx\n"
        "xor %eax, %eax\n"
        "xor %edx, %edx\n"
        "wrmsr\n"
        "lock incl 0x6800\n"
        "pop %rdx\n"
        "pop %rcx\n"
        "pop %rax\n"
        "iretq\n"
        ".popsection\n"
        ".globl guest_interrupt\n");

GUEST_INLINE void write_msr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

GUEST_INLINE uint64_t read_msr(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
    return low | (uint64_t)high << 32;
}

GUEST_INLINE uint32_t hypercall(uint64_t control, uint64_t input)
{
    uint64_t result;
    register uint64_t output __asm__("r8") = 0;
    __asm__ volatile("call *%[page]"
                     : "=a"(result), "+c"(control), "+d"(input), "+r"(output)
                     : [page] "r"((uint64_t)GUEST_HYPERCALL)
                     : "r9", "r10", "r11", "memory", "cc");
    return (uint32_t)(result & 0xffff);
}

GUEST_INLINE void job_start(void)
{
    const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } idt = {0xfff, GUEST_IDT}, gdt = {0x17, GUEST_GDT};
    __asm__ volatile("lidt %0; lgdt %1" : : "m"(idt), "m"(gdt));
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | X2APIC);
    write_msr(MSR_X2APIC, APIC_ENABLED);
    write_msr(HV_MSR_GUEST_OS_ID, OS_ID);
    write_msr(HV_MSR_HYPERCALL, GUEST_HYPERCALL | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SIMP, GUEST_MESSAGES | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SIEFP, GUEST_EVENTS | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SINT0 + GUEST_SINT, VECTOR);
    write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
}

GUEST_INLINE void job_post(struct guest_control *control)
{
    volatile struct hv_input_post_message *input = (void *)(uintptr_t)GUEST_INPUT;
    for (uint32_t i = 0; i < control->count; i++) {
        input->connection_id = control->connection;
        input->reserved = 0;
        input->message_type = MESSAGE_TYPE;
        input->payload_size = 4 + i % (HV_MESSAGE_PAYLOAD_SIZE - 3);
        *(volatile uint32_t *)(uintptr_t)(GUEST_INPUT + 16) = i;
        while ((control->status = hypercall(HVCALL_POST_MESSAGE, GUEST_INPUT)) ==
               HV_STATUS_INSUFFICIENT_BUFFERS)
            control->refused++;
        if (control->status != HV_STATUS_SUCCESS)
            return;
        control->done++;
    }
}

GUEST_INLINE void signal(struct guest_control *control, uint32_t connection)
{
    control->status = hypercall(HVCALL_SIGNAL_EVENT | HV_CONTROL_FAST,
                                connection | (uint64_t)control->flag << 32);
    if (control->status == HV_STATUS_SUCCESS)
        control->done++;
    else if (control->status == HV_STATUS_INVALID_CONNECTION_ID)
        control->missing++;
    else
        control->wrong++;
}

GUEST_INLINE void job_signal(struct guest_control *control)
{
    for (uint32_t i = 0; i < control->count; i++)
        signal(control, control->connection + i % control->step);
}

GUEST_INLINE void job_storm(struct guest_control *control)
{
    for (uint32_t i = 0; !control->stop; i++)
        signal(control, control->connection + i % control->step);
}

GUEST_INLINE void store(uint64_t address, uint64_t value, uint32_t size)
{
    if (size == 1)
        __asm__ volatile("movb %b0, (%1)" : : "a"(value), "r"(address) : "memory");
    else if (size == 2)
        __asm__ volatile("movw %w0, (%1)" : : "a"(value), "d"(address) : "memory");
    else if (size == 4)
        __asm__ volatile("movl %k0, 8(%1)" : : "a"(value), "d"(address - 8) : "memory");
    else
        __asm__ volatile("movq %0, (%1,%2,4)" : : "r"(value), "r"(address), "r"(0ull) : "memory");
}

GUEST_INLINE void job_doorbell(struct guest_control *control)
{
    for (uint32_t i = 0; i < control->count; i++) {
        store(GUEST_DOORBELL + control->step, control->value, control->size);
        control->done++;
    }
}

/* Waits for the next interrupt after the one of number `seen`. */
GUEST_INLINE void wait(uint32_t seen)
{
    volatile uint32_t *interrupts = (void *)(uintptr_t)GUEST_INTERRUPTS;
    for (;;) {
        __asm__ volatile("cli");
        if (*interrupts != seen)
            break;
        __asm__ volatile("sti; hlt" : : : "memory");
    }
}

GUEST_INLINE void job_receive(struct guest_control *control)
{
    volatile uint32_t *interrupts = (void *)(uintptr_t)GUEST_INTERRUPTS;
    struct hv_message *slot =
        &((struct hv_message_page *)(uintptr_t)GUEST_MESSAGES)->sint[GUEST_SINT];
    while (control->step == 0)
        __asm__ volatile("pause");
    for (uint32_t i = 0; i < control->count;) {
        const uint32_t seen = *interrupts;
        if (__atomic_load_n(&slot->type, __ATOMIC_ACQUIRE) == HV_MESSAGE_NONE) {
            wait(seen);
            continue;
        }
        control->wrong += *(volatile uint32_t *)slot->payload != i;
        __atomic_exchange_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&slot->flags, __ATOMIC_SEQ_CST) & HV_MESSAGE_FLAG_PENDING) {
            control->refused++;
            write_msr(HV_MSR_EOM, 0);
        }
        control->done++;
        i++;
    }
}

GUEST_INLINE void job_answer(struct guest_control *control)
{
    const uint32_t before = *(volatile uint32_t *)(uintptr_t)GUEST_INTERRUPTS;
    for (uint32_t i = 0; i < control->count; i++) {
        wait(before + i);
        signal(control, control->connection);
    }
}

GUEST_INLINE void job_flags(struct guest_control *control)
{
    volatile uint32_t *interrupts = (void *)(uintptr_t)GUEST_INTERRUPTS;
    uint64_t *word = &((struct hv_event_flags_page *)(uintptr_t)GUEST_EVENTS)
                          ->sint[GUEST_SINT][control->step / 64];
    const uint64_t bit = 1ull << control->step % 64;
    for (uint32_t i = 0; i < control->count;) {
        const uint32_t seen = *interrupts;
        if (!(__atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST) & bit)) {
            wait(seen);
            continue;
        }
        signal(control, control->connection);
        i++;
    }
    for (uint32_t i = 0; i < sizeof(struct hv_event_flags_page) / sizeof *word; i++)
        control->wrong += ((volatile uint64_t *)(uintptr_t)GUEST_EVENTS)[i] != 0;
}

GUEST void guest_entry(struct guest_control *control)
{
    for (;;) {
        if (control->job == JOB_START)
            job_start();
        else if (control->job == JOB_POST)
            job_post(control);
        else if (control->job == JOB_SIGNAL)
            job_signal(control);
        else if (control->job == JOB_STORM)
            job_storm(control);
        else if (control->job == JOB_DOORBELL)
            job_doorbell(control);
        else if (control->job == JOB_RECEIVE)
            job_receive(control);
        else if (control->job == JOB_ANSWER)
            job_answer(control);
        else if (control->job == JOB_FLAGS)
            job_flags(control);
        __asm__ volatile("outb %%al, %0" : : "i"(GUEST_PORT), "a"(0) : "memory");
    }
}
