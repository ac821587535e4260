/* SPDX-License-Identifier: MIT */
/*
 * A Linux kernel that was unpacked beforehand: its ELF, and behind it the
 * places that hold addresses. What the stub in front of a packed kernel does is
 * done here instead: the segments are put where the kernel shall lie, and its
 * addresses are moved to the virtual place it shall have.
 *
 * The table of places ends with the file and is read backwards: 32-bit
 * addresses, a zero, 32-bit differences that shrink as addresses grow, a zero,
 * 64-bit addresses, a zero. A place is the low half of its own virtual address.
 *
 * Whoever made the kernel may mean harm: all is checked before anything is
 * written, and what does not fit exactly is not used. The packed kernel, which
 * harms its guest only, is booted then.
 */
#include <elf.h>
#include <string.h>

#include "parent/worker/boot_parts.h"

#define KERNEL_MAP    0x80000000u         /* low half of __START_KERNEL_map */
#define VIRTUAL_END   ((uint64_t)1 << 30) /* of the kernel's range there */
#define ALIGNMENT_MIN ((uint64_t)2 << 20)

enum kind { PLACE_32, PLACE_INVERSE_32, PLACE_64, PLACE_KINDS };

static uint32_t get32(const struct bh_boot_image *image, size_t at)
{
    uint32_t value;

    memcpy(&value, image->data + at, sizeof(value));
    return value;
}

/* --- the ELF ------------------------------------------------------------------------------ */

static Elf64_Phdr read_segment(const struct bh_boot_image *image, const Elf64_Ehdr *header,
                               unsigned index)
{
    Elf64_Phdr segment;

    memcpy(&segment, image->data + header->e_phoff + index * sizeof(segment), sizeof(segment));
    return segment;
}

static bool ends_in(uint64_t at, uint64_t size, uint64_t limit)
{
    return at <= limit && size <= limit - at;
}

static bool read_header(const struct bh_boot_image *image, Elf64_Ehdr *header)
{
    if (image->size < sizeof(*header))
        return false;
    memcpy(header, image->data, sizeof(*header));
    return bh_boot_is_elf(image) && header->e_ident[EI_CLASS] == ELFCLASS64 &&
           header->e_machine == EM_X86_64 && header->e_phentsize == sizeof(Elf64_Phdr) &&
           header->e_shentsize == sizeof(Elf64_Shdr) &&
           ends_in(header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr), image->size) &&
           ends_in(header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr), image->size);
}

/* Finds where the kernel begins and ends in memory, and where the ELF ends in the file. */
static bool read_segments(const struct bh_boot_image *image, const Elf64_Ehdr *header,
                          struct bh_unpacked *kernel)
{
    kernel->low = UINT64_MAX;
    kernel->high = 0;
    kernel->elf_end = header->e_shoff + header->e_shnum * sizeof(Elf64_Shdr);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment = read_segment(image, header, i);

        if (segment.p_type != PT_LOAD)
            continue;
        if (!ends_in(segment.p_offset, segment.p_filesz, image->size) ||
            segment.p_filesz > segment.p_memsz ||
            !ends_in(segment.p_paddr, segment.p_memsz, VIRTUAL_END))
            return false;
        if (segment.p_paddr < kernel->low)
            kernel->low = segment.p_paddr;
        if (segment.p_paddr + segment.p_memsz > kernel->high)
            kernel->high = segment.p_paddr + segment.p_memsz;
        if (segment.p_offset + segment.p_filesz > kernel->elf_end)
            kernel->elf_end = segment.p_offset + segment.p_filesz;
    }
    return kernel->low < kernel->high && header->e_entry >= kernel->low &&
           header->e_entry < kernel->high;
}

/* --- the table of places ------------------------------------------------------------------ */

static unsigned width(enum kind kind)
{
    return kind == PLACE_64 ? sizeof(uint64_t) : sizeof(uint32_t);
}

/* How far the place is behind the kernel's beginning; false when it is not inside. */
static bool find_place(const struct bh_unpacked *kernel, uint32_t address, enum kind kind,
                       uint64_t *place)
{
    uint64_t physical = address - KERNEL_MAP; /* as it is linked */

    if (address < KERNEL_MAP || physical < kernel->low ||
        !ends_in(physical, width(kind), kernel->high))
        return false;
    *place = physical - kernel->low;
    return true;
}

/* All places are inside, and the table begins where the ELF ends. */
static bool check_places(const struct bh_boot_image *image, const struct bh_unpacked *kernel)
{
    size_t at = image->size;
    uint64_t place;

    for (enum kind kind = PLACE_32; kind < PLACE_KINDS; kind++) {
        uint32_t address;

        do {
            if (at < kernel->elf_end + sizeof(address))
                return false;
            at -= sizeof(address);
            address = get32(image, at);
            if (address != 0 && !find_place(kernel, address, kind, &place))
                return false;
        } while (address != 0);
    }
    return at == kernel->elf_end;
}

static void move_place(uint8_t *at, enum kind kind, uint64_t delta)
{
    uint64_t value = 0;

    memcpy(&value, at, width(kind));
    value += kind == PLACE_INVERSE_32 ? 0 - delta : delta;
    memcpy(at, &value, width(kind));
}

static void move_places(const struct bh_boot_image *image, const struct bh_unpacked *kernel,
                        uint8_t *base, uint64_t delta)
{
    size_t at = image->size;
    uint64_t place;

    for (enum kind kind = PLACE_32; kind < PLACE_KINDS; kind++)
        for (;;) {
            uint32_t address = get32(image, at -= sizeof(address));

            if (address == 0)
                break;
            if (find_place(kernel, address, kind, &place))
                move_place(base + place, kind, delta);
        }
}

/* --- interface ---------------------------------------------------------------------------- */

bool bh_unpacked_read(const struct bh_boot_image *image, struct bh_unpacked *kernel)
{
    Elf64_Ehdr header;

    if (!read_header(image, &header) || !read_segments(image, &header, kernel))
        return false;
    kernel->entry = header.e_entry;
    return check_places(image, kernel);
}

/* One of the aligned places from `first` on at which `size` bytes end by `end`. */
static uint64_t choose(uint64_t first, uint64_t size, uint64_t end, uint64_t alignment,
                       uint64_t entropy)
{
    uint64_t places = end - first < size ? 1 : (end - first - size) / alignment + 1;

    return first + entropy % places * alignment;
}

bool bh_unpacked_place(const struct bh_unpacked *kernel, const struct bh_unpacked_room *room,
                       const uint64_t entropy[2], struct bh_unpacked_placement *placement)
{
    if (kernel->low != room->first || kernel->high - kernel->low > room->size ||
        room->alignment < ALIGNMENT_MIN || (room->alignment & (room->alignment - 1)) != 0 ||
        !ends_in(room->first, room->size, room->end))
        return false;
    placement->load = choose(room->first, room->size, room->end, room->alignment, entropy[0]);
    placement->delta =
        choose(room->first, room->size, VIRTUAL_END, room->alignment, entropy[1]) - room->first;
    return true;
}

void bh_unpacked_load(const struct bh_guest_memory *memory, const struct bh_boot_image *image,
                      const struct bh_unpacked *kernel,
                      const struct bh_unpacked_placement *placement)
{
    uint8_t *base = bh_guest_memory_at(memory, placement->load, kernel->high - kernel->low);
    Elf64_Ehdr header;

    if (base == NULL || !read_header(image, &header))
        return; /* cannot be: both were looked at */
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment = read_segment(image, &header, i);

        if (segment.p_type == PT_LOAD)
            memcpy(base + (segment.p_paddr - kernel->low), image->data + segment.p_offset,
                   segment.p_filesz);
    }
    if (placement->delta != 0)
        move_places(image, kernel, base, placement->delta);
}
