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

int bh_control_open_tap(const char *name, struct bh_control_error *error)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = -1;

    /* TUNSETIFF would make one that is not there. */
    errno = ENODEV;
    if (strlen(name) < sizeof(request.ifr_name) && if_nametoindex(name) != 0)
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    memcpy(request.ifr_name, name, strnlen(name, sizeof(request.ifr_name) - 1));
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0)
        return fd;
    bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "The tap %.15s cannot be opened: %s.",
                         name, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}
