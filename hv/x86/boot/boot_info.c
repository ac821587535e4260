/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 and 2 information, read once at start.
 *
 * Both are formats of fixed offsets; they are read byte by byte because tags
 * are only 8-byte aligned and strings follow directly. Everything is copied, as
 * the loader's structures lie in memory that the parent will own.
 */
#include "hv/x86/boot/boot_info.h"

#include "hv/core/lib.h"
#include "hv/core/text.h"

#define MB1_LOADED_MAGIC 0x2badb002u
#define MB2_LOADED_MAGIC 0x36d76289u

static uint32_t read32(uint64_t address)
{
    return (uint32_t)lib_load((const void *)address, 4);
}

static uint64_t read64(uint64_t address)
{
    return lib_load((const void *)address, 8);
}

static const char damaged[] = "what the boot loader passed on is damaged: try another loader";

static void add_range(struct boot_info *info, uint64_t base, uint64_t size, uint32_t type)
{
    if (size == 0)
        return;
    if (info->range_count == BOOT_MAX_RANGES) {
        info->error = "the memory map has more than 128 entries";
        return;
    }
    info->range[info->range_count++] = (struct boot_range){base, size, type};
}

static void add_module(struct boot_info *info, uint64_t start, uint64_t end, const char *args)
{
    if (end < start) {
        info->error = damaged;
        return;
    }
    if (info->module_count == BOOT_MAX_MODULES) {
        info->error = "more than 4 boot modules were given";
        return;
    }
    struct boot_module *module = &info->module[info->module_count++];
    module->base = start;
    module->size = end - start;
    if (!text_copy(module->args, sizeof module->args, args))
        info->error = "a module's command line is longer than 2047 bytes";
}

static void copy_command_line(struct boot_info *info, const char *text)
{
    if (!text_copy(info->command_line, sizeof info->command_line, text))
        info->error = "the hypervisor's command line is longer than 2047 bytes";
}

/* Multiboot 1 loaders put the file's name before the arguments. */
static const char *skip_file_name(const char *text)
{
    while (*text != '\0' && *text != ' ')
        text++;
    while (*text == ' ')
        text++;
    return text;
}

/* An entry's size does not count its own four bytes. */
static void read_mb1_map(struct boot_info *info, uint64_t map, uint32_t length)
{
    enum { ENTRY_SIZE = 20 };
    const uint64_t end = map + length;
    for (uint64_t at = map; at < end; at += 4ull + read32(at)) {
        if (end - at < 4 + ENTRY_SIZE || read32(at) < ENTRY_SIZE || read32(at) > end - at - 4) {
            info->error = damaged;
            return;
        }
        add_range(info, read64(at + 4), read64(at + 12), read32(at + 20));
    }
}

static const char *mb1_text(uint32_t address)
{
    return address == 0 ? "" : skip_file_name((const char *)(uint64_t)address);
}

static void read_mb1(struct boot_info *info, uint64_t address)
{
    enum { FLAGS = 0, CMDLINE = 16, MODS_COUNT = 20, MODS = 24, MAP_LENGTH = 44, MAP = 48 };
    const uint32_t flags = read32(address + FLAGS);
    if (flags & (1u << 2))
        copy_command_line(info, mb1_text(read32(address + CMDLINE)));
    if (flags & (1u << 6))
        read_mb1_map(info, read32(address + MAP), read32(address + MAP_LENGTH));
    if (!(flags & (1u << 3)))
        return;
    uint64_t module = read32(address + MODS);
    for (uint32_t n = read32(address + MODS_COUNT); n > 0 && info->error == NULL; n--, module += 16)
        add_module(info, read32(module), read32(module + 4), mb1_text(read32(module + 8)));
}

static void read_mb2_map(struct boot_info *info, uint64_t tag, uint32_t size)
{
    const uint32_t entry_size = size < 16 ? 0 : read32(tag + 8);
    if (entry_size < 24) {
        info->error = damaged;
        return;
    }
    for (uint64_t at = tag + 16; at + entry_size <= tag + size; at += entry_size)
        add_range(info, read64(at), read64(at + 8), read32(at + 16));
}

static void copy_rsdp(struct boot_info *info, uint64_t tag, uint32_t size, unsigned wanted)
{
    if (size < 8 + wanted || info->rsdp_size >= wanted)
        return;
    memcpy(info->rsdp, (const void *)(tag + 8), wanted);
    info->rsdp_size = wanted;
}

/* The text that fills a tag from `offset` on; it must end inside the tag. */
static const char *mb2_text(struct boot_info *info, uint64_t tag, uint32_t size, uint32_t offset)
{
    const char *text = (const char *)tag;
    if (size > offset && text[size - 1] == '\0')
        return text + offset;
    info->error = damaged;
    return "";
}

static void read_mb2_tag(struct boot_info *info, uint64_t tag, uint32_t type, uint32_t size)
{
    enum {
        CMDLINE = 1,
        LOADER = 2,
        MODULE = 3,
        MAP = 6,
        EFI32 = 11,
        EFI64 = 12,
        RSDP1 = 14,
        RSDP2 = 15
    };
    const char *args;
    switch (type) {
    case CMDLINE:
        copy_command_line(info, mb2_text(info, tag, size, 8));
        break;
    case LOADER:
        text_copy(info->loader, sizeof info->loader, mb2_text(info, tag, size, 8));
        break;
    case MODULE:
        args = mb2_text(info, tag, size, 16);
        if (info->error == NULL)
            add_module(info, read32(tag + 8), read32(tag + 12), args);
        break;
    case MAP:
        read_mb2_map(info, tag, size);
        break;
    case EFI32:
    case EFI64:
        info->efi = true;
        break;
    case RSDP1:
        copy_rsdp(info, tag, size, 20);
        break;
    case RSDP2:
        copy_rsdp(info, tag, size, 36);
        break;
    default:
        break;
    }
}

static void read_mb2(struct boot_info *info, uint64_t address)
{
    const uint64_t end = address + read32(address);
    uint64_t tag = address + 8;
    while (tag + 8 <= end) {
        const uint32_t type = read32(tag);
        const uint32_t size = read32(tag + 4);
        if (type == 0)
            return;
        if (size < 8 || size > end - tag) {
            info->error = damaged;
            return;
        }
        read_mb2_tag(info, tag, type, size);
        tag = ALIGN_UP(tag + size, 8);
    }
}

bool boot_info_read(struct boot_info *info, uint32_t magic, uint64_t address)
{
    if (magic == MB1_LOADED_MAGIC)
        read_mb1(info, address);
    else if (magic == MB2_LOADED_MAGIC)
        read_mb2(info, address);
    else
        return false;
    return true;
}
