/* SPDX-License-Identifier: MIT */
/* Frames of ARP and of ICMP echo over IPv4: built and looked at, no state. */
#ifndef VSC_GUEST_ECHO_H
#define VSC_GUEST_ECHO_H

#include <stdbool.h>
#include <stdint.h>

#define ECHO_HEAD     42u /* bytes before an echo's payload */
#define ECHO_ARP_SIZE 60u

struct echo_station {
    uint8_t mac[6];
    uint32_t address;
};

enum echo_kind { ECHO_NOTHING, ECHO_ARP_REQUEST, ECHO_ARP_REPLY, ECHO_REQUEST, ECHO_REPLY };

/* ARP: who has `to.address`, or that `from` has it. ECHO_ARP_SIZE bytes. */
void echo_arp(uint8_t *frame, const struct echo_station *from, const struct echo_station *to,
              bool reply);

/* An echo request with `size` bytes of payload, which depends on `sequence`; its length. */
uint32_t echo_request(uint8_t *frame, const struct echo_station *from,
                      const struct echo_station *to, uint16_t sequence, uint32_t size);

/* What a frame is, who sent it, and an echo's number. */
enum echo_kind echo_look(const uint8_t *frame, uint32_t size, struct echo_station *from,
                         uint16_t *sequence);

/* Does the reply carry the payload of its request? */
bool echo_is_intact(const uint8_t *frame, uint32_t length, uint16_t sequence, uint32_t size);

#endif
