/* SPDX-License-Identifier: MIT */
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "parent/tools/unpack/unpack.h"

/* Offsets in the image's first sectors (the kernel's Documentation/arch/x86/boot.rst). */
#define HDR_SETUP_SECTS    0x1f1u
#define HDR_BOOT_FLAG      0x1feu
#define HDR_MAGIC          0x202u
#define HDR_VERSION        0x206u
#define HDR_PAYLOAD        0x248u
#define HDR_PAYLOAD_LENGTH 0x24cu
#define HDR_END            0x250u

#define BOOT_FLAG          0xaa55u
#define MAGIC_HDRS         0x53726448u
#define VERSION_MIN        0x0208u /* the first that names the payload */
#define SECTOR             512u
#define SETUP_SECTS_WHEN_0 4u

#define XZ_MEMORY_MAX ((uint64_t)512 << 20)
#define GZIP_WINDOW   (15 + 16) /* the largest, with a gzip header */
#define LZ4_BLOCK_MAX ((size_t)8 << 20)
#define SIZE_BYTES    4u /* behind the packed bytes: how many they become */

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint32_t get16(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

bool bh_payload_find(const uint8_t *image, size_t size, struct bh_payload *payload)
{
    size_t sectors;
    size_t offset;
    size_t length;

    if (size < HDR_END || get16(image + HDR_BOOT_FLAG) != BOOT_FLAG ||
        get32(image + HDR_MAGIC) != MAGIC_HDRS || get16(image + HDR_VERSION) < VERSION_MIN)
        return false;
    sectors = image[HDR_SETUP_SECTS] != 0 ? image[HDR_SETUP_SECTS] : SETUP_SECTS_WHEN_0;
    offset = (sectors + 1) * SECTOR + get32(image + HDR_PAYLOAD);
    length = get32(image + HDR_PAYLOAD_LENGTH);
    if (offset > size || length > size - offset || length <= SIZE_BYTES)
        return false;
    payload->data = image + offset;
    payload->size = length;
    payload->unpacked = get32(image + offset + length - SIZE_BYTES);
    return payload->unpacked > 0 && payload->unpacked <= BH_UNPACKED_MAX;
}

static bool unpack_xz(const struct bh_payload *payload, uint8_t *output)
{
    uint64_t limit = XZ_MEMORY_MAX;
    size_t in = 0;
    size_t out = 0;

    return lzma_stream_buffer_decode(&limit, 0, NULL, payload->data, &in,
                                     payload->size - SIZE_BYTES, output, &out,
                                     payload->unpacked) == LZMA_OK &&
           out == payload->unpacked;
}

static bool unpack_zstd(const struct bh_payload *payload, uint8_t *output)
{
    size_t size = ZSTD_findFrameCompressedSize(payload->data, payload->size - SIZE_BYTES);

    return ZSTD_isError(size) == 0 &&
           ZSTD_decompress(output, payload->unpacked, payload->data, size) == payload->unpacked;
}

/* The size at the end is gzip's own. */
static bool unpack_gzip(const struct bh_payload *payload, uint8_t *output)
{
    z_stream stream = {
        .next_in = (z_const Bytef *)(uintptr_t)payload->data,
        .avail_in = (uInt)payload->size,
        .next_out = output,
        .avail_out = (uInt)payload->unpacked,
    };
    int status;

    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return false;
    status = inflate(&stream, Z_FINISH);
    (void)inflateEnd(&stream);
    return status == Z_STREAM_END && stream.avail_out == 0;
}

/* Blocks of up to 8 MiB, each with its packed size before it. */
static bool unpack_lz4(const struct bh_payload *payload, uint8_t *output)
{
    size_t end = payload->size - SIZE_BYTES;
    size_t in = sizeof(uint32_t); /* behind the magic number */
    size_t out = 0;

    while (out < payload->unpacked && end - in > sizeof(uint32_t)) {
        size_t packed = get32(payload->data + in);
        size_t room = payload->unpacked - out;
        int got;

        in += sizeof(uint32_t);
        if (packed == 0 || packed > end - in)
            return false;
        got = LZ4_decompress_safe((const char *)payload->data + in, (char *)output + out,
                                  (int)packed, (int)(room < LZ4_BLOCK_MAX ? room : LZ4_BLOCK_MAX));
        if (got <= 0)
            return false;
        in += packed;
        out += (size_t)got;
    }
    return out == payload->unpacked;
}

bool bh_payload_unpack(const struct bh_payload *payload, uint8_t *output)
{
    static const struct {
        uint8_t magic[6];
        size_t length;
        bool (*unpack)(const struct bh_payload *payload, uint8_t *output);
    } kinds[] = {
        {{0xfd, '7', 'z', 'X', 'Z', 0}, 6, unpack_xz},
        {{0x28, 0xb5, 0x2f, 0xfd}, 4, unpack_zstd},
        {{0x1f, 0x8b}, 2, unpack_gzip},
        {{0x02, 0x21, 0x4c, 0x18}, 4, unpack_lz4},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (payload->size > kinds[i].length + SIZE_BYTES &&
            memcmp(payload->data, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].unpack(payload, output);
    return false;
}
