/* SPDX-License-Identifier: MIT */
/*
 * The kernel inside a Linux bzImage: where it is, and how it is unpacked. The
 * image is untrusted: numbers are checked, and unpacking belongs into a process
 * that can do nothing else (bh_unpack_confined).
 */
#ifndef PARENT_TOOLS_UNPACK_UNPACK_H
#define PARENT_TOOLS_UNPACK_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_UNPACKED_MAX ((size_t)512 << 20) /* bytes */

struct bh_payload {
    const uint8_t *data; /* in the image */
    size_t size;         /* of the packed bytes */
    size_t unpacked;     /* what they become, as the image says */
};

/* Finds the payload; false when this is no bzImage, or one that says nonsense. */
bool bh_payload_find(const uint8_t *image, size_t size, struct bh_payload *payload);

/* Unpacks xz, zstd, gzip or lz4 into exactly payload->unpacked bytes; false when it is damaged. */
bool bh_payload_unpack(const struct bh_payload *payload, uint8_t *output);

/*
 * The same in a child process without files, privileges or system calls but
 * for memory. `output` is shared with it. `seconds` bounds its processor time.
 */
bool bh_unpack_confined(const struct bh_payload *payload, uint8_t *output, unsigned seconds);

#endif
