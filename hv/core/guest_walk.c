/* SPDX-License-Identifier: MIT */
/* Guest page tables: 32-bit, PAE, four and five levels (AMD64 APM 2, chapter 5). */
#include "hv/core/guest_walk.h"

#include "hv/core/partition.h"
#include "hv/core/registers.h"

#define PTE_PRESENT   (1ull << 0)
#define PTE_WRITE     (1ull << 1)
#define PTE_USER      (1ull << 2)
#define PTE_NX        (1ull << 63)
#define PTE_LARGE     (1ull << 7)
#define ADDRESS_LONG  0x000ffffffffff000ull
#define ADDRESS_SHORT 0xfffff000ull

/* How a paging mode cuts an address. */
struct walk_mode {
    unsigned levels;
    unsigned index_bits;
    unsigned entry_size;
    unsigned large_levels; /* from level 1 up to this one, entries may be pages */
    uint64_t address_mask;
    uint64_t root;
};

static struct walk_mode mode_of(const struct guest_paging *paging)
{
    if (paging->efer & EFER_LMA)
        return (struct walk_mode){paging->cr4 & CR4_LA57 ? 5 : 4, 9, 8, 2, ADDRESS_LONG,
                                  paging->cr3 & ADDRESS_LONG};
    if (paging->cr4 & CR4_PAE)
        return (struct walk_mode){3, 9, 8, 1, ADDRESS_LONG, paging->cr3 & 0xffffffe0};
    return (struct walk_mode){
        2, 10, 4, paging->cr4 & CR4_PSE ? 1 : 0, ADDRESS_SHORT, paging->cr3 & ADDRESS_SHORT};
}

/* A 4 MiB page of the 32-bit mode keeps address bits 39:32 in entry bits 20:13. */
static uint64_t page_base(const struct walk_mode *mode, uint64_t entry, uint64_t page_mask)
{
    uint64_t base = entry & mode->address_mask & ~page_mask;
    if (mode->entry_size == 4 && page_mask > PAGE_MASK)
        base |= (entry >> 13 & 0xff) << 32;
    return base;
}

/* What a page allows: the AND of PTE_WRITE and PTE_USER and the OR of PTE_NX over all levels. */
static bool walk(struct partition *partition, const struct guest_paging *paging, uint64_t address,
                 gpa_t *gpa, uint64_t *rights)
{
    *rights = PTE_WRITE | PTE_USER;
    if (!(paging->cr0 & CR0_PG)) {
        *gpa = gpa_make(address & 0xffffffff);
        return true;
    }
    const struct walk_mode mode = mode_of(paging);
    uint64_t table = mode.root;
    for (unsigned level = mode.levels; level-- > 0;) {
        const unsigned shift = PAGE_SHIFT + level * mode.index_bits;
        const uint64_t index = address >> shift & ((1ull << mode.index_bits) - 1);
        uint64_t entry = 0;
        if (!partition_read(partition, gpa_make(table + index * mode.entry_size), &entry,
                            mode.entry_size) ||
            !(entry & PTE_PRESENT))
            return false;
        if (level < 2 || mode.levels > 3) /* the top entries of PAE have no rights */
            *rights &= entry | PTE_NX;
        if (mode.entry_size == 8)
            *rights |= entry & PTE_NX;
        const bool large = level > 0 && level <= mode.large_levels && (entry & PTE_LARGE);
        if (level == 0 || large) {
            const uint64_t page_mask = (1ull << shift) - 1;
            *gpa = gpa_make(page_base(&mode, entry, page_mask) | (address & page_mask));
            return true;
        }
        table = entry & mode.address_mask;
    }
    return false;
}

bool guest_walk(struct partition *partition, const struct guest_paging *paging, uint64_t address,
                gpa_t *gpa)
{
    uint64_t rights;
    return walk(partition, paging, address, gpa, &rights);
}

static bool is_allowed(const struct guest_paging *paging, uint64_t rights, uint64_t flags)
{
    const bool user = flags & HV_TRANSLATE_USER;
    if (!(paging->cr0 & CR0_PG) || (flags & HV_TRANSLATE_PRIVILEGE_EXEMPT))
        return true;
    if (user && !(rights & PTE_USER))
        return false;
    if ((flags & HV_TRANSLATE_WRITE) && !(rights & PTE_WRITE) && (user || (paging->cr0 & CR0_WP)))
        return false;
    if (!user && (rights & PTE_USER) && (flags & HV_TRANSLATE_EXECUTE) && (paging->cr4 & CR4_SMEP))
        return false;
    return !(flags & HV_TRANSLATE_EXECUTE) || !(rights & PTE_NX) || !(paging->efer & EFER_NXE);
}

enum hv_translate_code guest_translate(struct partition *partition,
                                       const struct guest_paging *paging, uint64_t address,
                                       uint64_t flags, gpa_t *gpa)
{
    uint64_t rights;
    spa_t page;
    if (!walk(partition, paging, address, gpa, &rights))
        return HV_TRANSLATE_NOT_PRESENT;
    if (!is_allowed(paging, rights, flags))
        return HV_TRANSLATE_PRIVILEGE_VIOLATION;
    if (!partition_translate(partition, *gpa, false, &page))
        return HV_TRANSLATE_GPA_UNMAPPED;
    if ((flags & HV_TRANSLATE_WRITE) && !partition_translate(partition, *gpa, true, &page))
        return HV_TRANSLATE_GPA_NO_WRITE;
    return HV_TRANSLATE_SUCCESS;
}

size_t guest_fetch(struct partition *partition, const struct guest_paging *paging, uint64_t address,
                   uint8_t *bytes, size_t size)
{
    size_t done = 0;
    while (done < size) {
        const uint64_t left_in_page = PAGE_SIZE - ((address + done) & PAGE_MASK);
        const size_t part = size - done < left_in_page ? size - done : left_in_page;
        gpa_t gpa;
        if (!guest_walk(partition, paging, address + done, &gpa) ||
            !partition_read(partition, gpa, bytes + done, part))
            break;
        done += part;
    }
    return done;
}
