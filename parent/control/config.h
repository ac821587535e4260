/* SPDX-License-Identifier: MIT */
/*
 * A VM's configuration file, as README.md of this folder describes it. Reading
 * validates everything: types, ranges, unknown members, ids that are there
 * twice. Only files are not opened here.
 */
#ifndef PARENT_CONTROL_CONFIG_H
#define PARENT_CONTROL_CONFIG_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "parent/control/message.h"

#define BH_CONFIG_VERSION          1
#define BH_CONFIG_VPS_MAX          64u
#define BH_CONFIG_DISKS_MAX        64u
#define BH_CONFIG_NICS_MAX         8u
#define BH_CONFIG_NIC_MTU_MIN      68
#define BH_CONFIG_NIC_MTU_MAX      9000
#define BH_CONFIG_NIC_QUEUES_MAX   8
#define BH_CONFIG_NIC_RATE_MAX     INT64_C(1000000000000)
#define BH_CONFIG_PATH_MAX         1024u
#define BH_CONFIG_COMMAND_LINE_MAX 2048u /* with its NUL */
#define BH_CONFIG_WEIGHT_MAX       10000u
#define BH_CONFIG_PERCENT_MAX      6400u
#define BH_CONFIG_RATE_MAX         (INT64_C(1) << 40)
#define BH_CONFIG_MEMORY_MIN       (INT64_C(32) << 20)
#define BH_CONFIG_MEMORY_MAX       (INT64_C(1) << 40)
#define BH_CONFIG_MEMORY_UNIT      (INT64_C(2) << 20)

struct bh_disk_config {
    char id[32];
    bool is_cd;
    bool read_only;
    bool qcow2;                    /* what `path` is; else raw */
    char path[BH_CONFIG_PATH_MAX]; /* empty: a CD drive without a disc */
    uint64_t iops;                 /* 0: no limit */
    uint64_t bytes_per_second;
    uint32_t
        kept; /* in a worker: its place with the keeper, from 1 on; 0: it is opened by `path` */
};

struct bh_nic_config {
    char id[32];
    char tap[16];
    uint8_t mac[6];
    uint32_t mtu;
    uint32_t queues;
    bool link_up;
    bool trusted;
    uint64_t transmit_bytes_per_second; /* 0: no limit */
    uint64_t receive_bytes_per_second;
    uint32_t kept; /* as of a disk */
};

struct bh_vm_config {
    char id[40];
    char name[64];
    uint32_t vps;
    uint64_t memory_bytes;
    uint32_t weight;
    uint32_t cap_percent;
    uint32_t reserve_percent;
    char kernel[BH_CONFIG_PATH_MAX];
    char initrd[BH_CONFIG_PATH_MAX]; /* empty: none */
    char command_line[BH_CONFIG_COMMAND_LINE_MAX];
    uint32_t disk_count;
    struct bh_disk_config disk[BH_CONFIG_DISKS_MAX];
    uint32_t nic_count;
    struct bh_nic_config nic[BH_CONFIG_NICS_MAX];
    bool reset_on_crash;
    bool nbd; /* disks of NBD servers may be added while it runs */
};

/* Errors have code BH_CONTROL_INVALID_PARAMS and the path of the member, such as "disks[1].path".
 */
bool bh_vm_config_parse(const json_t *document, struct bh_vm_config *config,
                        struct bh_control_error *error);

/* The same from a file; a file that cannot be read is BH_CONTROL_RESOURCE. */
bool bh_vm_config_load(const char *path, struct bh_vm_config *config,
                       struct bh_control_error *error);

/* One disk or NIC, for disk_add and nic_add; `where` is the prefix of paths in errors. */
bool bh_disk_config_parse(const json_t *value, const char *where, struct bh_disk_config *disk,
                          struct bh_control_error *error);
bool bh_nic_config_parse(const json_t *value, const char *where, struct bh_nic_config *nic,
                         struct bh_control_error *error);

#endif
