// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "hv/abi/vp.h"
#include "parent/driver/deposit.h"
#include "parent/driver/hvcall.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/vp.h"

/* --- registers ---------------------------------------------------------------------------- */

struct set_one {
    struct hv_input_vp_registers head;
    struct hv_register_assoc element;
};

int bh_vp_set_register(struct bh_vp *vp, u32 name, u64 value)
{
    struct set_one input = {
        .head = {.partition_id = vp->partition->id, .vp_index = vp->index},
        .element = {.name = name, .value = {.u64 = value}},
    };
    struct bh_rep_call call = {
        .code = HVCALL_SET_VP_REGISTERS, .count = 1, .in = &input, .in_size = sizeof(input)};
    u16 done;

    return bh_status_to_errno(bh_hypercall_rep(&call, &done));
}

struct get_one {
    struct hv_input_vp_registers head;
    u32 name;
};

int bh_vp_get_register(struct bh_vp *vp, u32 name, u64 *value)
{
    struct get_one input = {
        .head = {.partition_id = vp->partition->id, .vp_index = vp->index},
        .name = name,
    };
    union hv_register_value out = {0};
    struct bh_rep_call call = {
        .code = HVCALL_GET_VP_REGISTERS,
        .count = 1,
        .in = &input,
        .in_size = sizeof(input.head) + sizeof(input.name),
        .out = &out,
        .out_element = sizeof(out),
    };
    u16 done;
    u16 status = bh_hypercall_rep(&call, &done);

    *value = out.u64;
    return bh_status_to_errno(status);
}

/* --- state pages -------------------------------------------------------------------------- */

/* Gives the hypervisor a page for the state; NULL when it does not want to use one. */
static struct page *map_state_page(struct bh_partition *partition, u32 index, u16 type)
{
    struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
    struct hv_input_map_state_page input = {
        .partition_id = partition->id,
        .vp_index = index,
        .type = type,
        .flags = HV_STATE_PAGE_LOCATION_GIVEN,
    };
    struct hv_output_map_state_page output;
    u64 result;

    if (!page)
        return NULL;
    input.requested_location = page_to_pfn(page);
    result = bh_hypercall(HVCALL_MAP_VP_STATE_PAGE, &input, sizeof(input), &output, sizeof(output));
    if (bh_hypercall_status(result) == HV_STATUS_SUCCESS)
        return page;
    __free_page(page);
    return NULL;
}

static void unmap_state_page(struct bh_vp *vp, struct page **page, u16 type)
{
    u16 status;

    if (!*page)
        return;
    status = bh_hypercall_fast(HVCALL_UNMAP_VP_STATE_PAGE, vp->partition->id,
                               vp->index | (u64)type << 32);
    if (status == HV_STATUS_SUCCESS)
        __free_page(*page);
    else
        pr_err("partition %llu keeps a state page of VP %u (status 0x%x)\n", vp->partition->id,
               vp->index, status);
    *page = NULL;
}

static vm_fault_t vp_fault(struct vm_fault *fault)
{
    struct bh_vp *vp = fault->vma->vm_file->private_data;
    struct page *page = fault->vma->vm_pgoff == MSHV_VP_MMAP_OFFSET_REGISTERS ? vp->register_page
                                                                              : vp->message_page;

    get_page(page);
    fault->page = page;
    return 0;
}

static const struct vm_operations_struct vp_vm_operations = {.fault = vp_fault};

static int vp_mmap(struct file *file, struct vm_area_struct *vma)
{
    struct bh_vp *vp = file->private_data;
    bool known = vma->vm_pgoff == MSHV_VP_MMAP_OFFSET_INTERCEPT_MESSAGE ||
                 (vma->vm_pgoff == MSHV_VP_MMAP_OFFSET_REGISTERS && vp->register_page);

    if (vma_pages(vma) != 1 || !(vma->vm_flags & VM_SHARED) ||
        vma->vm_pgoff >= MSHV_VP_MMAP_OFFSET_COUNT)
        return -EINVAL;
    if (!known)
        return -ENODEV;
    vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP;
    vma->vm_ops = &vp_vm_operations;
    return 0;
}

/* --- file --------------------------------------------------------------------------------- */

static long vp_call(struct bh_vp *vp, unsigned int command, void __user *arg)
{
    switch (command) {
    case MSHV_RUN_VP:
        return bh_vp_run(vp, arg);
    case MSHV_GET_VP_STATE:
        return bh_vp_state(vp, arg, false);
    case MSHV_SET_VP_STATE:
        return bh_vp_state(vp, arg, true);
    case MSHV_ROOT_HVCALL:
        return bh_hvcall_pass(vp->partition->id, BH_HVCALL_FROM_VP, arg);
    default:
        return -ENOTTY;
    }
}

static long vp_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
    struct bh_vp *vp = file->private_data;
    long result;

    if (mutex_lock_killable(&vp->lock))
        return -EINTR;
    result = vp_call(vp, command, (void __user *)arg);
    mutex_unlock(&vp->lock);
    return result;
}

static int vp_release(struct inode *inode, struct file *file)
{
    struct bh_vp *vp = file->private_data;

    bh_partition_put(vp->partition);
    return 0;
}

static const struct file_operations vp_operations = {
    .owner = THIS_MODULE,
    .unlocked_ioctl = vp_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .mmap = vp_mmap,
    .release = vp_release,
    .llseek = noop_llseek,
};

/* --- life --------------------------------------------------------------------------------- */

static int create_in_hypervisor(struct bh_partition *partition, u32 index)
{
    struct hv_input_create_vp input = {.partition_id = partition->id, .vp_index = index};
    int err = bh_deposit(partition->id, BH_DEPOSIT_VP);
    u16 status = HV_STATUS_INSUFFICIENT_MEMORY;

    while (!err && status == HV_STATUS_INSUFFICIENT_MEMORY) {
        status =
            bh_hypercall_status(bh_hypercall(HVCALL_CREATE_VP, &input, sizeof(input), NULL, 0));
        if (status == HV_STATUS_INSUFFICIENT_MEMORY)
            err = bh_deposit(partition->id, BH_DEPOSIT_RETRY);
    }
    return err ? err : bh_status_to_errno(status);
}

static struct bh_vp *allocate_vp(struct bh_partition *partition, u32 index)
{
    struct bh_vp *vp = kzalloc(sizeof(*vp), GFP_KERNEL_ACCOUNT);

    if (!vp)
        return NULL;
    vp->partition = partition;
    vp->index = index;
    mutex_init(&vp->lock);
    init_waitqueue_head(&vp->wait);
    return vp;
}

static int open_vp(struct bh_vp *vp)
{
    int fd;

    bh_partition_get(vp->partition);
    fd = anon_inode_getfd("mshv_vp", &vp_operations, vp, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        bh_partition_put(vp->partition); /* never the last: the caller's file is open */
    return fd;
}

int bh_vp_create(struct bh_partition *partition, u32 index)
{
    struct bh_vp *vp;
    int fd;

    if (index >= BH_VPS_MAX)
        return -EINVAL;
    if (partition->vp[index])
        return -EEXIST;
    vp = allocate_vp(partition, index);
    if (!vp)
        return -ENOMEM;
    fd = create_in_hypervisor(partition, index);
    if (fd) {
        kfree(vp);
        return fd;
    }
    vp->message_page = map_state_page(partition, index, HV_STATE_PAGE_INTERCEPT_MESSAGE);
    vp->register_page = map_state_page(partition, index, HV_STATE_PAGE_REGISTERS);
    WRITE_ONCE(partition->vp[index], vp);
    fd = vp->message_page ? open_vp(vp) : -ENODEV;
    if (fd < 0) {
        WRITE_ONCE(partition->vp[index], NULL);
        bh_vp_destroy(vp);
        synchronize_rcu(); /* the interrupt handler may have seen it */
        bh_vp_free(vp);
    }
    return fd;
}

void bh_vp_destroy(struct bh_vp *vp)
{
    u16 status;

    (void)bh_vp_set_register(vp, HV_REGISTER_EXPLICIT_SUSPEND, 1);
    unmap_state_page(vp, &vp->register_page, HV_STATE_PAGE_REGISTERS);
    unmap_state_page(vp, &vp->message_page, HV_STATE_PAGE_INTERCEPT_MESSAGE);
    status = bh_hypercall_fast(HVCALL_DELETE_VP, vp->partition->id, vp->index);
    if (status != HV_STATUS_SUCCESS)
        pr_err("VP %u of partition %llu is not deleted (status 0x%x)\n", vp->index,
               vp->partition->id, status);
}

void bh_vp_free(struct bh_vp *vp)
{
    kfree(vp);
}
