/* SPDX-License-Identifier: MIT */
/*
 * All VMs as they are now, in memory: states, workers, counters, consoles. What
 * must survive is written through the store in the order it happened.
 *
 * Lock order: the table's lock, then the store's. A worker is never talked to
 * with the table's lock held.
 */
#ifndef MGMTD_VMS_H
#define MGMTD_VMS_H

#include "mgmtd/console.h"
#include "mgmtd/operation.h"

enum vm_state {
    VM_STOPPED,
    VM_STARTING,
    VM_RUNNING,
    VM_PAUSING,
    VM_PAUSED,
    VM_STOPPING,
    VM_CRASHED,
    VM_UNKNOWN,
    VM_STATE_COUNT
};

enum vm_desired { VM_WANT_STOPPED, VM_WANT_RUNNING, VM_WANT_PAUSED, VM_DESIRED_COUNT };

#define VM_STATE_BIT(state) (1u << (state))

/* Changes of a VM that runs which its worker or guest sees at the next start only. */
enum vm_pending { VM_PENDING_NAME = 1, VM_PENDING_CLOUD_INIT = 2 };

#define VM_ADDRESSES_SIZE 256

/* What the guest tells of itself. None of it is to be relied upon. */
struct vm_guest {
    enum { VM_HEARTBEAT_NONE, VM_HEARTBEAT_OK, VM_HEARTBEAT_LOST } heartbeat;
    char os[128];
    char host_name[128];
    char addresses[VM_ADDRESSES_SIZE]; /* JSON texts with commas between */
};

/* The states in which a worker is there, or may be. */
#define VM_STATES_ACTIVE                                                               \
    (VM_STATE_BIT(VM_STARTING) | VM_STATE_BIT(VM_RUNNING) | VM_STATE_BIT(VM_PAUSING) | \
     VM_STATE_BIT(VM_PAUSED) | VM_STATE_BIT(VM_STOPPING) | VM_STATE_BIT(VM_UNKNOWN))

struct vm_restart {
    enum { RESTART_NEVER, RESTART_ON_FAILURE, RESTART_ALWAYS } policy;
    int64_t delay;         /* seconds before the first */
    int64_t maximum_delay; /* seconds */
    int64_t attempts;      /* in a row; 0: no limit */
};

/* A copy of what is known of one VM. */
struct vm_view {
    char id[UUID_SIZE];
    char name[NAME_SIZE];
    char tags[256];
    enum vm_state state;
    enum vm_state last_known; /* while the state is unknown */
    enum vm_desired desired;
    int64_t since;
    int64_t heard_at; /* when its worker was heard last; 0 without a worker */
    char reason[256];
    struct vm_guest guest;
    unsigned pending; /* bits of enum vm_pending */
    int pid;          /* of the worker, or of its keeper; 0: none */
    int64_t restarts;
    int64_t falls; /* of the worker, under its guest; -1: not known yet */
    int64_t processors;
    int64_t memory;
    int64_t memory_assigned;
    struct vm_restart restart;
    bool autostart;
    json_t *stats; /* newest counters of the worker, or NULL; a reference for vms_visit's time */
};

const char *vm_state_name(enum vm_state state);
const char *vm_desired_name(enum vm_desired desired);

struct vms *vms_start(struct daemon *daemon);

/* Reads all VMs. Then finds the workers that run, in the background. */
bool vms_load(struct vms *vms, char *message, size_t size);
bool vms_adopt(struct vms *vms);
void vms_stop(struct vms *vms);

/* A VM was made or changed: takes what the table needs of its document. */
void vms_put(struct vms *vms, const struct object *object);
void vms_remove(struct vms *vms, const char *id);

/* False when there is no such VM. view->stats is NULL. */
bool vms_get(struct vms *vms, const char *id, struct vm_view *view);
/*
 * Copies of all VMs, to look at without the table's lock; NULL without memory, or when there are
 * none. Their stats are references.
 */
struct vm_view *vms_copy(struct vms *vms, size_t *count);
void vms_copy_free(struct vm_view *views, size_t count);

void vms_visit(struct vms *vms, void (*visit)(void *context, const struct vm_view *vm),
               void *context);

/* Memory and processors that active VMs hold. */
struct vms_commitment {
    int64_t memory;
    int64_t processors;
    int64_t active;
    int64_t total;
};
void vms_committed(struct vms *vms, struct vms_commitment *commitment);

/* When the workers were heard last, for documents. */
void vms_observed(struct vms *vms, char text[TIME_SIZE]);

/* `,"desired_state":...,"status":{...` of a new VM: what object_write expects as tail. */
char *vm_first_tail(void);

/*
 * Sets the state and why, tells it in an event ("vm.running"), and writes it. An
 * operation may be named as its cause.
 */
void vms_set_state(struct vms *vms, const char *id, enum vm_state state, const char *reason,
                   const struct operation *operation);

/* Notes what of a running VM's change waits for the next start, and tells it in its status. */
void vms_set_pending(struct vms *vms, const char *id, unsigned pending);

/* What an operation wants from now on. It is written with the next state. */
void vms_set_desired(struct vms *vms, const char *id, enum vm_desired desired, bool forget_restarts,
                     const struct operation *operation);

/* Waits until the state is one of `states`, the time is over, or the operation is cancelled. */
bool vms_wait(struct vms *vms, const char *id, unsigned states, int timeout_ms,
              const struct operation *operation);

/* A user id for the VM's worker that no other active VM's has; 0: the daemon's own. */
unsigned vms_reserve_uid(struct vms *vms, const char *id);

/* The VM's run came to nothing: drops the connection to its worker, if there is one. */
void vms_give_up(struct vms *vms, const char *id);

/* A start that the restart policy asked for failed: it is tried again as if the VM had crashed. */
void vms_restart_later(struct vms *vms, const char *id);

/* --- Consoles --- */

/* -1: no such VM. */
ssize_t vms_console_read(struct vms *vms, const char *id, uint64_t offset, void *bytes, size_t size,
                         struct console_span *span);
/* The offset behind the last byte; 0: nothing was ever written. */
uint64_t vms_console_end(struct vms *vms, const char *id);
/* False: the VM does not run, or its guest does not read. */
bool vms_console_write(struct vms *vms, const char *id, const void *bytes, size_t size);

#endif
