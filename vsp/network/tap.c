/* SPDX-License-Identifier: MIT */
#include "vsp/network/tap.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

void bh_tap_set_offload(int fd, unsigned bits)
{
    (void)ioctl(fd, TUNSETOFFLOAD, (unsigned long)bits);
}

bool bh_tap_write(int fd, const struct iovec *pieces, int count)
{
    ssize_t written;

    do
        written = writev(fd, pieces, count);
    while (written < 0 && errno == EINTR);
    return written >= 0;
}

/* A signal needs no retry: the caller comes again. A frame that is only a header is skipped. */
long bh_tap_read(int fd, struct virtio_net_hdr *header, void *frame, size_t size)
{
    const struct iovec pieces[] = {{header, sizeof(*header)}, {frame, size}};
    ssize_t length = readv(fd, pieces, 2);

    if (length > (ssize_t)sizeof(*header))
        return length - (ssize_t)sizeof(*header);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
        return -1;
    return 0;
}
