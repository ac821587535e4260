/* SPDX-License-Identifier: MIT */
/* Prefixes, REX, 0F 22 and a ModRM byte whose register fields are all that matters. */
#include "hv/core/decode.h"

#define ESCAPE         0x0f
#define MOV_TO_CONTROL 0x22

static bool is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0: /* names CR8 through CR0 where REX can not */
    case 0xf2:
    case 0xf3:
        return true;
    default:
        return false;
    }
}

unsigned decode_mov_to_control(const uint8_t *bytes, size_t count, unsigned *general)
{
    size_t at = 0;
    uint8_t rex = 0;
    while (at < count && is_prefix(bytes[at]))
        at++;
    if (at < count && bytes[at] >> 4 == 4)
        rex = bytes[at++];
    if (at + 3 > count || bytes[at] != ESCAPE || bytes[at + 1] != MOV_TO_CONTROL)
        return 0;
    *general = (bytes[at + 2] & 7u) | (rex & 1u) << 3;
    return (unsigned)at + 3;
}
