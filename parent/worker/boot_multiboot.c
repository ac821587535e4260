/* SPDX-License-Identifier: MIT */
/* A Multiboot 1 kernel: 32-bit protected mode, EAX holds a magic, EBX points at the information. */
#include <string.h>

#include "parent/worker/boot_parts.h"

#define HEADER_MAGIC     0x1badb002u
#define LOADER_MAGIC     0x2badb002u
#define SEARCH_SIZE      8192u
#define FLAG_ADDRESSES   0x10000u
#define FLAGS_UNDERSTOOD 0x3u    /* page-aligned modules, memory information */
#define FLAGS_REQUIRED   0xffffu /* a loader must refuse those of these that it does not know */

#define INFO_MEMORY       0x1u
#define INFO_COMMAND_LINE 0x4u
#define INFO_MODULES      0x8u
#define INFO_MEMORY_MAP   0x40u

struct header {
    uint32_t magic;
    uint32_t flags;
    uint32_t checksum;
    uint32_t header_address; /* from here on only with FLAG_ADDRESSES */
    uint32_t load_address;
    uint32_t load_end;
    uint32_t bss_end;
    uint32_t entry;
};
_Static_assert(sizeof(struct header) == 32, "Multiboot header");

struct info {
    uint32_t flags;
    uint32_t memory_lower; /* KiB */
    uint32_t memory_upper; /* KiB above 1 MiB */
    uint32_t boot_device;
    uint32_t command_line;
    uint32_t module_count;
    uint32_t modules;
    uint32_t symbols[4];
    uint32_t map_length;
    uint32_t map_address;
    uint32_t reserved[9];
};
_Static_assert(sizeof(struct info) == 88, "Multiboot information");

struct module {
    uint32_t start;
    uint32_t end;
    uint32_t text;
    uint32_t reserved;
};

struct map_entry {
    uint32_t size; /* of what follows */
    uint64_t address;
    uint64_t length;
    uint32_t type;
} __attribute__((packed));
_Static_assert(sizeof(struct map_entry) == 24, "Multiboot memory map entry");

struct info_block {
    struct info info;
    struct module module;
    struct map_entry map[BH_E820_MAX];
};

/* Finds the header in the first 8 KiB; *offset is where it is. */
static bool find_header(const struct bh_boot_image *image, struct header *header, size_t *offset)
{
    size_t end = image->size < SEARCH_SIZE ? image->size : SEARCH_SIZE;

    for (size_t at = 0; at + 12 <= end; at += 4) {
        size_t available = image->size - at;

        memset(header, 0, sizeof(*header));
        memcpy(header, image->data + at, available < sizeof(*header) ? available : sizeof(*header));
        *offset = at;
        if (header->magic == HEADER_MAGIC && header->magic + header->flags + header->checksum == 0)
            return true;
    }
    return false;
}

bool bh_boot_is_multiboot(const struct bh_boot_image *image)
{
    struct header header;
    size_t offset;

    return find_header(image, &header, &offset);
}

/* Loads by the addresses in the header instead of ELF segments. */
static bool load_by_header(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                           const struct header *header, size_t offset, struct bh_elf_info *loaded,
                           struct bh_boot_error *error)
{
    uint64_t start;
    uint64_t file;
    uint64_t size;

    if (header->load_address > header->header_address ||
        header->header_address - header->load_address > offset)
        return bh_boot_refuse(error, "The Multiboot header's addresses contradict the file.");
    start = offset - (header->header_address - header->load_address);
    file = image->size - start;
    if (header->load_end != 0 && header->load_end < header->load_address)
        return bh_boot_refuse(error, "The Multiboot header's load_end is below load_addr.");
    if (header->load_end != 0 && header->load_end - header->load_address > file)
        return bh_boot_refuse(error, "The Multiboot kernel is cut off.");
    if (header->load_end != 0)
        file = header->load_end - header->load_address;
    size = header->bss_end > header->load_address + file
               ? header->bss_end - (uint64_t)header->load_address
               : file;
    if (header->load_address < BH_BOOT_LOW_END ||
        bh_guest_memory_at(memory, header->load_address, size) == NULL)
        return bh_boot_refuse(error,
                              "The Multiboot kernel wants %llu bytes at 0x%x, where this VM "
                              "has no free memory.",
                              (unsigned long long)size, header->load_address);
    (void)bh_guest_memory_fill(memory, header->load_address, image->data + start, file);
    (void)bh_guest_memory_fill(memory, header->load_address + file, NULL, size - file);
    loaded->entry = header->entry;
    loaded->end = header->load_address + size;
    return true;
}

static bool load(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                 struct bh_elf_info *loaded, struct bh_boot_error *error)
{
    struct header header;
    size_t offset;

    if (!find_header(image, &header, &offset))
        return bh_boot_refuse(error, "The kernel has no Multiboot header.");
    if ((header.flags & FLAGS_REQUIRED & ~FLAGS_UNDERSTOOD) != 0)
        return bh_boot_refuse(error,
                              "The Multiboot kernel requires a feature that is not there (flags "
                              "0x%x; a video mode, for example).",
                              header.flags);
    if ((header.flags & FLAG_ADDRESSES) != 0)
        return load_by_header(memory, image, &header, offset, loaded, error);
    if (!bh_boot_is_elf(image))
        return bh_boot_refuse(error, "The Multiboot kernel is not an ELF and names no addresses.");
    return bh_elf_load(memory, image, loaded, error);
}

static void fill_block(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                       uint64_t initrd, struct info_block *block)
{
    struct bh_e820_entry map[BH_E820_MAX];
    unsigned count = bh_guest_memory_e820(memory, map);

    memset(block, 0, sizeof(*block));
    for (unsigned i = 0; i < count; i++)
        block->map[i] = (struct map_entry){20, map[i].gpa, map[i].size, map[i].type};
    block->module =
        (struct module){.start = (uint32_t)initrd, .end = (uint32_t)(initrd + input->initrd.size)};
    block->info = (struct info){
        .flags =
            INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | (initrd != 0 ? INFO_MODULES : 0),
        .memory_lower = (uint32_t)(BH_CONVENTIONAL_END >> 10),
        .memory_upper = (uint32_t)((memory->region[0].size - BH_FIRMWARE_END) >> 10),
        .command_line = (uint32_t)BH_BOOT_COMMAND_LINE,
        .module_count = initrd != 0 ? 1 : 0,
        .modules = (uint32_t)(BH_BOOT_INFO + offsetof(struct info_block, module)),
        .map_length = (uint32_t)(count * sizeof(struct map_entry)),
        .map_address = (uint32_t)(BH_BOOT_INFO + offsetof(struct info_block, map)),
    };
}

bool bh_boot_multiboot(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                       struct bh_boot_state *state, struct bh_boot_error *error)
{
    struct bh_elf_info loaded = {0};
    struct info_block block;
    uint64_t initrd;

    if (!load(memory, &input->kernel, &loaded, error) ||
        !bh_boot_command_line(memory, input->command_line, UINT64_MAX, error) ||
        !bh_boot_place_initrd(memory, &input->initrd, loaded.end, UINT32_MAX, &initrd, error))
        return false;
    if (loaded.entry > UINT32_MAX)
        return bh_boot_refuse(error, "The Multiboot kernel's entry is above 4 GiB.");
    fill_block(memory, input, initrd, &block);
    (void)bh_guest_memory_fill(memory, BH_BOOT_INFO, &block, sizeof(block));
    bh_boot_enter_protected(memory, state);
    state->kind = BH_BOOT_MULTIBOOT;
    state->rip = loaded.entry;
    state->rax = LOADER_MAGIC;
    state->rbx = BH_BOOT_INFO;
    return true;
}
