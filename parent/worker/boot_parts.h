/* SPDX-License-Identifier: MIT */
/* What the loaders share among themselves: places in low memory, entry states, ELF segments. */
#ifndef PARENT_WORKER_BOOT_PARTS_H
#define PARENT_WORKER_BOOT_PARTS_H

#include "parent/worker/boot.h"

/* Below 1 MiB; kernels have copied what they need before they reuse this. */
#define BH_BOOT_GDT               0x1000ull
#define BH_BOOT_INFO              0x2000ull /* boot_params, hvm_start_info or multiboot_info */
#define BH_BOOT_INFO_END          0x4000ull
#define BH_BOOT_PAGE_TABLES       0x4000ull /* 6 pages: 4 GiB one to one */
#define BH_BOOT_COMMAND_LINE      0xa000ull
#define BH_BOOT_COMMAND_LINE_SIZE 0x1000ull
#define BH_BOOT_LOW_END           0x100000ull /* images begin here */

bool bh_boot_linux(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                   struct bh_boot_state *state, struct bh_boot_error *error);
bool bh_boot_pvh(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                 struct bh_boot_state *state, struct bh_boot_error *error);
bool bh_boot_multiboot(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                       struct bh_boot_state *state, struct bh_boot_error *error);

bool bh_boot_is_linux(const struct bh_boot_image *image);
bool bh_boot_is_elf(const struct bh_boot_image *image);
bool bh_boot_is_multiboot(const struct bh_boot_image *image);

/* Flat segments, and the GDT and page tables behind them. */
void bh_boot_enter_long(const struct bh_guest_memory *memory, struct bh_boot_state *state);
void bh_boot_enter_protected(const struct bh_guest_memory *memory, struct bh_boot_state *state);

/* Writes the command line with its NUL at BH_BOOT_COMMAND_LINE. `limit` is the kernel's own. */
bool bh_boot_command_line(const struct bh_guest_memory *memory, const char *text, uint64_t limit,
                          struct bh_boot_error *error);

/*
 * Puts the initrd page-aligned as high as possible: below `limit`, above
 * `floor`, in low RAM. *gpa is 0 when there is none.
 */
bool bh_boot_place_initrd(const struct bh_guest_memory *memory, const struct bh_boot_image *initrd,
                          uint64_t floor, uint64_t limit, uint64_t *gpa,
                          struct bh_boot_error *error);

/* An unpacked Linux kernel as it is linked: physical addresses, and its ELF's size. */
struct bh_unpacked {
    uint64_t low;
    uint64_t high;
    uint64_t entry;
    uint64_t elf_end; /* there the table of places to move begins */
};

/* Where it may lie: aligned, from `first` on, `size` bytes that end by `end`. */
struct bh_unpacked_room {
    uint64_t first;
    uint64_t size;
    uint64_t end;
    uint64_t alignment;
};

struct bh_unpacked_placement {
    uint64_t load;  /* GPA of its beginning */
    uint64_t delta; /* of its virtual addresses against those it is linked for */
};

/* False when the image is not one, or not in all its parts one that is understood. */
bool bh_unpacked_read(const struct bh_boot_image *image, struct bh_unpacked *kernel);

/* Chooses by chance; false when the room is not one for this kernel. */
bool bh_unpacked_place(const struct bh_unpacked *kernel, const struct bh_unpacked_room *room,
                       const uint64_t entropy[2], struct bh_unpacked_placement *placement);

/* Both have been looked at by the functions above, and the room is in guest memory. */
void bh_unpacked_load(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                      const struct bh_unpacked *kernel,
                      const struct bh_unpacked_placement *placement);

struct bh_elf_info {
    uint64_t entry;     /* e_entry */
    uint64_t pvh_entry; /* of the Xen PHYS32_ENTRY note; 0 when there is none */
    uint64_t end;       /* behind the highest byte loaded */
};

/* Loads the segments of a 32- or 64-bit x86 ELF at their physical addresses. */
bool bh_elf_load(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                 struct bh_elf_info *info, struct bh_boot_error *error);

#endif
