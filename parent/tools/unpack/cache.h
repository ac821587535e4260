/* SPDX-License-Identifier: MIT */
/*
 * The cache of unpacked kernels, a folder that only its owner can write to.
 *
 *   SHA256 of the bzImage   the unpacked kernel, and behind it the SHA-256 of that
 *   @BOOT-FILE              another link to it: the bzImage of this identity (device, inode,
 *                           size, times of change) was hashed, and the unpacked kernel was
 *                           checked, since the machine has started
 *
 * Files appear complete, by rename and link, so that any number of processes
 * may use the folder at once. What a link of this start of the machine does not vouch for is
 * hashed before it is used: a write that a loss of power tore is found, and the file made
 * again. There are at most BH_CACHE_KERNELS; the one that was longest without a new link
 * makes room for the next.
 */
#ifndef PARENT_TOOLS_UNPACK_CACHE_H
#define PARENT_TOOLS_UNPACK_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#define BH_CACHE_DIGEST  32u /* bytes behind the unpacked kernel */
#define BH_CACHE_KERNELS 16u

/*
 * Path of the unpacked kernel of `kernel`, made first when it is not there.
 * false with a sentence in `problem` when there is none: the file is no
 * bzImage, it is damaged, or the folder cannot be used.
 */
bool bh_cache_lookup(const char *folder, const char *kernel, char *path, size_t size,
                     char problem[static 256]);

#endif
