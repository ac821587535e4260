/* SPDX-License-Identifier: MIT */
/* Choice of the loader, and the parts that all loaders use. */
#include "parent/worker/boot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "parent/worker/boot_parts.h"

#define CR0_PE   0x1ull
#define CR0_ET   0x10ull
#define CR0_PG   0x80000000ull
#define CR4_PAE  0x20ull
#define EFER_LME 0x100ull
#define EFER_LMA 0x400ull

#define PAGE_PRESENT  0x1ull
#define PAGE_WRITABLE 0x2ull
#define PAGE_LARGE    0x80ull

#define GDT_CODE 0x10u
#define GDT_DATA 0x18u
#define GDT_TASK 0x20u

/* Attributes as in a descriptor: present, and read/write or execute/read, accessed. */
#define ATTRIBUTES_CODE_64 0xa09bu
#define ATTRIBUTES_CODE_32 0xc09bu
#define ATTRIBUTES_DATA    0xc093u
#define ATTRIBUTES_TASK    0x008bu /* busy TSS */

bool bh_boot_refuse(struct bh_boot_error *error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    return false;
}

bool bh_boot_load(const struct bh_guest_memory *memory, const struct bh_boot_input *input,
                  struct bh_boot_state *state, struct bh_boot_error *error)
{
    memset(state, 0, sizeof(*state));
    if (bh_boot_is_linux(&input->kernel))
        return bh_boot_linux(memory, input, state, error);
    if (bh_boot_is_multiboot(&input->kernel))
        return bh_boot_multiboot(memory, input, state, error);
    if (bh_boot_is_elf(&input->kernel))
        return bh_boot_pvh(memory, input, state, error);
    return bh_boot_refuse(error,
                          "The kernel is neither a bzImage, nor an ELF with a PVH entry, nor "
                          "a Multiboot kernel.");
}

/* A descriptor of 4 GiB from 0 (for a task state segment: 104 bytes from 0). */
static uint64_t descriptor(uint16_t attributes)
{
    uint64_t limit = attributes == ATTRIBUTES_TASK ? 103 : 0xfffff;

    return (limit & 0xffff) | (limit >> 16 & 0xf) << 48 | (uint64_t)(attributes & 0xf0ff) << 40;
}

static struct hv_segment_register segment(uint16_t selector, uint16_t attributes)
{
    return (struct hv_segment_register){
        .limit = attributes == ATTRIBUTES_TASK ? 103 : 0xffffffff,
        .selector = selector,
        .attributes = attributes,
    };
}

static void set_segments(const struct bh_guest_memory *memory, struct bh_boot_state *state,
                         uint16_t code_attributes)
{
    const uint64_t gdt[] = {
        0, 0, descriptor(code_attributes), descriptor(ATTRIBUTES_DATA), descriptor(ATTRIBUTES_TASK),
        0, /* upper half of a 64-bit task state segment */
    };

    (void)bh_guest_memory_fill(memory, BH_BOOT_GDT, gdt, sizeof(gdt));
    state->gdtr = (struct hv_table_register){.limit = sizeof(gdt) - 1, .base = BH_BOOT_GDT};
    state->code = segment(GDT_CODE, code_attributes);
    state->data = segment(GDT_DATA, ATTRIBUTES_DATA);
    state->task = segment(GDT_TASK, ATTRIBUTES_TASK);
}

/* 4 GiB one to one in 2 MiB pages: one PML4, one table of four, four of 512. */
static void write_page_tables(const struct bh_guest_memory *memory)
{
    uint64_t *table = bh_guest_memory_at(memory, BH_BOOT_PAGE_TABLES, 6ull * 4096);
    uint64_t *pages = table + 1024; /* behind two tables */
    uint64_t flags = PAGE_PRESENT | PAGE_WRITABLE;

    memset(table, 0, 2ul * 4096);
    table[0] = (BH_BOOT_PAGE_TABLES + 4096) | flags;
    for (unsigned i = 0; i < 4; i++)
        table[512 + i] = (BH_BOOT_PAGE_TABLES + (2ull + i) * 4096) | flags;
    for (unsigned i = 0; i < 4 * 512; i++)
        pages[i] = (uint64_t)i << 21 | PAGE_LARGE | flags;
}

void bh_boot_enter_long(const struct bh_guest_memory *memory, struct bh_boot_state *state)
{
    set_segments(memory, state, ATTRIBUTES_CODE_64);
    write_page_tables(memory);
    state->cr0 = CR0_PE | CR0_ET | CR0_PG;
    state->cr3 = BH_BOOT_PAGE_TABLES;
    state->cr4 = CR4_PAE;
    state->efer = EFER_LME | EFER_LMA;
}

void bh_boot_enter_protected(const struct bh_guest_memory *memory, struct bh_boot_state *state)
{
    set_segments(memory, state, ATTRIBUTES_CODE_32);
    state->cr0 = CR0_PE | CR0_ET;
}

bool bh_boot_command_line(const struct bh_guest_memory *memory, const char *text, uint64_t limit,
                          struct bh_boot_error *error)
{
    uint64_t length = strlen(text);

    if (limit > BH_BOOT_COMMAND_LINE_SIZE - 1)
        limit = BH_BOOT_COMMAND_LINE_SIZE - 1;
    if (length > limit)
        return bh_boot_refuse(error,
                              "The command line has %llu bytes; this kernel takes at most %llu.",
                              (unsigned long long)length, (unsigned long long)limit);
    return bh_guest_memory_fill(memory, BH_BOOT_COMMAND_LINE, text, length + 1) ||
           bh_boot_refuse(error, "There is no memory for the command line.");
}

bool bh_boot_place_initrd(const struct bh_guest_memory *memory, const struct bh_boot_image *initrd,
                          uint64_t floor, uint64_t limit, uint64_t *gpa,
                          struct bh_boot_error *error)
{
    uint64_t end = memory->region[0].size < limit ? memory->region[0].size : limit;

    *gpa = 0;
    if (initrd->size == 0)
        return true;
    if (initrd->size > end || ((end - initrd->size) & ~0xfffull) < floor)
        return bh_boot_refuse(error,
                              "The initrd of %zu MiB does not fit beside the kernel; give the VM "
                              "more memory.",
                              (initrd->size >> 20) + 1);
    *gpa = (end - initrd->size) & ~0xfffull;
    return bh_guest_memory_fill(memory, *gpa, initrd->data, initrd->size) ||
           bh_boot_refuse(error, "There is no memory for the initrd.");
}
