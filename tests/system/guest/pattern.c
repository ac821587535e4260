/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-random bytes that a seed reproduces, to fill disks and connections with.
 *
 *   pattern SEED BYTES           writes them to standard output
 *   pattern --check SEED BYTES   compares standard input with them; exit status 1 at a difference
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 65536 };

/* xorshift64*: the seed must not be 0. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static void fill(unsigned char *block, uint64_t *state)
{
    for (size_t at = 0; at < BLOCK; at += sizeof(uint64_t)) {
        uint64_t value = next_random(state);
        memcpy(block + at, &value, sizeof value);
    }
}

static bool write_all(const unsigned char *block, size_t size)
{
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, block, size);
        if (written < 0) {
            perror("pattern: write");
            return false;
        }
        block += written;
        size -= (size_t)written;
    }
    return true;
}

static bool check_all(const unsigned char *block, size_t size, uint64_t offset)
{
    static unsigned char input[BLOCK];
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(STDIN_FILENO, input + have, size - have);
        if (got <= 0) {
            fprintf(stderr, "pattern: input ends at byte %" PRIu64 ": %s\n", offset + have,
                    got < 0 ? strerror(errno) : "end of file");
            return false;
        }
        have += (size_t)got;
    }
    for (size_t at = 0; at < size; at++) {
        if (input[at] != block[at]) {
            fprintf(stderr, "pattern: byte %" PRIu64 " differs\n", offset + at);
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static unsigned char block[BLOCK];
    bool check = argc == 4 && strcmp(argv[1], "--check") == 0;
    if (argc != 3 && !check) {
        fprintf(stderr, "usage: pattern [--check] SEED BYTES\n");
        return 2;
    }
    uint64_t state = strtoull(argv[argc - 2], NULL, 0);
    uint64_t bytes = strtoull(argv[argc - 1], NULL, 0);
    if (state == 0) {
        fprintf(stderr, "pattern: the seed must be a number other than 0\n");
        return 2;
    }
    for (uint64_t offset = 0; offset < bytes; offset += BLOCK) {
        size_t size = bytes - offset < BLOCK ? (size_t)(bytes - offset) : BLOCK;
        fill(block, &state);
        if (check ? !check_all(block, size, offset) : !write_all(block, size))
            return 1;
    }
    return 0;
}
