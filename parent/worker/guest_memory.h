/* SPDX-License-Identifier: MIT */
/*
 * A guest's RAM as the worker has it mapped, and where RAM is in the guest's
 * address space. Everything that touches guest memory goes through
 * `bh_guest_memory_at`, so no address from a guest or a file is ever trusted.
 */
#ifndef PARENT_WORKER_GUEST_MEMORY_H
#define PARENT_WORKER_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RAM is [0, at most BH_LOW_RAM_END) and, for the rest, from BH_HIGH_RAM_BASE on. */
#define BH_LOW_RAM_END      0xf8000000ull
#define BH_LOW_MMIO_END     0xfebfffffull /* last byte of the window [BH_LOW_RAM_END, here] */
#define BH_HIGH_RAM_BASE    0x100000000ull
#define BH_FIRMWARE_BASE    0xe0000ull /* ACPI tables and the reset stub live here, to 1 MiB */
#define BH_FIRMWARE_END     0x100000ull
#define BH_CONVENTIONAL_END 0xa0000ull

struct bh_memory_region {
    uint64_t gpa;
    uint64_t size;
    uint8_t *host;
};

struct bh_guest_memory {
    unsigned count;
    struct bh_memory_region region[2]; /* low, and high where there is any */
};

/* Splits `size` bytes at `host` (2 MiB-aligned size) into the regions. */
void bh_guest_memory_init(struct bh_guest_memory *memory, uint8_t *host, uint64_t size);

/* Where `length` bytes at `gpa` are, or NULL when they are not all RAM of one region. */
void *bh_guest_memory_at(const struct bh_guest_memory *memory, uint64_t gpa, uint64_t length);

/* Copies in, or sets to zero when `data` is NULL; false when the target is not RAM. */
bool bh_guest_memory_fill(const struct bh_guest_memory *memory, uint64_t gpa, const void *data,
                          uint64_t length);

enum bh_e820_type { BH_E820_RAM = 1, BH_E820_RESERVED = 2 };

struct bh_e820_entry {
    uint64_t gpa;
    uint64_t size;
    uint32_t type; /* enum bh_e820_type */
} __attribute__((packed));
_Static_assert(sizeof(struct bh_e820_entry) == 20, "E820 entry");

#define BH_E820_MAX 4u

/* The memory map for the guest; returns the number of entries. */
unsigned bh_guest_memory_e820(const struct bh_guest_memory *memory,
                              struct bh_e820_entry map[BH_E820_MAX]);

#endif
