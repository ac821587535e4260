/* SPDX-License-Identifier: MIT */
#include "tests/model/svm_entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define AT_EXCEPTIONS   0x008u
#define AT_INTERCEPTS_1 0x00cu
#define AT_INTERCEPTS_2 0x010u
#define AT_IO_MAP       0x040u
#define AT_MSR_MAP      0x048u
#define AT_ASID         0x058u
#define AT_VINTR        0x060u
#define AT_NESTED       0x090u
#define AT_INJECT       0x0a8u
#define AT_NESTED_ROOT  0x0b0u
#define AT_CS_ATTRIBUTE 0x412u
#define AT_SS_ATTRIBUTE 0x422u
#define AT_CPL          0x4cbu
#define AT_EFER         0x4d0u
#define AT_CR4          0x548u
#define AT_CR3          0x550u
#define AT_CR0          0x558u
#define AT_DR7          0x560u
#define AT_DR6          0x568u
#define AT_RFLAGS       0x570u
#define AT_PAT          0x668u

#define BIT(n)      (1ull << (n))
#define HIGH        0xffffffff00000000ull
#define EFER_MBZ    (~(BIT(0) | BIT(8) | BIT(10) | BIT(11) | BIT(12) | BIT(13) | BIT(14) | BIT(15)))
#define CR3_MBZ     0xfff0000000000000ull
#define CR4_MBZ     (~0x00f71fffull) /* all processors' bits: 0 to 12, 16 to 18, 20 to 23 */
#define CHILD_ASIDS 2u               /* 0 is the hypervisor's, 1 the parent's */

/* INTR, NMI, INIT, CPUID, INVD, HLT, INVLPGA, I/O, MSR, shutdown; VMRUN to SKINIT, WBINVD. */
#define INTERCEPTS_1 \
    (BIT(0) | BIT(1) | BIT(3) | BIT(18) | BIT(22) | BIT(24) | BIT(26) | BIT(27) | BIT(28) | BIT(31))
#define INTERCEPTS_2 (0x7full | BIT(9))

static uint64_t word(const void *vmcb, size_t at)
{
    uint64_t value;

    memcpy(&value, (const char *)vmcb + at, sizeof value);
    return value;
}

static uint32_t half(const void *vmcb, size_t at)
{
    return (uint32_t)word(vmcb, at);
}

static bool has(const void *vmcb, size_t at, uint64_t bits)
{
    return (word(vmcb, at) & bits) == bits;
}

static bool is_pat(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        const unsigned type = value >> (8 * i) & 0xff;

        if (type != 0 && type != 1 && (type < 4 || type > 7)) {
            return false;
        }
    }
    return true;
}

/* Interrupt, NMI, exception; a software interrupt is nobody's to inject here. */
static bool is_event(uint64_t event)
{
    const unsigned type = event >> 8 & 7, vector = event & 0xff;

    return !(event & BIT(31)) || type == 0 || type == 2 ||
           (type == 3 && vector != 2 && vector < 32);
}

static const char *breaks_controls(const void *vmcb, const struct svm_entry_maps *maps)
{
    if (half(vmcb, AT_ASID) < CHILD_ASIDS) {
        return "a child runs under an identifier of the hypervisor or the parent";
    }
    if ((half(vmcb, AT_INTERCEPTS_1) & INTERCEPTS_1) != INTERCEPTS_1 ||
        (half(vmcb, AT_INTERCEPTS_2) & INTERCEPTS_2) != INTERCEPTS_2) {
        return "a child runs without an intercept";
    }
    if (word(vmcb, AT_MSR_MAP) != maps->msr || word(vmcb, AT_IO_MAP) != maps->io) {
        return "a child runs with another map of intercepts";
    }
    if (!has(vmcb, AT_NESTED, 1) || word(vmcb, AT_NESTED_ROOT) != maps->nested_root) {
        return "a child runs with other nested tables";
    }
    return has(vmcb, AT_VINTR, BIT(24)) ? NULL : "a child has the interrupt flag of the machine";
}

static const char *breaks_reserved(const void *vmcb)
{
    static const struct {
        size_t at;
        uint64_t zero;
        const char *words;
    } reserved[] = {
        {AT_EFER, EFER_MBZ, "reserved bits of EFER"}, {AT_CR0, HIGH, "the upper half of CR0"},
        {AT_CR3, CR3_MBZ, "reserved bits of CR3"},    {AT_DR6, HIGH, "the upper half of DR6"},
        {AT_DR7, HIGH, "the upper half of DR7"},
    };

    for (unsigned i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (word(vmcb, reserved[i].at) & reserved[i].zero) {
            return reserved[i].words;
        }
    }
    return NULL;
}

const char *svm_entry_breaks_host(const void *vmcb, const struct svm_entry_maps *maps)
{
    const char *broken = breaks_controls(vmcb, maps);
    const unsigned dpl = half(vmcb, AT_SS_ATTRIBUTE) >> 5 & 3;

    if (broken == NULL) {
        broken = breaks_reserved(vmcb);
    }
    if (broken != NULL) {
        return broken;
    }
    if (!has(vmcb, AT_EFER, BIT(12))) {
        return "EFER.SVME is zero";
    }
    if (has(vmcb, AT_CR0, BIT(31)) && !has(vmcb, AT_CR0, BIT(0))) {
        return "paging without protection";
    }
    if (!has(vmcb, AT_RFLAGS, BIT(1))) {
        return "RFLAGS without the bit that is always one";
    }
    if (!is_pat(word(vmcb, AT_PAT))) {
        return "PAT with a type that is none";
    }
    if (!is_event(word(vmcb, AT_INJECT))) {
        return "an event of a type that can not be injected";
    }
    return ((const unsigned char *)vmcb)[AT_CPL] == dpl ? NULL
                                                        : "the privilege level is not that of SS";
}

/* Exceptions that the architecture has (APM 2, table 8-1). */
static bool is_exception(unsigned vector)
{
    return vector < 32 && (BIT(vector) & 0x702f7dfbull);
}

const char *svm_entry_is_refused(const void *vmcb)
{
    const bool long_paging = has(vmcb, AT_EFER, BIT(8)) && has(vmcb, AT_CR0, BIT(31));
    const bool pae = has(vmcb, AT_CR4, BIT(5));
    const uint64_t event = word(vmcb, AT_INJECT);

    if (!has(vmcb, AT_CR0, BIT(30)) && has(vmcb, AT_CR0, BIT(29))) {
        return "CR0.NW without CR0.CD";
    }
    if (word(vmcb, AT_CR4) & CR4_MBZ) {
        return "reserved bits of CR4";
    }
    if (long_paging && !pae) {
        return "long mode without PAE";
    }
    if (long_paging && (half(vmcb, AT_CS_ATTRIBUTE) & 0x600) == 0x600) {
        return "64-bit code of the default size 32";
    }
    if ((event & BIT(31)) && (event >> 8 & 7) == 3 && !is_exception(event & 0xff)) {
        return "an exception that is none";
    }
    return NULL;
}
