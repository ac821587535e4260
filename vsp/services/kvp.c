/* SPDX-License-Identifier: MIT */
/*
 * What the guest says of itself, pair by pair: a daemon in the guest (in Debian,
 * of the package hyperv-daemons) numbers its pairs from 0 on. Until that daemon
 * runs the guest does not answer at all, which is no fault.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "vsp/services/services_parts.h"
#include "vsp/services/utf16.h"

#define INTERVAL  (15 * BH_SECOND)
#define PAIRS_MAX 64u

static struct bh_kvp *kvp_of(struct bh_component *component)
{
    return (struct bh_kvp *)component;
}

static uint64_t due(const struct bh_component *component)
{
    return ((const struct bh_kvp *)component)->next;
}

static void ask(struct bh_component *component, uint64_t now, uint8_t *body)
{
    struct bh_kvp *kvp = kvp_of(component);
    const struct ic_kvp_enumerate request = {
        .operation = IC_KVP_ENUMERATE, .pool = IC_KVP_POOL_AUTO, .index = kvp->index};

    memcpy(body, &request, sizeof(request));
    kvp->next = now + INTERVAL; /* unless there is another pair */
}

/* --- pairs -------------------------------------------------------------------------------- */

static void add_address(struct bh_guest_info *info, const char *text)
{
    unsigned char binary[16];
    int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

    if (info->address_count < BH_GUEST_ADDRESSES_MAX && inet_pton(family, text, binary) == 1 &&
        inet_ntop(family, binary, info->address[info->address_count], 48) != NULL)
        info->address_count++;
}

/* Addresses are separated by semicolons; what is none is left out. */
static void add_addresses(struct bh_guest_info *info, char *value)
{
    char *rest = value;
    char *address;

    while ((address = strsep(&rest, ";")) != NULL)
        add_address(info, address);
}

static void note_pair(struct bh_kvp *kvp, const char *key, char *value)
{
    if (strcmp(key, "FullyQualifiedDomainName") == 0)
        (void)snprintf(kvp->found.host_name, sizeof(kvp->found.host_name), "%.255s", value);
    else if (strcmp(key, "OSName") == 0)
        (void)snprintf(kvp->os_name, sizeof(kvp->os_name), "%.63s", value);
    else if (strcmp(key, "OSVersion") == 0)
        (void)snprintf(kvp->os_version, sizeof(kvp->os_version), "%.63s", value);
    else if (strcmp(key, "NetworkAddressIPv4") == 0 || strcmp(key, "NetworkAddressIPv6") == 0)
        add_addresses(&kvp->found, value);
}

static void begin_round(struct bh_kvp *kvp)
{
    kvp->index = 0;
    memset(&kvp->found, 0, sizeof(kvp->found));
    kvp->os_name[0] = '\0';
    kvp->os_version[0] = '\0';
}

static void end_round(struct bh_kvp *kvp)
{
    struct bh_services *services = bh_services_of(&kvp->component);

    (void)snprintf(kvp->found.os, sizeof(kvp->found.os), "%s%s%s", kvp->os_name,
                   kvp->os_name[0] != '\0' && kvp->os_version[0] != '\0' ? " " : "",
                   kvp->os_version);
    kvp->found.heartbeat = services->guest.heartbeat;
    bh_services_note(services, &kvp->found);
    begin_round(kvp);
}

static uint32_t at_most(uint32_t size, uint32_t limit)
{
    return size < limit ? size : limit;
}

static void answered(struct bh_component *component, uint64_t now, uint32_t status,
                     const uint8_t *body)
{
    struct bh_kvp *kvp = kvp_of(component);
    struct ic_kvp_enumerate answer;
    char key[IC_KVP_KEY_SIZE * 3 / 2 + 1];
    char value[IC_KVP_VALUE_SIZE * 3 / 2 + 1];

    (void)now;
    if (status != IC_STATUS_OK) {
        if (status == IC_STATUS_NO_MORE)
            end_round(kvp);
        else
            begin_round(kvp);
        return;
    }
    memcpy(&answer, body, sizeof(answer));
    bh_utf16_to_text(answer.pair.key, at_most(answer.pair.key_size, IC_KVP_KEY_SIZE), key,
                     sizeof(key));
    bh_utf16_to_text(answer.pair.value, at_most(answer.pair.value_size, IC_KVP_VALUE_SIZE), value,
                     sizeof(value));
    note_pair(kvp, key, value);
    if (++kvp->index == PAIRS_MAX)
        end_round(kvp);
    else
        kvp->next = 0;
}

/* What a guest has said is gone with it. */
static void changed(struct bh_component *component, uint64_t now, bool ready)
{
    struct bh_services *services = bh_services_of(component);
    struct bh_kvp *kvp = kvp_of(component);
    struct bh_guest_info info;

    (void)now;
    begin_round(kvp);
    kvp->next = 0;
    if (ready)
        return;
    memset(&info, 0, sizeof(info));
    info.heartbeat = services->guest.heartbeat;
    bh_services_note(services, &info);
}

static const struct ic_version versions[] = {{4, 0}, {3, 0}, {1, 0}};

const struct bh_component_kind bh_kvp_kind = {
    .name = "kvp",
    .class = VMBUS_CLASS_KVP,
    .type = IC_KVP,
    .versions = versions,
    .version_count = sizeof(versions) / sizeof(versions[0]),
    .body_size = IC_KVP_BODY_SIZE,
    .due = due,
    .ask = ask,
    .answered = answered,
    .changed = changed,
};
