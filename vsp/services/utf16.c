/* SPDX-License-Identifier: MIT */
#include "vsp/services/utf16.h"

#include <stdbool.h>

static uint32_t unit_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

static bool is_high(uint32_t unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(uint32_t unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

static bool is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
           character == 0x2029;
}

/* Returns the number of bytes, 1 to 4. */
static size_t encode(uint32_t character, char bytes[4])
{
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t count = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;

    for (size_t i = count; i-- > 1; character >>= 6)
        bytes[i] = (char)(0x80 | (character & 0x3f));
    bytes[0] = (char)(count == 1 ? character : lead[count] | character);
    return count;
}

/* Takes one character; returns the bytes it had. */
static size_t next(const uint8_t *utf16, size_t size, uint32_t *character)
{
    uint32_t unit = unit_at(utf16);

    *character = unit;
    if (is_high(unit) && size >= 4 && is_low(unit_at(utf16 + 2))) {
        *character = 0x10000 + ((unit - 0xd800) << 10) + (unit_at(utf16 + 2) - 0xdc00);
        return 4;
    }
    if (is_high(unit) || is_low(unit) || is_control(unit))
        *character = unit == 0 ? 0 : '?';
    return 2;
}

void bh_utf16_to_text(const uint8_t *utf16, size_t size, char *text, size_t capacity)
{
    size_t length = 0;
    uint32_t character;

    for (size_t at = 0; size - at >= 2;) {
        char bytes[4];
        size_t count;

        at += next(utf16 + at, size - at, &character);
        if (character == 0)
            break;
        count = encode(character, bytes);
        if (length + count >= capacity)
            break;
        for (size_t i = 0; i < count; i++)
            text[length++] = bytes[i];
    }
    text[length] = '\0';
}
