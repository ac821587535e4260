/* SPDX-License-Identifier: MIT */
#include "parent/tools/unpack/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "parent/tools/unpack/unpack.h"

#define UNPACK_SECONDS 120
#define NAME_SIZE      256
#define BOOT_ID_SIZE   37  /* of /proc/sys/kernel/random/boot_id, with a NUL */
#define LEFT_SECONDS   600 /* a file so old that is not complete belongs to nobody */

struct mapped {
    uint8_t *data;
    size_t size;
    struct stat status;
};

__attribute__((format(printf, 2, 3))) static bool refuse(char *problem, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): va_start did */
    (void)vsnprintf(problem, 256, format, arguments);
    va_end(arguments);
    return false;
}

/* --- files -------------------------------------------------------------------------------- */

static bool map_file(int folder, const char *name, struct mapped *file)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    void *data = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &file->status) == 0 && S_ISREG(file->status.st_mode) &&
        file->status.st_size > (off_t)BH_CACHE_DIGEST) {
        file->size = (size_t)file->status.st_size;
        data = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    if (fd >= 0)
        (void)close(fd);
    file->data = data != MAP_FAILED ? data : NULL;
    return file->data != NULL;
}

static void unmap(const struct mapped *file)
{
    if (file->data != NULL)
        (void)munmap(file->data, file->size);
}

static void hash_name(const struct mapped *kernel, char *name)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256(kernel->data, kernel->size, digest);
    for (unsigned i = 0; i < sizeof(digest); i++)
        (void)snprintf(name + (size_t)2 * i, 3, "%02x", digest[i]);
}

static void read_boot_id(char id[static BOOT_ID_SIZE])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    memset(id, 0, BOOT_ID_SIZE);
    if (fd < 0 || read(fd, id, BOOT_ID_SIZE - 1) != BOOT_ID_SIZE - 1)
        memset(id, '0', BOOT_ID_SIZE - 1);
    if (fd >= 0)
        (void)close(fd);
}

static void identity_name(const struct stat *status, char *name)
{
    char boot[BOOT_ID_SIZE];

    read_boot_id(boot);
    (void)snprintf(name, NAME_SIZE, "@%s-%llx-%llx-%llx-%llx.%lx-%llx.%lx", boot,
                   (unsigned long long)status->st_dev, (unsigned long long)status->st_ino,
                   (unsigned long long)status->st_size, (unsigned long long)status->st_mtim.tv_sec,
                   (unsigned long)status->st_mtim.tv_nsec,
                   (unsigned long long)status->st_ctim.tv_sec,
                   (unsigned long)status->st_ctim.tv_nsec);
}

/* --- what goes ---------------------------------------------------------------------------- */

static DIR *list_folder(int folder)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy >= 0 ? fdopendir(copy) : NULL;

    if (list == NULL && copy >= 0)
        (void)close(copy);
    return list;
}

/* Links of earlier starts of the machine say nothing any more. */
static void drop_old_links(int folder)
{
    char boot[BOOT_ID_SIZE];
    DIR *list = list_folder(folder);
    const struct dirent *entry;

    read_boot_id(boot);
    if (list == NULL)
        return;
    while ((entry = readdir(list)) != NULL)
        if (entry->d_name[0] == '@' && strncmp(entry->d_name + 1, boot, BOOT_ID_SIZE - 1) != 0)
            (void)unlinkat(folder, entry->d_name, 0);
    (void)closedir(list);
}

static bool is_older(const struct stat *one, const struct stat *other)
{
    return one->st_ctim.tv_sec != other->st_ctim.tv_sec
               ? one->st_ctim.tv_sec < other->st_ctim.tv_sec
               : one->st_ctim.tv_nsec < other->st_ctim.tv_nsec;
}

/*
 * How many kernels there are, and in *oldest the one that has had no new link for the
 * longest time. Files that somebody began and left go.
 */
static unsigned count_kernels(int folder, struct stat *oldest)
{
    DIR *list = list_folder(folder);
    const struct dirent *entry;
    struct stat status;
    unsigned count = 0;

    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (entry->d_name[0] == '@' ||
            fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(status.st_mode))
            continue;
        if (entry->d_name[0] != '.') {
            if (count++ == 0 || is_older(&status, oldest))
                *oldest = status;
        } else if (status.st_ctim.tv_sec < time(NULL) - LEFT_SECONDS) {
            (void)unlinkat(folder, entry->d_name, 0);
        }
    }
    if (list != NULL)
        (void)closedir(list);
    return count;
}

/* Whoever has it mapped keeps it. */
static void drop_file(int folder, ino_t inode)
{
    DIR *list = list_folder(folder);
    const struct dirent *entry;

    while (list != NULL && (entry = readdir(list)) != NULL)
        if (entry->d_ino == inode)
            (void)unlinkat(folder, entry->d_name, 0);
    if (list != NULL)
        (void)closedir(list);
}

static void make_room(int folder)
{
    struct stat oldest = {0};

    for (unsigned i = 0; i < BH_CACHE_KERNELS; i++)
        if (count_kernels(folder, &oldest) >= BH_CACHE_KERNELS)
            drop_file(folder, oldest.st_ino);
}

/* --- making and checking ------------------------------------------------------------------ */

static bool is_whole(int folder, const char *name)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct mapped file = {0};
    bool whole = map_file(folder, name, &file);

    if (whole) {
        SHA256(file.data, file.size - BH_CACHE_DIGEST, digest);
        whole = memcmp(digest, file.data + file.size - BH_CACHE_DIGEST, sizeof(digest)) == 0;
    }
    unmap(&file);
    return whole;
}

/* Unpacks into the open file, which gets all its room first; true when it is complete and on disk.
 */
static bool fill(int fd, const struct bh_payload *payload)
{
    size_t size = payload->unpacked + BH_CACHE_DIGEST;
    uint8_t *output;
    bool good;

    if (posix_fallocate(fd, 0, (off_t)size) != 0)
        return false;
    output = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (output == MAP_FAILED)
        return false;
    good = bh_unpack_confined(payload, output, UNPACK_SECONDS);
    if (good)
        SHA256(output, payload->unpacked, output + payload->unpacked);
    (void)munmap(output, size);
    return good && fsync(fd) == 0;
}

static bool make(int folder, const char *name, const struct bh_payload *payload, char *problem)
{
    char partial[NAME_SIZE];
    bool good;
    int fd;

    make_room(folder);
    (void)snprintf(partial, sizeof(partial), ".%d-%.80s", (int)getpid(), name);
    fd = openat(folder, partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    if (fd < 0)
        return refuse(problem, "The cache cannot be written: %s.", strerror(errno));
    good = fill(fd, payload);
    (void)close(fd);
    if (good && renameat(folder, partial, folder, name) == 0)
        return true;
    (void)unlinkat(folder, partial, 0);
    return refuse(problem, "The kernel cannot be unpacked: it is damaged, packed in a way that is "
                           "not known, or there is no room in the cache.");
}

static bool find_or_make(int folder, const struct mapped *kernel, const char *identity,
                         char *problem)
{
    struct bh_payload payload;
    char name[NAME_SIZE];

    if (!bh_payload_find(kernel->data, kernel->size, &payload))
        return refuse(problem, "The kernel is no bzImage with a packed kernel inside.");
    hash_name(kernel, name);
    if (!is_whole(folder, name) && !make(folder, name, &payload, problem))
        return false;
    drop_old_links(folder);
    if (linkat(folder, name, folder, identity, 0) != 0 && errno != EEXIST)
        return refuse(problem, "The cache cannot be written: %s.", strerror(errno));
    return true;
}

/* What others could write to would be no cache of ours. */
static int open_folder(const char *path, char *problem)
{
    struct stat status;
    int folder;

    (void)mkdir(path, 0700);
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0 && fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
        (status.st_mode & 022) == 0)
        return folder;
    (void)refuse(problem, "%.150s is no folder that only this user can write to.", path);
    if (folder >= 0)
        (void)close(folder);
    return -1;
}

bool bh_cache_lookup(const char *folder, const char *kernel, char *path, size_t size,
                     char problem[static 256])
{
    struct mapped file = {0};
    char identity[NAME_SIZE];
    int fd = open_folder(folder, problem);
    bool found;

    if (fd < 0)
        return false;
    found = map_file(AT_FDCWD, kernel, &file) ||
            refuse(problem, "%.150s is not a file with contents.", kernel);
    if (found) {
        identity_name(&file.status, identity);
        found = faccessat(fd, identity, F_OK, 0) == 0 || find_or_make(fd, &file, identity, problem);
        (void)snprintf(path, size, "%s/%s", folder, identity);
    }
    unmap(&file);
    (void)close(fd);
    return found;
}
