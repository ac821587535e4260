/* SPDX-License-Identifier: MIT */
#include "parent/worker/takeover.h"

#include <string.h>

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

static bool take_devices(const struct bh_vm_config *file, const struct bh_vm_config *left,
                         struct bh_vm_config *config)
{
    uint64_t disks = 0;
    uint64_t nics = 0;

    if (left->disk_count > file->disk_count || left->nic_count > file->nic_count)
        return false;
    for (uint32_t i = 0; i < left->disk_count; i++)
        if (!take_disk(file, &left->disk[i], &disks, &config->disk[i]))
            return false;
    for (uint32_t i = 0; i < left->nic_count; i++)
        if (!take_nic(file, &left->nic[i], &nics, &config->nic[i]))
            return false;
    config->disk_count = left->disk_count;
    config->nic_count = left->nic_count;
    return true;
}

bool bh_takeover_config(struct bh_vm_config *config, const struct bh_vm_config *left)
{
    static struct bh_vm_config next; /* long for a stack */

    next = *config;
    if (!take_devices(config, left, &next))
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
