// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/bulkhead: information, log and statistics of the hypervisor. Stateless:
 * each ioctl is one hypercall whose answer goes to user memory through a kernel
 * page of the call's own.
 */
#include <linux/compat.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include <asm/processor.h>

#include "hv/abi/cpuid.h"
#include "parent/driver/device.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/partition.h"
#include "parent/driver/uapi/bulkhead.h"

static int status_to_errno(u16 status)
{
    switch (status) {
    case HV_STATUS_SUCCESS:
        return 0;
    case HV_STATUS_INVALID_PARTITION_ID:
    case HV_STATUS_INVALID_VP_INDEX:
    case HV_STATUS_INVALID_PARAMETER:
        return -ENOENT;
    default:
        return -EIO;
    }
}

/* Calls with `in` and copies the first `size` bytes of the output page to user memory. */
static int call_to_user(u16 code, const void *in, size_t in_size, void __user *to, size_t size)
{
    void *page = (void *)__get_free_page(GFP_KERNEL);
    int err;

    if (!page)
        return -ENOMEM;
    err = status_to_errno(bh_hypercall_status(bh_hypercall(code, in, in_size, page, PAGE_SIZE)));
    if (!err && copy_to_user(to, page, size))
        err = -EFAULT;
    free_page((unsigned long)page);
    return err;
}

static int get_info(struct bh_info __user *arg)
{
    return call_to_user(BH_CALL_GET_INFO, NULL, 0, arg, sizeof(*arg));
}

static int read_log(struct bh_log_output __user *arg)
{
    struct bh_log_input in;

    if (get_user(in.position, &arg->position))
        return -EFAULT;
    return call_to_user(BH_CALL_READ_LOG, &in, sizeof(in), arg, sizeof(*arg));
}

static int get_stats(const struct bh_stats_request __user *arg)
{
    struct bh_stats_request request;

    if (copy_from_user(&request, arg, sizeof(request)))
        return -EFAULT;
    if (request.reserved || !request.buffer_size || request.buffer_size > PAGE_SIZE ||
        request.object.object > BH_STATS_VP)
        return -EINVAL;
    return call_to_user(BH_CALL_GET_STATS, &request.object, sizeof(request.object),
                        u64_to_user_ptr(request.buffer), request.buffer_size);
}

#define LIST_MAX 65536u

static int list_partitions(struct bh_partition_list __user *arg)
{
    struct bh_partition_list list;
    u64 *ids;
    int err = 0;

    if (copy_from_user(&list, arg, sizeof(list)))
        return -EFAULT;
    if (!list.capacity || list.capacity > LIST_MAX)
        return -EINVAL;
    ids = kvmalloc_array(list.capacity, sizeof(*ids), GFP_KERNEL);
    if (!ids)
        return -ENOMEM;
    ids[0] = cpuid_ebx(BH_CPUID_ABI);
    list.count = 1 + bh_partition_list(ids + 1, list.capacity - 1);
    if (copy_to_user(u64_to_user_ptr(list.buffer), ids,
                     min(list.count, list.capacity) * sizeof(*ids)) ||
        copy_to_user(arg, &list, sizeof(list)))
        err = -EFAULT;
    kvfree(ids);
    return err;
}

static int partition_id(struct bh_partition_id __user *arg)
{
    struct bh_partition_id request;
    struct fd file;

    if (copy_from_user(&request, arg, sizeof(request)))
        return -EFAULT;
    if (request.reserved)
        return -EINVAL;
    file = fdget(request.fd);
    if (!file.file)
        return -EBADF;
    request.id = bh_partition_id_of(file.file);
    fdput(file);
    if (!request.id)
        return -EINVAL;
    return copy_to_user(arg, &request, sizeof(request)) ? -EFAULT : 0;
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
    void __user *user = (void __user *)arg;

    switch (command) {
    case BH_IOC_GET_INFO:
        return get_info(user);
    case BH_IOC_READ_LOG:
        return read_log(user);
    case BH_IOC_GET_STATS:
        return get_stats(user);
    case BH_IOC_LIST_PARTITIONS:
        return list_partitions(user);
    case BH_IOC_PARTITION_ID:
        return partition_id(user);
    default:
        return -ENOTTY;
    }
}

static const struct file_operations device_operations = {
    .owner = THIS_MODULE,
    .unlocked_ioctl = device_ioctl,
    .compat_ioctl = compat_ptr_ioctl,
    .llseek = noop_llseek,
};

static struct miscdevice device = {
    .minor = MISC_DYNAMIC_MINOR,
    .name = "bulkhead",
    .mode = 0600,
    .fops = &device_operations,
};

int bh_device_init(void)
{
    return misc_register(&device);
}

void bh_device_exit(void)
{
    misc_deregister(&device);
}
