/* SPDX-License-Identifier: MIT */
/*
 * A child partition and its VPs, over /dev/mshv. Closing a partition ends the
 * child at once and gives all its memory back.
 *
 * A VP's functions are for one thread at a time, the partition's for any.
 * Functions return false with `error` filled.
 */
#ifndef PARENT_PARTITION_PARTITION_H
#define PARENT_PARTITION_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "hv/abi/partition.h"
#include "hv/abi/synic.h"
#include "hv/abi/vp.h"
#include "parent/partition/device.h"
#include "parent/partition/error.h"

#define BH_PARTITION_NODE "/dev/mshv"

struct bh_partition;
struct bh_vp;

/*
 * Opens the driver's node; the caller closes it. -1 on failure. With it open, partitions can
 * be created by a process that can no longer open files.
 */
int bh_partition_open_node(const struct bh_device_layer *layer, struct bh_error *error);

/* With local APICs in xAPIC and x2APIC mode, and 2 MiB pages. `layer` must outlive it. */
struct bh_partition *bh_partition_create(const struct bh_device_layer *layer, int node,
                                         struct bh_error *error);

/*
 * One that another process created, from its open file, and a VP of it from its own: they are
 * taken over. A VP whose process has ended is stopped, and runs on where it was; an intercept that
 * was not answered comes again. NULL without memory, and nothing is taken.
 */
struct bh_partition *bh_partition_adopt(const struct bh_device_layer *layer, int fd);
struct bh_vp *bh_vp_adopt(struct bh_partition *partition, uint32_t index, int fd);

/* Its file, for `bh_host_partition_id`. */
int bh_partition_fd(const struct bh_partition *partition);

/* All its VPs are closed before. */
void bh_partition_close(struct bh_partition *partition);

bool bh_partition_set_property(struct bh_partition *partition, uint32_t code, uint64_t value,
                               struct bh_error *error);
/* BH_SHARE of hv/abi/partition.h, at any time. error->number is ENOSPC when the reserve can not be
 * kept; nothing has changed then. */
bool bh_partition_set_share(struct bh_partition *partition, uint64_t share, struct bh_error *error);
/* Stops the child's time and its VPs, or lets them go on where they stopped. */
bool bh_partition_freeze_time(struct bh_partition *partition, bool freeze, struct bh_error *error);
/* The child's reference time, in 100 ns. */
bool bh_partition_reference_time(struct bh_partition *partition, uint64_t *time,
                                 struct bh_error *error);
bool bh_partition_initialize(struct bh_partition *partition, struct bh_error *error);

/* Gives the child readable, writable, executable RAM at `gpa`; all 4 KiB-aligned. */
bool bh_partition_map(struct bh_partition *partition, uint64_t gpa, void *host, uint64_t size,
                      struct bh_error *error);

struct bh_partition_interrupt {
    enum hv_interrupt_type type;
    uint8_t vector;
    bool level;
    bool logical;
    uint32_t destination; /* APIC id, or a logical destination */
};

bool bh_partition_assert_interrupt(struct bh_partition *partition,
                                   const struct bh_partition_interrupt *interrupt,
                                   struct bh_error *error);

struct bh_vp *bh_vp_create(struct bh_partition *partition, uint32_t index, struct bh_error *error);
void bh_vp_close(struct bh_vp *vp);
int bh_vp_fd(const struct bh_vp *vp);
uint32_t bh_vp_index(const struct bh_vp *vp);

struct bh_register {
    uint32_t name; /* enum hv_register_name */
    union hv_register_value value;
};

#define BH_REGISTERS_MAX 64u

/* At most BH_REGISTERS_MAX at once. */
bool bh_vp_set_registers(struct bh_vp *vp, const struct bh_register *registers, size_t count,
                         struct bh_error *error);
bool bh_vp_get_registers(struct bh_vp *vp, struct bh_register *registers, size_t count,
                         struct bh_error *error);

/*
 * The VP's register page, valid after a run that returned a message: changes
 * with their dirty bits count at the next run. NULL when there is none.
 */
struct hv_register_page *bh_vp_register_page(struct bh_vp *vp);

enum bh_vp_run {
    BH_VP_MESSAGE,     /* the VP is suspended; `message` says why */
    BH_VP_INTERRUPTED, /* the thread had a signal */
    BH_VP_FAILED,      /* see `error` */
};

enum bh_vp_run bh_vp_run(struct bh_vp *vp, struct hv_message *message, struct bh_error *error);

/* The guest-physical address of a guest-virtual one, for HV_TRANSLATE_* access. EFAULT: the guest
 * has mapped nothing there, or not for this access. */
bool bh_vp_translate(struct bh_vp *vp, uint64_t gva, uint64_t flags, uint64_t *gpa,
                     struct bh_error *error);

#endif
