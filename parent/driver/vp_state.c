// SPDX-License-Identifier: GPL-2.0-only
/*
 * State of a VP as blobs: local APIC, XSAVE area, message page and event page go
 * through pages of the module's own, synthetic timers in line.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <asm/io.h>

#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/vp.h"

#define STATE_PAGES_MAX 16u /* XSAVE areas stay far below 64 KiB */

struct transfer {
    struct bh_vp *vp;
    u32 type; /* HV_VP_STATE_* */
    u32 size; /* of the data */
    u64 xfem;
    u8 *data; /* physically contiguous, whole pages */
};

static int get_property(u64 partition_id, u32 code, u64 *value)
{
    struct hv_input_get_partition_property input = {.partition_id = partition_id, .code = code};
    struct hv_output_get_partition_property output;
    u16 status = bh_hypercall_status(bh_hypercall(HVCALL_GET_PARTITION_PROPERTY, &input,
                                                  sizeof(input), &output, sizeof(output)));

    if (status == HV_STATUS_SUCCESS)
        *value = output.value;
    return bh_status_to_errno(status);
}

static int describe_xsave(struct transfer *transfer)
{
    u64 id = transfer->vp->partition->id;
    u64 size;
    int err = get_property(id, HV_PROPERTY_XSAVE_STATES, &transfer->xfem);

    if (!err)
        err = get_property(id, HV_PROPERTY_MAX_XSAVE_SIZE, &size);
    if (!err && (!size || size > STATE_PAGES_MAX * PAGE_SIZE))
        err = -EIO;
    if (!err)
        transfer->size = (u32)size;
    return err;
}

static int describe(struct transfer *transfer, u8 type)
{
    transfer->size = PAGE_SIZE;
    switch (type) {
    case MSHV_VP_STATE_LAPIC:
        transfer->type = HV_VP_STATE_LAPIC;
        return 0;
    case MSHV_VP_STATE_XSAVE:
        transfer->type = HV_VP_STATE_XSAVE;
        return describe_xsave(transfer);
    case MSHV_VP_STATE_SIMP:
        transfer->type = HV_VP_STATE_SIMP;
        return 0;
    case MSHV_VP_STATE_SIEFP:
        transfer->type = HV_VP_STATE_SIEFP;
        return 0;
    case MSHV_VP_STATE_SYNTHETIC_TIMERS:
        transfer->type = HV_VP_STATE_STIMERS;
        transfer->size = sizeof(struct hv_stimers_state);
        return 0;
    default:
        return -EINVAL;
    }
}

struct state_input {
    struct hv_input_vp_state head;
    union {
        u64 page[STATE_PAGES_MAX];
        struct hv_stimers_state stimers;
    };
};

static u16 call_hypervisor(const struct transfer *transfer, bool set)
{
    bool in_line = transfer->type == HV_VP_STATE_STIMERS;
    u32 pages = in_line ? 0 : DIV_ROUND_UP(transfer->size, PAGE_SIZE);
    u32 extra = in_line && set ? transfer->size : pages * 8;
    u64 control = (set ? HVCALL_SET_VP_STATE : HVCALL_GET_VP_STATE) |
                  (u64)(extra / 8) << HV_CONTROL_VARHEAD_SHIFT;
    struct state_input input = {
        .head = {.partition_id = transfer->vp->partition->id,
                 .vp_index = transfer->vp->index,
                 .type = transfer->type,
                 .xfem = transfer->xfem},
    };
    u32 i;

    for (i = 0; i < pages; i++)
        input.page[i] = (virt_to_phys(transfer->data) >> PAGE_SHIFT) + i;
    if (in_line && set)
        memcpy(&input.stimers, transfer->data, sizeof(input.stimers));
    return bh_hypercall_status(bh_hypercall(control, &input, sizeof(input.head) + extra,
                                            transfer->data, in_line && !set ? transfer->size : 0));
}

static int move(struct transfer *transfer, void __user *buffer, bool set)
{
    int err;

    transfer->data = alloc_pages_exact(PAGE_ALIGN(transfer->size), GFP_KERNEL | __GFP_ZERO);
    if (!transfer->data)
        return -ENOMEM;
    err = set && copy_from_user(transfer->data, buffer, transfer->size) ? -EFAULT : 0;
    if (!err)
        err = bh_status_to_errno(call_hypervisor(transfer, set));
    if (!err && !set && copy_to_user(buffer, transfer->data, transfer->size))
        err = -EFAULT;
    free_pages_exact(transfer->data, PAGE_ALIGN(transfer->size));
    return err;
}

int bh_vp_state(struct bh_vp *vp, struct mshv_get_set_vp_state __user *user_args, bool set)
{
    struct transfer transfer = {.vp = vp};
    struct mshv_get_set_vp_state args;
    int err;

    if (copy_from_user(&args, user_args, sizeof(args)))
        return -EFAULT;
    if (memchr_inv(args.rsvd, 0, sizeof(args.rsvd)) || !args.buf_sz || !PAGE_ALIGNED(args.buf_sz) ||
        !PAGE_ALIGNED(args.buf_ptr))
        return -EINVAL;
    err = describe(&transfer, args.type);
    if (err)
        return err;
    if (put_user(transfer.size, &user_args->buf_sz))
        return -EFAULT;
    if (transfer.size > args.buf_sz)
        return -EINVAL;
    return move(&transfer, u64_to_user_ptr(args.buf_ptr), set);
}
