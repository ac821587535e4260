/* SPDX-License-Identifier: MIT */
/*
 * parent/tools/unpack/: payloads of each kind, and damaged ones; the confined
 * process; the cache in a folder of its own, used by several processes at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "parent/tools/unpack/cache.h"
#include "parent/tools/unpack/unpack.h"

#define KERNEL_SIZE 100000u
#define SETUP_SIZE  1024u /* one sector of setup behind the first */
#define STUB_SIZE   64u
#define SECONDS     20u
#define PROCESSES   4

static uint8_t kernel[KERNEL_SIZE];
static uint8_t image[SETUP_SIZE + STUB_SIZE + 2 * KERNEL_SIZE];
static size_t image_size;
static uint8_t *shared; /* with the confined process */
static char folder[] = "/tmp/bulkhead-unpack-XXXXXX";
static char kernel_path[sizeof(folder) + 16];
static char cache_path[sizeof(folder) + 16];

static void put(uint8_t *at, uint64_t value, size_t size)
{
    memcpy(at, &value, size);
}

/* An image around the `packed` bytes; gzip names the size itself. */
static void make_image(size_t packed, bool with_size)
{
    size_t length = packed + (with_size ? 4 : 0);

    memset(image, 0, SETUP_SIZE + STUB_SIZE);
    image[0x1f1] = 1;
    put(image + 0x1fe, 0xaa55, 2);
    put(image + 0x202, 0x53726448, 4);
    put(image + 0x206, 0x020f, 2);
    put(image + 0x248, STUB_SIZE, 4);
    put(image + 0x24c, length, 4);
    if (with_size)
        put(image + SETUP_SIZE + STUB_SIZE + packed, KERNEL_SIZE, 4);
    image_size = SETUP_SIZE + STUB_SIZE + length;
}

static uint8_t *packed_bytes(void)
{
    return image + SETUP_SIZE + STUB_SIZE;
}

static void make_xz(void)
{
    lzma_options_lzma options;
    lzma_filter filters[] = {
        {LZMA_FILTER_X86, NULL}, {LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
    size_t size = 0;

    assert_false(lzma_lzma_preset(&options, 1));
    assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, kernel, KERNEL_SIZE,
                                               packed_bytes(), &size, 2ul * KERNEL_SIZE - 4),
                     LZMA_OK);
    make_image(size, true);
}

static void make_zstd(void)
{
    make_image(ZSTD_compress(packed_bytes(), 2ul * KERNEL_SIZE - 4, kernel, KERNEL_SIZE, 3), true);
}

static void make_gzip(void)
{
    z_stream stream = {.next_in = kernel,
                       .avail_in = KERNEL_SIZE,
                       .next_out = packed_bytes(),
                       .avail_out = 2 * KERNEL_SIZE};

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    make_image(stream.total_out, false);
    assert_int_equal(deflateEnd(&stream), Z_OK);
}

static void make_lz4(void)
{
    int size = LZ4_compress_default((const char *)kernel, (char *)packed_bytes() + 8, KERNEL_SIZE,
                                    2 * KERNEL_SIZE - 12);

    assert_true(size > 0);
    put(packed_bytes(), 0x184c2102, 4);
    put(packed_bytes() + 4, (uint64_t)size, 4);
    make_image((size_t)size + 8, true);
}

static void (*const makers[])(void) = {make_xz, make_zstd, make_gzip, make_lz4};
#define MAKERS (sizeof(makers) / sizeof(makers[0]))

static bool unpack(bool confined)
{
    struct bh_payload payload;

    memset(shared, 0, KERNEL_SIZE);
    if (!bh_payload_find(image, image_size, &payload) || payload.unpacked > KERNEL_SIZE)
        return false;
    return confined ? bh_unpack_confined(&payload, shared, SECONDS)
                    : bh_payload_unpack(&payload, shared);
}

static void each_kind_is_unpacked(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAKERS; i++) {
        makers[i]();
        assert_true(unpack(false));
        assert_memory_equal(shared, kernel, KERNEL_SIZE);
    }
}

/* A byte that is changed or missing is seen, or does not matter; nothing is written outside. */
static void damage_is_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < MAKERS; i++) {
        makers[i]();
        for (size_t at = 0; at < image_size; at += 1 + image_size / 97) {
            image[at] ^= 0x41;
            (void)unpack(false);
            image[at] ^= 0x41;
        }
        put(image + 0x24c, image_size - SETUP_SIZE - STUB_SIZE - 9, 4);
        assert_false(unpack(false));
    }
}

static void sizes_are_checked(void **state)
{
    struct bh_payload payload;

    (void)state;
    make_zstd();
    assert_false(bh_payload_find(image, 0x24f, &payload));
    put(image + 0x24c, image_size, 4);
    assert_false(bh_payload_find(image, image_size, &payload));
    make_zstd();
    put(image + 0x248, UINT32_MAX, 4);
    assert_false(bh_payload_find(image, image_size, &payload));
    make_zstd();
    put(image + image_size - 4, UINT32_MAX, 4); /* would become 4 GiB */
    assert_false(bh_payload_find(image, image_size, &payload));
    make_zstd();
    put(image + image_size - 4, KERNEL_SIZE - 1, 4);
    assert_false(unpack(false));
}

static void write_image(void)
{
    FILE *file = fopen(kernel_path, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(image, 1, image_size, file), image_size);
    assert_int_equal(fclose(file), 0);
}

static void lookup(char path[static PATH_MAX])
{
    char problem[256] = "";

    if (!bh_cache_lookup(cache_path, kernel_path, path, PATH_MAX, problem))
        fail_msg("%s", problem);
}

static void expect_kernel(const char *path)
{
    FILE *file = fopen(path, "re");

    assert_non_null(file);
    assert_int_equal(fread(shared, 1, KERNEL_SIZE, file), KERNEL_SIZE);
    assert_memory_equal(shared, kernel, KERNEL_SIZE);
    assert_int_equal(fclose(file), 0);
}

static ino_t inode(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static void it_is_unpacked_once(void **state)
{
    char first[PATH_MAX];
    char second[PATH_MAX];

    (void)state;
    make_xz();
    write_image();
    lookup(first);
    expect_kernel(first);
    lookup(second);
    assert_string_equal(first, second);
}

/* A copy of the kernel is another file of the same contents: it is found by its hash. */
static void the_key_is_the_contents(void **state)
{
    char first[PATH_MAX];
    char second[PATH_MAX];

    (void)state;
    lookup(first);
    assert_int_equal(unlink(kernel_path), 0);
    write_image();
    lookup(second);
    assert_int_equal(inode(first), inode(second));
    make_gzip();
    write_image();
    lookup(second);
    assert_int_not_equal(inode(first), inode(second));
}

/* After the machine has started anew, the cached kernel is hashed before it is used again. */
static void damage_on_disk_is_mended(void **state)
{
    char path[PATH_MAX];
    int fd;

    (void)state;
    lookup(path);
    assert_int_equal(chmod(path, 0600), 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "damage", 6, 5000), 6);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0); /* the link of this start of the machine */
    lookup(path);
    expect_kernel(path);
}

static void processes_do_not_disturb_each_other(void **state)
{
    char path[PATH_MAX];
    int status;

    (void)state;
    make_lz4();
    write_image();
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            char problem[256];

            _exit(bh_cache_lookup(cache_path, kernel_path, path, sizeof(path), problem) ? 0 : 1);
        }
    for (int i = 0; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    lookup(path);
    expect_kernel(path);
}

static unsigned count_in_cache(void)
{
    DIR *list = opendir(cache_path);
    const struct dirent *entry;
    unsigned count = 0;

    assert_non_null(list);
    while ((entry = readdir(list)) != NULL)
        count += entry->d_name[0] != '.' && entry->d_name[0] != '@';
    assert_int_equal(closedir(list), 0);
    return count;
}

/* Also with all links, so that its room on the disk is free again. */
static void the_oldest_makes_room(void **state)
{
    char first[PATH_MAX];
    char path[PATH_MAX];
    struct stat status;
    int held;

    (void)state;
    make_gzip();
    write_image();
    lookup(first);
    held = open(first, O_RDONLY | O_CLOEXEC);
    assert_true(held >= 0);
    for (uint8_t i = 1; i <= 2 * BH_CACHE_KERNELS; i++) {
        image[0x10] = i; /* another kernel by its hash */
        write_image();
        lookup(path);
        assert_true(count_in_cache() <= BH_CACHE_KERNELS);
    }
    expect_kernel(path);
    assert_int_equal(count_in_cache(), BH_CACHE_KERNELS);
    assert_int_equal(fstat(held, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    assert_int_equal(close(held), 0);
}

static void what_cannot_be_is_said(void **state)
{
    char path[PATH_MAX];
    char problem[256] = "";

    (void)state;
    assert_int_equal(chmod(cache_path, 0777), 0);
    assert_false(bh_cache_lookup(cache_path, kernel_path, path, sizeof(path), problem));
    assert_non_null(strstr(problem, "only this user"));
    assert_int_equal(chmod(cache_path, 0700), 0);
    assert_false(bh_cache_lookup(cache_path, "/proc/version", path, sizeof(path), problem));
    memset(image, 'x', image_size);
    write_image();
    assert_false(bh_cache_lookup(cache_path, kernel_path, path, sizeof(path), problem));
    assert_non_null(strstr(problem, "bzImage"));
    make_xz();
    memset(packed_bytes() + 40, 0, 1000);
    write_image();
    assert_false(bh_cache_lookup(cache_path, kernel_path, path, sizeof(path), problem));
    assert_non_null(strstr(problem, "damaged"));
}

static int setup(void **state)
{
    (void)state;
    for (uint32_t i = 0, value = 1; i < KERNEL_SIZE; i++) {
        value = value * 1664525 + 1013904223;
        kernel[i] = (uint8_t)(i % 7 == 0 ? value >> 24 : i >> 8);
    }
    shared = mmap(NULL, KERNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(kernel_path, sizeof(kernel_path), "%s/kernel", folder);
    (void)snprintf(cache_path, sizeof(cache_path), "%s/cache", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[sizeof(folder) + 16];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) == 0 ? 0 : -1; /* NOLINT(cert-env33-c): a path of our own */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_unpacked),
        cmocka_unit_test(damage_is_harmless),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(it_is_unpacked_once),
        cmocka_unit_test(the_key_is_the_contents),
        cmocka_unit_test(damage_on_disk_is_mended),
        cmocka_unit_test(processes_do_not_disturb_each_other),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(what_cannot_be_is_said),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
