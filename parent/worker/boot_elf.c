/* SPDX-License-Identifier: MIT */
/* Segments and the PVH note of an ELF kernel, 32- or 64-bit. */
#include <elf.h>
#include <string.h>

#include "parent/worker/boot_parts.h"

#define XEN_NOTE_PHYS32_ENTRY 18u
#define SEGMENTS_MAX          64u

bool bh_boot_is_elf(const struct bh_boot_image *image)
{
    return image->size >= sizeof(Elf64_Ehdr) && memcmp(image->data, ELFMAG, SELFMAG) == 0;
}

/* The fields of both ELF classes that a loader needs. */
struct header {
    uint64_t entry;
    uint64_t table;
    unsigned entry_size;
    unsigned count;
    bool is_64;
};

struct segment {
    uint32_t type;
    uint64_t offset;
    uint64_t address;
    uint64_t file_size;
    uint64_t memory_size;
};

static bool read_header(const struct bh_boot_image *image, struct header *header,
                        struct bh_boot_error *error)
{
    Elf32_Ehdr small;
    Elf64_Ehdr large;

    memcpy(&small, image->data, sizeof(small));
    memcpy(&large, image->data, sizeof(large));
    header->is_64 = image->data[EI_CLASS] == ELFCLASS64;
    if (image->data[EI_DATA] != ELFDATA2LSB ||
        (header->is_64 ? large.e_machine != EM_X86_64 : small.e_machine != EM_386))
        return bh_boot_refuse(error, "The ELF kernel is not for x86.");
    header->entry = header->is_64 ? large.e_entry : small.e_entry;
    header->table = header->is_64 ? large.e_phoff : small.e_phoff;
    header->entry_size = header->is_64 ? large.e_phentsize : small.e_phentsize;
    header->count = header->is_64 ? large.e_phnum : small.e_phnum;
    if (header->entry_size < (header->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) ||
        header->count > SEGMENTS_MAX || header->table > image->size ||
        (uint64_t)header->entry_size * header->count > image->size - header->table)
        return bh_boot_refuse(error, "The ELF kernel's table of segments is damaged.");
    return true;
}

static struct segment read_segment(const struct bh_boot_image *image, const struct header *header,
                                   unsigned index)
{
    const uint8_t *at = image->data + header->table + (size_t)header->entry_size * index;
    Elf32_Phdr small;
    Elf64_Phdr large;

    if (!header->is_64) {
        memcpy(&small, at, sizeof(small));
        return (struct segment){small.p_type, small.p_offset, small.p_paddr, small.p_filesz,
                                small.p_memsz};
    }
    memcpy(&large, at, sizeof(large));
    return (struct segment){large.p_type, large.p_offset, large.p_paddr, large.p_filesz,
                            large.p_memsz};
}

static bool in_file(const struct bh_boot_image *image, const struct segment *segment)
{
    return segment->offset <= image->size && segment->file_size <= image->size - segment->offset;
}

static bool load_segment(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                         const struct segment *segment, uint64_t *end, struct bh_boot_error *error)
{
    uint64_t address = segment->address;

    if (segment->memory_size == 0)
        return true;
    if (!in_file(image, segment) || segment->file_size > segment->memory_size)
        return bh_boot_refuse(error, "A segment of the ELF kernel is cut off.");
    if (address < BH_BOOT_LOW_END ||
        bh_guest_memory_at(memory, address, segment->memory_size) == NULL)
        return bh_boot_refuse(error,
                              "The kernel wants %llu bytes at 0x%llx, where this VM has no free "
                              "memory.",
                              (unsigned long long)segment->memory_size,
                              (unsigned long long)address);
    (void)bh_guest_memory_fill(memory, address, image->data + segment->offset, segment->file_size);
    (void)bh_guest_memory_fill(memory, address + segment->file_size, NULL,
                               segment->memory_size - segment->file_size);
    if (address + segment->memory_size > *end)
        *end = address + segment->memory_size;
    return true;
}

static uint64_t round_up_4(uint64_t value)
{
    return (value + 3) & ~3ull;
}

/* The value of a Xen PHYS32_ENTRY note in the segment, or 0. */
static uint64_t find_pvh_entry(const struct bh_boot_image *image, const struct segment *segment)
{
    uint64_t at = segment->offset;
    uint64_t end = segment->offset + segment->file_size;

    while (end - at >= sizeof(Elf32_Nhdr)) {
        Elf32_Nhdr note;
        uint64_t name;
        uint64_t value;
        uint64_t entry = 0;

        memcpy(&note, image->data + at, sizeof(note));
        name = at + sizeof(note);
        value = name + round_up_4(note.n_namesz);
        if (value > end || round_up_4(note.n_descsz) > end - value)
            return 0;
        if (note.n_type == XEN_NOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
            memcmp(image->data + name, "Xen", 4) == 0 &&
            (note.n_descsz == 4 || note.n_descsz == 8)) {
            memcpy(&entry, image->data + value, note.n_descsz);
            return entry;
        }
        at = value + round_up_4(note.n_descsz);
    }
    return 0;
}

bool bh_elf_load(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                 struct bh_elf_info *info, struct bh_boot_error *error)
{
    struct header header = {0};

    memset(info, 0, sizeof(*info));
    if (!read_header(image, &header, error))
        return false;
    info->entry = header.entry;
    for (unsigned i = 0; i < header.count; i++) {
        struct segment segment = read_segment(image, &header, i);

        if (segment.type == PT_LOAD && !load_segment(memory, image, &segment, &info->end, error))
            return false;
        if (segment.type == PT_NOTE && info->pvh_entry == 0 && in_file(image, &segment))
            info->pvh_entry = find_pvh_entry(image, &segment);
    }
    return info->end != 0 || bh_boot_refuse(error, "The ELF kernel has nothing to load.");
}
