/* SPDX-License-Identifier: MIT */
/*
 * Test module: a hostile parent kernel. Maps the physical memory [base, base + size) by page-table
 * entries of its own making and touches every page, catching faults. Says in the kernel log how
 * many pages let themselves be read and written, and refuses to stay loaded.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

static unsigned long base;
module_param(base, ulong, 0);
MODULE_PARM_DESC(base, "first physical address");
static unsigned long size;
module_param(size, ulong, 0);
MODULE_PARM_DESC(size, "bytes");

static bool probe_read(void *page)
{
    u64 word;

    return copy_from_kernel_nofault(&word, page, sizeof(word)) == 0;
}

static bool probe_write(void *page)
{
    u64 word = 0;

    __put_kernel_nofault(page + 8, &word, u64, refused);
    return true;
refused:
    return false;
}

static int __init probe_init(void)
{
    unsigned long pages = 0, unmapped = 0, read = 0, written = 0, address;

    for (address = base; address < base + size; address += PAGE_SIZE) {
        void *page = (__force void *)ioremap_cache(address, PAGE_SIZE);

        pages++;
        if (!page) {
            unmapped++;
            continue;
        }
        read += probe_read(page);
        written += probe_write(page);
        iounmap((__force void __iomem *)page);
    }
    pr_info("probe: pages %lu unmapped %lu read %lu written %lu\n", pages, unmapped, read, written);
    return -ECANCELED;
}
module_init(probe_init);

MODULE_DESCRIPTION("Bulkhead test: touches memory that is not the parent's");
MODULE_LICENSE("Dual MIT/GPL");
