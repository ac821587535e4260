/* SPDX-License-Identifier: MIT */
/*
 * A virtual machine: its configuration, state, memory, devices, partition and
 * VP threads. All functions belong to the event loop. What happens in VP
 * threads (power-off, reset, a fault) is noted, wakes the event loop through
 * `bh_vm_fd`, and is done there by `bh_vm_serve`.
 */
#ifndef PARENT_WORKER_VM_H
#define PARENT_WORKER_VM_H

#include "parent/control/config.h"
#include "parent/partition/host.h"
#include "parent/worker/boot.h"
#include "parent/worker/console.h"
#include "parent/worker/guest_bus.h"
#include "parent/worker/vcpus.h"

struct bh_vm;
struct bh_vm_journal;

struct bh_vm_status {
    enum bh_vm_state state;
    enum bh_vm_reason reason;
    char since[32];
    uint32_t resets;
    uint32_t restarts;     /* of the worker, under the guest */
    uint64_t partition_id; /* 0: none, or not known */
    uint32_t exit_code;    /* with BH_REASON_DEBUG_EXIT */
    char message[256];     /* with BH_REASON_GUEST_FAULT and BH_REASON_WORKER_ERROR */
};

/*
 * `changed` is called after each change of state. Opens the kernel, the initrd
 * and the driver's node, so no file is opened later. `host` tells the id of the
 * partition; NULL where there is no access to it. What the guest consists of is put into `kept` and
 * `journal`. NULL with `error` filled.
 */
struct bh_vm *bh_vm_create(const struct bh_vm_config *config, const struct bh_device_layer *layer,
                           struct bh_host *host, struct bh_kept *kept,
                           struct bh_vm_journal *journal,
                           void (*changed)(void *context, const struct bh_vm_status *status),
                           void *context, struct bh_error *error);
void bh_vm_destroy(struct bh_vm *vm);

/* It has stopped while I/O hung: nothing can be destroyed, the process has to end as it is. */
bool bh_vm_is_abandoned(const struct bh_vm *vm);

/* Takes over the mapping of the kernel's unpacked form; of size 0 when there is none. */
void bh_vm_use_unpacked(struct bh_vm *vm, struct bh_boot_image unpacked);

int bh_vm_fd(const struct bh_vm *vm);

/*
 * What VP threads have told since the last call; it is acted on by handing it to bh_vm_serve, which
 * is called in each round of the loop.
 */
uint32_t bh_vm_take_news(struct bh_vm *vm);
void bh_vm_serve(struct bh_vm *vm, uint32_t news);

/*
 * The caller has checked that the state allows it. A failed start or reset leaves state failed.
 * Where I/O of the guest hangs, reset and power_off return in state stopping, and bh_vm_serve goes
 * on with them: the reset when that I/O has ended, power_off after five seconds at the latest.
 */
bool bh_vm_start(struct bh_vm *vm, bool paused, struct bh_error *error);
/*
 * Goes on with the guest that the journal tells of, instead of starting one; the devices were added
 * again. After a failure the state is failed, and nothing more is to be done with the VM: the
 * process ends, and all that was taken up with it.
 */
bool bh_vm_go_on(struct bh_vm *vm, struct bh_error *error);

/*
 * The journal tells of a guest of another process that does not go on. When its end had begun, the
 * state is stopped or failed, as that process would have said. False: it had not, or it was to be
 * reset; then the VM has that one's counters, and is to be started.
 */
bool bh_vm_finish_end(struct bh_vm *vm);

/* In a pause the guest's clocks and timers stand still, but for the real-time clock. */
void bh_vm_pause(struct bh_vm *vm);
void bh_vm_resume(struct bh_vm *vm);
/* The guest's reference time, in 100 ns; false when there is none: the VM does not run. */
bool bh_vm_reference_time(const struct bh_vm *vm, uint64_t *time);
bool bh_vm_reset(struct bh_vm *vm, enum bh_vm_reason reason, struct bh_error *error);
void bh_vm_power_off(struct bh_vm *vm, enum bh_vm_reason reason);

/* The guest was asked to shut down, and is about to; or it will not, and runs on. */
void bh_vm_shutting_down(struct bh_vm *vm, bool is);

/* The guest has reported a crash: does what the configuration says, stop or reset. */
void bh_vm_crashed(struct bh_vm *vm);

/* Weight, cap and reserve; negative values stay as they are. */
bool bh_vm_set_shares(struct bh_vm *vm, int64_t weight, int64_t cap_percent,
                      int64_t reserve_percent, struct bh_error *error);

const struct bh_vm_config *bh_vm_get_config(const struct bh_vm *vm);
const struct bh_vm_status *bh_vm_get_status(struct bh_vm *vm);
struct bh_console *bh_vm_get_console(struct bh_vm *vm);

/* For devices: they are added before the first start, and removed before the VM is destroyed. */
struct bh_guest_bus *bh_vm_get_bus(struct bh_vm *vm);

#endif
