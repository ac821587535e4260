/* SPDX-License-Identifier: MIT */
/*
 * Pages with a seed's pattern, and a search for them in all memory of the machine.
 *
 *   marker plant SEED MIB   fills that much memory, says "planted" and keeps it
 *   marker find SEED...     "SEED COUNT" for each: how many pages of /proc/kcore hold its pattern
 *
 * A page counts when each of its words is what the seed says for that place, so the searcher's own
 * memory, which never holds more than one word of a pattern at a time, is not found.
 */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE         4096u
#define WORDS        (PAGE / 8)
#define SEEDS_MAX    16
#define SEGMENTS_MAX 64
#define CHUNK        ((size_t)256 * PAGE)
#define MIX          UINT64_C(0x9e3779b97f4a7c15)

static uint64_t word(uint64_t seed, unsigned place)
{
    uint64_t value = (seed + 1) * MIX + place;

    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ value >> 27;
}

static int plant(uint64_t seed, size_t size)
{
    uint64_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        perror("marker: memory");
        return 1;
    }
    for (size_t i = 0; i < size / 8; i++)
        memory[i] = word(seed, i % WORDS);
    puts("planted");
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}

static bool holds(const uint64_t *page, uint64_t seed)
{
    for (unsigned i = 0; i < WORDS; i++)
        if (page[i] != word(seed, i))
            return false;
    return true;
}

static void search(const uint64_t *words, size_t pages, const uint64_t *seeds, unsigned count,
                   uint64_t *found)
{
    for (size_t page = 0; page < pages; page++)
        for (unsigned i = 0; i < count; i++)
            found[i] += holds(words + page * WORDS, seeds[i]);
}

/* Only RAM that the kernel maps one to one has a physical address in the header. */
static bool is_ram(const Elf64_Phdr *segment)
{
    return segment->p_type == PT_LOAD && segment->p_paddr != UINT64_MAX &&
           segment->p_vaddr < UINT64_C(0xffffffff80000000);
}

static uint64_t search_segment(int core, const Elf64_Phdr *segment, const uint64_t *seeds,
                               unsigned count, uint64_t *found)
{
    static uint64_t buffer[CHUNK / 8];
    uint64_t done = 0;

    while (done < segment->p_filesz) {
        uint64_t left = segment->p_filesz - done;
        ssize_t got =
            pread(core, buffer, left < CHUNK ? left : CHUNK, (off_t)(segment->p_offset + done));

        if (got < (ssize_t)PAGE) {
            done += PAGE; /* a page that the kernel does not show */
            continue;
        }
        search(buffer, (size_t)got / PAGE, seeds, count, found);
        done += (uint64_t)got / PAGE * PAGE;
    }
    memset(buffer, 0, sizeof(buffer));
    return done;
}

static int find(const uint64_t *seeds, unsigned count)
{
    int core = open("/proc/kcore", O_RDONLY);
    Elf64_Phdr segments[SEGMENTS_MAX];
    uint64_t found[SEEDS_MAX] = {0};
    uint64_t searched = 0;
    Elf64_Ehdr header;

    if (core < 0 || read(core, &header, sizeof(header)) != (ssize_t)sizeof(header) ||
        header.e_phnum > SEGMENTS_MAX ||
        pread(core, segments, header.e_phnum * sizeof(*segments), (off_t)header.e_phoff) < 0) {
        perror("marker: /proc/kcore");
        return 1;
    }
    for (unsigned i = 0; i < header.e_phnum; i++)
        if (is_ram(&segments[i]))
            searched += search_segment(core, &segments[i], seeds, count, found);
    printf("searched %" PRIu64 "\n", searched);
    for (unsigned i = 0; i < count; i++)
        printf("%" PRIu64 " %" PRIu64 "\n", seeds[i], found[i]);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t seeds[SEEDS_MAX];
    unsigned count = 0;

    if (argc == 4 && strcmp(argv[1], "plant") == 0)
        return plant(strtoull(argv[2], NULL, 0), strtoul(argv[3], NULL, 0) << 20);
    if (argc < 3 || argc > 2 + SEEDS_MAX || strcmp(argv[1], "find") != 0) {
        (void)fputs("usage: marker plant SEED MIB | marker find SEED...\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++)
        seeds[count++] = strtoull(argv[i], NULL, 0);
    return find(seeds, count);
}
