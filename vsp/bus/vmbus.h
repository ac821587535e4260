/* SPDX-License-Identifier: MIT */
/*
 * The VMBus server of one child: negotiates the version, offers devices,
 * keeps GPADLs, opens and closes channels. It is driven by messages
 * (`bh_vmbus_receive`) and by its loop, never polls, and runs in one thread.
 *
 * The guest is hostile: what it writes is copied once, then checked, then
 * used. A guest that breaks the protocol loses the channel or the request.
 */
#ifndef VSP_BUS_VMBUS_H
#define VSP_BUS_VMBUS_H

#include "vsp/bus/host.h"
#include "vsp/bus/loop.h"

#define BH_VMBUS_DEVICES_MAX  64u
#define BH_VMBUS_CHANNELS_MAX 255u   /* sub-channels too; relids are 1 to this */
#define BH_VMBUS_GPADLS_MAX   1024u  /* at a time */
#define BH_VMBUS_PAGES_MAX    65536u /* in all GPADLs together */

struct bh_vmbus;

/* `host` and `loop` must outlive it. NULL when there is no memory. */
struct bh_vmbus *bh_vmbus_create(const struct bh_vmbus_host *host, struct bh_loop *loop);

/*
 * --- going on where another process fell (journal.h) ---
 *
 * When the host's journal holds a guest, the bus is created with it. The same devices are added
 * again, in any order; then bh_vmbus_resume has their providers take up the channels that are open,
 * and shows the guest what it may have missed. Until then the bus does nothing. False: a device is
 * missing or cannot go on; then the guest cannot either.
 */
size_t bh_vmbus_journal_size(void);
bool bh_vmbus_journal_holds_guest(const void *journal);
bool bh_vmbus_resume(struct bh_vmbus *bus);

/*
 * Where the next message of the guest is put before bh_vmbus_receive, BH_VMBUS_INBOX_SIZE bytes of
 * which the first four are not zero; and one that a process before did not come to, or NULL.
 */
#define BH_VMBUS_INBOX_SIZE 256u
void *bh_vmbus_inbox(struct bh_vmbus *bus);
const void *bh_vmbus_inbox_left(const struct bh_vmbus *bus);

/* The last round that is whole: what was done since may have to be done again. */
const uint64_t *bh_vmbus_round(const struct bh_vmbus *bus);

/* Does what is written down outlive the process? */
bool bh_vmbus_is_kept(const struct bh_vmbus *bus);

/* Outside of a provider's calls: what providers remember now is not lost any more. */
void bh_vmbus_commit(struct bh_vmbus *bus);

/* All devices are removed before. */
void bh_vmbus_destroy(struct bh_vmbus *bus);

/*
 * May a message be taken from the message port now? When not, answers wait for the guest; the
 * message stays in the port, and `again` of bh_vmbus_on_room is called when there is room.
 */
bool bh_vmbus_has_room(const struct bh_vmbus *bus);
void bh_vmbus_on_room(struct bh_vmbus *bus, void (*again)(void *context), void *context);

/* A message that the guest posted. `payload` is the bus's own copy. */
void bh_vmbus_receive(struct bh_vmbus *bus, const void *payload, size_t size);

/* A VP has room for messages again after BH_VMBUS_POST_FULL. */
void bh_vmbus_retry(struct bh_vmbus *bus);

/*
 * Forgets the guest: closes its channels and waits for the I/O in its memory to end, `patience`
 * milliseconds at most; -1: for ever. Devices stay, and are offered to the next guest. For a reset
 * or the end of the VM; no VP may run. False when I/O still runs: the guest's memory must stay as
 * it is until a later call returns true.
 */
bool bh_vmbus_reset(struct bh_vmbus *bus, int patience);

struct bh_loop *bh_vmbus_loop(const struct bh_vmbus *bus);

/* A sentence for the log. */
void bh_vmbus_log(const struct bh_vmbus *bus, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
