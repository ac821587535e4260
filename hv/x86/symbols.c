/* SPDX-License-Identifier: MIT */
/* Looks up the table that symbols.sh made, sorted by address. */
#include "hv/x86/symbols.h"

struct symbol {
    uint32_t offset; /* from image_text_start */
    uint32_t name;   /* from symbol_names */
};

/* Weak, so that the first link pass does without them. */
extern const struct symbol symbol_table[] __attribute__((weak));
extern const uint32_t symbol_count __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));
extern const char image_text_start[], image_text_end[];

const char *symbol_find(uint64_t address, uint64_t *offset)
{
    const uint64_t start = (uint64_t)image_text_start;
    if (&symbol_count == NULL || address < start || address >= (uint64_t)image_text_end)
        return NULL;
    const struct symbol *found = NULL;
    for (uint32_t i = 0; i < symbol_count && symbol_table[i].offset <= address - start; i++)
        found = &symbol_table[i];
    if (found == NULL)
        return NULL;
    *offset = address - start - found->offset;
    return symbol_names + found->name;
}
