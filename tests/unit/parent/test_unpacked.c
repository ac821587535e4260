/* SPDX-License-Identifier: MIT */
/*
 * parent/worker/boot_unpacked.c, through bh_boot_load: a small kernel of two
 * segments with one place of each kind, as it is linked, moved, and damaged in
 * every part, and the packed kernel that is booted in its stead then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "parent/worker/boot.h"

#define RAM         (64u << 20)
#define PREFERRED   0x1000000ull
#define INIT_SIZE   0x600000u
#define ALIGNMENT   0x200000u
#define ENTRY       0x40u
#define VIRTUAL     0xffffffff80000000ull
#define KASLR_FLAG  2u
#define FIRST_SIZE  0x100ul
#define SECOND      0x200000u /* behind the first segment, in memory */
#define PLACE_32    0x10u
#define PLACE_INV   0x20u
#define PLACE_64    0x28u /* in the second segment */
#define TABLE_WORDS 6u
#define PACKED_BYTE 0xcc

struct unpacked {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    uint8_t first[FIRST_SIZE];
    uint8_t second[FIRST_SIZE];
    uint32_t table[TABLE_WORDS];
};

static uint8_t packed[0x2000];
static struct unpacked kernel;
static uint8_t *ram;
static struct bh_guest_memory memory;
static struct bh_boot_input input;

static void put(uint8_t *at, uint64_t value, size_t size)
{
    memcpy(at, &value, size);
}

static void make_packed(void)
{
    memset(packed, PACKED_BYTE, sizeof(packed));
    memset(packed, 0, 0x400);
    packed[0x1f1] = 1;
    put(packed + 0x1fe, 0xaa55, 2);
    packed[0x201] = 0x66;
    put(packed + 0x202, 0x53726448, 4);
    put(packed + 0x206, 0x020f, 2);
    packed[0x211] = 1;
    put(packed + 0x22c, 0x7fffffff, 4);
    put(packed + 0x230, ALIGNMENT, 4);
    packed[0x236] = 1;
    put(packed + 0x238, 2047, 4);
    put(packed + 0x258, PREFERRED, 8);
    put(packed + 0x260, INIT_SIZE, 4);
}

static uint32_t address(uint64_t place)
{
    return (uint32_t)(VIRTUAL + PREFERRED + place);
}

static void make_unpacked(void)
{
    memset(&kernel, 0, sizeof(kernel));
    memcpy(kernel.header.e_ident, ELFMAG, SELFMAG);
    kernel.header.e_ident[EI_CLASS] = ELFCLASS64;
    kernel.header.e_machine = EM_X86_64;
    kernel.header.e_entry = PREFERRED + ENTRY;
    kernel.header.e_phoff = offsetof(struct unpacked, segments);
    kernel.header.e_phentsize = sizeof(Elf64_Phdr);
    kernel.header.e_phnum = 2;
    kernel.header.e_shentsize = sizeof(Elf64_Shdr);
    kernel.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                                      .p_offset = offsetof(struct unpacked, first),
                                      .p_paddr = PREFERRED,
                                      .p_filesz = FIRST_SIZE,
                                      .p_memsz = FIRST_SIZE};
    kernel.segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                      .p_offset = offsetof(struct unpacked, second),
                                      .p_paddr = PREFERRED + SECOND,
                                      .p_filesz = FIRST_SIZE,
                                      .p_memsz = FIRST_SIZE * 16};
    put(kernel.first, 0x1234, 8);
    put(kernel.first + PLACE_32, 0x81000100, 4);
    put(kernel.first + PLACE_INV, 0x7000, 4);
    put(kernel.second + PLACE_64, VIRTUAL + PREFERRED + 0x777, 8);
    kernel.table[1] = address(SECOND + PLACE_64);
    kernel.table[3] = address(PLACE_INV);
    kernel.table[5] = address(PLACE_32);
}

static int setup(void **state)
{
    (void)state;
    ram = calloc(1, RAM);
    assert_non_null(ram);
    bh_guest_memory_init(&memory, ram, RAM);
    make_packed();
    make_unpacked();
    input = (struct bh_boot_input){.kernel = {packed, sizeof(packed)},
                                   .unpacked = {(const uint8_t *)&kernel, sizeof(kernel)},
                                   .command_line = "quiet"};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(ram);
    return 0;
}

static uint64_t get(const uint8_t *at, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, at, size);
    return value;
}

static struct bh_boot_state boot(void)
{
    struct bh_boot_state state;
    struct bh_boot_error error;

    assert_true(bh_boot_load(&memory, &input, &state, &error));
    assert_int_equal(state.kind, BH_BOOT_LINUX);
    return state;
}

/* The packed kernel is in memory, and its own stub will run. */
static void expect_packed(void)
{
    struct bh_boot_state state = boot();

    assert_int_equal(state.rip, PREFERRED + 0x200);
    assert_int_equal(ram[PREFERRED], PACKED_BYTE);
    assert_int_equal(ram[state.rsi + 0x211] & KASLR_FLAG, 0);
}

/* Everything is where the entropy says, and every address says so. */
static void expect_at(uint64_t load, uint64_t delta)
{
    struct bh_boot_state state = boot();

    assert_int_equal(state.rip, load + ENTRY);
    assert_int_equal(get(ram + load, 8), 0x1234);
    assert_int_equal(get(ram + load + PLACE_32, 4), (uint32_t)(0x81000100 + delta));
    assert_int_equal(get(ram + load + PLACE_INV, 4), (uint32_t)(0x7000 - delta));
    assert_int_equal(get(ram + load + SECOND + PLACE_64, 8), VIRTUAL + PREFERRED + 0x777 + delta);
    assert_int_equal(ram[state.rsi + 0x211] & KASLR_FLAG, KASLR_FLAG);
}

static void it_is_moved_by_chance(void **state)
{
    (void)state;
    expect_at(PREFERRED, 0);
    input.entropy[0] = 1;
    input.entropy[1] = 3;
    expect_at(PREFERRED + ALIGNMENT, 3ull * ALIGNMENT);
    input.entropy[1] = UINT64_MAX;
    (void)boot();
}

/* Whatever the numbers are, it lies in RAM, and its addresses in the kernel's range. */
static void it_stays_inside(void **state)
{
    uint64_t seen = 0;

    (void)state;
    for (uint64_t i = 0; i < 200; i++) {
        struct bh_boot_state boot_state;
        uint64_t load;
        uint64_t moved;

        input.entropy[0] = i * 0x9e3779b97f4a7c15ull;
        input.entropy[1] = ~i * 0x9e3779b97f4a7c15ull;
        boot_state = boot();
        load = boot_state.rip - ENTRY;
        assert_int_equal(load % ALIGNMENT, 0);
        assert_true(load >= PREFERRED && load + INIT_SIZE <= RAM);
        moved = get(ram + load + SECOND + PLACE_64, 8) - 0x777 - VIRTUAL;
        assert_int_equal(moved % ALIGNMENT, 0);
        assert_true(moved >= PREFERRED && moved + INIT_SIZE <= 1ull << 30);
        seen |= 1ull << (load / ALIGNMENT);
    }
    assert_true(__builtin_popcountll(seen) > 10);
}

static void nokaslr_is_obeyed(void **state)
{
    static const char *const lines[] = {"nokaslr", "quiet nokaslr", "nokaslr quiet"};

    (void)state;
    input.entropy[0] = input.entropy[1] = 5;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct bh_boot_state boot_state;

        input.command_line = lines[i];
        boot_state = boot();
        assert_int_equal(boot_state.rip, PREFERRED + ENTRY);
        assert_int_equal(get(ram + PREFERRED + PLACE_32, 4), 0x81000100);
        assert_int_equal(ram[boot_state.rsi + 0x211] & KASLR_FLAG, 0);
    }
    input.command_line = "nokaslrx xnokaslr";
    assert_int_equal(boot().rip, PREFERRED + 5ull * ALIGNMENT + ENTRY);
}

static void the_packed_kernel_stands_in(void **state)
{
    (void)state;
    input.unpacked.size = 0;
    expect_packed();
}

static void each_damage_is_seen(void **state)
{
    (void)state;
    for (size_t size = 1; size < sizeof(kernel); size += 3) {
        input.unpacked.size = size;
        expect_packed();
    }
    input.unpacked.size = sizeof(kernel);
    for (unsigned word = 0; word < TABLE_WORDS; word++) {
        kernel.table[word] ^= 0x40000000u;
        expect_packed();
        make_unpacked();
    }
    kernel.table[5] = address(SECOND + FIRST_SIZE * 16 - 3); /* one byte too far */
    expect_packed();
    make_unpacked();
    kernel.table[1] = address(0) - 1;
    expect_packed();
    make_unpacked();
    kernel.segments[1].p_filesz = FIRST_SIZE * 17;
    expect_packed();
    make_unpacked();
    kernel.segments[1].p_paddr = UINT64_MAX - 8;
    expect_packed();
    make_unpacked();
    kernel.segments[1].p_offset = UINT64_MAX - 8;
    expect_packed();
    make_unpacked();
    kernel.segments[1].p_memsz = INIT_SIZE;
    expect_packed();
    make_unpacked();
    kernel.segments[0].p_paddr -= ALIGNMENT;
    expect_packed();
    make_unpacked();
    kernel.header.e_entry = PREFERRED - 1;
    expect_packed();
    make_unpacked();
    kernel.header.e_phnum = 0xffff;
    expect_packed();
    make_unpacked();
    kernel.header.e_shoff = UINT64_MAX;
    expect_packed();
}

static void alignments_that_are_none_are_seen(void **state)
{
    static const uint32_t wrong[] = {0, 1, 0x1000, 0x300000};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        put(packed + 0x230, wrong[i], 4);
        expect_packed();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_moved_by_chance, setup, teardown),
        cmocka_unit_test_setup_teardown(it_stays_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(nokaslr_is_obeyed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_packed_kernel_stands_in, setup, teardown),
        cmocka_unit_test_setup_teardown(each_damage_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(alignments_that_are_none_are_seen, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
