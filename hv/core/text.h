/* SPDX-License-Identifier: MIT */
/* The few operations on text that a hypervisor needs. */
#ifndef HV_CORE_TEXT_H
#define HV_CORE_TEXT_H

#include <stdarg.h>

#include "hv/core/types.h"

/* Copies `from` with its end mark; false and a cut copy when it does not fit in `size` bytes. */
bool text_copy(char *to, size_t size, const char *from);

bool text_equal(const char *a, const char *b);

/* If `text` starts with `prefix`, returns what follows it, else NULL. */
const char *text_after(const char *text, const char *prefix);

/*
 * Unsigned number, decimal or 0x hexadecimal, that must fill the whole text;
 * text_parse_size allows one of the suffixes K, M and G (powers of 1024).
 */
bool text_parse_number(const char *text, uint64_t *value);
bool text_parse_size(const char *text, uint64_t *bytes);

/*
 * Formats like vsnprintf, knowing %s %u %x %% with field width, zero fill
 * and the lengths l, ll and z. Returns the length written, never more than size - 1.
 */
size_t text_format(char *to, size_t size, const char *format, va_list arguments);

#endif
