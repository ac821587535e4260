/* SPDX-License-Identifier: MIT */
#include "parent/control/open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netdb.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "parent/control/export.h"
#include "parent/control/nbd_uri.h"

#define CONNECT_SECONDS 5

int bh_control_open_file(const char *path, bool read_only, struct bh_control_error *error)
{
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "%.150s cannot be opened: %s.", path,
                             strerror(errno));
    return fd;
}

/* -1 with errno. */
static int connect_to(int family, const void *address, socklen_t size)
{
    const struct timeval limit = {.tv_sec = CONNECT_SECONDS};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int number;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
        connect(fd, address, size) == 0)
        return fd;
    number = errno == EINPROGRESS ? ETIMEDOUT : errno;
    (void)close(fd);
    errno = number;
    return -1;
}

/* Tries all addresses of the host. -1 with `*problem`. */
static int connect_to_host(const struct bh_nbd_uri *uri, const char **problem)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *all;
    int wrong = getaddrinfo(uri->host, uri->port, &hints, &all);
    int fd = -1;

    if (wrong != 0) {
        *problem = gai_strerror(wrong);
        return -1;
    }
    for (const struct addrinfo *one = all; one != NULL && fd < 0; one = one->ai_next)
        fd = connect_to(one->ai_family, one->ai_addr, one->ai_addrlen);
    *problem = strerror(errno);
    freeaddrinfo(all);
    return fd;
}

static int connect_to_socket(const char *path, const char **problem)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
    fd = connect_to(AF_UNIX, &address, sizeof(address));
    *problem = strerror(errno);
    return fd;
}

static int connect_to_uri(const char *text, struct bh_control_error *error)
{
    const char *problem = NULL;
    struct bh_nbd_uri uri;
    int fd;

    if (!bh_nbd_uri_parse(text, &uri, error))
        return -1;
    fd = uri.host[0] != '\0' ? connect_to_host(&uri, &problem)
                             : connect_to_socket(uri.socket, &problem);
    if (fd < 0)
        bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL,
                             "The NBD server of %.120s cannot be reached: %s.", text, problem);
    return fd;
}

static int open_disk(const struct bh_disk_config *disk, const struct bh_export *export, int *server,
                     struct bh_control_error *error)
{
    *server = -1;
    if (disk->qcow2)
        return bh_export_open(export, server, error);
    return bh_nbd_uri_is(disk->path) ? connect_to_uri(disk->path, error)
                                     : bh_control_open_file(disk->path, disk->read_only, error);
}

int bh_control_open_disk(const struct bh_disk_config *disk, long user, int *server,
                         struct bh_control_error *error)
{
    const struct bh_export export = {disk->path, "qcow2", disk->read_only, user, false};

    return open_disk(disk, &export, server, error);
}

int bh_control_open_own_disk(const struct bh_disk_config *disk, long user, int *server,
                             struct bh_control_error *error)
{
    const struct bh_export export = {disk->path, "qcow2", disk->read_only, user, true};

    return open_disk(disk, &export, server, error);
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
