/* SPDX-License-Identifier: MIT */
#include "parent/control/open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int bh_control_open_file(const char *path, bool read_only, struct bh_control_error *error)
{
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "%.150s cannot be opened: %s.", path,
                             strerror(errno));
    return fd;
}

/* -1 with errno. */
static int attach(const char *name, short mode)
{
    struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | mode)};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    int number;

    memcpy(request.ifr_name, name, strnlen(name, sizeof(request.ifr_name) - 1));
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) == 0)
        return fd;
    number = errno;
    (void)close(fd);
    errno = number;
    return -1;
}

/* Linux refuses, with EINVAL, to attach to a tap in another mode than it was made in. */
static bool attach_queues(const char *name, unsigned queues, struct bh_fds *fds)
{
    int fd = attach(name, IFF_MULTI_QUEUE);

    if (fd < 0 && errno == EINVAL) {
        fd = attach(name, 0);
        queues = 1;
    }
    *fds = bh_fds_one(fd);
    while (fd >= 0 && fds->count < queues)
        if ((fd = attach(name, IFF_MULTI_QUEUE)) >= 0)
            fds->fd[fds->count++] = fd;
    return fd >= 0;
}

bool bh_control_open_tap(const char *name, unsigned queues, struct bh_fds *fds,
                         struct bh_control_error *error)
{
    *fds = bh_fds_one(-1);
    /* TUNSETIFF would make one that is not there. */
    errno = ENODEV;
    if (strlen(name) < IFNAMSIZ && if_nametoindex(name) != 0 && attach_queues(name, queues, fds))
        return true;
    bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "The tap %.15s cannot be opened: %s.",
                         name, strerror(errno));
    bh_fds_close(fds);
    return false;
}
