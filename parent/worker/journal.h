/* SPDX-License-Identifier: MIT */
/*
 * What of a VM outlives its worker, beside its memory and its partition: plain data in memory that
 * the keeper has too. Here is the VM's own; behind it, from the next page on, what belongs to the
 * guest's bus (vsp/bus/journal.h).
 *
 * A worker can end between any two instructions. Each part says how it stays whole: by a number
 * that is written last, or because half of it does no harm.
 */
#ifndef PARENT_WORKER_JOURNAL_H
#define PARENT_WORKER_JOURNAL_H

#include "parent/control/config.h"
#include "parent/worker/chipset.h"
#include "parent/worker/keeper.h"
#include "parent/worker/vm.h"

struct bh_vm_journal {
    uint64_t magic;
    uint64_t size;    /* of this structure and of the bus's: the same program wrote it */
    uint32_t is_live; /* a guest is complete in its partition. No bool: it is read unchecked */
    uint32_t may_run; /* its VPs */
    uint32_t resumed; /* how often another worker has gone on with the VM */
    uint32_t news;    /* of VP threads, that nobody has acted on */
    uint32_t exit_code;
    uint32_t ending; /* of this run, that has begun (vm.c); 0: none */
    enum bh_vm_reason ending_reason;
    struct bh_vm_status status;
    uint32_t config_number; /* which one counts, by its last bit */
    struct bh_vm_config config[2];
    struct bh_chipset_journal chipset;
    uint8_t console[BH_CONSOLE_KEPT];
};

/*
 * The journal of the process before, or a new one, which is given to the keeper. `resumed` tells
 * which. Without a keeper it is memory of this process only. NULL with `error` filled.
 */
struct bh_vm_journal *bh_vm_journal_open(struct bh_kept *kept, bool *resumed,
                                         struct bh_error *error);

/* The bus's part: bh_vmbus_journal_size bytes; and how it is emptied, before there is a bus. */
void *bh_vm_journal_bus(struct bh_vm_journal *journal);
void bh_vm_journal_clear_bus(struct bh_vm_journal *journal);

/* The configuration as it is now. */
void bh_vm_journal_set_config(struct bh_vm_journal *journal, const struct bh_vm_config *config);
const struct bh_vm_config *bh_vm_journal_config(const struct bh_vm_journal *journal);

#endif
