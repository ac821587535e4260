/* SPDX-License-Identifier: MIT */
#include "mgmtd/said.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum vm_state said_state(enum bh_vm_state state)
{
    switch (state) {
    case BH_VM_CREATED:
        return VM_STARTING;
    case BH_VM_RUNNING:
        return VM_RUNNING;
    case BH_VM_PAUSED:
        return VM_PAUSED;
    case BH_VM_STOPPING:
        return VM_STOPPING;
    case BH_VM_STOPPED:
        return VM_STOPPED;
    default:
        return VM_CRASHED;
    }
}

static const char *sentence_of(enum bh_vm_reason reason)
{
    static const char *const sentences[BH_REASON_COUNT] = {
        [BH_REASON_REQUESTED] = "",
        [BH_REASON_GUEST_POWER_OFF] = "The guest powered off.",
        [BH_REASON_GUEST_RESET] = "The guest reset itself.",
        [BH_REASON_GUEST_CRASH] = "The guest crashed.",
        [BH_REASON_TRIPLE_FAULT] = "The guest shut its processor down by a triple fault.",
        [BH_REASON_GUEST_FAULT] = "The guest can not run on by its own fault.",
        [BH_REASON_DEBUG_EXIT] = "The guest wrote to the debug-exit port.",
        [BH_REASON_WORKER_ERROR] = "The worker failed.",
    };

    return sentences[reason];
}

static bool is_crash(enum bh_vm_state state, enum bh_vm_reason reason)
{
    return state == BH_VM_FAILED || reason == BH_REASON_GUEST_CRASH ||
           reason == BH_REASON_TRIPLE_FAULT || reason == BH_REASON_GUEST_FAULT ||
           reason == BH_REASON_WORKER_ERROR;
}

enum vm_state said_event(const json_t *body, enum bh_vm_reason *reason, char text[256])
{
    enum bh_vm_state state = BH_VM_FAILED;
    const char *message = json_text(body, "message");

    *reason = BH_REASON_REQUESTED;
    bh_vm_state_parse(json_text(body, "state"), &state);
    bh_vm_reason_parse(json_text(body, "reason"), reason);
    snprintf(text, 256, "%s%s%s", sentence_of(*reason), message[0] ? " " : "", message);
    return is_crash(state, *reason) && state != BH_VM_RUNNING ? VM_CRASHED : said_state(state);
}

/* Addresses are the guest's own words, so only what is an address is kept. */
static void read_addresses(const json_t *guest, char text[VM_ADDRESSES_SIZE])
{
    uint8_t raw[sizeof(struct in6_addr)];
    const json_t *address;
    size_t used = 0;
    size_t index;

    json_array_foreach(json_object_get(guest, "addresses"), index, address)
    {
        const char *value = json_is_string(address) ? json_string_value(address) : "";
        size_t length = strlen(value);

        if (used + length + 4 > VM_ADDRESSES_SIZE ||
            (inet_pton(AF_INET, value, raw) != 1 && inet_pton(AF_INET6, value, raw) != 1))
            continue;
        used += (size_t)snprintf(text + used, VM_ADDRESSES_SIZE - used, "%s\"%s\"", used ? "," : "",
                                 value);
    }
}

void said_guest(const json_t *body, struct vm_guest *guest)
{
    const char *heartbeat = json_text(body, "heartbeat");

    memset(guest, 0, sizeof(*guest)); /* all of it: they are compared as bytes */
    if (strcmp(heartbeat, "ok") == 0)
        guest->heartbeat = VM_HEARTBEAT_OK;
    else if (strcmp(heartbeat, "lost") == 0)
        guest->heartbeat = VM_HEARTBEAT_LOST;
    snprintf(guest->os, sizeof(guest->os), "%s", json_text(body, "os"));
    snprintf(guest->host_name, sizeof(guest->host_name), "%s", json_text(body, "host_name"));
    read_addresses(body, guest->addresses);
}
