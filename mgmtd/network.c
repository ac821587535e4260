/* SPDX-License-Identifier: MIT */
/* Networks as objects: checked, made on the host, deleted. And the taps of NICs. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/log.h"
#include "mgmtd/command.h"
#include "mgmtd/network.h"
#include "mgmtd/network_host.h"
#include "mgmtd/storage.h"

#define TAP_MS 10000

/* --- Checks --- */

struct overlap {
    const char *not_this;
    struct subnet wanted;
    char name[NAME_SIZE];
};

static bool look_for_overlap(void *context, const struct db_object *row)
{
    struct overlap *overlap = context;
    struct text whole = {0};
    struct subnet subnet;
    json_t *document;

    if (strcmp(row->id, overlap->not_this) == 0)
        return true;
    text_append(&whole, row->head, row->head_size);
    text_puts(&whole, "}");
    document = whole.failed ? NULL : json_loadb(whole.bytes, whole.size, 0, NULL);
    if (subnet_parse(json_text(document, "subnet"), &subnet) &&
        subnet_overlaps(&subnet, &overlap->wanted))
        snprintf(overlap->name, sizeof(overlap->name), "%s", row->name);
    json_decref(document);
    text_free(&whole);
    return !overlap->name[0];
}

static bool is_free(struct change *change, const struct subnet *subnet, char name[NAME_SIZE])
{
    struct overlap overlap = {.not_this = change->object.id, .wanted = *subnet};

    db_object_each(change->db, DB_NETWORK, look_for_overlap, &overlap);
    snprintf(name, NAME_SIZE, "%s", overlap.name);
    return !overlap.name[0];
}

/* Chooses 10.64.n.0/24 for a network that names no subnet. */
static bool choose_subnet(struct change *change, json_t *spec)
{
    char name[NAME_SIZE];
    char text[32];

    for (uint32_t n = 0; n < 256; n++) {
        struct subnet subnet = {.address = 0x0a400000u + (n << 8), .prefix = 24};

        if (!is_free(change, &subnet, name))
            continue;
        snprintf(text, sizeof(text), "10.64.%u.0/24", n);
        json_object_set_new(spec, "subnet", json_string(text));
        return true;
    }
    return false;
}

static void check_pool(const json_t *dhcp, const struct subnet *subnet, struct api_problem *problem)
{
    static const char *const ends[] = {"first", "last"};
    uint32_t addresses[2] = {0, UINT32_MAX};
    char pointer[32];

    for (int i = 0; i < 2; i++) {
        if (!json_object_get(dhcp, ends[i]))
            continue;
        snprintf(pointer, sizeof(pointer), "/dhcp/%s", ends[i]);
        if (!address_parse(json_text(dhcp, ends[i]), &addresses[i]) ||
            !subnet_holds(subnet, addresses[i]) || addresses[i] == subnet->address + 1)
            api_problem_point(problem, pointer,
                              "must be an address of the subnet, and not the host's own");
    }
    if (addresses[0] > addresses[1])
        api_problem_point(problem, "/dhcp/last", "must not be before the first");
}

static void check_routed(struct change *change, json_t *spec)
{
    struct api_problem *problem = &change->problem;
    struct subnet subnet;
    char name[NAME_SIZE];

    if (json_object_get(spec, "interface"))
        api_problem_point(problem, "/interface", "is for bridged networks only");
    if (!json_object_get(spec, "subnet") && !choose_subnet(change, spec)) {
        api_problem_point(problem, "/subnet", "no subnet is left to choose; give one");
        return;
    }
    if (!subnet_parse(json_text(spec, "subnet"), &subnet)) {
        api_problem_point(problem, "/subnet",
                          "must be an IPv4 network with a prefix from 8 to 30, such as "
                          "10.64.0.0/24");
        return;
    }
    if (!is_free(change, &subnet, name))
        api_problem_point(problem, "/subnet", "overlaps with the network %s", name);
    check_pool(json_object_get(spec, "dhcp"), &subnet, problem);
}

/* NICs of the host that a network could join, by comma. */
static void list_interfaces(char *text, size_t size)
{
    struct if_nameindex *all = if_nameindex();
    size_t used = 0;

    text[0] = '\0';
    for (struct if_nameindex *one = all; one && one->if_name; one++)
        if (strcmp(one->if_name, "lo") != 0 && strncmp(one->if_name, "bh", 2) != 0 &&
            used + strlen(one->if_name) + 3 < size)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", one->if_name);
    if (all)
        if_freenameindex(all);
}

static void check_interface(struct change *change, const json_t *spec)
{
    const char *name = json_text(spec, "interface");
    char others[256];

    if (!name[0]) {
        api_problem_point(&change->problem, "/interface", "is needed for a bridged network");
    } else if (if_nametoindex(name) == 0) {
        list_interfaces(others, sizeof(others));
        api_problem_point(&change->problem, "/interface", "the host has no NIC %s; it has: %s",
                          name, others[0] ? others : "none");
    }
}

/* `before`: the document as it was, or NULL. A NIC that is gone must not keep the rest from being
 * changed. */
static void check_bridged(struct change *change, const json_t *spec, const json_t *before)
{
    static const char *const routed[] = {"subnet", "dhcp", "dns"};
    char pointer[32];

    if (!before || json_differs(before, spec, "interface"))
        check_interface(change, spec);
    for (size_t i = 0; i < sizeof(routed) / sizeof(routed[0]); i++) {
        snprintf(pointer, sizeof(pointer), "/%s", routed[i]);
        if (json_object_get(spec, routed[i]))
            api_problem_point(&change->problem, pointer, "is not for bridged networks");
    }
}

static bool complete(struct change *change, json_t *spec, const json_t *before)
{
    if (!json_object_get(spec, "mtu"))
        json_object_set_new(spec, "mtu", json_integer(1500));
    if (strcmp(json_text(spec, "mode"), "bridged") == 0)
        check_bridged(change, spec, before);
    else
        check_routed(change, spec);
    if (!change->problem.errors)
        return true;
    change->problem.type = API_PROBLEM_INVALID_FIELDS;
    return false;
}

static bool write_labels(struct change *change)
{
    const struct object *object = &change->object;

    return (object_write_tags(change->db, object) &&
            db_label_set(change->db, object->id, "mode", json_text(object->document, "mode")) ==
                DB_OK) ||
           change_refuse(change, DB_FAILED);
}

/* --- Making --- */

bool network_plan_create(struct change *change)
{
    if (!complete(change, change->body, NULL))
        return false;
    object_set_status(&change->object, "creating", "");
    return change_insert(change) && write_labels(change);
}

bool network_plan_update(struct change *change)
{
    static const char *const fixed[] = {"mode", "subnet", "interface"};
    struct object *object = &change->object;
    json_t *before = json_deep_copy(object->document);
    char pointer[32];
    bool unused;
    bool done;

    json_merge(object->document, change->body);
    done = complete(change, object->document, before);
    unused = done && storage_unused(change);
    if (done && !unused)
        change->problem = (struct api_problem){.type = API_PROBLEM_NONE};
    for (size_t i = 0; done && !unused && i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        snprintf(pointer, sizeof(pointer), "/%s", fixed[i]);
        if (json_differs(before, object->document, fixed[i]))
            api_problem_point(&change->problem, pointer, "cannot change while VMs use the network");
    }
    if (done && change->problem.errors) {
        api_problem_set(&change->problem, API_PROBLEM_NOT_CHANGEABLE,
                        "Remove the network from its VMs first.");
        done = false;
    }
    change->deferred = json_differs(before, object->document, "mode") ||
                       json_differs(before, object->document, "subnet") ||
                       json_differs(before, object->document, "interface") ||
                       json_differs(before, object->document, "dhcp") ||
                       json_differs(before, object->document, "dns") ||
                       json_differs(before, object->document, "mtu");
    if (done && change->deferred) {
        object_set_status(object, "creating", "");
        change->arguments = json_pack("{s:O}", "before", before);
    }
    json_decref(before);
    return done && change_update(change) && write_labels(change);
}

static bool load(struct operation *operation, struct object *network)
{
    struct db *db = store_reader(operation->daemon->store);

    *network = (struct object){.kind = DB_NETWORK};
    if (db && object_load(network, db, DB_NETWORK, "", operation->object_id) == DB_OK)
        return true;
    return operation_fail(operation, API_PROBLEM_NOT_FOUND, "The network is gone.");
}

bool network_run_make(struct operation *operation)
{
    const json_t *before = json_object_get(operation->arguments, "before");
    const char *run = operation->daemon->options.run;
    char problem[600] = "";
    struct object network;
    bool done;

    if (!load(operation, &network))
        return false;
    if (before && (json_differs(before, network.document, "mode") ||
                   json_differs(before, network.document, "interface") ||
                   json_differs(before, network.document, "subnet")))
        network_down(run, &network, problem, sizeof(problem));
    done = network_up(run, &network, problem, sizeof(problem));
    object_release(&network);
    return done || operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                  "The network cannot be made on the host: %s", problem);
}

bool network_finish_make(struct operation *operation, struct db *db, struct journal *journal,
                         bool succeeded)
{
    struct object network = {.kind = DB_NETWORK};
    struct text more = {0};
    char bridge[16];
    bool done;

    snprintf(network.id, sizeof(network.id), "%s", operation->object_id);
    network_bridge(&network, bridge);
    text_member(&more, "bridge", bridge);
    if (!succeeded)
        text_member(&more, "reason", operation->problem.detail);
    done =
        !more.failed && storage_set_status(operation, db, journal, DB_NETWORK, operation->object_id,
                                           succeeded ? "ready" : "failed", more.bytes);
    text_free(&more);
    return done;
}

bool network_plan_delete(struct change *change)
{
    return storage_unused(change);
}

bool network_run_delete(struct operation *operation)
{
    char problem[600] = "";
    struct object network;
    bool done;

    if (!load(operation, &network))
        return false;
    done = network_down(operation->daemon->options.run, &network, problem, sizeof(problem)) ||
           strcmp(network.state, "failed") == 0;
    object_release(&network);
    return done || operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                  "The network cannot be removed from the host: %s", problem);
}

static bool collect_ready(void *context, const struct db_object *row)
{
    if (strcmp(row->state, "ready") == 0)
        json_array_append_new(context, json_string(row->id));
    return true;
}

static void restore(struct daemon *daemon, struct db *db, const char *id)
{
    char problem[600] = "";
    struct object network;

    if (object_load(&network, db, DB_NETWORK, "", id) == DB_OK &&
        !network_up(daemon->options.run, &network, problem, sizeof(problem)))
        log_write(LOG_LEVEL_ERROR, "a network cannot be made", "network", network.name, "detail",
                  problem, NULL);
    object_release(&network);
}

void networks_restore(struct daemon *daemon)
{
    struct db *db = store_reader(daemon->store);
    json_t *ids = json_array();
    const json_t *id;
    size_t index;

    if (db && ids)
        db_object_each(db, DB_NETWORK, collect_ready, ids);
    json_array_foreach(ids, index, id)
    {
        restore(daemon, db, json_string_value(id));
    }
    json_decref(ids);
}

/* --- Taps --- */

static bool ip(char *problem, size_t size, const char *const *arguments)
{
    struct command command = {.arguments = arguments, .timeout_ms = TAP_MS};

    return command_run(&command, problem, size);
}

bool network_tap_make(struct daemon *daemon, const struct object *network,
                      const struct network_tap *tap, char *problem, size_t size)
{
    char bridge[16];
    char mtu[16];

    (void)daemon;
    network_bridge(network, bridge);
    snprintf(mtu, sizeof(mtu), "%lld", (long long)json_number(network->document, "mtu", 1500));
    if (if_nametoindex(tap->name) == 0 &&
        !ip(problem, size,
            (const char *const[]){"ip", "tuntap", "add", "dev", tap->name, "mode", "tap",
                                  tap->several_queues ? "multi_queue" : NULL, NULL}))
        return false;
    return ip(problem, size,
              (const char *const[]){"ip", "link", "set", "dev", tap->name, "mtu", mtu, "master",
                                    bridge, "up", NULL});
}

void network_tap_remove(struct daemon *daemon, const char *tap)
{
    char problem[256];

    (void)daemon;
    if (if_nametoindex(tap) != 0)
        ip(problem, sizeof(problem),
           (const char *const[]){"ip", "link", "delete", "dev", tap, NULL});
}
