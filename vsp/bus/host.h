/* SPDX-License-Identifier: MIT */
/*
 * What the bus needs of the machine, as a table: the worker puts the
 * hypervisor's ports behind it, tests a simulated guest.
 */
#ifndef VSP_BUS_HOST_H
#define VSP_BUS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bh_vmbus_post {
    BH_VMBUS_POSTED,
    BH_VMBUS_POST_FULL, /* the VP's queue is full: bh_vmbus_retry is called when it is not */
    BH_VMBUS_POST_LOST, /* the guest takes no messages on this VP */
};

struct bh_vmbus_host {
    void *context;
    uint32_t vp_count;
    /*
     * bh_vmbus_journal_size bytes that outlive the process, zero or written by the one before;
     * page-aligned. NULL: the bus begins anew in memory of its own.
     */
    void *journal;
    /* A message of type VMBUS_MESSAGE_TYPE to VMBUS_SINT of the VP. */
    enum bh_vmbus_post (*post)(void *context, uint32_t vp, const void *payload, size_t size);
    /* Sets the event flag of VMBUS_SINT on the VP. */
    void (*signal)(void *context, uint32_t vp, uint32_t flag);
    /* An eventfd that counts the guest's signals on the connection; -1 when there is none. */
    int (*bind)(void *context, uint32_t connection_id);
    /* Takes the connection away and closes the eventfd. */
    void (*unbind)(void *context, uint32_t connection_id, int fd);
    /* Where guest memory is mapped; NULL when the range is not all RAM. Stays valid. */
    void *(*memory)(void *context, uint64_t gpa, uint64_t size);
    /* A sentence for the log. */
    void (*log)(void *context, const char *sentence);
};

#endif
