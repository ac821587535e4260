/* SPDX-License-Identifier: MIT */
#include "parent/control/protocol.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[BH_VM_STATE_COUNT] = {
    [BH_VM_CREATED] = "created",   [BH_VM_RUNNING] = "running", [BH_VM_PAUSED] = "paused",
    [BH_VM_STOPPING] = "stopping", [BH_VM_STOPPED] = "stopped", [BH_VM_FAILED] = "failed",
};

static const char *const reason_names[BH_REASON_COUNT] = {
    [BH_REASON_REQUESTED] = "requested",       [BH_REASON_GUEST_POWER_OFF] = "guest_power_off",
    [BH_REASON_GUEST_RESET] = "guest_reset",   [BH_REASON_GUEST_CRASH] = "guest_crash",
    [BH_REASON_TRIPLE_FAULT] = "triple_fault", [BH_REASON_GUEST_FAULT] = "guest_fault",
    [BH_REASON_DEBUG_EXIT] = "debug_exit",     [BH_REASON_WORKER_ERROR] = "worker_error",
};

static const char *const error_names[BH_CONTROL_ERROR_COUNT] = {
    [BH_CONTROL_PARSE_ERROR] = "parse_error",
    [BH_CONTROL_INVALID_REQUEST] = "invalid_request",
    [BH_CONTROL_UNKNOWN_METHOD] = "unknown_method",
    [BH_CONTROL_INVALID_PARAMS] = "invalid_params",
    [BH_CONTROL_INVALID_STATE] = "invalid_state",
    [BH_CONTROL_NOT_SUPPORTED] = "not_supported",
    [BH_CONTROL_NOT_FOUND] = "not_found",
    [BH_CONTROL_ALREADY_EXISTS] = "already_exists",
    [BH_CONTROL_RESOURCE] = "resource",
    [BH_CONTROL_INTERNAL] = "internal",
};

#define IN(state)    (1u << (state))
#define IN_ANY       (IN(BH_VM_STATE_COUNT) - 1u)
#define BEFORE_END   (IN(BH_VM_CREATED) | IN(BH_VM_RUNNING) | IN(BH_VM_PAUSED))
#define STARTED      (IN(BH_VM_RUNNING) | IN(BH_VM_PAUSED) | IN(BH_VM_STOPPING))
#define BEFORE_TEXT  "created, running, paused"
#define STARTED_TEXT "running, paused, stopping"

struct method {
    const char *name;
    unsigned states;
    const char *states_text;
};

static const struct method methods[BH_METHOD_COUNT] = {
    [BH_METHOD_STATUS] = {"status", IN_ANY, "any"},
    [BH_METHOD_START] = {"start", IN(BH_VM_CREATED), "created"},
    [BH_METHOD_PAUSE] = {"pause", IN(BH_VM_RUNNING), "running"},
    [BH_METHOD_RESUME] = {"resume", IN(BH_VM_PAUSED), "paused"},
    [BH_METHOD_RESET] = {"reset", STARTED, STARTED_TEXT},
    [BH_METHOD_POWER_OFF] = {"power_off", IN_ANY, "any"},
    [BH_METHOD_SHUTDOWN] = {"shutdown", IN(BH_VM_RUNNING), "running"},
    [BH_METHOD_STATS] = {"stats", IN_ANY, "any"},
    [BH_METHOD_SET] = {"set", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_DISK_ADD] = {"disk_add", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_DISK_REMOVE] = {"disk_remove", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_NIC_ADD] = {"nic_add", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_NIC_REMOVE] = {"nic_remove", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_NIC_SET] = {"nic_set", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_CD_INSERT] = {"cd_insert", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_CD_EJECT] = {"cd_eject", BEFORE_END, BEFORE_TEXT},
    [BH_METHOD_CONSOLE_ATTACH] = {"console_attach", IN_ANY, "any"},
};

/* The index of `name` in the table, or -1. */
static int find(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0)
            return (int)i;
    }
    return -1;
}

const char *bh_vm_state_name(enum bh_vm_state state)
{
    return state_names[state];
}

bool bh_vm_state_parse(const char *name, enum bh_vm_state *state)
{
    int index = find(state_names, BH_VM_STATE_COUNT, name);

    if (index >= 0)
        *state = (enum bh_vm_state)index;
    return index >= 0;
}

const char *bh_vm_reason_name(enum bh_vm_reason reason)
{
    return reason_names[reason];
}

bool bh_vm_reason_parse(const char *name, enum bh_vm_reason *reason)
{
    int index = find(reason_names, BH_REASON_COUNT, name);

    if (index >= 0)
        *reason = (enum bh_vm_reason)index;
    return index >= 0;
}

const char *bh_control_error_name(enum bh_control_error_code code)
{
    return error_names[code];
}

bool bh_control_error_parse(const char *name, enum bh_control_error_code *code)
{
    int index = find(error_names, BH_CONTROL_ERROR_COUNT, name);

    if (index >= 0)
        *code = (enum bh_control_error_code)index;
    return index >= 0;
}

const char *bh_control_method_name(enum bh_control_method method)
{
    return methods[method].name;
}

bool bh_control_method_parse(const char *name, enum bh_control_method *method)
{
    for (unsigned i = 0; i < BH_METHOD_COUNT; i++) {
        if (strcmp(methods[i].name, name) == 0) {
            *method = (enum bh_control_method)i;
            return true;
        }
    }
    return false;
}

bool bh_control_method_allowed(enum bh_control_method method, enum bh_vm_state state)
{
    return (methods[method].states & IN(state)) != 0;
}

const char *bh_control_method_states(enum bh_control_method method)
{
    return methods[method].states_text;
}
