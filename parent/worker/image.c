/* SPDX-License-Identifier: MIT */
#include "parent/worker/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool map(int fd, const char *path, struct bh_boot_image *image, struct bh_error *error)
{
    struct stat status;
    void *data;

    if (fstat(fd, &status) != 0)
        return bh_error_set(error, errno, "%.150s: %s.", path, strerror(errno));
    if (!S_ISREG(status.st_mode) || status.st_size == 0)
        return bh_error_set(error, EINVAL, "%.150s is not a file with contents.", path);
    data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return bh_error_set(error, errno, "%.150s: %s.", path, strerror(errno));
    *image = (struct bh_boot_image){.data = data, .size = (size_t)status.st_size};
    return true;
}

bool bh_image_open(const char *path, struct bh_boot_image *image, struct bh_error *error)
{
    bool good;
    int fd;

    *image = (struct bh_boot_image){0};
    if (path[0] == '\0')
        return true;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return bh_error_set(error, errno, "%.150s: %s.", path, strerror(errno));
    good = map(fd, path, image, error);
    (void)close(fd);
    return good;
}

void bh_image_rest(const struct bh_boot_image *image)
{
    if (image->size > 0)
        (void)madvise((void *)(uintptr_t)image->data, image->size, MADV_DONTNEED);
}

void bh_image_close(struct bh_boot_image *image)
{
    if (image->size > 0)
        (void)munmap((void *)(uintptr_t)image->data, image->size);
    *image = (struct bh_boot_image){0};
}
