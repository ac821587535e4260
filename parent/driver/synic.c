// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpuhotplug.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/printk.h>
#include <linux/reboot.h>
#include <linux/smp.h>

#include <asm/io.h>
#include <asm/irq_vectors.h>
#include <asm/msr.h>

#include "hv/abi/msr.h"
#include "hv/abi/port.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/kernel_hyperv.h"
#include "parent/driver/port.h"
#include "parent/driver/synic.h"

struct synic {
    struct hv_message_page *messages;
    struct hv_event_flags_page *events;
    struct hv_event_ring_page *rings;
    unsigned int ring_tail;
};

static DEFINE_PER_CPU(struct synic, synics);
static void (*handle_message)(const struct hv_message *message);
static enum cpuhp_state cpu_state;

/* --- interrupt ---------------------------------------------------------------------------- */

/* Rings every entry from the tail on; true when there was one. */
static bool drain_entries(struct synic *synic, struct hv_event_ring *ring)
{
    bool any = false;
    u32 id;

    while ((id = READ_ONCE(ring->entry[synic->ring_tail])) != 0) {
        WRITE_ONCE(ring->entry[synic->ring_tail], 0);
        synic->ring_tail = (synic->ring_tail + 1) % HV_EVENT_RING_ENTRIES;
        bh_port_ring(id);
        any = true;
    }
    return any;
}

void bh_synic_drain_ring(void)
{
    struct synic *synic = this_cpu_ptr(&synics);
    struct hv_event_ring *ring;

    if (!synic->rings)
        return;
    ring = &synic->rings->sint[BH_SINT_PORTS];
    do {
        (void)drain_entries(synic, ring);
        if (READ_ONCE(ring->ring_full)) {
            WRITE_ONCE(ring->ring_full, 0);
            (void)bh_hypercall_fast(HVCALL_NOTIFY_PORT_RING_EMPTY, BH_SINT_PORTS, 0);
        }
        WRITE_ONCE(ring->signal_masked, 0);
        /* An entry added before the unmasking was seen has no signal of its own. */
        smp_mb();
    } while (drain_entries(synic, ring));
}

static void drain_here(void *unused)
{
    bh_synic_drain_ring();
}

void bh_synic_drain_all(void)
{
    on_each_cpu(drain_here, NULL, 1);
}

/* Frees the slot; the hypervisor refills it on EOM when it had to wait. */
static void release_slot(struct hv_message *message)
{
    WRITE_ONCE(message->type, HV_MESSAGE_NONE);
    mb(); /* the slot is free before the flag is looked at */
    if (READ_ONCE(message->flags) & HV_MESSAGE_FLAG_PENDING)
        wrmsrl(HV_MSR_EOM, 0);
}

static void synic_interrupt(void)
{
    struct synic *synic = this_cpu_ptr(&synics);
    struct hv_message *message;

    if (!synic->messages)
        return;
    message = &synic->messages->sint[BH_SINT_MESSAGE];
    if (READ_ONCE(message->type) == HV_MESSAGE_NONE)
        return;
    rmb(); /* the message is read after its type */
    handle_message(message);
    release_slot(message);
}

/* --- registers of one CPU ----------------------------------------------------------------- */

static void free_pages_of(struct synic *synic)
{
    free_page((unsigned long)synic->messages);
    free_page((unsigned long)synic->events);
    free_page((unsigned long)synic->rings);
    memset(synic, 0, sizeof(*synic));
}

/* On the CPU itself. Its interrupt handler does not see the pages any more when they are freed. */
static void give_up_pages(struct synic *synic)
{
    struct synic pages;

    local_irq_disable();
    bh_synic_drain_ring();
    pages = *synic;
    memset(synic, 0, sizeof(*synic));
    local_irq_enable();
    free_pages_of(&pages);
}

static int allocate_pages_of(struct synic *synic)
{
    synic->messages = (void *)get_zeroed_page(GFP_KERNEL);
    synic->events = (void *)get_zeroed_page(GFP_KERNEL);
    synic->rings = (void *)get_zeroed_page(GFP_KERNEL);
    if (synic->messages && synic->events && synic->rings)
        return 0;
    free_pages_of(synic);
    return -ENOMEM;
}

static u64 page_register(const void *page)
{
    return virt_to_phys((void *)page) | HV_PAGE_MSR_ENABLE;
}

static void disable(void)
{
    (void)wrmsrl_safe(HV_MSR_SINT0 + BH_SINT_MESSAGE, HV_SINT_MASKED);
    (void)wrmsrl_safe(HV_MSR_SINT0 + BH_SINT_PORTS, HV_SINT_MASKED);
    (void)wrmsrl_safe(HV_MSR_SCONTROL, 0);
    (void)wrmsrl_safe(HV_MSR_SIRBP, 0);
    (void)wrmsrl_safe(HV_MSR_SIEFP, 0);
    (void)wrmsrl_safe(HV_MSR_SIMP, 0);
}

/* Event rings are for ports alone; a hypervisor without them serves everything else. */
static void enable_rings(const struct synic *synic)
{
    if (wrmsrl_safe(HV_MSR_SIRBP, page_register(synic->rings)))
        return;
    (void)wrmsrl_safe(HV_MSR_SINT0 + BH_SINT_PORTS,
                      HYPERVISOR_CALLBACK_VECTOR | HV_SINT_AS_INTERCEPT);
}

static int enable(const struct synic *synic)
{
    if (wrmsrl_safe(HV_MSR_SIMP, page_register(synic->messages)) ||
        wrmsrl_safe(HV_MSR_SIEFP, page_register(synic->events)) ||
        wrmsrl_safe(HV_MSR_SINT0 + BH_SINT_MESSAGE, HYPERVISOR_CALLBACK_VECTOR))
        return -ENODEV;
    enable_rings(synic);
    return wrmsrl_safe(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE) ? -ENODEV : 0;
}

/* On the CPU itself, as it comes online. */
static int synic_online(unsigned int cpu)
{
    struct synic *synic = per_cpu_ptr(&synics, cpu);
    int err = allocate_pages_of(synic);

    if (err)
        return err;
    err = enable(synic);
    if (err) {
        disable();
        give_up_pages(synic);
    }
    return err;
}

static int synic_offline(unsigned int cpu)
{
    disable();
    give_up_pages(per_cpu_ptr(&synics, cpu));
    return 0;
}

/* --- module ------------------------------------------------------------------------------- */

/* The next kernel must find the pages of this one unused. */
static int synic_reboot(struct notifier_block *block, unsigned long event, void *data)
{
    cpuhp_remove_state(cpu_state);
    return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = {.notifier_call = synic_reboot};

/* Somebody (the VMBus driver) uses SINTs of this CPU. */
static bool is_in_use(void)
{
    u64 control;

    return !rdmsrl_safe(HV_MSR_SCONTROL, &control) && control & HV_SCONTROL_ENABLE;
}

int bh_synic_init(void (*handle)(const struct hv_message *message))
{
    int state;

    if (is_in_use()) {
        pr_err("the kernel's hv_vmbus driver uses the synthetic interrupt controller; unload "
               "hv_vmbus first\n");
        return -EBUSY;
    }
    handle_message = handle;
    bh_kernel_set_interrupt_handler(synic_interrupt);
    state = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "bulkhead/synic:online", synic_online,
                              synic_offline);
    if (state < 0) {
        bh_kernel_set_interrupt_handler(NULL);
        return state;
    }
    cpu_state = state;
    (void)register_reboot_notifier(&reboot_notifier);
    return 0;
}

void bh_synic_exit(void)
{
    (void)unregister_reboot_notifier(&reboot_notifier);
    cpuhp_remove_state(cpu_state);
    bh_kernel_set_interrupt_handler(NULL);
}
