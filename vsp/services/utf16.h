/* SPDX-License-Identifier: MIT */
/* Text of guests. */
#ifndef VSP_SERVICES_UTF16_H
#define VSP_SERVICES_UTF16_H

#include <stddef.h>
#include <stdint.h>

/*
 * Converts UTF-16, little-endian, `size` bytes or up to a NUL, to UTF-8 that
 * always ends with a NUL inside `capacity`. Control characters and halves of
 * surrogate pairs become '?'; a text that is too long is cut between characters.
 */
void bh_utf16_to_text(const uint8_t *utf16, size_t size, char *text, size_t capacity);

#endif
