/* SPDX-License-Identifier: MIT */
/*
 * Messages to the guest, in order, to the VP it chose. The hypervisor keeps a
 * few; the rest wait here until it has room again.
 */
#include <string.h>

#include "vsp/bus/parts.h"

/*
 * Hands over what the hypervisor takes, at the end of a round. That it has is written down with the
 * next one, so a guest may hear the last messages twice after a restart; it ignores that.
 */
void bh_outbox_deliver(struct bh_vmbus *bus)
{
    struct bh_outbox *outbox = &bus->outbox;

    while (outbox->count > 0) {
        const struct bh_outbox_message *message = &bus->journal->outbox[outbox->first];
        enum bh_vmbus_post result = bus->host->post(bus->host->context, bus->contact.target_vp,
                                                    message->payload, message->size);

        if (result == BH_VMBUS_POST_FULL)
            return;
        if (result == BH_VMBUS_POST_LOST)
            bh_vmbus_log(bus, "A message to the guest was lost: VP %u takes none.",
                         bus->contact.target_vp);
        outbox->first = (outbox->first + 1) % BH_JOURNAL_OUTBOX;
        outbox->count--;
        bus->changed = true;
    }
    if (bus->room_wanted && bh_vmbus_has_room(bus)) {
        bus->room_wanted = false;
        bus->on_room(bus->on_room_context);
    }
}

void bh_vmbus_retry(struct bh_vmbus *bus)
{
    bh_outbox_deliver(bus);
}

/* Never full: requests are not taken from OUTBOX_FULL on, and each causes a bounded burst. */
void bh_outbox_post(struct bh_vmbus *bus, const void *payload, size_t size)
{
    struct bh_outbox *outbox = &bus->outbox;
    struct bh_outbox_message *message =
        &bus->journal->outbox[(outbox->first + outbox->count) % BH_JOURNAL_OUTBOX];

    if (outbox->count == BH_JOURNAL_OUTBOX) {
        bh_vmbus_log(bus, "A message to the guest was lost: it does not read its messages.");
        return;
    }
    memcpy(message->payload, payload, size);
    message->size = (uint8_t)size;
    outbox->count++;
    bus->changed = true;
}

void bh_outbox_clear(struct bh_vmbus *bus)
{
    bus->outbox.first = 0;
    bus->outbox.count = 0;
    bus->changed = true;
}
