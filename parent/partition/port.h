/* SPDX-License-Identifier: MIT */
/*
 * Messages and events between a child and its parent (TLFS, "Inter-partition
 * communication"): what a VMBus server stands on.
 *
 * From the child: it posts to a message port and signals an event port, both by a
 * connection id (1 to 0xffffff) that the parent gave out. To the child: messages
 * to a slot of a VP's message page, event flags in its event page.
 *
 * Nothing here waits or polls. A message is never lost: the hypervisor keeps it,
 * in memory paid from the child's deposit, until it is read or its slot is empty, and
 * refuses the next one when its queue is full.
 *
 * All functions may be called from any thread, also by a process that can no longer
 * open files. Functions return false (-1) with `error` filled. Ports end with their
 * partition, so also with the process.
 */
#ifndef PARENT_PARTITION_PORT_H
#define PARENT_PARTITION_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/abi/synic.h"
#include "parent/partition/partition.h"

#define BH_CONNECTION_ID_MAX 0xffffffu

/* ---- from the child ---- */

/* Messages that a port holds; then HvPostMessage says INSUFFICIENT_BUFFERS and the guest retries.
 */
#define BH_MESSAGE_PORT_DEPTH 64u

/*
 * What the guest posts to `connection_id` (HvCallPostMessage) arrives, in order and whole, at the
 * descriptor that is returned; closing it removes the port. The descriptor is non-blocking, made
 * with O_CLOEXEC, and readable (poll, epoll, io_uring) while there are messages. read(2) gives one
 * or more struct hv_message: `type` as the guest posted it (never 0, below 0x80000000),
 * `payload_size`, `payload`, `sender` the partition's id, bytes behind the payload zero. The buffer
 * must have room for at least one (EINVAL); EAGAIN when there is none. Give it room for 16: they
 * cost one call.
 *
 * EEXIST: the connection id is in use. EINVAL: not an id. ENOSPC: too many ports (there is room
 * for about 1,000 of a child). ENOMEM.
 */
int bh_message_port_open(struct bh_partition *partition, uint32_t connection_id,
                         struct bh_error *error);

/*
 * The guest's HvCallSignalEvent(connection_id, flag 0) adds 1 to `eventfd`, until
 * bh_event_port_close. The caller may close its descriptor of the eventfd any time. Each port has
 * an id of its own; several may share an eventfd. Same errors; EBADF, EINVAL: not an eventfd.
 * Both are cheap enough for each opening and closing of a channel of a running guest.
 */
bool bh_event_port_open(struct bh_partition *partition, uint32_t connection_id, int eventfd,
                        struct bh_error *error);

/* No event of the port comes after it returned. ENOENT: there is none. */
bool bh_event_port_close(struct bh_partition *partition, uint32_t connection_id,
                         struct bh_error *error);

/* ---- to the child ---- */

/*
 * Puts the message (type, payload_size, payload; the rest is ignored) in the slot of `sint` of
 * that VP and interrupts it. While the slot is occupied, messages for that VP wait in order in
 * the hypervisor (64 of them) and follow as the guest writes EOM.
 *
 * error->number EAGAIN: that queue is full; nothing was posted (bh_partition_watch_room tells when
 * to go on). ENOTCONN: the guest has not enabled its SynIC or its message page. EINVAL: no such VP
 * or SINT, or not a message.
 */
bool bh_partition_post_message(struct bh_partition *partition, uint32_t vp, uint32_t sint,
                               const struct hv_message *message, struct bh_error *error);

/* After an EAGAIN, `eventfd` gets 1 when there is room again. -1: no more. One per partition. */
bool bh_partition_watch_room(struct bh_partition *partition, int eventfd, struct bh_error *error);

/*
 * Sets event flag `flag` (0 to 2047) of `sint` of that VP, and interrupts it if it was clear.
 * ENOTCONN: the guest's SynIC or event page is off, or the SINT is masked: signal again when the
 * guest opens the channel or moves it. EINVAL: no such VP, SINT or flag.
 */
bool bh_partition_signal_event(struct bh_partition *partition, uint32_t vp, uint32_t sint,
                               uint32_t flag, struct bh_error *error);

#endif
