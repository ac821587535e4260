/* SPDX-License-Identifier: MIT */
/*
 * What a VM is made of, for vm.c, its life, and vm_run.c, one run of its guest. Only the loop's
 * thread uses it, but for what says otherwise.
 */
#ifndef PARENT_WORKER_VM_PARTS_H
#define PARENT_WORKER_VM_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "parent/worker/image.h"
#include "parent/worker/journal.h"
#include "parent/worker/vm.h"

#define BH_VM_LARGE_PAGE (2ull << 20)

/* What comes when the I/O in the guest's memory has ended. */
enum ending { ENDING_NONE, ENDING_RESET, ENDING_STOP, ENDING_FAIL };

struct bh_vm {
    struct bh_vm_config config;
    struct bh_vm_status status;
    void (*changed)(void *context, const struct bh_vm_status *status);
    void *context;
    const struct bh_device_layer *layer;
    struct bh_host *host;
    struct bh_kept *kept;
    struct bh_vm_journal *journal;
    struct bh_boot_image kernel;
    struct bh_boot_image unpacked; /* the same, if it is there */
    struct bh_boot_image initrd;
    struct bh_console *console;
    int node;              /* of the driver */
    int wake;              /* eventfd */
    _Atomic uint32_t news; /* of VP threads */
    _Atomic uint32_t exit_code;
    pthread_mutex_t sentence_lock;
    char sentence[256]; /* of the last guest fault or failure */
    int file;           /* of the memory, where the keeper has it too; else -1 */
    uint8_t *area;      /* what was mapped; RAM is in it, 2 MiB-aligned */
    uint8_t *ram;
    struct bh_guest_memory memory;
    struct bh_chipset chipset;
    struct bh_vcpus vcpus;
    struct bh_guest_bus *bus;
    struct bh_partition *partition;
    struct bh_vp *vp[BH_VCPUS_MAX];
    enum ending ending;
    enum bh_vm_reason ending_reason;
    uint64_t ending_since; /* bh_loop_now */
    bool abandoned;        /* it has ended while I/O hung */
};

/* --- one run (vm_run.c) --------------------------------------------------------------------- */

/* The file of the guest's memory that the keeper has, or a new one; none without a keeper. */
bool bh_vm_run_open_memory(struct bh_vm *vm, struct bh_error *error);

/* The weight, reserve and cap of each VP, as the hypervisor's property has them. */
uint64_t bh_vm_run_share(const struct bh_vm_config *config);

/* From nothing to VPs that wait for their turn; `may_run` for a process that goes on with them. */
bool bh_vm_run_build(struct bh_vm *vm, bool may_run, struct bh_error *error);

/* From what another process left to VPs that wait for their turn. */
bool bh_vm_run_take_up(struct bh_vm *vm, struct bh_error *error);

/*
 * Takes back everything but the memory itself, which is empty afterwards. False when I/O still uses
 * it after `patience` milliseconds: then only the VPs have ended.
 */
bool bh_vm_run_dismantle(struct bh_vm *vm, int patience);

#endif
