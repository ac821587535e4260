/* SPDX-License-Identifier: MIT */
#include "vsp/bus/journal.h"

#include <string.h>
#include <sys/mman.h>

#include "vsp/bus/parts.h"

size_t bh_vmbus_journal_size(void)
{
    return sizeof(struct bh_journal);
}

bool bh_vmbus_journal_holds_guest(const void *memory)
{
    const struct bh_journal *journal = memory;

    return journal->magic == BH_JOURNAL_MAGIC && journal->size == sizeof(*journal) &&
           journal->round != 0;
}

const struct bh_journal_half *bh_journal_last(const struct bh_journal *journal)
{
    return &journal->half[journal->round % 2];
}

/* --- writing ------------------------------------------------------------------------------ */

static void save_control(const struct bh_vmbus *bus, struct bh_journal_control *control)
{
    control->contact = bus->contact;
    control->farewell = bus->farewell;
    control->request = bus->request;
    control->received = bus->received;
    control->outbox_first = bus->outbox.first;
    control->outbox_count = bus->outbox.count;
    control->gpadl_pages = bus->gpadl_pages;
    control->gpadl_doomed = bus->gpadl_doomed;
    memcpy(control->gpadl, bus->gpadl, sizeof(control->gpadl));
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++)
        control->channel[i] = bus->channel[i].state;
}

static void save_devices(const struct bh_vmbus *bus, struct bh_journal_half *half)
{
    for (uint32_t i = 0; i < BH_VMBUS_DEVICES_MAX; i++) {
        const struct bh_vmbus_device *device = &bus->device[i];

        half->device[i].used = device->bus != NULL;
        if (device->bus == NULL)
            continue;
        half->device[i].instance = device->identity.instance;
        if (device->provider->save != NULL)
            device->provider->save(device->context, half->device[i].state);
    }
}

void bh_journal_commit(struct bh_vmbus *bus)
{
    struct bh_journal *journal = bus->journal;
    uint64_t round = journal->round + 1;
    struct bh_journal_half *half = &journal->half[round % 2];

    if (!bh_vmbus_is_kept(bus)) { /* nobody goes on; the round's number still counts */
        journal->round = round;
        return;
    }
    half->which = bh_journal_last(journal)->which;
    if (bus->changed) {
        half->which = 1 - half->which;
        save_control(bus, &journal->control[half->which]);
        bus->changed = false;
    }
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++) {
        half->position[i].in = bus->channel[i].state.in.position;
        half->position[i].out = bus->channel[i].state.out.position;
    }
    save_devices(bus, half);
    __atomic_store_n(&journal->round, round, __ATOMIC_RELEASE);
}

/* --- what another process left ------------------------------------------------------------ */

/*
 * That process may have been broken into by its guest, so all that is read here before this one
 * has given its rights away is looked at: numbers within their bounds, and bools that are bools.
 */
static bool is_bool(const bool *value)
{
    unsigned char byte;

    memcpy(&byte, value, sizeof(byte));
    return byte <= 1;
}

static bool is_gpadl_sound(const struct bh_gpadl *gpadl)
{
    return is_bool(&gpadl->doomed) && gpadl->relid <= BH_VMBUS_CHANNELS_MAX &&
           gpadl->pages <= BH_VMBUS_PAGES_MAX && gpadl->received <= gpadl->pages &&
           gpadl->first <= BH_VMBUS_PAGES_MAX - gpadl->pages;
}

static bool is_control_sound(const struct bh_journal_control *control)
{
    if (!is_bool(&control->contact.connected) || !is_bool(&control->contact.offering) ||
        control->farewell > FAREWELL_CONTACT || control->outbox_first >= BH_JOURNAL_OUTBOX ||
        control->outbox_count > BH_JOURNAL_OUTBOX || control->gpadl_pages > BH_VMBUS_PAGES_MAX ||
        control->gpadl_doomed > BH_VMBUS_GPADLS_MAX)
        return false;
    for (uint32_t i = 0; i < BH_VMBUS_GPADLS_MAX; i++)
        if (!is_gpadl_sound(&control->gpadl[i]))
            return false;
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++)
        if (control->channel[i].phase > CHANNEL_RESCINDED || !is_bool(&control->channel[i].broken))
            return false;
    return true;
}

static bool is_sound(const struct bh_journal *journal)
{
    const struct bh_journal_half *half = bh_journal_last(journal);

    if (half->which > 1 || !is_control_sound(&journal->control[half->which]))
        return false;
    for (uint32_t i = 0; i < BH_VMBUS_DEVICES_MAX; i++)
        if (!is_bool(&half->device[i].used))
            return false;
    return true;
}

/* --- taking up ---------------------------------------------------------------------------- */

static void load_channel(struct bh_vmbus *bus, uint32_t index, const struct bh_journal_half *half)
{
    struct bh_vmbus_channel *channel = &bus->channel[index];

    *channel =
        (struct bh_vmbus_channel){.state = bus->journal->control[half->which % 2].channel[index],
                                  .bus = bus,
                                  .doorbell = {.fd = -1}};
    channel->state.in.position = half->position[index].in;
    channel->state.in.shown = half->position[index].in;
    channel->state.out.position = half->position[index].out;
    channel->state.out.shown = half->position[index].out;
}

/* Runs before the sandbox: it only copies, and computes no place from what it reads. */
static void load(struct bh_vmbus *bus)
{
    const struct bh_journal_half *half = bh_journal_last(bus->journal);
    const struct bh_journal_control *control = &bus->journal->control[half->which % 2];

    bus->contact = control->contact;
    bus->farewell = control->farewell;
    bus->request = control->request;
    bus->received = control->received;
    bus->outbox.first = control->outbox_first;
    bus->outbox.count = control->outbox_count;
    bus->gpadl_pages = control->gpadl_pages;
    bus->gpadl_doomed = control->gpadl_doomed;
    memcpy(bus->gpadl, control->gpadl, sizeof(bus->gpadl));
    for (uint32_t i = 0; i < BH_VMBUS_CHANNELS_MAX; i++)
        load_channel(bus, i, half);
    bus->resuming = true;
}

bool bh_journal_open(struct bh_vmbus *bus)
{
    bus->journal = bus->host->journal;
    if (bus->journal == NULL) {
        void *own = mmap(NULL, sizeof(*bus->journal), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (own == MAP_FAILED)
            return false;
        bus->journal = own;
    }
    if (bh_vmbus_journal_holds_guest(bus->journal)) {
        if (!is_sound(bus->journal)) {
            bh_vmbus_log(bus, "The guest cannot go on: no worker leaves such a journal.");
            return false;
        }
        load(bus);
        return true;
    }
    bus->journal->magic = BH_JOURNAL_MAGIC;
    bus->journal->size = sizeof(*bus->journal);
    return true;
}

void bh_journal_close(struct bh_vmbus *bus)
{
    if (bus->journal != NULL && bus->host->journal == NULL)
        (void)munmap(bus->journal, sizeof(*bus->journal));
    bus->journal = NULL;
}

/* --- messages ----------------------------------------------------------------------------- */

void *bh_vmbus_inbox(struct bh_vmbus *bus)
{
    bus->journal->inbox[0] = 0;
    bus->journal->inbox_number = bus->received + 1;
    return bus->journal->inbox;
}

const void *bh_vmbus_inbox_left(const struct bh_vmbus *bus)
{
    const struct bh_journal *journal = bus->journal;

    return (uint32_t)journal->inbox[0] != 0 && journal->inbox_number == bus->received + 1
               ? journal->inbox
               : NULL;
}

/* --- devices ------------------------------------------------------------------------------ */

bool bh_journal_had_device(const struct bh_vmbus *bus, uint32_t place,
                           const struct vmbus_guid *instance)
{
    const struct bh_journal_half *half = bh_journal_last(bus->journal);

    return bus->resuming && half->device[place].used &&
           memcmp(&half->device[place].instance, instance, sizeof(*instance)) == 0;
}

/* Gives the pages back, of shared memory or of private. */
void bh_journal_clear_space(void *space)
{
    if (madvise(space, BH_VMBUS_SPACE, MADV_REMOVE) != 0 &&
        madvise(space, BH_VMBUS_SPACE, MADV_DONTNEED) != 0)
        memset(space, 0, BH_VMBUS_SPACE);
}

/* --- for providers ------------------------------------------------------------------------ */

const uint64_t *bh_vmbus_round(const struct bh_vmbus *bus)
{
    return &bus->journal->round;
}

bool bh_vmbus_is_kept(const struct bh_vmbus *bus)
{
    return bus->host->journal != NULL;
}

void *bh_vmbus_device_space(const struct bh_vmbus_device *device)
{
    return device->bus->journal->space[device - device->bus->device];
}

const void *bh_vmbus_device_saved(const struct bh_vmbus_device *device)
{
    const struct bh_vmbus *bus = device->bus;
    uint32_t place = (uint32_t)(device - bus->device);

    return bh_journal_had_device(bus, place, &device->identity.instance)
               ? bh_journal_last(bus->journal)->device[place].state
               : NULL;
}
