/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-unpack: the unpacked kernel of a bzImage, from a cache. The worker
 * runs it before it locks itself in. Exit status: 0 and the path of the file on
 * standard output, 1 there is none, 2 wrong arguments.
 */
#include <limits.h>
#include <stdio.h>

#include "parent/tools/unpack/cache.h"

int main(int argc, char **argv)
{
    char path[PATH_MAX];
    char problem[256];

    if (argc != 3) {
        (void)fputs("Usage: bulkhead-unpack FOLDER KERNEL\n"
                    "\n"
                    "Unpacks the kernel of a bzImage into the cache FOLDER, if it is not there "
                    "yet, and prints the path.\n",
                    stderr);
        return 2;
    }
    if (!bh_cache_lookup(argv[1], argv[2], path, sizeof(path), problem)) {
        (void)fprintf(stderr, "bulkhead-unpack: %s\n", problem);
        return 1;
    }
    puts(path);
    return 0;
}
