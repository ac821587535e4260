/* SPDX-License-Identifier: MIT */
/* parent/worker/mmio.c: instructions as compilers and kernels use them on devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parent/worker/mmio.h"

#define GPA 0xfec00010ull

static uint64_t cell;
static unsigned last_size;
static unsigned accesses;
static struct bh_mmio_cpu cpu;
static struct bh_bus bus;

static uint64_t cell_read(void *context, uint64_t offset, unsigned size)
{
    (void)context;
    (void)offset;
    last_size = size;
    accesses++;
    return cell;
}

static void cell_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    (void)context;
    (void)offset;
    last_size = size;
    accesses++;
    cell = value;
}

static int setup(void **state)
{
    static const struct bh_bus_device device = {cell_read, cell_write, NULL};

    (void)state;
    memset(&cpu, 0, sizeof(cpu));
    memset(&bus, 0, sizeof(bus));
    cpu.long_mode = true;
    cpu.rip = 0x1000;
    cpu.rflags = 0x202;
    accesses = 0;
    for (unsigned i = 0; i < 16; i++)
        cpu.general[i] = 0x1111111111111111ull * i;
    return bh_bus_add(&bus, GPA, 16, &device) ? 0 : 1;
}

static enum bh_mmio_status run(const char *bytes, size_t length)
{
    return bh_mmio_emulate(&cpu, (const uint8_t *)bytes, length, GPA, &bus);
}

#define RUN(bytes) run(bytes, sizeof(bytes) - 1)

static void expect(enum bh_mmio_status status, uint64_t rip)
{
    assert_int_equal(status, BH_MMIO_DONE);
    assert_int_equal(cpu.rip, rip);
}

static void moves_have_the_right_width(void **state)
{
    (void)state;
    cell = 0xdeadbeefcafebabe;
    expect(RUN("\x8b\x03"), 0x1002); /* mov eax, [rbx] */
    assert_int_equal(cpu.general[0], 0xcafebabe);
    assert_int_equal(last_size, 4);
    expect(RUN("\x4c\x8b\x3b"), 0x1005); /* mov r15, [rbx] */
    assert_int_equal(cpu.general[15], 0xdeadbeefcafebabe);
    expect(RUN("\x66\x8b\x13"), 0x1008); /* mov dx, [rbx] */
    assert_int_equal(cpu.general[2], 0x222222222222babe);
    expect(RUN("\x8a\x23"), 0x100a); /* mov ah, [rbx] */
    assert_int_equal(cpu.general[0], 0xcafebebe);
    expect(RUN("\x40\x8a\x33"), 0x100d); /* mov sil, [rbx] */
    assert_int_equal(cpu.general[6], 0x66666666666666be);
    expect(RUN("\x44\x8a\x03"), 0x1010); /* mov r8b, [rbx] */
    assert_int_equal(cpu.general[8], 0x88888888888888be);
}

static void stores_write_what_the_register_holds(void **state)
{
    (void)state;
    expect(RUN("\x89\x4b\x10"), 0x1003); /* mov [rbx+16], ecx */
    assert_int_equal(cell, 0x11111111);
    expect(RUN("\xc7\x03\x78\x56\x34\x12"), 0x1009); /* mov dword [rbx], 0x12345678 */
    assert_int_equal(cell, 0x12345678);
    expect(RUN("\x48\xc7\x03\xff\xff\xff\xff"), 0x1010); /* mov qword [rbx], -1 */
    assert_int_equal(cell, UINT64_MAX);
    assert_int_equal(last_size, 8);
    cpu.general[0] = 0xaabb;
    expect(RUN("\x88\x23"), 0x1012); /* mov [rbx], ah */
    assert_int_equal(cell, 0xaa);
    assert_int_equal(last_size, 1);
}

static void extensions_extend(void **state)
{
    (void)state;
    cell = 0x80f0;
    expect(RUN("\x0f\xb6\x03"), 0x1003); /* movzx eax, byte [rbx] */
    assert_int_equal(cpu.general[0], 0xf0);
    expect(RUN("\x48\x0f\xbf\x03"), 0x1007); /* movsx rax, word [rbx] */
    assert_int_equal(cpu.general[0], 0xffffffffffff80f0);
    expect(RUN("\x0f\xbe\x03"), 0x100a); /* movsx eax, byte [rbx] */
    assert_int_equal(cpu.general[0], 0xfffffff0);
    cell = 0x80000000;
    expect(RUN("\x48\x63\x03"), 0x100d); /* movsxd rax, dword [rbx] */
    assert_int_equal(cpu.general[0], 0xffffffff80000000);
}

static void arithmetic_on_memory_sets_flags(void **state)
{
    (void)state;
    cell = 0xff;
    expect(RUN("\x83\x23\x0f"), 0x1003); /* and dword [rbx], 15 */
    assert_int_equal(cell, 0x0f);
    assert_int_equal(cpu.rflags, 0x206); /* parity */
    expect(RUN("\xf6\x03\x80"), 0x1006); /* test byte [rbx], 0x80 */
    assert_int_equal(cpu.rflags & 0x40, 0x40);
    assert_int_equal(accesses, 3);
    cell = 5;
    expect(RUN("\x83\x3b\x06"), 0x1009);        /* cmp dword [rbx], 6 */
    assert_int_equal(cpu.rflags & 0x8d5, 0x95); /* CF PF AF SF */
    assert_int_equal(cell, 5);
    cell = 0x7fffffff;
    expect(RUN("\x83\x03\x01"), 0x100c); /* add dword [rbx], 1 */
    assert_int_equal(cell, 0x80000000);
    assert_int_equal(cpu.rflags & 0x8d5, 0x894); /* OF SF AF PF */
    cpu.general[1] = 0xffffffff;
    expect(RUN("\x23\x0b"), 0x100e); /* and ecx, [rbx] */
    assert_int_equal(cpu.general[1], 0x80000000);
    cpu.general[1] = 7;
    expect(RUN("\x87\x0b"), 0x1010); /* xchg [rbx], ecx */
    assert_int_equal(cpu.general[1], 0x80000000);
    assert_int_equal(cell, 7);
}

static void string_stores_go_one_by_one(void **state)
{
    (void)state;
    cpu.general[1] = 2;
    cpu.general[7] = 0x5000;
    cpu.general[0] = 0x01020304;
    expect(RUN("\xf3\xab"), 0x1000); /* rep stosd */
    assert_int_equal(cpu.general[1], 1);
    assert_int_equal(cpu.general[7], 0x5004);
    assert_int_equal(cell, 0x01020304);
    expect(RUN("\xf3\xab"), 0x1002);
    assert_int_equal(cpu.general[1], 0);
    cpu.rflags |= 0x400;
    expect(RUN("\xaa"), 0x1003); /* stosb downwards */
    assert_int_equal(cpu.general[7], 0x5007);
    assert_int_equal(last_size, 1);
}

static void the_code_segment_decides_the_width(void **state)
{
    (void)state;
    cpu.long_mode = false;
    cpu.code_32 = true;
    cell = 0x12345678;
    expect(RUN("\xa1\x10\x00\xc0\xfe"), 0x1005); /* mov eax, [0xfec00010] */
    assert_int_equal(cpu.general[0], 0x12345678);
    cpu.code_32 = false;
    cpu.general[0] = 0;
    expect(RUN("\x8b\x07"), 0x1007); /* mov ax, [bx] */
    assert_int_equal(cpu.general[0], 0x5678);
    assert_int_equal(last_size, 2);
}

static void what_is_not_understood_changes_nothing(void **state)
{
    struct bh_mmio_cpu before = cpu;

    (void)state;
    assert_int_equal(RUN("\x48"), BH_MMIO_INCOMPLETE);
    assert_int_equal(RUN(""), BH_MMIO_INCOMPLETE);
    assert_int_equal(RUN("\x0f\x6f\x03"), BH_MMIO_UNSUPPORTED); /* movq mm0, [rbx] */
    assert_int_equal(RUN("\x8e\x1b"), BH_MMIO_UNSUPPORTED);     /* mov ds, [rbx] */
    assert_int_equal(RUN("\xff\x23"), BH_MMIO_UNSUPPORTED);     /* jmp [rbx] */
    assert_int_equal(RUN("\x89\xd8"), BH_MMIO_UNSUPPORTED);     /* mov eax, ebx */
    assert_int_equal(RUN("\xa5"), BH_MMIO_UNSUPPORTED);         /* movsd */
    assert_int_equal(RUN("\x06"), BH_MMIO_UNSUPPORTED);         /* not in 64-bit code */
    assert_memory_equal(&before, &cpu, sizeof(cpu));
    assert_int_equal(accesses, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(moves_have_the_right_width, setup),
        cmocka_unit_test_setup(stores_write_what_the_register_holds, setup),
        cmocka_unit_test_setup(extensions_extend, setup),
        cmocka_unit_test_setup(arithmetic_on_memory_sets_flags, setup),
        cmocka_unit_test_setup(string_stores_go_one_by_one, setup),
        cmocka_unit_test_setup(the_code_segment_decides_the_width, setup),
        cmocka_unit_test_setup(what_is_not_understood_changes_nothing, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
