/* SPDX-License-Identifier: MIT */
#include "parent/worker/aml.h"

#include <string.h>

#define OP_NAME    0x08u
#define OP_BYTE    0x0au
#define OP_WORD    0x0bu
#define OP_DWORD   0x0cu
#define OP_STRING  0x0du
#define OP_QWORD   0x0eu
#define OP_SCOPE   0x10u
#define OP_BUFFER  0x11u
#define OP_PACKAGE 0x12u
#define OP_DEVICE  0x5b82u

#define RES_IRQ          0x23u
#define RES_IO           0x47u
#define RES_END          0x79u
#define RES_QWORD        0x8au
#define RES_QWORD_LENGTH 0x2bu

#define LENGTH_BYTES 2u /* of each package length */
#define LENGTH_MAX   0xfffu

void bh_aml_raw(struct bh_aml *aml, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        if (aml->used < aml->size)
            aml->data[aml->used++] = (uint8_t)(value >> 8 * i);
        else
            aml->overflow = true;
    }
}

static void put_byte(struct bh_aml *aml, unsigned byte)
{
    bh_aml_raw(aml, byte, 1);
}

size_t bh_aml_begin(struct bh_aml *aml, unsigned opcode)
{
    size_t mark;

    if (opcode > 0xff)
        put_byte(aml, opcode >> 8);
    put_byte(aml, opcode & 0xff);
    mark = aml->used;
    bh_aml_raw(aml, 0, LENGTH_BYTES);
    return mark;
}

/* A length counts itself. Its first byte has the number of further bytes in bits 7:6. */
void bh_aml_end(struct bh_aml *aml, size_t mark)
{
    size_t length = aml->used - mark;

    if (aml->overflow || length > LENGTH_MAX) {
        aml->overflow = true;
        return;
    }
    aml->data[mark] = (uint8_t)((LENGTH_BYTES - 1u) << 6 | (length & 0xf));
    aml->data[mark + 1] = (uint8_t)(length >> 4);
}

static void put_text(struct bh_aml *aml, const char *text)
{
    for (; *text != '\0'; text++)
        put_byte(aml, (unsigned char)*text);
}

size_t bh_aml_scope(struct bh_aml *aml, const char *name)
{
    size_t mark = bh_aml_begin(aml, OP_SCOPE);

    put_text(aml, name);
    return mark;
}

size_t bh_aml_device(struct bh_aml *aml, const char *name)
{
    size_t mark = bh_aml_begin(aml, OP_DEVICE);

    put_text(aml, name);
    return mark;
}

static void put_integer(struct bh_aml *aml, uint64_t value)
{
    if (value <= 1) {
        put_byte(aml, (unsigned)value); /* ZeroOp, OneOp */
    } else if (value <= 0xff) {
        put_byte(aml, OP_BYTE);
        bh_aml_raw(aml, value, 1);
    } else if (value <= 0xffff) {
        put_byte(aml, OP_WORD);
        bh_aml_raw(aml, value, 2);
    } else if (value <= 0xffffffff) {
        put_byte(aml, OP_DWORD);
        bh_aml_raw(aml, value, 4);
    } else {
        put_byte(aml, OP_QWORD);
        bh_aml_raw(aml, value, 8);
    }
}

static void put_name(struct bh_aml *aml, const char *name)
{
    put_byte(aml, OP_NAME);
    put_text(aml, name);
}

void bh_aml_name_integer(struct bh_aml *aml, const char *name, uint64_t value)
{
    put_name(aml, name);
    put_integer(aml, value);
}

void bh_aml_name_string(struct bh_aml *aml, const char *name, const char *text)
{
    put_name(aml, name);
    put_byte(aml, OP_STRING);
    put_text(aml, text);
    put_byte(aml, 0);
}

static unsigned hex(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)(digit - 'A' + 10);
}

/* Three letters of five bits and four hexadecimal digits, big-endian. */
void bh_aml_name_eisa(struct bh_aml *aml, const char *name, const char *id)
{
    unsigned letters = ((unsigned)id[0] - 0x40u) << 10 | ((unsigned)id[1] - 0x40u) << 5 |
                       ((unsigned)id[2] - 0x40u);

    put_name(aml, name);
    put_byte(aml, OP_DWORD);
    put_byte(aml, letters >> 8);
    put_byte(aml, letters & 0xff);
    put_byte(aml, hex(id[3]) << 4 | hex(id[4]));
    put_byte(aml, hex(id[5]) << 4 | hex(id[6]));
}

void bh_aml_name_package(struct bh_aml *aml, const char *name, const uint8_t *values,
                         unsigned count)
{
    size_t mark;

    put_name(aml, name);
    mark = bh_aml_begin(aml, OP_PACKAGE);
    put_byte(aml, count);
    for (unsigned i = 0; i < count; i++)
        put_integer(aml, values[i]);
    bh_aml_end(aml, mark);
}

struct bh_aml_resources bh_aml_resources_begin(struct bh_aml *aml)
{
    struct bh_aml_resources mark;

    put_name(aml, "_CRS");
    mark.buffer = bh_aml_begin(aml, OP_BUFFER);
    put_byte(aml, OP_WORD);
    mark.length_at = aml->used;
    bh_aml_raw(aml, 0, 2);
    return mark;
}

void bh_aml_resources_end(struct bh_aml *aml, struct bh_aml_resources mark)
{
    size_t length;

    put_byte(aml, RES_END);
    put_byte(aml, 0); /* no checksum */
    if (aml->overflow)
        return;
    length = aml->used - mark.length_at - 2;
    aml->data[mark.length_at] = (uint8_t)length;
    aml->data[mark.length_at + 1] = (uint8_t)(length >> 8);
    bh_aml_end(aml, mark.buffer);
}

void bh_aml_memory_window(struct bh_aml *aml, uint64_t base, uint64_t size)
{
    put_byte(aml, RES_QWORD);
    bh_aml_raw(aml, RES_QWORD_LENGTH, 2);
    put_byte(aml, 0);    /* memory */
    put_byte(aml, 0x0c); /* producer, both ends fixed */
    put_byte(aml, 0x03); /* cacheable, readable and writable */
    bh_aml_raw(aml, 0, 8);
    bh_aml_raw(aml, base, 8);
    bh_aml_raw(aml, base + size - 1, 8);
    bh_aml_raw(aml, 0, 8);
    bh_aml_raw(aml, size, 8);
}

void bh_aml_io_ports(struct bh_aml *aml, uint16_t base, uint8_t count)
{
    put_byte(aml, RES_IO);
    put_byte(aml, 1); /* all 16 address bits count */
    bh_aml_raw(aml, base, 2);
    bh_aml_raw(aml, base, 2);
    put_byte(aml, 1);
    put_byte(aml, count);
}

void bh_aml_interrupt(struct bh_aml *aml, unsigned irq)
{
    put_byte(aml, RES_IRQ);
    bh_aml_raw(aml, 1ull << irq, 2);
    put_byte(aml, 1);
}
