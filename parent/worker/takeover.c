/* SPDX-License-Identifier: MIT */
#include "parent/worker/takeover.h"

#include <stdio.h>
#include <string.h>

#include "parent/worker/keeper.h"

/* `trusted` ends within its array of `size` bytes. */
static bool same(const char *trusted, const char *left, size_t size)
{
    return strncmp(trusted, left, size) == 0;
}

static bool is_true(const bool *left)
{
    unsigned char byte;

    memcpy(&byte, left, sizeof(byte)); /* any value */
    return byte != 0;
}

/* A rate that no request could have set is none. */
static uint64_t rate(uint64_t left, int64_t max)
{
    return left <= (uint64_t)max ? left : 0;
}

/* Each device once: `used` has a bit for each of the file's. */
static bool take_disk(const struct bh_vm_config *file, const struct bh_disk_config *left,
                      uint64_t *used, struct bh_disk_config *disk)
{
    for (uint32_t i = 0; i < file->disk_count; i++) {
        const struct bh_disk_config *known = &file->disk[i];
        bool is_empty = known->is_cd && left->path[0] == '\0';

        if ((*used >> i & 1) != 0 || !same(known->id, left->id, sizeof(known->id)) ||
            (!is_empty && !same(known->path, left->path, sizeof(known->path))))
            continue;
        *used |= UINT64_C(1) << i;
        *disk = *known;
        if (is_empty)
            disk->path[0] = '\0';
        disk->iops = rate(left->iops, BH_CONFIG_RATE_MAX);
        disk->bytes_per_second = rate(left->bytes_per_second, BH_CONFIG_RATE_MAX);
        return true;
    }
    return false;
}

static bool take_nic(const struct bh_vm_config *file, const struct bh_nic_config *left,
                     uint64_t *used, struct bh_nic_config *nic)
{
    for (uint32_t i = 0; i < file->nic_count; i++) {
        const struct bh_nic_config *known = &file->nic[i];

        if ((*used >> i & 1) != 0 || !same(known->id, left->id, sizeof(known->id)) ||
            !same(known->tap, left->tap, sizeof(known->tap)))
            continue;
        *used |= UINT64_C(1) << i;
        *nic = *known;
        nic->link_up = is_true(&left->link_up);
        nic->transmit_bytes_per_second =
            rate(left->transmit_bytes_per_second, BH_CONFIG_NIC_RATE_MAX);
        nic->receive_bytes_per_second =
            rate(left->receive_bytes_per_second, BH_CONFIG_NIC_RATE_MAX);
        return true;
    }
    return false;
}

static bool take_disks(const struct bh_vm_config *file, const struct bh_vm_config *left,
                       struct bh_vm_config *config, struct bh_vm_config *added)
{
    uint64_t used = 0;

    config->disk_count = added->disk_count = 0;
    for (uint32_t i = 0; i < left->disk_count; i++) {
        const struct bh_disk_config *disk = &left->disk[i];

        if (disk->kept == 0 && take_disk(file, disk, &used, &config->disk[config->disk_count]))
            config->disk_count++;
        else if (disk->kept != 0 || (is_true(&disk->is_cd) && disk->path[0] == '\0'))
            added->disk[added->disk_count++] = *disk;
        else
            return false;
    }
    return true;
}

static bool take_nics(const struct bh_vm_config *file, const struct bh_vm_config *left,
                      struct bh_vm_config *config, struct bh_vm_config *added)
{
    uint64_t used = 0;

    config->nic_count = added->nic_count = 0;
    for (uint32_t i = 0; i < left->nic_count; i++) {
        const struct bh_nic_config *nic = &left->nic[i];

        if (nic->kept != 0)
            added->nic[added->nic_count++] = *nic;
        else if (take_nic(file, nic, &used, &config->nic[config->nic_count]))
            config->nic_count++;
        else
            return false;
    }
    return true;
}

bool bh_takeover_config(struct bh_vm_config *config, const struct bh_vm_config *left,
                        struct bh_vm_config *added)
{
    static struct bh_vm_config next; /* long for a stack */

    next = *config;
    if (left->disk_count > BH_CONFIG_DISKS_MAX || left->nic_count > BH_CONFIG_NICS_MAX ||
        !take_disks(config, left, &next, added) || !take_nics(config, left, &next, added))
        return false;
    if (left->weight >= 1 && left->weight <= BH_CONFIG_WEIGHT_MAX)
        next.weight = left->weight;
    if (left->cap_percent <= BH_CONFIG_PERCENT_MAX)
        next.cap_percent = left->cap_percent;
    if (left->reserve_percent <= BH_CONFIG_PERCENT_MAX)
        next.reserve_percent = left->reserve_percent;
    *config = next;
    return true;
}

/* --- devices that were added -------------------------------------------------------------- */

static void set_text(json_t *object, const char *name, const char *text, size_t size)
{
    if (text[0] != '\0') /* no text at all where it is no UTF-8: then a member is missing */
        (void)json_object_set_new(object, name, json_stringn(text, strnlen(text, size)));
}

static void set_number(json_t *object, const char *name, uint64_t number)
{
    (void)json_object_set_new(object, name, json_integer((json_int_t)number));
}

static void set_bool(json_t *object, const char *name, const bool *left)
{
    (void)json_object_set_new(object, name, json_boolean(is_true(left)));
}

bool bh_takeover_disk(const struct bh_disk_config *left, struct bh_disk_config *disk)
{
    json_t *object = json_object();
    struct bh_control_error error;
    bool good;

    set_text(object, "id", left->id, sizeof(left->id));
    set_text(object, "path", left->path, sizeof(left->path));
    (void)json_object_set_new(object, "kind", json_string(is_true(&left->is_cd) ? "cd" : "disk"));
    set_bool(object, "read_only", &left->read_only);
    set_number(object, "iops", left->iops);
    set_number(object, "bytes_per_second", left->bytes_per_second);
    good = bh_disk_config_parse(object, "disk", disk, &error) && left->kept <= BH_KEPT_DISKS &&
           (left->kept != 0) == (disk->path[0] == '/');
    disk->kept = left->kept;
    json_decref(object);
    return good;
}

bool bh_takeover_nic(const struct bh_nic_config *left, struct bh_nic_config *nic)
{
    const uint8_t *m = left->mac;
    json_t *object = json_object();
    struct bh_control_error error;
    char mac[18];
    bool good;

    (void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
                   m[5]);
    set_text(object, "id", left->id, sizeof(left->id));
    set_text(object, "tap", left->tap, sizeof(left->tap));
    set_text(object, "mac", mac, sizeof(mac));
    set_number(object, "mtu", left->mtu);
    set_number(object, "queues", left->queues);
    set_bool(object, "link_up", &left->link_up);
    set_bool(object, "trusted", &left->trusted);
    set_number(object, "transmit_bytes_per_second", left->transmit_bytes_per_second);
    set_number(object, "receive_bytes_per_second", left->receive_bytes_per_second);
    good = bh_nic_config_parse(object, "nic", nic, &error) && left->kept >= 1 &&
           left->kept <= BH_KEPT_NICS;
    nic->kept = left->kept;
    json_decref(object);
    return good;
}
