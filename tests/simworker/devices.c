/* SPDX-License-Identifier: MIT */
#include "tests/simworker/devices.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/control/export.h"
#include "parent/control/open.h"

/* Whether the descriptor is what the real worker would need: a file of whole blocks, with the
 * right. */
static bool check_file(int fd, bool read_only, const char *field, struct bh_control_error *error)
{
    bool writable = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
    struct stat status;
    char first[1];

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || pread(fd, first, 1, 0) != 1)
        return bh_control_error_set(error, BH_CONTROL_RESOURCE, field, "This is no file to read.");
    return writable == !read_only ||
           bh_control_error_set(error, BH_CONTROL_RESOURCE, field, "The file is opened %s.",
                                writable ? "for writing" : "for reading only");
}

/* Whether the descriptor is a connection to an NBD server that serves a disk, with the right. */
static bool check_export(int fd, bool read_only, const char *field, struct bh_control_error *error)
{
    static const char option[] = "\0\0\0\3IHAVEOPT\0\0\0\1\0\0\0\0"; /* the unnamed export */
    char greeting[18];
    uint8_t answer[10]; /* size and flags */

    if (recv(fd, greeting, sizeof(greeting), MSG_WAITALL) != (ssize_t)sizeof(greeting) ||
        memcmp(greeting, "NBDMAGICIHAVEOPT", 16) != 0 ||
        send(fd, option, sizeof(option) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(option) - 1 ||
        recv(fd, answer, sizeof(answer), MSG_WAITALL) != (ssize_t)sizeof(answer))
        return bh_control_error_set(error, BH_CONTROL_RESOURCE, field, "This is no NBD server.");
    return ((answer[9] & 2) != 0) == read_only ||
           bh_control_error_set(error, BH_CONTROL_RESOURCE, field, "The disk is served %s.",
                                read_only ? "for writing" : "for reading only");
}

static bool check_disk(int fd, const struct bh_disk_config *disk, const char *field,
                       struct bh_control_error *error)
{
    return disk->qcow2 ? check_export(fd, disk->read_only, field, error)
                       : check_file(fd, disk->read_only, field, error);
}

static bool open_disk(const struct bh_disk_config *disk, int *fd, struct bh_control_error *error)
{
    int server = -1;
    bool opened;

    *fd = disk->path[0] ? bh_control_open_own_disk(disk, 0, &server, error) : -1;
    opened = !disk->path[0] || (*fd >= 0 && check_disk(*fd, disk, "disks", error));
    bh_export_settle(server, opened);
    return opened;
}

static bool check_tap(const struct bh_fds *fds, const struct bh_nic_config *nic,
                      struct bh_control_error *error)
{
    struct ifreq request = {.ifr_flags = 0};
    bool good = fds->count > 0;

    for (unsigned i = 0; i < fds->count && good; i++)
        good = ioctl(fds->fd[i], TUNGETIFF, &request) == 0 &&
               strcmp(request.ifr_name, nic->tap) == 0 && request.ifr_flags & IFF_VNET_HDR;
    return good || bh_control_error_set(error, BH_CONTROL_RESOURCE, "nic.tap",
                                        "This is not the tap %s.", nic->tap);
}

bool devices_open(struct devices *devices, struct bh_vm_config *config,
                  struct bh_control_error *error)
{
    bool done = true;

    devices->config = config;
    for (uint32_t i = 0; i < config->disk_count && done; i++)
        done = open_disk(&config->disk[i], &devices->disk_fd[i], error);
    for (uint32_t i = 0; i < config->nic_count && done; i++) {
        const struct bh_nic_config *nic = &config->nic[i];

        done = bh_control_open_tap(nic->tap, nic->queues, &devices->nic_fds[i], error) &&
               check_tap(&devices->nic_fds[i], nic, error);
    }
    return done;
}

/* The index of a disk; -1 with `error` filled. */
static int find_disk(const struct devices *devices, const char *id, struct bh_control_error *error)
{
    for (uint32_t i = 0; i < devices->config->disk_count; i++)
        if (strcmp(devices->config->disk[i].id, id) == 0)
            return (int)i;
    bh_control_error_set(error, BH_CONTROL_NOT_FOUND, "id", "There is no disk %s.", id);
    return -1;
}

/* Takes the request's descriptor over, in place of the one that was there. */
static void keep_fd(int *place, struct bh_control_request *request)
{
    struct bh_fds fds = bh_fds_take(&request->fds);

    if (*place >= 0)
        close(*place);
    *place = bh_fds_first(&fds);
}

static json_t *change_disk(struct devices *devices, struct bh_control_request *request,
                           const char *id, struct bh_control_error *error)
{
    const char *path = json_string_value(json_object_get(request->params, "path"));
    int at = find_disk(devices, id, error);
    uint32_t last = devices->config->disk_count - 1;

    if (at < 0 || (request->fds.count > 0 && !check_file(request->fds.fd[0], true, "path", error)))
        return NULL;
    keep_fd(&devices->disk_fd[at], request);
    if (request->method == BH_METHOD_DISK_REMOVE) {
        devices->config->disk[at] = devices->config->disk[last];
        devices->disk_fd[at] = devices->disk_fd[last];
        devices->config->disk_count = last;
    } else {
        snprintf(devices->config->disk[at].path, BH_CONFIG_PATH_MAX, "%s", path ? path : "");
    }
    return json_pack("{s:s}", "id", id);
}

static json_t *add_disk(struct devices *devices, struct bh_control_request *request,
                        struct bh_control_error *error)
{
    uint32_t at = devices->config->disk_count;
    struct bh_disk_config disk;

    if (!bh_disk_config_parse(json_object_get(request->params, "disk"), "disk", &disk, error))
        return NULL;
    if (request->fds.count > 0 && !check_disk(request->fds.fd[0], &disk, "disk.path", error))
        return NULL;
    if (at == BH_CONFIG_DISKS_MAX || find_disk(devices, disk.id, error) >= 0) {
        bh_control_error_set(error, BH_CONTROL_ALREADY_EXISTS, "disk.id", "%s is taken.", disk.id);
        return NULL;
    }
    devices->config->disk[at] = disk;
    devices->disk_fd[at] = -1;
    keep_fd(&devices->disk_fd[at], request);
    devices->config->disk_count++;
    return json_pack("{s:s}", "id", disk.id);
}

static json_t *add_nic(struct devices *devices, struct bh_control_request *request,
                       struct bh_control_error *error)
{
    uint32_t at = devices->config->nic_count;
    struct bh_nic_config nic;

    if (!bh_nic_config_parse(json_object_get(request->params, "nic"), "nic", &nic, error) ||
        !check_tap(&request->fds, &nic, error))
        return NULL;
    if (at == BH_CONFIG_NICS_MAX) {
        bh_control_error_set(error, BH_CONTROL_RESOURCE, "nic", "There is no room for more.");
        return NULL;
    }
    devices->config->nic[at] = nic;
    devices->nic_fds[at] = bh_fds_take(&request->fds);
    devices->config->nic_count++;
    return json_pack("{s:s}", "id", nic.id);
}

/* The index of a NIC; -1 with `error` filled. */
static int find_nic(const struct devices *devices, const char *id, struct bh_control_error *error)
{
    for (uint32_t i = 0; i < devices->config->nic_count; i++)
        if (strcmp(devices->config->nic[i].id, id) == 0)
            return (int)i;
    bh_control_error_set(error, BH_CONTROL_NOT_FOUND, "id", "There is no NIC %s.", id);
    return -1;
}

static json_t *set_nic(struct devices *devices, const struct bh_control_request *request,
                       const char *id, struct bh_control_error *error)
{
    const json_t *rate = json_object_get(request->params, "transmit_bytes_per_second");
    const json_t *link_up = json_object_get(request->params, "link_up");
    int at = find_nic(devices, id, error);

    if (at < 0)
        return NULL;
    if (link_up)
        devices->config->nic[at].link_up = json_is_true(link_up);
    if (rate)
        devices->config->nic[at].transmit_bytes_per_second = (uint64_t)json_integer_value(rate);
    return json_pack("{s:s}", "id", id);
}

static json_t *remove_nic(struct devices *devices, const char *id, struct bh_control_error *error)
{
    uint32_t last = devices->config->nic_count - 1;
    int at = find_nic(devices, id, error);

    if (at < 0)
        return NULL;
    bh_fds_close(&devices->nic_fds[at]);
    devices->config->nic[at] = devices->config->nic[last];
    devices->nic_fds[at] = devices->nic_fds[last];
    devices->config->nic_count = last;
    return json_pack("{s:s}", "id", id);
}

json_t *devices_change(struct devices *devices, struct bh_control_request *request,
                       struct bh_control_error *error)
{
    const char *id = json_string_value(json_object_get(request->params, "id"));

    switch (request->method) {
    case BH_METHOD_DISK_ADD:
        return add_disk(devices, request, error);
    case BH_METHOD_NIC_ADD:
        return add_nic(devices, request, error);
    case BH_METHOD_NIC_SET:
        return set_nic(devices, request, id, error);
    case BH_METHOD_NIC_REMOVE:
        return remove_nic(devices, id, error);
    default:
        return change_disk(devices, request, id, error);
    }
}

json_t *devices_list_disks(const struct devices *devices)
{
    json_t *disks = json_array();

    for (uint32_t i = 0; i < devices->config->disk_count; i++) {
        const struct bh_disk_config *disk = &devices->config->disk[i];

        json_array_append_new(disks, json_pack("{s:s, s:s, s:s, s:b, s:b}", "id", disk->id, "kind",
                                               disk->is_cd ? "cd" : "disk", "path", disk->path,
                                               "read_only", disk->read_only, "attached", 1));
    }
    return disks;
}

json_t *devices_list_nics(const struct devices *devices)
{
    json_t *nics = json_array();

    for (uint32_t i = 0; i < devices->config->nic_count; i++) {
        const struct bh_nic_config *nic = &devices->config->nic[i];
        char mac[18];

        snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", nic->mac[0], nic->mac[1],
                 nic->mac[2], nic->mac[3], nic->mac[4], nic->mac[5]);
        json_array_append_new(
            nics, json_pack("{s:s, s:s, s:i, s:s, s:b, s:b, s:I}", "id", nic->id, "tap", nic->tap,
                            "tap_queues", (int)devices->nic_fds[i].count, "mac", mac, "attached", 1,
                            "link_up", nic->link_up, "transmit_bytes_per_second",
                            (json_int_t)nic->transmit_bytes_per_second));
    }
    return nics;
}
