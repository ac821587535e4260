/* SPDX-License-Identifier: MIT */
#include "tests/unit/hv/host_call.h"

#include "hv/abi/msr.h"
#include "hv/core/msr.h"
#include "tests/unit/hv/host_arch.h"

int host_call_setup(void **state)
{
    (void)state;
    host_machine_init(HOST_VPS, PARTITION_PARENT);
    return 0;
}

uint64_t host_call(uint64_t control, uint64_t rdx, uint64_t r8)
{
    host.vp[0].registers.rcx = control;
    host.vp[0].registers.rdx = rdx;
    host.vp[0].registers.r8 = r8;
    struct vp_registers before = host.vp[0].registers;

    hypercall_dispatch(&host.vp[0]);
    const uint64_t result = host.vp[0].registers.rax;

    before.rax = result;
    assert_memory_equal(&host.vp[0].registers, &before, sizeof before); /* only RAX changes */
    assert_true(host_windows_closed());
    return result;
}

uint64_t host_varhead(uint64_t words)
{
    return words << HV_CONTROL_VARHEAD_SHIFT;
}

void host_call_refused(uint64_t control, uint64_t rdx, uint64_t r8, enum hv_status status)
{
    const uint64_t messages = host.vp[0].stats.messages_delivered;

    assert_int_equal(host_call(control, rdx, r8), status);
    for (unsigned i = 0; i < HOST_VPS; i++) {
        assert_int_equal(vapic_next(&host.vp[i].apic), VAPIC_NONE);
        assert_int_equal(host.record[i].yields, 0);
    }
    assert_int_equal(host.vp[0].stats.messages_delivered, messages);
    assert_true(host_page_is(spa_make(OUTPUT), 0));
    assert_true(host_page_is(spa_make(EVENTS), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_HYPERVISOR << 12), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_UNASSIGNED << 12), 0));
    assert_true(host_page_is(spa_make(HOST_PAGE_DEPOSITED << 12), 0));
}

unsigned host_receivers(uint8_t vector)
{
    unsigned got = 0;

    for (unsigned i = 0; i < HOST_VPS; i++) {
        if (host_deliver(&host.vp[i]) == vector) {
            got |= 1u << i;
            assert_true(vapic_write(&host.vp[i], VAPIC_EOI, 0));
        }
    }
    return got;
}

void host_synic_on(struct vp *target)
{
    assert_true(msr_write(target, HV_MSR_SIMP, MESSAGES | 1));
    assert_true(msr_write(target, HV_MSR_SIEFP, EVENTS | 1));
    assert_true(msr_write(target, HV_MSR_SINT0 + SINT, VECTOR));
    assert_true(msr_write(target, HV_MSR_SCONTROL, 1));
}
