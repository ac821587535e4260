/* SPDX-License-Identifier: MIT */
#include "api/cli/kinds.h"

#define LIST                                                                    \
    {                                                                           \
        "list", VERB_LIST, "[COLUMN=VALUE,...]  list them, or those that match" \
    }
#define SHOW                                \
    {                                       \
        "show", VERB_SHOW, "NAME  show one" \
    }
#define CREATE                                                   \
    {                                                            \
        "create", VERB_CREATE, "NAME FIELD=VALUE...  create one" \
    }
#define SET                                                                 \
    {                                                                       \
        "set", VERB_SET, "NAME FIELD=VALUE...  change fields; null removes" \
    }
#define DELETE                                   \
    {                                            \
        "delete", VERB_DELETE, "NAME...  delete" \
    }
#define END                   \
    {                         \
        NULL, VERB_LIST, NULL \
    }

static const struct verb vm_verbs[] = {
    LIST,
    SHOW,
    CREATE,
    SET,
    DELETE,
    {"start", VERB_ACTION, "NAME...  start"},
    {"shutdown", VERB_ACTION, "NAME... [force_after=SECONDS]  ask the guest to shut down"},
    {"poweroff", VERB_ACTION, "NAME...  stop at once"},
    {"reset", VERB_ACTION, "NAME...  restart at once"},
    {"pause", VERB_ACTION, "NAME...  stop the processors"},
    {"resume", VERB_ACTION, "NAME...  let them run again"},
    {"clone", VERB_CLONE, "NAME NEW [FIELD=VALUE...]  copy a stopped VM with its disks"},
    END};
static const struct verb common_verbs[] = {LIST, SHOW, CREATE, SET, DELETE, END};
static const struct verb snapshot_verbs[] = {
    {"list", VERB_LIST, "[VM] [COLUMN=VALUE,...]  list a VM's, or all"},
    {"show", VERB_SHOW, "VM NAME  show one"},
    {"create", VERB_CREATE, "VM NAME [FIELD=VALUE...]  save the disks of a stopped VM"},
    {"delete", VERB_DELETE, "VM NAME...  delete"},
    {"revert", VERB_ACTION, "VM NAME  put the disks back"},
    END};
static const struct verb token_verbs[] = {LIST, SHOW, CREATE, DELETE, END};
static const struct verb host_verbs[] = {
    LIST, SHOW, {"rotate-ca", VERB_ACTION, "NAME  begin a new certificate authority"}, END};
static const struct verb operation_verbs[] = {
    LIST, SHOW, {"cancel", VERB_ACTION, "UUID...  cancel"}, END};

const struct kind kinds[] = {
    {"vm", "/v1/vms",
     "NAME=name,STATE=status.state,CPUS=processors.count,MEMORY=memory.size,ADDRESSES=status."
     "addresses,TAGS=tags,UUID=uuid",
     vm_verbs},
    {"disk", "/v1/disks",
     "NAME=name,STATE=status.state,SIZE=size,ALLOCATED=status.allocated,FORMAT=format,IMAGE=image,"
     "UUID=uuid",
     common_verbs},
    {"image", "/v1/images",
     "NAME=name,STATE=status.state,KIND=kind,FORMAT=format,SIZE=status.size,RECEIVED=status."
     "received,UUID=uuid",
     common_verbs},
    {"network", "/v1/networks",
     "NAME=name,STATE=status.state,MODE=mode,SUBNET=subnet,BRIDGE=status.bridge,LEASES=status."
     "leases,UUID=uuid",
     common_verbs},
    {"snapshot", "/v1/vms/%s/snapshots",
     "NAME=name,STATE=status.state,SIZE=status.size,CREATED=created_at,DESCRIPTION=description,"
     "UUID=uuid,VM=vm",
     snapshot_verbs},
    {"host", "/v1/hosts",
     "NAME=name,STATE=status.state,VERSION=version,CPUS=status.processors,MEMORY=status.memory_"
     "total,FREE=status.memory_free,RUNNING=status.vms_running,VMS=status.vms_total",
     host_verbs},
    {"operation", "/v1/operations",
     "UUID=uuid,KIND=kind,OBJECT=object.name,STATE=state,PROGRESS=progress,ACTOR=actor,CREATED="
     "created_at",
     operation_verbs},
    {"user", "/v1/users", "NAME=name,ROLE=role,DESCRIPTION=description,UUID=uuid", common_verbs},
    {"token", "/v1/tokens",
     "NAME=name,USER=user,ROLE=role,VM=vm,EXPIRES=expires_at,LAST USED=last_used_at,UUID=uuid",
     token_verbs},
};
const size_t kind_count = sizeof kinds / sizeof kinds[0];
