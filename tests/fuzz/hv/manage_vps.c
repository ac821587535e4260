/* SPDX-License-Identifier: MIT */
/* Calls on VPs, ports and properties, and what children do. */
#include <string.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/msr.h"
#include "hv/abi/partition.h"
#include "hv/core/hypercall.h"
#include "hv/core/intercept.h"
#include "hv/core/msr.h"
#include "tests/fuzz/hv/manage_calls.h"

/* ---- virtual processors ---- */

void step_create_vp(struct caller *caller)
{
    const struct hv_input_create_vp block = {.partition_id = take_child(&caller->child),
                                             .vp_index = (uint32_t)take(1) % (MODEL_VPS + 1)};
    const uint32_t index = block.vp_index == MODEL_VPS ? PARTITION_MAX_VPS : block.vp_index;
    struct hv_input_create_vp sent = block;

    sent.vp_index = index;
    const enum hv_status status = call(caller, HVCALL_CREATE_VP, &sent, sizeof sent);

    if (named(caller)) {
        const bool may = caller->child->state == PARTITION_ACTIVE && index < MODEL_VPS &&
                         !caller->child->vp[index];

        model_require((status == HV_STATUS_SUCCESS) == may, "a VP is made once");
        if (may) {
            caller->child->vp[index] = true;
        }
    }
}

/* A call on a VP: whether it is there, which the status must say too. */
static bool finds_vp(const struct caller *caller, uint32_t index)
{
    if (!named(caller)) {
        return false;
    }
    const bool there = caller->child->vp[index];

    model_require(there || caller->status == HV_STATUS_INVALID_VP_INDEX, "there is no such VP");
    model_require(!there || caller->status != HV_STATUS_INVALID_VP_INDEX, "there is such a VP");
    return there;
}

void step_delete_vp(struct caller *caller)
{
    const struct hv_input_delete_vp block = {.partition_id = take_child(&caller->child),
                                             .vp_index = (uint32_t)take(1) % MODEL_VPS};

    call(caller, HVCALL_DELETE_VP, &block, sizeof block);
    if (finds_vp(caller, block.vp_index)) {
        model_require(caller->status == HV_STATUS_SUCCESS, "a VP is deleted");
        caller->child->vp[block.vp_index] = false;
    }
}

void step_set_register(struct caller *caller)
{
    static const uint32_t names[] = {HV_REGISTER_EXPLICIT_SUSPEND,
                                     HV_REGISTER_INTERCEPT_SUSPEND,
                                     HV_REGISTER_RAX,
                                     HV_REGISTER_R15,
                                     HV_REGISTER_CR8,
                                     HV_REGISTER_APIC_BASE,
                                     HV_REGISTER_RIP,
                                     HV_REGISTER_CR0};
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element;
    } block = {.head = {.partition_id = take_child(&caller->child),
                        .vp_index = (uint32_t)take(1) % MODEL_VPS},
               .element = {.name = names[take(1) % ARRAY_COUNT(names)]}};

    block.element.value.u64 = take(1) & 1 ? take(8) : take(1) & 0xf;
    caller->settle = NULL;
    begin_call(caller, HVCALL_SET_VP_REGISTERS, 1, &block, sizeof block);
    if (finds_vp(caller, block.head.vp_index) && block.element.name == HV_REGISTER_R15) {
        model_require(model_vp(caller->child, block.head.vp_index)->registers.r15 ==
                          block.element.value.u64,
                      "a register is set");
    }
}

void step_run(struct caller *caller)
{
    const struct bh_run_vp_input block = {.partition_id = take_child(&caller->child),
                                          .vp_index = (uint32_t)take(1) % MODEL_VPS};

    call(caller, BH_CALL_RUN_VP, &block, sizeof block);
    model_require(!finds_vp(caller, block.vp_index) || caller->status == HV_STATUS_SUCCESS, "run");
}

void step_state_page(struct caller *caller)
{
    const struct hv_input_map_state_page block = {.partition_id = take_child(&caller->child),
                                                  .vp_index = (uint32_t)take(1) % MODEL_VPS,
                                                  .type = take(1) % 3,
                                                  .flags = HV_STATE_PAGE_LOCATION_GIVEN,
                                                  .requested_location = take_frame()};
    const uint64_t frame = block.requested_location;
    const bool mine = frame >= FRAME_FIRST && frame < HOST_GUEST_PAGES;

    if (frame == FRAME_NEIGHBOUR || frame == HOST_PAGE_SHARED) {
        return; /* the parent may lend what it shares, and the neighbour would see it */
    }
    call(caller, HVCALL_MAP_VP_STATE_PAGE, &block, sizeof block);
    if (finds_vp(caller, block.vp_index)) {
        model_require((caller->status == HV_STATUS_SUCCESS) ==
                          (block.type < 2 && mine && model.owner[frame] == OWNER_PARENT),
                      "only pages of the parent are lent");
    }
}

void step_unmap_state_page(struct caller *caller)
{
    const struct hv_input_unmap_state_page block = {.partition_id = take_child(&caller->child),
                                                    .vp_index = (uint32_t)take(1) % MODEL_VPS,
                                                    .type = take(1) % 2};

    call(caller, HVCALL_UNMAP_VP_STATE_PAGE, &block, sizeof block);
    model_require(!finds_vp(caller, block.vp_index) || caller->status == HV_STATUS_SUCCESS,
                  "a page of state goes");
}

void step_interrupt(struct caller *caller)
{
    const struct hv_input_assert_interrupt block = {
        .partition_id = take_child(&caller->child),
        .type = (uint32_t)take(1) % 6,
        .flags = (uint32_t)take(1) & 3,
        .destination = take(1) & 0x80 ? take(4) : take(1) % MODEL_VPS,
        .vector = (uint32_t)take(2) % 0x108};

    call(caller, HVCALL_ASSERT_VIRTUAL_INTERRUPT, &block, sizeof block);
    named(caller);
}

void step_override(struct caller *caller)
{
    const struct hv_input_register_intercept_result block = {.partition_id =
                                                                 take_child(&caller->child),
                                                             .vp_index = HV_ANY_VP,
                                                             .type = HV_INTERCEPT_CPUID,
                                                             .eax = (uint32_t)take(1)};

    call(caller, HVCALL_REGISTER_INTERCEPT_RESULT, &block, sizeof block);
    named(caller);
}

/* ---- ports, messages, properties ---- */

static uint32_t take_port(const struct model_child *child)
{
    return 1 + 2 * ((uint32_t)take(1) % 3) + (child == &model.child[1]);
}

void step_create_port(struct caller *caller)
{
    struct hv_input_create_port block = {.port_partition = HV_PARTITION_ID_SELF};

    block.connection_partition = take_child(&caller->child);
    block.port_id = take_port(caller->child);
    block.info.type = (uint32_t)take(1) % 6;
    block.info.message.vp = HV_ANY_VP;
    block.info.event.flag_count = block.info.type == HV_PORT_EVENT;
    call(caller, HVCALL_CREATE_PORT, &block, sizeof block);
    if (caller->status == HV_STATUS_SUCCESS) {
        struct model_port *port = &caller->child->port[block.port_id];

        model_require(port->type == 0 && caller->child->state != PARTITION_FINALIZED,
                      "a port is made once");
        *port = (struct model_port){.type = block.info.type};
    }
}

void step_connect(struct caller *caller)
{
    struct hv_input_connect_port block = {.port_partition = HV_PARTITION_ID_SELF};

    block.connection_partition = take_child(&caller->child);
    block.port_id = take_port(caller->child);
    block.connection_id = (uint32_t)take(1) % 4;
    block.info.type = (uint32_t)take(1) % 6;
    call(caller, HVCALL_CONNECT_PORT, &block, sizeof block);
    if (caller->status == HV_STATUS_SUCCESS) {
        struct model_port *port = &caller->child->port[block.port_id];

        model_require(port->type == block.info.type && !port->connected,
                      "a port is connected once");
        port->connected = true;
        port->connection = block.connection_id;
    }
}

void step_delete_port(struct caller *caller)
{
    struct model_child *child = &model.child[take(1) % MODEL_CHILDREN];
    const struct hv_input_delete_port block = {.port_partition = HV_PARTITION_ID_SELF,
                                               .port_id = take_port(child)};
    struct model_port *port = &child->port[block.port_id];
    const bool there = child->id != 0 && child->state != PARTITION_FINALIZED && port->type != 0;

    call(caller, HVCALL_DELETE_PORT, &block, sizeof block);
    model_require(caller->status == (there ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PORT_ID),
                  "a port is deleted once");
    if (there) {
        *port = (struct model_port){0};
    }
}

void step_post_direct(struct caller *caller)
{
    const struct hv_message message = {.type = 1, .payload_size = 1};
    struct hv_input_post_message_direct block = {.partition_id = take_child(&caller->child),
                                                 .vp_index = (uint32_t)take(1) % MODEL_VPS,
                                                 .sint = (uint32_t)take(1) % 17};

    if (caller->child == NULL) {
        return; /* the parent may post to itself */
    }
    memcpy(block.message, &message, sizeof message);
    call(caller, HVCALL_POST_MESSAGE_DIRECT, &block, sizeof block);
    finds_vp(caller, block.vp_index);
}

void step_property(struct caller *caller)
{
    static const uint32_t codes[] = {HV_PROPERTY_GPA_ACCESS_TRACKING,
                                     HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION, BH_PROPERTY_SHARE,
                                     HV_PROPERTY_TIME_FREEZE, HV_PROPERTY_PRIVILEGE_FLAGS};
    const struct hv_input_set_partition_property block = {
        .partition_id = take_child(&caller->child),
        .code = codes[take(1) % ARRAY_COUNT(codes)],
        .value = take(1) & 0x80 ? take(8) : take(1) % 3};

    call(caller, HVCALL_SET_PARTITION_PROPERTY, &block, sizeof block);
    if (named(caller) && block.code == HV_PROPERTY_GPA_ACCESS_TRACKING) {
        model_require((caller->status == HV_STATUS_SUCCESS) == (block.value <= 1), "a property");
        if (block.value <= 1) {
            caller->child->tracks_access = block.value == 1;
        }
    } else if (named(caller) && block.code == HV_PROPERTY_TIME_FREEZE) {
        model_require((caller->status == HV_STATUS_SUCCESS) == (block.value <= 1), "a time");
        if (block.value <= 1) {
            caller->child->frozen = block.value == 1;
            caller->child->time = partition_time(model_partition(caller->child));
        }
    }
    host_time_set(host.now + take(1) * HYPERCALL_TIME_MAX);
}

void step_intercept(struct caller *caller)
{
    const struct hv_input_install_intercept block = {.partition_id = take_child(&caller->child),
                                                     .access = (uint32_t)take(1) % 16,
                                                     .type = (uint32_t)take(1) % 32,
                                                     .parameter = take(2) % 40};
    const uint32_t read_write = HV_INTERCEPT_ACCESS_READ | HV_INTERCEPT_ACCESS_WRITE;
    const bool is_execute = block.access == 0 || block.access == HV_INTERCEPT_ACCESS_EXECUTE;
    bool may = block.access != 0 && block.access <= read_write;

    call(caller, HVCALL_INSTALL_INTERCEPT, &block, sizeof block);
    if (!named(caller)) {
        return;
    }
    if (block.type == HV_INTERCEPT_MSR) {
        may = block.access <= read_write;
    } else if (block.type == HV_INTERCEPT_MMIO) {
        may = block.access != 0 && block.access < 8;
    } else if (block.type == HV_INTERCEPT_EXCEPTION) {
        may = is_execute && block.parameter < 32 && block.parameter != 2 && block.parameter != 18;
    } else if (block.type == HV_INTERCEPT_HYPERCALL) {
        may = is_execute;
    } else if (block.type == HV_INTERCEPT_CPUID) {
        may = is_execute && caller->child->state == PARTITION_ACTIVE &&
              caller->status != HV_STATUS_INSUFFICIENT_MEMORY;
    } else if (block.type != HV_INTERCEPT_IO_PORT && block.type != HV_INTERCEPT_IO_PORT_RANGE) {
        may = false;
    }
    model_require((caller->status == HV_STATUS_SUCCESS) == may, "an intercept");
    const struct partition *partition = model_partition(caller->child);

    if (may && block.type == HV_INTERCEPT_MSR) {
        model_require(partition->msr_intercepts == block.access, "of MSRs");
    } else if (may && block.type == HV_INTERCEPT_EXCEPTION) {
        model_require((partition->exception_intercepts >> block.parameter & 1) ==
                          (block.access != 0),
                      "of exceptions");
    } else if (may && block.type == HV_INTERCEPT_HYPERCALL) {
        model_require(partition->intercepts_hypercalls == (block.access != 0), "of calls");
    }
}

/* ---- the children ---- */

static struct vp *take_vp(void)
{
    return model_vp(&model.child[take(1) % MODEL_CHILDREN], (uint32_t)take(1) % MODEL_VPS);
}

/* A child lends pages, ends a message, stops for the parent. */
void step_child(struct caller *caller)
{
    static const uint32_t pages[] = {HV_MSR_SIMP, HV_MSR_SIEFP, HV_MSR_VP_ASSIST_PAGE};
    const uint32_t payload = 0;
    struct vp *vp = take_vp();
    const uint64_t form = take(1);
    const uint64_t page = (MODEL_GPA + take(1) % MODEL_GPA_COUNT) << PAGE_SHIFT;

    (void)caller;
    if (vp == NULL || vp->partition->state != PARTITION_ACTIVE) {
        return; /* none of an ended child runs */
    }
    if (form % 4 == 0) {
        (void)msr_write(vp, pages[form / 4 % ARRAY_COUNT(pages)], page | (form & 0x80 ? 0 : 1));
    } else if (form % 4 == 1) {
        (void)msr_write(vp, HV_MSR_SCONTROL, form >> 7);
    } else if (form % 8 == 2) {
        (void)msr_write(vp, HV_MSR_EOM, 0);
    } else if (form % 8 == 6) {
        (void)msr_write(vp, HV_MSR_STIMER0_CONFIG + form / 8 % 8, take(2) << 1 | 1);
    } else if (!vp->intercept_suspend) {
        intercept_raise(vp, HV_MESSAGE_OPAQUE_INTERCEPT, &payload, sizeof payload);
    }
}
