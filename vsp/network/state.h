/* SPDX-License-Identifier: MIT */
/* What a network card is given, what its guest has set, and what it counts. */
#ifndef VSP_NETWORK_STATE_H
#define VSP_NETWORK_STATE_H

#include "vsp/network/rss.h"

#define BH_NIC_QUEUES_MAX 8u
#define BH_NIC_MTU_MIN    68u
#define BH_NIC_MTU_MAX    9000u
#define BH_NIC_SPEED      10000000000ull /* what the card says of itself, bit/s */

struct bh_nic_options {
    char name[32]; /* shown in the guest as the interface's alias */
    uint8_t mac[BH_MAC_SIZE];
    uint32_t mtu;           /* the largest the guest may use */
    uint32_t queues;        /* 1 to BH_NIC_QUEUES_MAX */
    bool trusted;           /* may send from any address, and hear what is for others */
    uint64_t transmit_rate; /* bytes a second that the guest may send; 0: no limit */
    uint64_t receive_rate;
};

/* What the guest has set; gone when it closes the card. */
struct bh_nic_state {
    uint32_t version;     /* NVSP_VERSION_*; 0: none agreed on */
    uint32_t mtu;         /* 0: the guest has not said */
    bool initialized;     /* RNDIS is */
    uint32_t filter;      /* NDIS_FILTER_* */
    bool verify_checksum; /* frames may say that their checksum was verified */
    bool coalesce_ip4;    /* frames longer than the MTU may come, in parts */
    bool coalesce_ip6;
    struct bh_rss rss;
};

struct bh_nic_queue_stats {
    uint64_t rx_packets, tx_packets;
};

/* From the guest's side: rx is what it received. */
struct bh_nic_stats {
    uint64_t rx_packets, rx_bytes, rx_dropped;
    uint64_t tx_packets, tx_bytes, tx_dropped;
    uint64_t tx_spoofed;   /* of tx_dropped: from an address that is not the card's */
    uint64_t tx_malformed; /* of tx_dropped: did not make sense */
    struct bh_nic_queue_stats queue[BH_NIC_QUEUES_MAX]; /* the guest's channels */
    struct bh_nic_queue_stats tap[BH_NIC_QUEUES_MAX];   /* the tap's queues, before any filter */
};

#endif
