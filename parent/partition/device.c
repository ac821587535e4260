/* SPDX-License-Identifier: MIT */
/* The real device layer: system calls and CPUID. */
#include "parent/partition/device.h"

#include <cpuid.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv/abi/cpuid.h"

static int device_open(const char *path)
{
    return open(path, O_RDWR | O_CLOEXEC);
}

static int device_ioctl(int fd, unsigned long request, void *argument)
{
    return ioctl(fd, request, argument);
}

static int device_close(int fd)
{
    return close(fd);
}

static void *device_map(int fd, size_t size, long offset)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

    return at != MAP_FAILED ? at : NULL;
}

static void device_unmap(void *at, size_t size)
{
    (void)munmap(at, size);
}

static bool device_on_bulkhead(void)
{
    unsigned eax, ebx, ecx, edx;

    __cpuid(1, eax, ebx, ecx, edx);
    if ((ecx & CPUID_1_ECX_HYPERVISOR) == 0)
        return false;
    __cpuid(BH_CPUID_SIGNATURE, eax, ebx, ecx, edx);
    return ebx == BH_SIGNATURE_EBX && ecx == BH_SIGNATURE_ECX && edx == BH_SIGNATURE_EDX;
}

const struct bh_device_layer bh_device_layer_kernel = {
    .open = device_open,
    .ioctl = device_ioctl,
    .close = device_close,
    .map = device_map,
    .unmap = device_unmap,
    .on_bulkhead = device_on_bulkhead,
};
