/* SPDX-License-Identifier: MIT */
/*
 * The provider of one network card: NVSP and RNDIS on one side, the queues of a
 * tap device on the other. It belongs to the bus's loop and thread.
 *
 * What the guest sends is dropped and counted when it does not come from the
 * card's own address; what it hears is what its filter lets in. A guest that
 * breaks the protocol gets errors, or hears nothing more; nobody else notices.
 */
#ifndef VSP_NETWORK_NIC_H
#define VSP_NETWORK_NIC_H

#include "vsp/bus/device.h"
#include "vsp/network/state.h"

struct bh_nic;

struct bh_nic_place {
    struct bh_vmbus *bus;
    struct vmbus_guid instance;
    const int *taps;         /* the queues of one tap; taken over, also on failure */
    uint32_t tap_count;      /* 1 to BH_NIC_QUEUES_MAX; channel n sends by queue n modulo this */
    uint64_t (*clock)(void); /* ns, never goes back */
};

/* Link up. NULL when the bus has no place or the system no memory or descriptors. */
struct bh_nic *bh_nic_create(const struct bh_nic_options *options,
                             const struct bh_nic_place *place);
void bh_nic_destroy(struct bh_nic *nic);

/* The cable, so to say: without it nothing goes in or out, and the guest is told. */
void bh_nic_set_link(struct bh_nic *nic, bool up);
bool bh_nic_link(const struct bh_nic *nic);

/* Bytes a second; 0: no limit. */
void bh_nic_set_rates(struct bh_nic *nic, uint64_t transmit, uint64_t receive);

const struct bh_nic_options *bh_nic_get_options(const struct bh_nic *nic);
uint32_t bh_nic_get_tap_queues(const struct bh_nic *nic);
const struct bh_nic_stats *bh_nic_get_stats(const struct bh_nic *nic);

#endif
