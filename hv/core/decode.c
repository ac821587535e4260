/* SPDX-License-Identifier: MIT */
/* Prefixes, REX, an opcode, and a ModRM byte that says how long the rest is. */
#include "hv/core/decode.h"

#define ESCAPE         0x0f
#define MOV_TO_CONTROL 0x22
#define OPERAND_SIZE   0x66
#define LOCK           0xf0
#define REX_W          8u
#define REX_R          4u
#define MOV_REGISTER   0x88 /* bit 0: not a byte */

static bool is_prefix(uint8_t byte)
{
    const bool segment = (byte & 0xe7) == 0x26; /* ES, CS, SS, DS */
    /* FS, GS, sizes; LOCK (which names CR8 through CR0 where REX can not), REPNE, REP */
    return segment || (byte & 0xfc) == 0x64 || byte == LOCK || byte == 0xf2 || byte == 0xf3;
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

/* ModRM, SIB and displacement of an operand in memory; 0: it is a register, or cut off. */
static size_t operand_length(const uint8_t *at, size_t count)
{
    const bool has_sib = count > 0 && (at[0] & 7) == 4;
    if (count < 1u + has_sib || at[0] >> 6 == 3)
        return 0;
    const unsigned mode = at[0] >> 6;
    const unsigned base = at[has_sib] & 7u;
    const size_t displacement = mode == 1 ? 1 : mode == 2 || (mode == 0 && base == 5) ? 4 : 0;
    const size_t length = 1 + has_sib + displacement;
    return length <= count ? length : 0;
}

bool decode_store(const uint8_t *bytes, size_t count, bool is_64bit, struct store *store)
{
    size_t at = 0;
    unsigned rex = 0;
    bool is_word = false;
    for (; at < count && is_prefix(bytes[at]); at++) {
        if (bytes[at] == LOCK)
            return false;
        is_word = is_word || bytes[at] == OPERAND_SIZE;
    }
    if (is_64bit && at < count && bytes[at] >> 4 == 4)
        rex = bytes[at++];
    if (at == count || (bytes[at] & ~1u) != MOV_REGISTER)
        return false;
    const size_t operand = operand_length(bytes + at + 1, count - at - 1);
    const bool is_byte = !(bytes[at] & 1u);
    if (operand == 0)
        return false;
    store->size = is_byte ? 1 : rex & REX_W ? 8 : is_word ? 2 : 4;
    store->general = (bytes[at + 1] >> 3 & 7u) | (rex & REX_R ? 8u : 0);
    store->length = (unsigned)(at + 1 + operand);
    return !is_byte || rex != 0 || store->general < 4; /* AH to BH are not in the usual order */
}
