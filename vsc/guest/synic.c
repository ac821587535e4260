/* SPDX-License-Identifier: MIT */
#include "vsc/guest/synic.h"

#include <string.h>

#include "hv/abi/cpuid.h"
#include "hv/abi/hypercall.h"
#include "hv/abi/msr.h"
#include "hv/abi/synic.h"
#include "vsc/guest/interrupts.h"
#include "vsc/guest/memory.h"
#include "vsc/guest/processor.h"

#define OS_ID        0x8200000000000001ull /* open source, none of the known ones */
#define CALL_FAST    (1ull << 16)
#define STATUS_MASK  0xffffull
#define FLAG_WORDS   (VSC_RELIDS / 64)
#define TIMER_PERIOD (VSC_SECOND / 4) /* so that each wait ends */

/* Input of HvCallPostMessage (TLFS, "HvCallPostMessage"). */
struct post_message {
    uint32_t connection;
    uint32_t reserved;
    uint32_t type;
    uint32_t size;
    uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
};
_Static_assert(sizeof(struct post_message) == 256, "HV_INPUT_POST_MESSAGE");

static _Alignas(PAGE_SIZE) uint8_t hypercall_page[PAGE_SIZE];
static _Alignas(PAGE_SIZE) struct hv_message_page messages;
static _Alignas(PAGE_SIZE) struct hv_event_flags_page flags;
static _Alignas(PAGE_SIZE) struct hv_reference_tsc_page reference;
static _Alignas(256) struct post_message input;
static uint64_t signals;
static struct vsc_bus bus;

static uint64_t hypercall(uint64_t control, uint64_t first, uint64_t second)
{
    register uint64_t r8 __asm__("r8") = second;
    uint64_t status;

    __asm__ volatile("call *%[page]"
                     : "=a"(status), "+c"(control), "+d"(first), "+r"(r8)
                     : [page] "r"(hypercall_page)
                     : "memory", "cc", "r9", "r10", "r11");
    return status & STATUS_MASK;
}

/* --- the platform ------------------------------------------------------------------------- */

static bool on_post(void *context, uint32_t connection, const void *payload, size_t size)
{
    (void)context;
    input = (struct post_message){
        .connection = connection, .type = VMBUS_MESSAGE_TYPE, .size = (uint32_t)size};
    memcpy(input.payload, payload, size);
    return hypercall(HVCALL_POST_MESSAGE, (uint64_t)&input, 0) == HV_STATUS_SUCCESS;
}

static void on_signal(void *context, uint32_t connection)
{
    (void)context;
    signals++;
    (void)hypercall(HVCALL_SIGNAL_EVENT | CALL_FAST, connection, 0);
}

static uint64_t on_frame(void *context, const void *address)
{
    (void)context;
    return (uint64_t)address / PAGE_SIZE; /* mapped one to one */
}

static uint64_t on_clock(void *context)
{
    (void)context;
    return synic_clock();
}

static bool take_events(void)
{
    bool found = false;

    for (uint32_t i = 0; i < FLAG_WORDS; i++) {
        uint64_t *word = &flags.sint[VMBUS_SINT][i];
        uint64_t set = __atomic_load_n(word, __ATOMIC_RELAXED);

        if (set == 0)
            continue;
        found = true;
        set = __atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL);
        for (; set != 0; set &= set - 1)
            vsc_bus_event(&bus, i * 64 + (uint32_t)__builtin_ctzll(set));
    }
    return found;
}

/* Copied out, so that the hypervisor has the slot again before anybody acts on the message. */
static bool take_message(void)
{
    struct hv_message *slot = &messages.sint[VMBUS_SINT];
    uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
    uint32_t size;

    if (__atomic_load_n(&slot->type, __ATOMIC_ACQUIRE) == HV_MESSAGE_NONE)
        return false;
    size = slot->payload_size;
    memcpy(payload, slot->payload, sizeof(payload));
    __atomic_store_n(&slot->type, HV_MESSAGE_NONE, __ATOMIC_SEQ_CST);
    if ((__atomic_load_n(&slot->flags, __ATOMIC_ACQUIRE) & HV_MESSAGE_FLAG_PENDING) != 0)
        write_msr(HV_MSR_EOM, 0);
    vsc_bus_message(&bus, payload, size);
    return true;
}

static bool take_all(void)
{
    bool found = take_events();

    while (take_message())
        found = true;
    return found;
}

static bool is_anything(void)
{
    uint64_t any = __atomic_load_n(&messages.sint[VMBUS_SINT].type, __ATOMIC_ACQUIRE);

    for (uint32_t i = 0; i < FLAG_WORDS; i++)
        any |= __atomic_load_n(&flags.sint[VMBUS_SINT][i], __ATOMIC_ACQUIRE);
    return any != 0;
}

static void on_serve(void *context, bool sleep)
{
    (void)context;
    if (take_all() || !sleep)
        return;
    interrupts_off();
    if (is_anything())
        interrupts_on();
    else
        interrupts_on_and_halt();
    (void)take_all();
}

static const struct vsc_platform platform = {
    .post = on_post, .signal = on_signal, .frame = on_frame, .clock = on_clock, .serve = on_serve};

/* --- life --------------------------------------------------------------------------------- */

static bool is_there(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if ((ecx & CPUID_1_ECX_HYPERVISOR) == 0)
        return false;
    eax = HV_CPUID_INTERFACE;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return eax == HV_INTERFACE_SIGNATURE;
}

bool synic_begin(void)
{
    if (!is_there())
        return false;
    write_msr(HV_MSR_GUEST_OS_ID, OS_ID);
    write_msr(HV_MSR_HYPERCALL, (uint64_t)hypercall_page | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_REFERENCE_TSC, (uint64_t)&reference | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SIMP, (uint64_t)&messages | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SIEFP, (uint64_t)&flags | HV_PAGE_MSR_ENABLE);
    write_msr(HV_MSR_SINT0 + VMBUS_SINT, VECTOR_VMBUS);
    write_msr(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
    write_msr(HV_MSR_STIMER0_CONFIG, (uint64_t)VECTOR_TIMER << HV_STIMER_VECTOR_SHIFT |
                                         HV_STIMER_DIRECT | HV_STIMER_PERIODIC |
                                         HV_STIMER_AUTO_ENABLE);
    write_msr(HV_MSR_STIMER0_CONFIG + 1, TIMER_PERIOD);
    vsc_bus_begin(&bus, &platform, (uint32_t)read_msr(HV_MSR_VP_INDEX));
    interrupts_on();
    return true;
}

struct vsc_bus *synic_bus(void)
{
    return &bus;
}

/* By the page, which costs no exit (TLFS, "Reference TSC"). */
uint64_t synic_clock(void)
{
    for (;;) {
        uint32_t sequence = __atomic_load_n(&reference.sequence, __ATOMIC_ACQUIRE);
        uint64_t scale = reference.scale;
        uint64_t offset = (uint64_t)reference.offset;
        uint64_t tsc = read_tsc();

        if (sequence == 0)
            return read_msr(HV_MSR_TIME_REF_COUNT);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&reference.sequence, __ATOMIC_RELAXED) == sequence)
            return (uint64_t)((unsigned __int128)tsc * scale >> 64) + offset;
    }
}

uint64_t synic_signals(void)
{
    return signals;
}
