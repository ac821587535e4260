/* SPDX-License-Identifier: MIT */
#include "parent/worker/lapic.h"

#include "hv/abi/vp.h"
#include "parent/worker/acpi.h"

#define PAGE_SIZE      0x1000u
#define REGISTER_SHIFT 4 /* one register each 16 bytes */

/* Accesses are of 32 bits and aligned; what others do is undefined. */
static bool find_name(uint64_t offset, unsigned size, uint32_t *name)
{
    *name = HV_REGISTER_APIC + (uint32_t)(offset >> REGISTER_SHIFT);
    return size == sizeof(uint32_t) && offset % (1u << REGISTER_SHIFT) == 0 &&
           offset >> REGISTER_SHIFT < HV_REGISTER_APIC_COUNT;
}

static uint64_t lapic_read(void *context, uint64_t offset, unsigned size)
{
    struct bh_register wanted = {0};
    struct bh_error ignored;

    if (!find_name(offset, size, &wanted.name) ||
        !bh_vp_get_registers(context, &wanted, 1, &ignored))
        return 0;
    return wanted.value.u64;
}

static void lapic_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    struct bh_register wanted = {.value = {.u64 = value}};
    struct bh_error ignored;

    if (find_name(offset, size, &wanted.name))
        (void)bh_vp_set_registers(context, &wanted, 1, &ignored);
}

bool bh_lapic_has(uint64_t gpa)
{
    return gpa >= BH_LOCAL_APIC_BASE && gpa - BH_LOCAL_APIC_BASE < PAGE_SIZE;
}

struct bh_bus bh_lapic_bus(struct bh_vp *vp)
{
    return (struct bh_bus){.count = 1,
                           .range = {{.base = BH_LOCAL_APIC_BASE,
                                      .length = PAGE_SIZE,
                                      .device = {lapic_read, lapic_write, vp}}}};
}
