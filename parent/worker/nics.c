/* SPDX-License-Identifier: MIT */
#include "parent/worker/nics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parent/control/open.h"
#include "vsp/network/nic.h"

struct bh_nics {
    char vm[sizeof(((struct bh_vm_config *)0)->id)];
    uint32_t vps;
    struct bh_vmbus *vmbus;
    struct bh_added added;
    uint32_t count;
    struct bh_nic_config config[BH_CONFIG_NICS_MAX];
    struct bh_nic *nic[BH_CONFIG_NICS_MAX];
};
_Static_assert(BH_CONFIG_NIC_QUEUES_MAX == BH_NIC_QUEUES_MAX, "what may be configured exists");
_Static_assert(BH_CONFIG_NIC_MTU_MAX == BH_NIC_MTU_MAX, "what may be configured exists");

static bool refuse(struct bh_control_error *error, enum bh_control_error_code code,
                   const char *field, const char *id, const char *text)
{
    return bh_control_error_set(error, code, field, "NIC %s: %s", id, text);
}

/* Its place, -1: there is none. */
static int look_up(const struct bh_nics *nics, const char *id)
{
    for (uint32_t i = 0; i < nics->count; i++)
        if (strcmp(nics->config[i].id, id) == 0)
            return (int)i;
    return -1;
}

static int find(const struct bh_nics *nics, const char *id, struct bh_control_error *error)
{
    int found = look_up(nics, id);

    if (found < 0)
        (void)refuse(error, BH_CONTROL_NOT_FOUND, "id", id, "there is none of this id.");
    return found;
}

/* --- changes ------------------------------------------------------------------------------ */

/* Of the guest's channels, each gets a queue of the tap; more than one a VP it does not open. */
static uint32_t useful_queues(const struct bh_nics *nics, const struct bh_nic_config *config)
{
    return config->queues < nics->vps ? config->queues : nics->vps;
}

/* Closes what is not useful; says so when there are too few. */
static void fit_queues(const struct bh_nics *nics, const struct bh_nic_config *config,
                       struct bh_fds *fds)
{
    uint32_t useful = useful_queues(nics, config);

    bh_fds_close_from(fds, useful);
    if (fds->count < useful)
        bh_vmbus_log(
            nics->vmbus,
            "NIC %s: the tap %s gives %u of the %u queues that the guest can use; one made "
            "with multi_queue gives all.",
            config->id, config->tap, fds->count, useful);
}

static struct bh_nic *make(struct bh_nics *nics, const struct bh_nic_config *config,
                           const struct bh_fds *fds)
{
    struct bh_nic_options options = {
        .mtu = config->mtu,
        .queues = config->queues,
        .trusted = config->trusted,
        .transmit_rate = config->transmit_bytes_per_second,
        .receive_rate = config->receive_bytes_per_second,
    };
    struct bh_nic_place place = {
        .bus = nics->vmbus, .taps = fds->fd, .tap_count = fds->count, .clock = bh_loop_now};
    char instance[sizeof(config->id) + 4];

    (void)snprintf(options.name, sizeof(options.name), "%s", config->id);
    (void)snprintf(instance, sizeof(instance), "nic:%s", config->id);
    memcpy(options.mac, config->mac, sizeof(options.mac));
    place.instance = bh_vmbus_instance(nics->vm, instance);
    return bh_nic_create(&options, &place);
}

static bool is_free(const struct bh_nics *nics, const char *id, struct bh_control_error *error)
{
    if (look_up(nics, id) >= 0)
        return refuse(error, BH_CONTROL_ALREADY_EXISTS, "nic.id", id, "the id is taken.");
    return nics->count < BH_CONFIG_NICS_MAX ||
           refuse(error, BH_CONTROL_RESOURCE, NULL, id, "the VM has all 8 NICs it can have.");
}

static void write_down(const struct bh_nics *nics)
{
    nics->added.write_down(nics->added.context);
}

/* The last one of the configuration, as its device. */
static bool show(struct bh_nics *nics, const struct bh_fds *fds, struct bh_control_error *error)
{
    const struct bh_nic_config *config = &nics->config[nics->count - 1];
    struct bh_nic *nic = make(nics, config, fds);

    if (nic == NULL)
        return refuse(error, BH_CONTROL_RESOURCE, NULL, config->id,
                      "the worker lacks memory, descriptors or a place on the guest's bus.");
    bh_nic_set_link(nic, config->link_up);
    nics->nic[nics->count - 1] = nic;
    return true;
}

bool bh_nics_put_in(struct bh_nics *nics, const struct bh_nic_config *config, struct bh_fds fds,
                    struct bh_control_error *error)
{
    if (!is_free(nics, config->id, error)) {
        bh_fds_close(&fds);
        return false;
    }
    fit_queues(nics, config, &fds);
    nics->config[nics->count++] = *config;
    if (show(nics, &fds, error))
        return true;
    nics->count--;
    return false;
}

/* Has the queues of its tap kept, so that they outlive this worker. */
static bool keep(const struct bh_nics *nics, struct bh_nic_config *config, const struct bh_fds *fds,
                 struct bh_control_error *error)
{
    struct bh_added_places places = {{0}};
    struct bh_error reason;

    for (uint32_t i = 0; i < nics->count; i++)
        bh_added_place_take(&places, nics->config[i].kept);
    config->kept = bh_added_keep_nic(&nics->added, &places, fds, &reason);
    return config->kept != 0 || refuse(error, BH_CONTROL_RESOURCE, NULL, config->id, reason.text);
}

bool bh_nics_add(struct bh_nics *nics, const struct bh_nic_config *config, struct bh_fds fds,
                 struct bh_control_error *error)
{
    struct bh_nic_config added = *config;

    if (!is_free(nics, config->id, error)) {
        bh_fds_close(&fds);
        return false;
    }
    fit_queues(nics, config, &fds);
    if (!keep(nics, &added, &fds, error)) {
        bh_fds_close(&fds);
        return false;
    }
    nics->config[nics->count++] = added;
    write_down(nics);
    if (show(nics, &fds, error))
        return true;
    nics->count--;
    write_down(nics);
    bh_added_forget_nic(nics->added.kept, added.kept);
    return false;
}

bool bh_nics_remove(struct bh_nics *nics, const char *id, struct bh_control_error *error)
{
    int found = find(nics, id, error);
    uint32_t kept;

    if (found < 0)
        return false;
    kept = nics->config[found].kept;
    bh_nic_destroy(nics->nic[found]);
    nics->count--;
    for (uint32_t i = (uint32_t)found; i < nics->count; i++) {
        nics->nic[i] = nics->nic[i + 1];
        nics->config[i] = nics->config[i + 1];
    }
    write_down(nics);
    bh_added_forget_nic(nics->added.kept, kept);
    return true;
}

static uint64_t rate_of(const json_t *params, const char *name, uint64_t otherwise)
{
    const json_t *value = json_object_get(params, name);

    return value != NULL ? (uint64_t)json_integer_value(value) : otherwise;
}

bool bh_nics_set(struct bh_nics *nics, const json_t *params, struct bh_control_error *error)
{
    const json_t *link_up = json_object_get(params, "link_up");
    int found = find(nics, json_string_value(json_object_get(params, "id")), error);
    struct bh_nic_config *config;

    if (found < 0)
        return false;
    config = &nics->config[found];
    config->transmit_bytes_per_second =
        rate_of(params, "transmit_bytes_per_second", config->transmit_bytes_per_second);
    config->receive_bytes_per_second =
        rate_of(params, "receive_bytes_per_second", config->receive_bytes_per_second);
    bh_nic_set_rates(nics->nic[found], config->transmit_bytes_per_second,
                     config->receive_bytes_per_second);
    if (link_up != NULL) {
        config->link_up = json_is_true(link_up);
        bh_nic_set_link(nics->nic[found], config->link_up);
    }
    return true;
}

void bh_nics_get_config(const struct bh_nics *nics, struct bh_vm_config *config)
{
    config->nic_count = nics->count;
    memcpy(config->nic, nics->config, sizeof(nics->config));
}

/* --- reports ------------------------------------------------------------------------------ */

json_t *bh_nics_status(const struct bh_nics *nics)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < nics->count; i++) {
        const struct bh_nic_config *config = &nics->config[i];
        const uint8_t *m = config->mac;
        char mac[18];

        (void)snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3],
                       m[4], m[5]);
        json_array_append_new(
            array, json_pack("{s:s, s:s, s:i, s:s, s:b, s:b}", "id", config->id, "tap", config->tap,
                             "tap_queues", (int)bh_nic_get_tap_queues(nics->nic[i]), "mac", mac,
                             "attached", 1, "link_up", bh_nic_link(nics->nic[i])));
    }
    return array;
}

static json_t *queues_json(const struct bh_nic_queue_stats *stats, uint32_t count)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(array,
                              json_pack("{s:I, s:I}", "rx_packets", (json_int_t)stats[i].rx_packets,
                                        "tx_packets", (json_int_t)stats[i].tx_packets));
    return array;
}

json_t *bh_nics_stats(const struct bh_nics *nics)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < nics->count; i++) {
        const struct bh_nic_stats *stats = bh_nic_get_stats(nics->nic[i]);

        json_array_append_new(
            array,
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "id",
                      nics->config[i].id, "rx_packets", (json_int_t)stats->rx_packets, "tx_packets",
                      (json_int_t)stats->tx_packets, "rx_bytes", (json_int_t)stats->rx_bytes,
                      "tx_bytes", (json_int_t)stats->tx_bytes, "rx_dropped",
                      (json_int_t)stats->rx_dropped, "tx_dropped", (json_int_t)stats->tx_dropped,
                      "tx_spoofed", (json_int_t)stats->tx_spoofed, "queues",
                      queues_json(stats->queue, nics->config[i].queues), "tap_queues",
                      queues_json(stats->tap, bh_nic_get_tap_queues(nics->nic[i]))));
    }
    return array;
}

/* --- life --------------------------------------------------------------------------------- */

static bool add_all(struct bh_nics *nics, const struct bh_vm_config *config,
                    struct bh_control_error *error)
{
    for (uint32_t i = 0; i < config->nic_count; i++) {
        const struct bh_nic_config *nic = &config->nic[i];
        struct bh_fds fds;

        if (!bh_control_open_tap(nic->tap, useful_queues(nics, nic), &fds, error) ||
            !bh_nics_put_in(nics, nic, fds, error))
            return false;
    }
    return true;
}

struct bh_nics *bh_nics_create(const struct bh_vm_config *config, struct bh_vmbus *vmbus,
                               const struct bh_added *added, struct bh_control_error *error)
{
    struct bh_nics *nics = calloc(1, sizeof(*nics));

    if (nics == NULL) {
        (void)refuse(error, BH_CONTROL_RESOURCE, NULL, "any", "the worker lacks memory.");
        return NULL;
    }
    (void)snprintf(nics->vm, sizeof(nics->vm), "%s", config->id);
    nics->vps = config->vps;
    nics->vmbus = vmbus;
    nics->added = *added;
    if (add_all(nics, config, error))
        return nics;
    bh_nics_destroy(nics);
    return NULL;
}

void bh_nics_destroy(struct bh_nics *nics)
{
    if (nics == NULL)
        return;
    for (uint32_t i = 0; i < nics->count; i++)
        bh_nic_destroy(nics->nic[i]);
    free(nics);
}
