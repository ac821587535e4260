/* SPDX-License-Identifier: MIT */
#include "tests/model/lifecycle.h"

#include "hv/abi/partition.h"
#include "hv/abi/port.h"

/* ---- what must be refused in every state ---- */

static void must_refuse(struct machine_answer answer, const char *rule)
{
    machine_require(answer.finished && answer.status != HV_STATUS_SUCCESS, rule);
}

static void refuse_ids(void)
{
    const uint64_t ids[] = {HV_PARTITION_ID_SELF,
                            PARTITION_PARENT,
                            PARTITION_NONE,
                            child[0].exists ? PARTITION_MAX : id_of(0),
                            child[1].exists ? PARTITION_MAX - 1 : id_of(1),
                            id_of(CHILDREN),
                            id_of(0) | 1ull << 32,
                            id_of(0) | 1ull << 63};

    for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
        for (enum verb verb = 0; verb < VERBS; verb++) {
            if (verb != DELETE_PORT) {
                must_refuse(call(verb, ids[i], 3),
                            "a call on nobody, or on the parent, is granted");
            }
        }
    }
    must_refuse(call(DELETE_PORT, 0, 3), "a port that nobody made is deleted");
}

static void refuse_arguments(uint64_t id)
{
    static const uint32_t no_vp[] = {VPS, PARTITION_MAX_VPS, HV_ANY_VP};
    static const uint32_t no_port[] = {0, HV_PORT_ID_MASK + 1};
    static const uint32_t no_frame[] = {SHARED_FRAME + HOST_PAGE_COUNT, HOST_PAGE_HYPERVISOR,
                                        HOST_PAGE_UNASSIGNED, HOST_PAGE_SHARED,
                                        HOST_PAGE_DEPOSITED};

    for (unsigned i = 0; i < ARRAY_COUNT(no_vp); i++) {
        must_refuse(call(DELETE_VP, id, no_vp[i]), "a VP that nobody made is deleted");
        if (no_vp[i] != VPS) {
            must_refuse(call(CREATE_VP, id, no_vp[i]), "a VP with a wrong index is made");
        }
    }
    for (unsigned i = 0; i < ARRAY_COUNT(no_port); i++) {
        must_refuse(call(CREATE_PORT, id, no_port[i]), "a port with a wrong id is made");
    }
    for (unsigned i = 0; i < ARRAY_COUNT(no_frame); i++) {
        must_refuse(call(DEPOSIT, id, no_frame[i]), "a frame of another is deposited");
    }
}

/* Another processor is at work on the child: the call has to come again. */
static void refuse_busy(struct partition *partition)
{
    partition->busy = 1;
    for (enum verb verb = 0; verb < VERBS && machine_broken == NULL; verb++) {
        machine_require(verb == DELETE_PORT || !call(verb, partition->id, 0).finished,
                        "a call on a child that another processor holds goes on");
    }
    partition->busy = 0;
}

static void refuse_parents(struct machine_answer answer)
{
    machine_require(answer.finished && answer.status == HV_STATUS_ACCESS_DENIED,
                    "a child's call is heard that is the parent's alone");
}

/* What is for the parent alone: with the input in registers and without. */
static void refuse_child(struct vp *vp)
{
    const uint64_t ids[] = {HV_PARTITION_ID_SELF, PARTITION_PARENT, id_of(0), id_of(1)};

    for (unsigned i = 0; i < ARRAY_COUNT(ids); i++) {
        for (enum verb verb = 0; verb <= CREATE && machine_broken == NULL; verb++) {
            const uint64_t control = verb == CREATE ? HVCALL_CREATE_PARTITION : CONTROL_OF(verb);

            refuse_parents(machine_call_fast(vp, control, TARGET, TARGET));
            refuse_parents(machine_call_fast(vp, control | HV_CONTROL_FAST, ids[i], 1));
        }
    }
}

void refuse_all(void)
{
    refuse_ids();
    for (unsigned i = 0; i < CHILDREN; i++) {
        struct partition *partition = machine_child((partition_id_t)id_of(i));

        if (partition == NULL) {
            continue;
        }
        refuse_arguments(id_of(i));
        refuse_busy(partition);
        for (unsigned vp = 0; vp < VPS; vp++) {
            if (child[i].vp[vp] && partition->vp[vp] != NULL && machine_broken == NULL) {
                refuse_child(partition->vp[vp]);
            }
        }
    }
}
