/* SPDX-License-Identifier: MIT */
/*
 * Names of the worker's control protocol, version 2: states, reasons, methods
 * and error codes. README.md of this folder is the specification. Each table
 * has two functions: name (never NULL for a value of the enum) and parse.
 */
#ifndef PARENT_CONTROL_PROTOCOL_H
#define PARENT_CONTROL_PROTOCOL_H

#include <stdbool.h>

#define BH_CONTROL_PROTOCOL 2

/* Longest line in bytes, with its line feed. */
#define BH_CONTROL_LINE_MAX 65536u

/* Unread output for one client, in bytes, at which the worker disconnects it. */
#define BH_CONTROL_BACKLOG_MAX 1048576u

#define BH_CONTROL_REPLAY_MAX 1048576u

enum bh_vm_state {
    BH_VM_CREATED,
    BH_VM_RUNNING,
    BH_VM_PAUSED,
    BH_VM_STOPPING,
    BH_VM_STOPPED,
    BH_VM_FAILED,
    BH_VM_STATE_COUNT
};

enum bh_vm_reason {
    BH_REASON_REQUESTED,
    BH_REASON_GUEST_POWER_OFF,
    BH_REASON_GUEST_RESET,
    BH_REASON_GUEST_CRASH,
    BH_REASON_TRIPLE_FAULT,
    BH_REASON_GUEST_FAULT,
    BH_REASON_DEBUG_EXIT,
    BH_REASON_WORKER_ERROR,
    BH_REASON_COUNT
};

enum bh_control_method {
    BH_METHOD_STATUS,
    BH_METHOD_START,
    BH_METHOD_PAUSE,
    BH_METHOD_RESUME,
    BH_METHOD_RESET,
    BH_METHOD_POWER_OFF,
    BH_METHOD_SHUTDOWN,
    BH_METHOD_STATS,
    BH_METHOD_SET,
    BH_METHOD_DISK_ADD,
    BH_METHOD_DISK_REMOVE,
    BH_METHOD_NIC_ADD,
    BH_METHOD_NIC_REMOVE,
    BH_METHOD_NIC_SET,
    BH_METHOD_CD_INSERT,
    BH_METHOD_CD_EJECT,
    BH_METHOD_CONSOLE_ATTACH,
    BH_METHOD_COUNT
};

enum bh_control_error_code {
    BH_CONTROL_PARSE_ERROR,
    BH_CONTROL_INVALID_REQUEST,
    BH_CONTROL_UNKNOWN_METHOD,
    BH_CONTROL_INVALID_PARAMS,
    BH_CONTROL_INVALID_STATE,
    BH_CONTROL_NOT_SUPPORTED,
    BH_CONTROL_NOT_FOUND,
    BH_CONTROL_ALREADY_EXISTS,
    BH_CONTROL_RESOURCE,
    BH_CONTROL_INTERNAL,
    BH_CONTROL_ERROR_COUNT
};

const char *bh_vm_state_name(enum bh_vm_state state);
bool bh_vm_state_parse(const char *name, enum bh_vm_state *state);

const char *bh_vm_reason_name(enum bh_vm_reason reason);
bool bh_vm_reason_parse(const char *name, enum bh_vm_reason *reason);

const char *bh_control_method_name(enum bh_control_method method);
bool bh_control_method_parse(const char *name, enum bh_control_method *method);

const char *bh_control_error_name(enum bh_control_error_code code);
bool bh_control_error_parse(const char *name, enum bh_control_error_code *code);

/* Whether the method may be used in this state (the table "Methods" of README.md). */
bool bh_control_method_allowed(enum bh_control_method method, enum bh_vm_state state);

/* "running, paused": the states in which the method is allowed, for an error message. */
const char *bh_control_method_states(enum bh_control_method method);

#endif
