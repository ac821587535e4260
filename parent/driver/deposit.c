// SPDX-License-Identifier: GPL-2.0-only
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "parent/driver/deposit.h"
#include "parent/driver/hypercall.h"

#define PAGES_A_CALL 256u

struct deposit_input {
    struct hv_input_deposit_memory head;
    u64 page[PAGES_A_CALL];
};

/* The page remembers for whom it was given, so that only that one can be returned. */
static struct page *allocate_for(u64 partition_id)
{
    struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);

    if (page)
        set_page_private(page, (unsigned long)partition_id);
    return page;
}

static void free_given(u64 partition_id, u64 frame)
{
    struct page *page;

    if (!pfn_valid(frame)) {
        pr_err("the hypervisor returned frame 0x%llx, which does not exist\n", frame);
        return;
    }
    page = pfn_to_page(frame);
    if (page_private(page) != (unsigned long)partition_id) {
        pr_err("the hypervisor returned frame 0x%llx, which was not given for partition %llu\n",
               frame, partition_id);
        return;
    }
    set_page_private(page, 0);
    __free_page(page);
}

static unsigned fill(struct deposit_input *input, u64 partition_id, unsigned pages)
{
    unsigned count = 0;

    input->head.partition_id = partition_id;
    while (count < pages) {
        struct page *page = allocate_for(partition_id);

        if (!page)
            break;
        input->page[count++] = page_to_pfn(page);
    }
    return count;
}

/* Gives up to PAGES_A_CALL pages; returns how many, or a negative errno for none. */
static int deposit_some(struct deposit_input *input, u64 partition_id, unsigned pages)
{
    unsigned count = fill(input, partition_id, pages);
    struct bh_rep_call call = {
        .code = HVCALL_DEPOSIT_MEMORY,
        .count = (u16)count,
        .in = input,
        .in_size = sizeof(input->head) + count * sizeof(input->page[0]),
    };
    unsigned i;
    u16 status;
    u16 done;

    if (!count)
        return -ENOMEM;
    status = bh_hypercall_rep(&call, &done);
    for (i = done; i < count; i++)
        free_given(partition_id, input->page[i]);
    return done ? done : bh_status_to_errno(status);
}

int bh_deposit(u64 partition_id, unsigned pages)
{
    struct deposit_input *input = kmalloc(sizeof(*input), GFP_KERNEL);
    int given = 0;

    if (!input)
        return -ENOMEM;
    while (pages) {
        given = deposit_some(input, partition_id, min(pages, PAGES_A_CALL));
        if (given < 0)
            break;
        pages -= (unsigned)given;
    }
    kfree(input);
    return given < 0 ? given : 0;
}

u16 bh_deposit_and_call(u64 partition_id, u16 code, const void *in, size_t in_size)
{
    u16 status;

    do
        status = bh_hypercall_status(bh_hypercall(code, in, in_size, NULL, 0));
    while (status == HV_STATUS_INSUFFICIENT_MEMORY && !bh_deposit(partition_id, BH_DEPOSIT_RETRY));
    return status;
}

void bh_withdraw_all(u64 partition_id)
{
    struct hv_input_withdraw_memory input = {.partition_id = partition_id};
    u64 *pages = (u64 *)__get_free_page(GFP_KERNEL | __GFP_NOFAIL);
    struct bh_rep_call call = {
        .code = HVCALL_WITHDRAW_MEMORY,
        .count = PAGE_SIZE / sizeof(*pages),
        .in = &input,
        .in_size = sizeof(input),
        .out = pages,
        .out_element = sizeof(*pages),
    };
    u16 status;
    u16 done;
    u16 i;

    do {
        status = bh_hypercall_rep(&call, &done);
        for (i = 0; i < done; i++)
            free_given(partition_id, pages[i]);
    } while (status == HV_STATUS_SUCCESS && done);
    if (status != HV_STATUS_NO_RESOURCES)
        pr_err("memory of partition %llu is not returned (status 0x%x)\n", partition_id, status);
    free_page((unsigned long)pages);
}
