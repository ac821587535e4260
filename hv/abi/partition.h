/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls on a partition as a whole: life cycle, properties, memory,
 * installed intercepts. Codes, layouts and values are those of the public
 * interface; deposit and withdraw are in hypercall.h.
 *
 * "rep" calls have one element for each repetition behind the fixed part.
 * HV_PARTITION_ID_SELF stands for the caller wherever a partition id is asked.
 */
#ifndef HV_ABI_PARTITION_H
#define HV_ABI_PARTITION_H

#include "hv/abi/ints.h"

#define HVCALL_CREATE_PARTITION            0x0040u
#define HVCALL_INITIALIZE_PARTITION        0x0041u
#define HVCALL_FINALIZE_PARTITION          0x0042u
#define HVCALL_DELETE_PARTITION            0x0043u
#define HVCALL_GET_PARTITION_PROPERTY      0x0044u
#define HVCALL_SET_PARTITION_PROPERTY      0x0045u
#define HVCALL_MAP_GPA_PAGES               0x004bu
#define HVCALL_UNMAP_GPA_PAGES             0x004cu
#define HVCALL_INSTALL_INTERCEPT           0x004du
#define HVCALL_GET_GPA_PAGES_ACCESS_STATES 0x00c9u
#define HVCALL_GET_PARTITION_PROPERTY_EX   0x0101u

/* The compatibility version that a creator names. */
#define HV_COMPATIBILITY_VERSION 0x609u

/* hv_input_create_partition.flags */
#define HV_CREATE_NESTED                 (1ull << 1)
#define HV_CREATE_GPA_SUPER_PAGES        (1ull << 4)
#define HV_CREATE_EXO                    (1ull << 8) /* every I/O port and unmapped GPA intercepts */
#define HV_CREATE_LAPIC                  (1ull << 13)
#define HV_CREATE_INTERCEPT_MESSAGE_PAGE (1ull << 19)
#define HV_CREATE_X2APIC                 (1ull << 22)

struct hv_input_create_partition {
    uint64_t flags;
    uint64_t proximity;
    uint32_t compatibility_version;
    uint32_t reserved;
    uint64_t disabled_processor_features[3]; /* two banks, XSAVE; a set bit takes it away */
    uint64_t isolation;                      /* 0: none */
};
_Static_assert(sizeof(struct hv_input_create_partition) == 56, "HvCallCreatePartition");

struct hv_output_create_partition {
    uint64_t partition_id;
};
_Static_assert(sizeof(struct hv_output_create_partition) == 8, "HvCallCreatePartition out");

/* Initialize, finalize and delete: "fast" calls with the id in RDX. */
struct hv_input_partition {
    uint64_t partition_id;
};
_Static_assert(sizeof(struct hv_input_partition) == 8, "HvCallInitializePartition");

enum hv_partition_property {
    HV_PROPERTY_PRIVILEGE_FLAGS = 0x10000,
    HV_PROPERTY_SYNTHETIC_FEATURES = 0x10001, /* before initialize only */
    HV_PROPERTY_TIME_FREEZE = 0x30003,
    HV_PROPERTY_REFERENCE_TIME = 0x30005,
    HV_PROPERTY_PROCESSORS_PER_SOCKET = 0x50003,
    HV_PROPERTY_GPA_ACCESS_TRACKING = 0x50005,
    HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION = 0x50017, /* 0 #GP, 1 ignore and read 0 */
    HV_PROPERTY_PROCESSOR_VENDOR = 0x60000,
    HV_PROPERTY_XSAVE_FEATURES = 0x60002,
    HV_PROPERTY_PHYSICAL_ADDRESS_WIDTH = 0x60006,
    HV_PROPERTY_XSAVE_STATES = 0x60007,
    HV_PROPERTY_MAX_XSAVE_SIZE = 0x60008,
    HV_PROPERTY_PROCESSOR_CLOCK = 0x60009, /* Hz */
    HV_PROPERTY_PROCESSOR_FEATURES_0 = 0x6000a,
    HV_PROPERTY_PROCESSOR_FEATURES_1 = 0x6000b,
    HV_PROPERTY_VMM_CAPABILITIES = 0x90007, /* by GET_PARTITION_PROPERTY_EX */
    BH_PROPERTY_SHARE = 0x8b000000,         /* Bulkhead's own: see BH_SHARE */
};

/* HV_PROPERTY_SYNTHETIC_FEATURES: bits 2 to 8 are bits 0 to 6 of HV_CPUID_FEATURES EAX. */
#define HV_SYNTHETIC_HYPERVISOR    (1ull << 0)
#define HV_SYNTHETIC_HV1           (1ull << 1)
#define HV_SYNTHETIC_INTERFACE     (HV_SYNTHETIC_HYPERVISOR | HV_SYNTHETIC_HV1)
#define HV_SYNTHETIC_ACCESS_SHIFT  2
#define HV_SYNTHETIC_ACCESS_MASK   0x7full
#define HV_SYNTHETIC_APIC_MSRS     (1ull << 6)
#define HV_SYNTHETIC_REFERENCE_TSC (1ull << 9)
#define HV_SYNTHETIC_FREQUENCY     (1ull << 11)
#define HV_SYNTHETIC_DIRECT_STIMER (1ull << 22)
#define HV_SYNTHETIC_EX_SETS       (1ull << 24)
#define HV_SYNTHETIC_FLUSH         (1ull << 25)
#define HV_SYNTHETIC_CLUSTER_IPI   (1ull << 26)
#define HV_SYNTHETIC_LONG_SPIN     (1ull << 27)
#define HV_SYNTHETIC_SIGNAL_EVENTS (1ull << 29)
#define HV_SYNTHETIC_ALL                                                                  \
    (HV_SYNTHETIC_HYPERVISOR | HV_SYNTHETIC_HV1 | 0x1fcull | HV_SYNTHETIC_REFERENCE_TSC | \
     HV_SYNTHETIC_FREQUENCY | HV_SYNTHETIC_DIRECT_STIMER | HV_SYNTHETIC_EX_SETS |         \
     HV_SYNTHETIC_FLUSH | HV_SYNTHETIC_CLUSTER_IPI | HV_SYNTHETIC_LONG_SPIN |             \
     HV_SYNTHETIC_SIGNAL_EVENTS)

/*
 * Value of BH_PROPERTY_SHARE: what each VP gets of the LP that runs it; may be set at any time.
 * weight: 1 to BH_WEIGHT_MAX; reserve and cap: in ten thousandths of the LP, 0 none. A value is
 * taken whole or refused whole: INVALID_PARAMETER (out of range, a reserve above the cap),
 * NO_RESOURCES (an LP can not keep so much reserve beside what it has promised to others).
 */
#define BH_SHARE(weight, reserve, cap) \
    ((uint64_t)(weight) | (uint64_t)(reserve) << 16 | (uint64_t)(cap) << 32)
#define BH_SHARE_WEIGHT(share)  ((share)&0xffff)
#define BH_SHARE_RESERVE(share) ((share) >> 16 & 0xffff)
#define BH_SHARE_CAP(share)     ((share) >> 32 & 0xffff)
#define BH_SHARE_VALID          0x0000ffffffffffffull

#define BH_WEIGHT_DEFAULT    100u
#define BH_WEIGHT_MAX        10000u
#define BH_SHARE_WHOLE       10000u /* all of an LP */
#define BH_SHARE_RESERVE_MAX 6000u  /* of an LP, for all children's VPs in sum */

struct hv_input_get_partition_property {
    uint64_t partition_id;
    uint32_t code; /* enum hv_partition_property */
    uint32_t reserved;
};
_Static_assert(sizeof(struct hv_input_get_partition_property) == 16, "HvCallGetPartitionProperty");

struct hv_output_get_partition_property {
    uint64_t value;
};
_Static_assert(sizeof(struct hv_output_get_partition_property) == 8,
               "HvCallGetPartitionProperty out");

struct hv_input_set_partition_property {
    uint64_t partition_id;
    uint32_t code;
    uint32_t reserved;
    uint64_t value;
};
_Static_assert(sizeof(struct hv_input_set_partition_property) == 24, "HvCallSetPartitionProperty");

struct hv_input_get_partition_property_ex {
    uint64_t partition_id;
    uint32_t code;
    uint32_t reserved;
    uint64_t argument;
};
_Static_assert(sizeof(struct hv_input_get_partition_property_ex) == 24,
               "HvCallGetPartitionPropertyEx");

/* HV_PROPERTY_VMM_CAPABILITIES */
#define HV_VMM_MAP_PRESERVES_ADJUSTABLE (1ull << 0)
#define HV_VMM_PROVIDES_OVERLAY_PAGES   (1ull << 1)

struct hv_vmm_capabilities {
    uint16_t bank_count;
    uint16_t reserved[3];
    uint64_t capabilities;
};
_Static_assert(sizeof(struct hv_vmm_capabilities) == 16, "VMM capabilities");

/* hv_input_map_gpa_pages.flags */
#define HV_MAP_READABLE          0x1u
#define HV_MAP_WRITABLE          0x2u
#define HV_MAP_KERNEL_EXECUTABLE 0x4u
#define HV_MAP_USER_EXECUTABLE   0x8u
#define HV_MAP_ADJUSTABLE        0x8000u
#define HV_MAP_NO_ACCESS         0x10000u
#define HV_MAP_NOT_CACHED        0x200000u
#define HV_MAP_LARGE             0x80000000u

#define HV_LARGE_PAGE_FRAMES 512u

/*
 * rep: one source frame, in the caller's GPA space, for each target frame from
 * target_base on. With HV_MAP_LARGE a repetition is 512 frames; the source is
 * the first of them, and source and target are aligned to 512.
 */
struct hv_input_map_gpa_pages {
    uint64_t partition_id;
    uint64_t target_base; /* frame number */
    uint32_t flags;
    uint32_t reserved;
    uint64_t source[];
};
_Static_assert(sizeof(struct hv_input_map_gpa_pages) == 24, "HvCallMapGpaPages");
#define HV_MAP_GPA_PAGES_MAX ((4096u - 24u) / 8u)

/* rep without elements: repetition n unmaps frame target_base + n (times 512 with HV_MAP_LARGE). */
struct hv_input_unmap_gpa_pages {
    uint64_t partition_id;
    uint64_t target_base;
    uint32_t flags; /* 0 or HV_MAP_LARGE */
    uint32_t reserved;
};
_Static_assert(sizeof(struct hv_input_unmap_gpa_pages) == 24, "HvCallUnmapGpaPages");
#define HV_UNMAP_GPA_PAGES_MAX 512u

enum hv_intercept_type {
    HV_INTERCEPT_IO_PORT = 0,
    HV_INTERCEPT_MSR = 1,
    HV_INTERCEPT_CPUID = 2,
    HV_INTERCEPT_EXCEPTION = 3,
    HV_INTERCEPT_MMIO = 5,
    HV_INTERCEPT_GLOBAL_CPUID = 6,
    HV_INTERCEPT_APIC_SMI = 7,
    HV_INTERCEPT_HYPERCALL = 8,
    HV_INTERCEPT_APIC_INIT_SIPI = 9,
    HV_INTERCEPT_APIC_WRITE = 0xb,
    HV_INTERCEPT_MSR_INDEX = 0xc,
    HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION = 0xd,
    HV_INTERCEPT_APIC_EOI = 0xe,
    HV_INTERCEPT_IO_PORT_RANGE = 0x11,
};

#define HV_INTERCEPT_ACCESS_READ    1u
#define HV_INTERCEPT_ACCESS_WRITE   2u
#define HV_INTERCEPT_ACCESS_EXECUTE 4u

struct hv_input_install_intercept {
    uint64_t partition_id;
    uint32_t access;    /* HV_INTERCEPT_ACCESS_*; 0 removes */
    uint32_t type;      /* enum hv_intercept_type */
    uint64_t parameter; /* port, exception vector, MSR number, CPUID leaf ... */
};
_Static_assert(sizeof(struct hv_input_install_intercept) == 24, "HvCallInstallIntercept");

/* hv_input_get_gpa_access.flags: what to do to the bits after reading them. */
#define HV_GPA_ACCESS_CLEAR_ACCESSED (1ull << 0)
#define HV_GPA_ACCESS_SET_ACCESSED   (1ull << 1)
#define HV_GPA_ACCESS_CLEAR_DIRTY    (1ull << 2)
#define HV_GPA_ACCESS_SET_DIRTY      (1ull << 3)

/* rep without input elements; output: one byte for each frame. */
struct hv_input_get_gpa_access {
    uint64_t partition_id;
    uint64_t flags;
    uint64_t base; /* frame number */
};
_Static_assert(sizeof(struct hv_input_get_gpa_access) == 24, "HvCallGetGpaPagesAccessStates");
#define HV_GPA_ACCESSED 1u
#define HV_GPA_DIRTY    2u

#endif
