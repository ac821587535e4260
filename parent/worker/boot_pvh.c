/* SPDX-License-Identifier: MIT */
/* An ELF kernel by its PVH entry: 32-bit protected mode, EBX points at a start structure. */
#include <string.h>

#include "parent/worker/boot_parts.h"

#define START_MAGIC 0x336ec578u

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries;
    uint32_t reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info version 1");

struct module {
    uint64_t address;
    uint64_t size;
    uint64_t command_line;
    uint64_t reserved;
};
_Static_assert(sizeof(struct module) == 32, "hvm_modlist_entry");

struct map_entry {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
_Static_assert(sizeof(struct map_entry) == 24, "hvm_memmap_table_entry");

/* All of it, in one piece at BH_BOOT_INFO. */
struct start_block {
    struct start_info info;
    struct module module;
    struct map_entry map[BH_E820_MAX];
};

static void fill_block(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                       uint64_t initrd, struct start_block *block)
{
    struct bh_e820_entry map[BH_E820_MAX];
    unsigned count = bh_guest_memory_e820(memory, map);

    memset(block, 0, sizeof(*block));
    for (unsigned i = 0; i < count; i++)
        block->map[i] = (struct map_entry){map[i].gpa, map[i].size, map[i].type, 0};
    block->module = (struct module){.address = initrd, .size = input->initrd.size};
    block->info = (struct start_info){
        .magic = START_MAGIC,
        .version = 1,
        .module_count = initrd != 0 ? 1 : 0,
        .modules = initrd != 0 ? BH_BOOT_INFO + offsetof(struct start_block, module) : 0,
        .command_line = BH_BOOT_COMMAND_LINE,
        .rsdp = input->rsdp,
        .memory_map = BH_BOOT_INFO + offsetof(struct start_block, map),
        .memory_map_entries = count,
    };
}

bool bh_boot_pvh(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                 struct bh_boot_state *state, struct bh_boot_error *error)
{
    struct bh_elf_info elf;
    struct start_block block;
    uint64_t initrd;

    if (!bh_elf_load(memory, &input->kernel, &elf, error))
        return false;
    if (elf.pvh_entry == 0 || elf.pvh_entry > UINT32_MAX)
        return bh_boot_refuse(error,
                              "The ELF kernel has no PVH entry (build Linux with CONFIG_PVH).");
    if (!bh_boot_command_line(memory, input->command_line, UINT64_MAX, error) ||
        !bh_boot_place_initrd(memory, &input->initrd, elf.end, UINT32_MAX, &initrd, error))
        return false;
    fill_block(memory, input, initrd, &block);
    (void)bh_guest_memory_fill(memory, BH_BOOT_INFO, &block, sizeof(block));
    bh_boot_enter_protected(memory, state);
    state->kind = BH_BOOT_PVH;
    state->rip = elf.pvh_entry;
    state->rbx = BH_BOOT_INFO;
    return true;
}
