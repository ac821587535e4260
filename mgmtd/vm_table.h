/* SPDX-License-Identifier: MIT */
/*
 * Private to vms.c, vm_status.c, supervisor.c, attach.c, adopt.c and console_join.c: the table and
 * its entries. All fields of an entry are protected by the table's lock, but `client` belongs to
 * the supervisor's thread once it is set.
 */
#ifndef MGMTD_VM_TABLE_H
#define MGMTD_VM_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "mgmtd/vms.h"
#include "parent/control/client.h"

/* Who made a state change, for its event. */
struct vm_cause {
    char actor[96];
    char operation[UUID_SIZE];
    char request_id[72];
};

struct vm {
    struct vm_view view;
    struct vm_cause cause;   /* of the request that the worker was sent last */
    unsigned uid;            /* of its worker; 0: the daemon's own */
    bool desired_changed;    /* and is not written yet */
    struct console *console; /* opened when first needed */
    uint64_t scrollback;
    struct bh_control_client *client;
    int console_fd;
    uint64_t console_known; /* bytes still to come from it that the scrollback has */
    int pid_fd;
    int64_t stats_id;      /* of the request that is under way, or -1 */
    int64_t status_id;     /* the same */
    int missed;            /* sweeps without an answer */
    int64_t restart_at;    /* time_monotonic; 0: no restart is due */
    int64_t started_at;    /* time_monotonic of the last start */
    int64_t quick_ends;    /* ends in a row, each soon after its start */
    bool ended;            /* the worker said that the VM stopped */
    bool give_up;          /* the supervisor is to drop the connection */
    bool guest_changed;    /* and is not told yet */
    int64_t guest_told_at; /* time_monotonic */
    bool removed;
    struct vm *next_removed;
};

struct vms {
    struct daemon *daemon;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    void *tree;      /* of struct vm by id */
    int64_t seen_at; /* what is known of all VMs was true then */

    pthread_t thread; /* the supervisor's */
    pthread_t adopter;
    bool adopting;
    int epoll;
    int wake;
    atomic_bool stopping;
    struct vm *removed; /* entries the supervisor may free */
    int *dying;         /* workers that said goodbye; the supervisor's own */
    size_t dying_count;
};

/* Locked. */
struct vm *vms_find(struct vms *vms, const char *id);

/* Locked. Writes the entry's state to the database, with an event. cause NULL: the system. */
void vms_publish(struct vms *vms, struct vm *vm, const char *type, const struct vm_cause *cause);
void vms_change_state(struct vms *vms, struct vm *vm, enum vm_state state, const char *reason,
                      const struct vm_cause *cause);

/* Locked. Takes the status of a document that an earlier daemon wrote. */
void vm_status_read(struct vm *vm, const struct object *object);

/* Closes a descriptor of an entry, which takes it off the supervisor's epoll as well. */
void vm_drop_fd(int *fd);

/* Locked. The console, opened. NULL when it cannot be. */
struct console *vms_console(struct vms *vms, struct vm *vm);

#endif
