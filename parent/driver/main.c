// SPDX-License-Identifier: GPL-2.0-only
/*
 * bulkhead.ko: the parent partition's driver for the Bulkhead hypervisor. This
 * file decides whether the module may load, and starts and stops its parts.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>

#include <asm/processor.h>

#include "hv/abi/bulkhead.h"
#include "hv/abi/cpuid.h"
#include "parent/driver/device.h"
#include "parent/driver/hypercall.h"
#include "parent/driver/kernel_hyperv.h"
#include "parent/driver/node.h"

static bool on_bulkhead(void)
{
    unsigned int eax, ebx, ecx, edx;

    if (!(cpuid_ecx(1) & CPUID_1_ECX_HYPERVISOR))
        return false;
    cpuid(BH_CPUID_SIGNATURE, &eax, &ebx, &ecx, &edx);
    return eax >= BH_CPUID_ABI && ebx == BH_SIGNATURE_EBX && ecx == BH_SIGNATURE_ECX &&
           edx == BH_SIGNATURE_EDX;
}

static int check_platform(void)
{
    u32 version;

    if (!on_bulkhead()) {
        pr_err("this kernel does not run on the Bulkhead hypervisor; start the machine from "
               "Bulkhead's boot entry\n");
        return -ENODEV;
    }
    version = cpuid_eax(BH_CPUID_ABI);
    if (version != BH_ABI_VERSION) {
        pr_err("the hypervisor has interface version %u and this module %u; install module and "
               "hypervisor of the same release\n",
               version, BH_ABI_VERSION);
        return -ENODEV;
    }
    if (!bh_kernel_has_hypercalls()) {
        pr_err("the kernel did not set up hypercalls; start it without options that disable "
               "Hyper-V support\n");
        return -ENODEV;
    }
    return 0;
}

/* One line in the kernel's log, and the first real call. */
static int greet(void)
{
    struct bh_info *info = kzalloc(sizeof(*info), GFP_KERNEL);
    u16 status;

    if (!info)
        return -ENOMEM;
    status = bh_hypercall_status(bh_hypercall(BH_CALL_GET_INFO, NULL, 0, info, sizeof(*info)));
    if (status == HV_STATUS_SUCCESS)
        pr_info("hypervisor %.*s, %u logical processors\n", (int)sizeof(info->release),
                info->release, info->lp_count);
    else
        pr_err("the hypervisor refuses its information (status 0x%x); only the parent partition "
               "may use this module\n",
               status);
    kfree(info);
    return status == HV_STATUS_SUCCESS ? 0 : -EACCES;
}

static int __init bulkhead_init(void)
{
    int err = check_platform();

    if (err)
        return err;
    err = bh_hypercall_init();
    if (err)
        return err;
    err = greet();
    if (err)
        goto no_device;
    err = bh_device_init();
    if (err)
        goto no_device;
    err = bh_node_init();
    if (err)
        goto no_node;
    return 0;

no_node:
    bh_device_exit();
no_device:
    bh_hypercall_exit();
    return err;
}

static void __exit bulkhead_exit(void)
{
    bh_node_exit();
    bh_device_exit();
    bh_hypercall_exit();
}

module_init(bulkhead_init);
module_exit(bulkhead_exit);

MODULE_DESCRIPTION("Driver of the parent partition for the Bulkhead hypervisor");
MODULE_AUTHOR("The Bulkhead project");
MODULE_LICENSE("GPL");
