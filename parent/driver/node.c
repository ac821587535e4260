// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/uaccess.h>

#include "hv/abi/partition.h"
#include "parent/driver/hvcall.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/irqfd.h"
#include "parent/driver/messages.h"
#include "parent/driver/node.h"
#include "parent/driver/partition.h"
#include "parent/driver/synic.h"

static bool present;

/* Reads the second version where the flags announce it; else nothing is disabled. */
static int read_create_args(const void __user *arg, struct mshv_create_partition_v2 *args)
{
    memset(args, 0, sizeof(*args));
    if (copy_from_user(args, arg, sizeof(struct mshv_create_partition)))
        return -EFAULT;
    if (!(args->pt_flags & BIT_ULL(MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)))
        return 0;
    if (copy_from_user(args, arg, sizeof(*args)))
        return -EFAULT;
    if (!(args->pt_flags & BIT_ULL(MSHV_PT_BIT_CPU_AND_XSAVE_FEATURES)) ||
        args->pt_num_cpu_fbanks != MSHV_NUM_CPU_FEATURES_BANKS ||
        memchr_inv(args->pt_rsvd, 0, sizeof(args->pt_rsvd)) ||
        memchr_inv(args->pt_rsvd1, 0, sizeof(args->pt_rsvd1)))
        return -EINVAL;
    return 0;
}

static int create_partition(const void __user *arg)
{
    struct mshv_create_partition_v2 args;
    int err = read_create_args(arg, &args);

    if (err)
        return err;
    if (args.pt_flags & ~(u64)MSHV_PT_FLAGS_MASK || args.pt_isolation >= MSHV_PT_ISOLATION_COUNT)
        return -EINVAL;
    return bh_partition_create(&args);
}

static long node_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
    void __user *user = (void __user *)arg;

    switch (command) {
    case MSHV_CREATE_PARTITION:
        return create_partition(user);
    case MSHV_ROOT_HVCALL:
        return bh_hvcall_pass(HV_PARTITION_ID_SELF, BH_HVCALL_FROM_NODE, user);
    default:
        return -ENOTTY;
    }
}

static const struct file_operations node_operations = {
    .owner = THIS_MODULE,
    .unlocked_ioctl = node_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .llseek = noop_llseek,
};

static struct miscdevice node = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "mshv",
    .mode = 0600,
    .fops = &node_operations,
};

/* The state pages of VPs are this module's; the hypervisor must be able to use given pages. */
static bool are_partitions_offered(void)
{
    struct hv_input_get_partition_property_ex input = {
        .partition_id = HV_PARTITION_ID_SELF,
        .code = HV_PROPERTY_VMM_CAPABILITIES,
    };
    struct hv_vmm_capabilities output;
    u64 result = bh_hypercall(HVCALL_GET_PARTITION_PROPERTY_EX, &input, sizeof(input), &output,
                              sizeof(output));

    return bh_hypercall_status(result) == HV_STATUS_SUCCESS &&
           output.capabilities & HV_VMM_PROVIDES_OVERLAY_PAGES;
}

int bh_node_init(void)
{
    int err;

    if (!are_partitions_offered()) {
        pr_info("the hypervisor offers no child partitions; there is no /dev/mshv\n");
        return 0;
    }
    err = bh_irqfd_init();
    if (err)
        return err;
    err = bh_synic_init(bh_messages_handle);
    if (err)
        goto no_synic;
    err = misc_register(&node);
    if (err)
        goto no_node;
    present = true;
    return 0;

no_node:
    bh_synic_exit();
no_synic:
    bh_irqfd_exit();
    return err;
}

void bh_node_exit(void)
{
    if (!present)
        return;
    misc_deregister(&node);
    bh_synic_exit();
    bh_irqfd_exit();
}
