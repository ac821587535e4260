/* SPDX-License-Identifier: MIT */
/* parent/worker/boot*.c: images made here, good ones and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "parent/worker/boot.h"

#define RAM_SIZE    (64u << 20)
#define RSDP        0xe0000u
#define HEADER_SIZE 2560u /* five sectors */

static uint8_t *ram;
static struct bh_guest_memory memory;
static uint8_t image[65536];
static uint8_t initrd[5000];
static struct bh_boot_input input;
static struct bh_boot_state boot;
static struct bh_boot_error error;

static int setup(void **state)
{
    (void)state;
    ram = calloc(1, RAM_SIZE);
    if (ram == NULL)
        return 1;
    bh_guest_memory_init(&memory, ram, RAM_SIZE);
    memset(image, 0, sizeof(image));
    memset(initrd, 0x5a, sizeof(initrd));
    input = (struct bh_boot_input){
        .kernel = {image, sizeof(image)}, .command_line = "console=ttyS0", .rsdp = RSDP};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(ram);
    return 0;
}

static void put(void *at, uint64_t value, unsigned bytes)
{
    memcpy(at, &value, bytes);
}

static uint64_t get(uint64_t gpa, unsigned bytes)
{
    uint64_t value = 0;

    memcpy(&value, ram + gpa, bytes);
    return value;
}

static void expect_refusal(const char *words)
{
    assert_false(bh_boot_load(&memory, &input, &boot, &error));
    if (strstr(error.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", error.text, words);
}

static void load(void)
{
    if (!bh_boot_load(&memory, &input, &boot, &error))
        fail_msg("%s", error.text);
}

/* --- bzImage ------------------------------------------------------------------------------ */

static void make_linux(void)
{
    image[0x1f1] = 4;
    put(image + 0x1fe, 0xaa55, 2);
    image[0x201] = 0x66;
    put(image + 0x202, 0x53726448, 4); /* HdrS */
    put(image + 0x206, 0x020f, 2);
    image[0x211] = 1;
    put(image + 0x22c, 0x7fffffff, 4);
    put(image + 0x236, 0x3f, 2);
    put(image + 0x238, 2047, 4);
    put(image + 0x258, 0x1000000, 8);
    put(image + 0x260, 8u << 20, 4);
    memset(image + HEADER_SIZE, 0x77, sizeof(image) - HEADER_SIZE);
}

static void linux_starts_in_long_mode(void **state)
{
    (void)state;
    make_linux();
    input.initrd = (struct bh_boot_image){initrd, sizeof(initrd)};
    load();
    assert_int_equal(boot.kind, BH_BOOT_LINUX);
    assert_int_equal(boot.rip, 0x1000200);
    assert_int_equal(boot.efer, 0x500);
    assert_int_equal(boot.code.attributes, 0xa09b);
    assert_int_equal(get(0x1000000, 1), 0x77);
    assert_int_equal(get(0x1000000 + sizeof(image) - HEADER_SIZE - 1, 1), 0x77);
    assert_int_equal(get(0x1000000 + sizeof(image) - HEADER_SIZE, 1), 0);
    assert_int_equal(get(boot.rsi + 0x70, 8), RSDP);
    assert_int_equal(get(boot.rsi + 0x210, 1), 0xff);
    assert_string_equal(ram + get(boot.rsi + 0x228, 4), "console=ttyS0");
    assert_int_equal(get(boot.rsi + 0x21c, 4), sizeof(initrd));
    assert_memory_equal(ram + get(boot.rsi + 0x218, 4), initrd, sizeof(initrd));
    assert_int_equal(get(boot.rsi + 0x218, 4) & 0xfff, 0);
    assert_int_equal(get(boot.rsi + 0x1e8, 1), 3);
    assert_int_equal(get(boot.rsi + 0x2d0 + 40 + 8, 8), RAM_SIZE - 0x100000);
}

/* The tables at CR3 map an address of the kernel one to one. */
static void linux_page_tables_are_one_to_one(void **state)
{
    uint64_t address = 0x1234567;
    uint64_t entry;

    (void)state;
    make_linux();
    load();
    entry = get(boot.cr3, 8);
    assert_int_equal(entry & 3, 3);
    entry = get((entry & ~0xfffull) + 8 * (address >> 30), 8);
    assert_int_equal(entry & 3, 3);
    entry = get((entry & ~0xfffull) + 8 * (address >> 21 & 511), 8);
    assert_int_equal(entry, (address & ~0x1fffffull) | 0x83);
    assert_int_equal(get(boot.gdtr.base + boot.code.selector, 8), 0x00af9b000000ffff);
    assert_int_equal(get(boot.gdtr.base + boot.data.selector, 8), 0x00cf93000000ffff);
}

static void damaged_linux_images_are_refused(void **state)
{
    (void)state;
    make_linux();
    put(image + 0x206, 0x0207, 2);
    expect_refusal("boot protocol 2.7");
    make_linux();
    put(image + 0x236, 0, 2);
    expect_refusal("64-bit");
    make_linux();
    image[0x211] = 0;
    expect_refusal("zImage");
    make_linux();
    input.kernel.size = HEADER_SIZE;
    expect_refusal("cut off");
    input.kernel.size = sizeof(image);
    put(image + 0x260, RAM_SIZE, 4);
    expect_refusal("more memory");
    put(image + 0x260, 0, 4);
    put(image + 0x258, UINT64_MAX - 100, 8);
    expect_refusal("more memory");
    put(image + 0x258, 0x8000, 8);
    expect_refusal("0x8000");
    make_linux();
    put(image + 0x238, 5, 4);
    expect_refusal("at most 5");
    make_linux();
    put(image + 0x22c, 0x1800000 - 1, 4);
    input.initrd = (struct bh_boot_image){initrd, sizeof(initrd)};
    expect_refusal("initrd");
}

/* --- ELF ---------------------------------------------------------------------------------- */

struct elf64_file {
    Elf64_Ehdr header;
    Elf64_Phdr segment[2];
    struct {
        Elf64_Nhdr header;
        char name[4];
        uint64_t value;
    } note;
    uint8_t code[64];
};

static struct elf64_file *make_elf(void)
{
    struct elf64_file *file = (struct elf64_file *)(void *)image;

    memset(image, 0, sizeof(image));
    memcpy(file->header.e_ident, ELFMAG, SELFMAG);
    file->header.e_ident[EI_CLASS] = ELFCLASS64;
    file->header.e_ident[EI_DATA] = ELFDATA2LSB;
    file->header.e_machine = EM_X86_64;
    file->header.e_entry = 0x200000;
    file->header.e_phoff = offsetof(struct elf64_file, segment);
    file->header.e_phentsize = sizeof(Elf64_Phdr);
    file->header.e_phnum = 2;
    file->segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                                    .p_offset = offsetof(struct elf64_file, code),
                                    .p_paddr = 0x200000,
                                    .p_filesz = sizeof(file->code),
                                    .p_memsz = 0x1000};
    file->segment[1] = (Elf64_Phdr){.p_type = PT_NOTE,
                                    .p_offset = offsetof(struct elf64_file, note),
                                    .p_filesz = sizeof(file->note)};
    file->note.header = (Elf64_Nhdr){4, 8, 18};
    memcpy(file->note.name, "Xen", 4);
    file->note.value = 0x200010;
    memset(file->code, 0xcc, sizeof(file->code));
    input.kernel.size = sizeof(*file);
    return file;
}

static void pvh_starts_in_protected_mode(void **state)
{
    (void)state;
    (void)make_elf();
    memset(ram + 0x200000, 0xff, 0x1000);
    input.initrd = (struct bh_boot_image){initrd, sizeof(initrd)};
    load();
    assert_int_equal(boot.kind, BH_BOOT_PVH);
    assert_int_equal(boot.rip, 0x200010);
    assert_int_equal(boot.cr0, 0x11);
    assert_int_equal(boot.code.attributes, 0xc09b);
    assert_int_equal(get(0x20003f, 1), 0xcc);
    assert_int_equal(get(0x200040, 1), 0); /* the rest of the segment is cleared */
    assert_int_equal(get(boot.rbx, 4), 0x336ec578);
    assert_int_equal(get(boot.rbx + 12, 4), 1);
    assert_memory_equal(ram + get(get(boot.rbx + 16, 8), 8), initrd, sizeof(initrd));
    assert_string_equal(ram + get(boot.rbx + 24, 8), "console=ttyS0");
    assert_int_equal(get(boot.rbx + 32, 8), RSDP);
    assert_int_equal(get(boot.rbx + 48, 4), 3);
}

static void damaged_elf_images_are_refused(void **state)
{
    struct elf64_file *file = make_elf();

    (void)state;
    file->header.e_machine = EM_AARCH64;
    expect_refusal("x86");
    file = make_elf();
    file->header.e_phoff = UINT64_MAX - 10;
    expect_refusal("table of segments");
    file = make_elf();
    file->header.e_phnum = 65535;
    expect_refusal("table of segments");
    file = make_elf();
    file->segment[0].p_offset = UINT64_MAX - 3;
    expect_refusal("cut off");
    file = make_elf();
    file->segment[0].p_filesz = 0x1001;
    expect_refusal("cut off");
    file = make_elf();
    file->segment[0].p_paddr = 0x1000;
    expect_refusal("0x1000");
    file = make_elf();
    file->segment[0].p_paddr = UINT64_MAX - 0x800;
    expect_refusal("no free memory");
    file = make_elf();
    file->segment[0].p_memsz = UINT64_MAX;
    expect_refusal("no free memory");
    file = make_elf();
    file->header.e_phnum = 0;
    expect_refusal("nothing to load");
    file = make_elf();
    file->note.header.n_type = 17;
    expect_refusal("no PVH entry");
    file = make_elf();
    file->note.header.n_namesz = UINT32_MAX;
    expect_refusal("no PVH entry");
    file = make_elf();
    file->note.value = UINT64_MAX;
    expect_refusal("no PVH entry");
}

/* --- Multiboot ---------------------------------------------------------------------------- */

static void make_multiboot(uint32_t flags)
{
    const uint32_t header[] = {
        0x1badb002, flags,    0u - 0x1badb002u - flags, 0x100040, 0x100000, 0x100400,
        0x101000,   0x100050,
    };

    memset(image, 0x90, sizeof(image));
    memcpy(image + 0x40, header, sizeof(header));
    input.kernel.size = 0x400;
}

static void multiboot_by_addresses(void **state)
{
    (void)state;
    make_multiboot(0x10003);
    memset(ram + 0x100000, 0xff, 0x1000);
    input.initrd = (struct bh_boot_image){initrd, sizeof(initrd)};
    load();
    assert_int_equal(boot.kind, BH_BOOT_MULTIBOOT);
    assert_int_equal(boot.rip, 0x100050);
    assert_int_equal(boot.rax, 0x2badb002);
    assert_int_equal(get(0x1003ff, 1), 0x90);
    assert_int_equal(get(0x100400, 1), 0);
    assert_int_equal(get(boot.rbx, 4), 0x4d);
    assert_int_equal(get(boot.rbx + 4, 4), 640);
    assert_int_equal(get(boot.rbx + 8, 4), (RAM_SIZE >> 10) - 1024);
    assert_string_equal(ram + get(boot.rbx + 16, 4), "console=ttyS0");
    assert_memory_equal(ram + get(get(boot.rbx + 24, 4), 4), initrd, sizeof(initrd));
    assert_int_equal(get(boot.rbx + 44, 4), 72);
    assert_int_equal(get(get(boot.rbx + 48, 4), 4), 20);
}

static void multiboot_by_elf(void **state)
{
    const uint32_t header[] = {0x1badb002, 0, 0u - 0x1badb002u};
    struct elf64_file *file = make_elf();

    (void)state;
    memcpy(file->code, header, sizeof(header));
    load();
    assert_int_equal(boot.kind, BH_BOOT_MULTIBOOT);
    assert_int_equal(boot.rip, 0x200000);
}

static void damaged_multiboot_images_are_refused(void **state)
{
    (void)state;
    make_multiboot(0x10007);
    expect_refusal("requires a feature");
    make_multiboot(3);
    expect_refusal("names no addresses");
    make_multiboot(0x10000);
    put(image + 0x4c, 0xfff00, 4); /* header_addr far from load_addr */
    expect_refusal("contradict");
    make_multiboot(0x10000);
    put(image + 0x50, 0x100044, 4); /* load_addr above header_addr */
    expect_refusal("contradict");
    make_multiboot(0x10000);
    put(image + 0x54, 0x100401, 4);
    expect_refusal("cut off");
    make_multiboot(0x10000);
    put(image + 0x54, 0xfffff, 4);
    expect_refusal("load_end");
    make_multiboot(0x10000);
    put(image + 0x58, 0xffffffff, 4);
    expect_refusal("no free memory");
    make_multiboot(0x10000);
    put(image + 0x48, 0, 4);
    expect_refusal("neither");
    input.kernel.size = 8;
    expect_refusal("neither");
    input.kernel.size = 0;
    expect_refusal("neither");
}

static void memory_is_split_around_the_hole(void **state)
{
    struct bh_guest_memory big;
    struct bh_e820_entry map[BH_E820_MAX];
    uint8_t *host = (uint8_t *)0x10000000000;

    (void)state;
    bh_guest_memory_init(&big, host, 8ull << 30);
    assert_int_equal(big.count, 2);
    assert_ptr_equal(bh_guest_memory_at(&big, 0xf7ffffff, 1), host + 0xf7ffffff);
    assert_null(bh_guest_memory_at(&big, 0xf7ffffff, 2));
    assert_null(bh_guest_memory_at(&big, 0xf8000000, 1));
    assert_ptr_equal(bh_guest_memory_at(&big, 1ull << 32, 1), host + 0xf8000000);
    assert_null(bh_guest_memory_at(&big, UINT64_MAX, 1));
    assert_null(bh_guest_memory_at(&big, 0, UINT64_MAX));
    assert_int_equal(bh_guest_memory_e820(&big, map), 4);
    assert_int_equal(map[3].gpa, 1ull << 32);
    assert_int_equal(map[3].size, (8ull << 30) - 0xf8000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(linux_starts_in_long_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(linux_page_tables_are_one_to_one, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_linux_images_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(pvh_starts_in_protected_mode, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_elf_images_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(multiboot_by_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(multiboot_by_elf, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_multiboot_images_are_refused, setup, teardown),
        cmocka_unit_test(memory_is_split_around_the_hole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
