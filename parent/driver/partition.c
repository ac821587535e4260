// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hv/abi/partition.h"
#include "parent/driver/deposit.h"
#include "parent/driver/event_port.h"
#include "parent/driver/hvcall.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/ioeventfd.h"
#include "parent/driver/irqfd.h"
#include "parent/driver/memory.h"
#include "parent/driver/message_port.h"
#include "parent/driver/partition.h"
#include "parent/driver/routing.h"
#include "parent/driver/vp.h"

/* All partitions by id; changed under table_lock, read under RCU. */
static DEFINE_HASHTABLE(table, 8);
static DEFINE_SPINLOCK(table_lock);

/* --- table -------------------------------------------------------------------------------- */

static void table_add(struct bh_partition *partition)
{
    spin_lock(&table_lock);
    hash_add_rcu(table, &partition->table_node, partition->id);
    spin_unlock(&table_lock);
}

/* After this the interrupt handler does not know the partition. */
static void table_remove(struct bh_partition *partition)
{
    spin_lock(&table_lock);
    hash_del_rcu(&partition->table_node);
    spin_unlock(&table_lock);
    synchronize_rcu();
}

struct bh_partition *bh_partition_find(u64 id)
{
    struct bh_partition *partition;

    hash_for_each_possible_rcu(table, partition, table_node,
                               id) if (partition->id == id) return partition;
    return NULL;
}

unsigned bh_partition_list(u64 *ids, unsigned capacity)
{
    struct bh_partition *partition;
    unsigned count = 0;
    int bucket;

    rcu_read_lock();
    hash_for_each_rcu(table, bucket, partition, table_node)
    {
        if (count < capacity)
            ids[count] = partition->id;
        count++;
    }
    rcu_read_unlock();
    return count;
}

/* --- end ---------------------------------------------------------------------------------- */

static void finalize(u64 id)
{
    u16 status = bh_hypercall_fast(HVCALL_FINALIZE_PARTITION, id, 0);

    if (status != HV_STATUS_SUCCESS) {
        pr_err("partition %llu is not finalized (status 0x%x); its memory is lost until the next "
               "boot\n",
               id, status);
        return;
    }
    bh_withdraw_all(id);
    status = bh_hypercall_fast(HVCALL_DELETE_PARTITION, id, 0);
    if (status != HV_STATUS_SUCCESS)
        pr_err("partition %llu is not deleted (status 0x%x)\n", id, status);
}

static void free_partition(struct bh_partition *partition)
{
    cleanup_srcu_struct(&partition->routing_srcu);
    kfree(partition);
}

/* The last file is closed, so no other thread is here; only interrupts and eventfds may be. */
static void destroy_partition(struct kref *references)
{
    struct bh_partition *partition = container_of(references, struct bh_partition, references);
    unsigned i;

    bh_irqfd_release(partition);
    bh_ioeventfd_release(partition);
    bh_event_port_release(partition);
    for (i = 0; i < BH_VPS_MAX; i++)
        if (partition->vp[i])
            bh_vp_destroy(partition->vp[i]);
    table_remove(partition);
    for (i = 0; i < BH_VPS_MAX; i++)
        if (partition->vp[i])
            bh_vp_free(partition->vp[i]);
    bh_memory_release(partition);
    finalize(partition->id);
    bh_routing_release(partition);
    free_partition(partition);
}

void bh_partition_get(struct bh_partition *partition)
{
    kref_get(&partition->references);
}

void bh_partition_put(struct bh_partition *partition)
{
    kref_put(&partition->references, destroy_partition);
}

/* --- file --------------------------------------------------------------------------------- */

static int initialize(struct bh_partition *partition)
{
    u16 status = HV_STATUS_INSUFFICIENT_MEMORY;
    int err;

    if (partition->initialized)
        return 0;
    err = bh_deposit(partition->id, BH_DEPOSIT_INITIALIZE);
    while (!err && status == HV_STATUS_INSUFFICIENT_MEMORY) {
        status = bh_hypercall_fast(HVCALL_INITIALIZE_PARTITION, partition->id, 0);
        if (status == HV_STATUS_INSUFFICIENT_MEMORY)
            err = bh_deposit(partition->id, BH_DEPOSIT_RETRY);
    }
    if (!err)
        err = bh_status_to_errno(status);
    partition->initialized = !err;
    return err;
}

static int create_vp(struct bh_partition *partition, void __user *arg)
{
    struct mshv_create_vp args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_vp_create(partition, args.vp_index);
}

static int set_memory(struct bh_partition *partition, void __user *arg)
{
    struct mshv_user_mem_region args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_memory_set(partition, &args);
}

static int set_irqfd(struct bh_partition *partition, void __user *arg)
{
    struct mshv_user_irqfd args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_irqfd_set(partition, &args);
}

static int set_ioeventfd(struct bh_partition *partition, void __user *arg)
{
    struct mshv_user_ioeventfd args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_ioeventfd_set(partition, &args);
}

static int access_bitmap(struct bh_partition *partition, void __user *arg)
{
    struct mshv_gpap_access_bitmap args;
    int err;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    err = bh_memory_access_bitmap(partition, &args);
    if (err == -EINVAL)
        return err;
    return copy_to_user(arg, &args, sizeof(args)) ? -EFAULT : err;
}

static int open_message_port(struct bh_partition *partition, void __user *arg)
{
    struct bh_message_port args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_message_port_open(partition, &args);
}

static int set_event_port(struct bh_partition *partition, void __user *arg)
{
    struct bh_event_port args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_event_port_set(partition, &args);
}

static int watch_room(struct bh_partition *partition, void __user *arg)
{
    struct bh_watch_room args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_event_watch_room(partition, &args);
}

static int post_message(struct bh_partition *partition, void __user *arg)
{
    struct bh_post_message args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_event_post_message(partition, &args);
}

static int signal_event(struct bh_partition *partition, void __user *arg)
{
    struct bh_signal_event args;

    if (copy_from_user(&args, arg, sizeof(args)))
        return -EFAULT;
    return bh_event_signal(partition, &args);
}

static long partition_call(struct bh_partition *partition, unsigned int command, void __user *arg)
{
    switch (command) {
    case MSHV_INITIALIZE_PARTITION:
        return initialize(partition);
    case MSHV_CREATE_VP:
        return create_vp(partition, arg);
    case MSHV_SET_GUEST_MEMORY:
        return set_memory(partition, arg);
    case MSHV_IRQFD:
        return set_irqfd(partition, arg);
    case MSHV_IOEVENTFD:
        return set_ioeventfd(partition, arg);
    case MSHV_SET_MSI_ROUTING:
        return bh_routing_set(partition, arg);
    case MSHV_GET_GPAP_ACCESS_BITMAP:
        return access_bitmap(partition, arg);
    case MSHV_ROOT_HVCALL:
        return bh_hvcall_pass(partition->id, BH_HVCALL_FROM_PARTITION, arg);
    case BH_IOC_OPEN_MESSAGE_PORT:
        return open_message_port(partition, arg);
    case BH_IOC_EVENT_PORT:
        return set_event_port(partition, arg);
    case BH_IOC_WATCH_ROOM:
        return watch_room(partition, arg);
    default:
        return -ENOTTY;
    }
}

static long partition_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
    struct bh_partition *partition = file->private_data;
    long result;

    /* A provider's hot path: one hypercall, not behind what changes the partition. */
    if (command == BH_IOC_SIGNAL_EVENT)
        return signal_event(partition, (void __user *)arg);
    if (command == BH_IOC_POST_MESSAGE)
        return post_message(partition, (void __user *)arg);
    if (mutex_lock_killable(&partition->lock))
        return -EINTR;
    result = partition_call(partition, command, (void __user *)arg);
    mutex_unlock(&partition->lock);
    return result;
}

static int partition_release(struct inode *inode, struct file *file)
{
    bh_partition_put(file->private_data);
    return 0;
}

static const struct file_operations partition_operations = {
    .owner = THIS_MODULE,
    .unlocked_ioctl = partition_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .release = partition_release,
    .llseek = noop_llseek,
};

u64 bh_partition_id_of(const struct file *file)
{
    const struct bh_partition *partition = file->private_data;

    return file->f_op == &partition_operations ? partition->id : 0;
}

/* --- beginning ---------------------------------------------------------------------------- */

static u64 creation_flags(u64 pt_flags)
{
    u64 flags = HV_CREATE_EXO | HV_CREATE_INTERCEPT_MESSAGE_PAGE;

    if (pt_flags & BIT_ULL(MSHV_PT_BIT_LAPIC))
        flags |= HV_CREATE_LAPIC;
    if (pt_flags & BIT_ULL(MSHV_PT_BIT_X2APIC))
        flags |= HV_CREATE_X2APIC;
    if (pt_flags & BIT_ULL(MSHV_PT_BIT_GPA_SUPER_PAGES))
        flags |= HV_CREATE_GPA_SUPER_PAGES;
    if (pt_flags & BIT_ULL(MSHV_PT_BIT_NESTED_VIRTUALIZATION))
        flags |= HV_CREATE_NESTED;
    return flags;
}

static int create_in_hypervisor(const struct mshv_create_partition_v2 *args, u64 *id)
{
    struct hv_input_create_partition input = {
        .flags = creation_flags(args->pt_flags),
        .compatibility_version = HV_COMPATIBILITY_VERSION,
        .disabled_processor_features = {args->pt_cpu_fbanks[0], args->pt_cpu_fbanks[1],
                                        args->pt_disabled_xsave},
    };
    struct hv_output_create_partition output;
    u16 status;
    int err = 0;

    do {
        status = bh_hypercall_status(
            bh_hypercall(HVCALL_CREATE_PARTITION, &input, sizeof(input), &output, sizeof(output)));
        if (status == HV_STATUS_INSUFFICIENT_MEMORY)
            err = bh_deposit(HV_PARTITION_ID_SELF, BH_DEPOSIT_RETRY);
    } while (!err && status == HV_STATUS_INSUFFICIENT_MEMORY);
    if (!err)
        err = bh_status_to_errno(status);
    if (!err)
        *id = output.partition_id;
    return err;
}

static struct bh_partition *allocate(u64 pt_flags)
{
    struct bh_partition *partition = kzalloc(sizeof(*partition), GFP_KERNEL_ACCOUNT);

    if (!partition)
        return NULL;
    if (init_srcu_struct(&partition->routing_srcu)) {
        kfree(partition);
        return NULL;
    }
    partition->pt_flags = pt_flags;
    kref_init(&partition->references);
    mutex_init(&partition->lock);
    INIT_LIST_HEAD(&partition->regions);
    INIT_LIST_HEAD(&partition->ioeventfds);
    INIT_LIST_HEAD(&partition->irqfds);
    spin_lock_init(&partition->irqfd_lock);
    xa_init(&partition->event_ports);
    return partition;
}

int bh_partition_create(const struct mshv_create_partition_v2 *args)
{
    struct bh_partition *partition = allocate(args->pt_flags);
    int fd;

    if (!partition)
        return -ENOMEM;
    fd = create_in_hypervisor(args, &partition->id);
    if (fd) {
        free_partition(partition);
        return fd;
    }
    table_add(partition);
    fd = anon_inode_getfd("mshv_partition", &partition_operations, partition, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        bh_partition_put(partition);
    return fd;
}
