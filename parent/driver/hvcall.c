// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/abi/partition.h"
#include "hv/abi/vp.h"
#include "parent/driver/deposit.h"
#include "parent/driver/hvcall.h"
#include "parent/driver/hypercall.h"

static const u16 partition_and_vp_calls[] = {
    HVCALL_GET_PARTITION_PROPERTY,   HVCALL_GET_PARTITION_PROPERTY_EX,
    HVCALL_INSTALL_INTERCEPT,        HVCALL_GET_VP_REGISTERS,
    HVCALL_SET_VP_REGISTERS,         HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
    HVCALL_CLEAR_VIRTUAL_INTERRUPT,  HVCALL_REGISTER_INTERCEPT_RESULT,
    HVCALL_ASSERT_VIRTUAL_INTERRUPT, HVCALL_SIGNAL_EVENT_DIRECT,
    HVCALL_POST_MESSAGE_DIRECT,      HVCALL_GET_GPA_PAGES_ACCESS_STATES,
    HVCALL_GET_VP_CPUID_VALUES,
};

static bool is_allowed(u16 code, enum bh_hvcall_origin origin)
{
    unsigned i;

    if (origin == BH_HVCALL_FROM_NODE)
        return code == HVCALL_GET_PARTITION_PROPERTY || code == HVCALL_GET_PARTITION_PROPERTY_EX;
    if (code == HVCALL_SET_PARTITION_PROPERTY)
        return origin == BH_HVCALL_FROM_PARTITION;
    for (i = 0; i < ARRAY_SIZE(partition_and_vp_calls); i++)
        if (code == partition_and_vp_calls[i])
            return true;
    return false;
}

static int check(const struct mshv_root_hvcall *args, enum bh_hvcall_origin origin)
{
    if (args->status || !args->in_ptr || args->in_sz < sizeof(u64) || args->in_sz > PAGE_SIZE ||
        args->out_sz > PAGE_SIZE || !args->out_ptr != !args->out_sz ||
        args->reps > HV_CONTROL_REP_MASK || memchr_inv(args->rsvd, 0, sizeof(args->rsvd)))
        return -EINVAL;
    return is_allowed(args->code, origin) ? 0 : -EINVAL;
}

static u16 issue(struct mshv_root_hvcall *args, const void *in, void *out)
{
    struct bh_rep_call call = {
        .code = args->code,
        .count = args->reps,
        .in = in,
        .in_size = args->in_sz,
        .out = args->out_sz ? out : NULL,
        .out_element = args->reps ? args->out_sz / args->reps : 0,
    };

    if (args->reps)
        return bh_hypercall_rep(&call, &args->reps);
    return bh_hypercall_status(bh_hypercall(args->code, in, args->in_sz, out, args->out_sz));
}

static int call_with_pages(struct mshv_root_hvcall *args, u64 partition_id, void *in, void *out)
{
    int err;

    if (copy_from_user(in, u64_to_user_ptr(args->in_ptr), args->in_sz))
        return -EFAULT;
    *(u64 *)in = partition_id;
    args->status = issue(args, in, out);
    err = bh_status_to_errno(args->status);
    if (args->status == HV_STATUS_INSUFFICIENT_MEMORY) {
        err = bh_deposit(partition_id, BH_DEPOSIT_RETRY);
        return err ? err : -EAGAIN;
    }
    if (args->out_sz && copy_to_user(u64_to_user_ptr(args->out_ptr), out, args->out_sz))
        return -EFAULT;
    return err;
}

int bh_hvcall_pass(u64 partition_id, enum bh_hvcall_origin origin,
                   struct mshv_root_hvcall __user *user_args)
{
    struct mshv_root_hvcall args;
    u8 *pages;
    int err;

    if (copy_from_user(&args, user_args, sizeof(args)))
        return -EFAULT;
    err = check(&args, origin);
    if (err)
        return err;
    pages = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, 1);
    if (!pages)
        return -ENOMEM;
    err = call_with_pages(&args, partition_id, pages, pages + PAGE_SIZE);
    free_pages((unsigned long)pages, 1);
    if (copy_to_user(user_args, &args, sizeof(args)))
        return -EFAULT;
    return err;
}
