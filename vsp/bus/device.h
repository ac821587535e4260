/* SPDX-License-Identifier: MIT */
/*
 * A device on the bus, and what its provider is asked to do. All calls come
 * from the loop's thread; a provider may call any function of this folder from
 * within them.
 */
#ifndef VSP_BUS_DEVICE_H
#define VSP_BUS_DEVICE_H

#include "vsp/bus/vmbus.h"
#include "vsp/protocol/guid.h"

struct bh_vmbus_channel;
struct bh_vmbus_device;

struct bh_vmbus_identity {
    struct vmbus_guid class;    /* VMBUS_CLASS_* */
    struct vmbus_guid instance; /* unique in the VM, the same after each start */
};

struct bh_vmbus_provider {
    /* The guest opened the channel; its first 120 bytes of user data. False refuses it. */
    bool (*opened)(void *context, struct bh_vmbus_channel *channel, const uint8_t user[120]);
    /*
     * The guest closed it, unloaded, was reset, or the device is removed: the rings are gone.
     * I/O that still uses the guest's memory keeps the channel held (bh_vmbus_channel_hold).
     */
    void (*closed)(void *context, struct bh_vmbus_channel *channel);
    /* Something was written to the channel, or there is room again after a write that failed. */
    void (*ready)(void *context, struct bh_vmbus_channel *channel);
    /*
     * Copies what the provider must remember to `state`, BH_VMBUS_STATE_MAX bytes: at the end of
     * each round, so it is short and quick. And takes up a channel that was open in another
     * process; the primary one first. False: it can not. Both NULL: there is nothing to remember.
     */
    void (*save)(void *context, void *state);
    bool (*resumed)(void *context, struct bh_vmbus_channel *channel);
};

#define BH_VMBUS_STATE_MAX 8192u

/*
 * Adds a device and offers it, at once when a guest is connected. `provider` and `context` must
 * outlive it. NULL when the bus is full or the instance is there already.
 */
struct bh_vmbus_device *bh_vmbus_device_add(struct bh_vmbus *bus,
                                            const struct bh_vmbus_identity *identity,
                                            const struct bh_vmbus_provider *provider,
                                            void *context);

/* What `save` wrote in the process before; NULL when there was none. Until bh_vmbus_resume ends. */
const void *bh_vmbus_device_saved(const struct bh_vmbus_device *device);

/*
 * Memory of the device's own that outlives the process, page-aligned and zero at first. What was
 * written there since the last round may be of a round that never was.
 */
#define BH_VMBUS_SPACE (2u << 20)
void *bh_vmbus_device_space(const struct bh_vmbus_device *device);

/*
 * Closes its channels and takes the offer back. The provider is not called afterwards; channels
 * it holds stay valid until it releases them.
 */
void bh_vmbus_device_remove(struct bh_vmbus_device *device);

/*
 * Offers `count` sub-channels with indices 1 to `count`; those of before must be gone. False when
 * there are not so many. They go when the primary channel is closed.
 */
bool bh_vmbus_device_offer_sub_channels(struct bh_vmbus_device *device, uint32_t count);

/* An instance GUID for a device of a VM: the same for the same two ids. */
struct vmbus_guid bh_vmbus_instance(const char *vm, const char *device);

#endif
