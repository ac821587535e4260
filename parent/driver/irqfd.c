// SPDX-License-Identifier: GPL-2.0-only
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "parent/driver/irqfd.h"
#include "parent/driver/routing.h"

/*
 * In the partition's list until deactivated, which happens once: by a request,
 * by the partition's end, or because the eventfd was closed. Freed by `shutdown`
 * on the cleanup queue.
 */
struct irqfd {
    struct list_head list;
    struct bh_partition *partition;
    u32 gsi;
    struct eventfd_ctx *eventfd;
    struct eventfd_ctx *resample; /* or NULL */
    wait_queue_entry_t wait;
    poll_table poll;
    struct work_struct hangup;
    struct work_struct shutdown;
};

static struct workqueue_struct *cleanup_queue;

int bh_irqfd_init(void)
{
    cleanup_queue = alloc_workqueue("bulkhead-irqfd", 0, 0);
    return cleanup_queue ? 0 : -ENOMEM;
}

void bh_irqfd_exit(void)
{
    destroy_workqueue(cleanup_queue);
}

static void irqfd_shutdown(struct work_struct *work)
{
    struct irqfd *irqfd = container_of(work, struct irqfd, shutdown);
    u64 count;

    /* After this no wake-up of this entry is running or will come. */
    (void)eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
    cancel_work_sync(&irqfd->hangup);
    if (irqfd->resample)
        eventfd_ctx_put(irqfd->resample);
    eventfd_ctx_put(irqfd->eventfd);
    kfree(irqfd);
}

/* Under irqfd_lock; only for one that is in the list. */
static void deactivate(struct irqfd *irqfd)
{
    list_del_init(&irqfd->list);
    queue_work(cleanup_queue, &irqfd->shutdown);
}

/*
 * The eventfd was closed. Not done in the wake-up, which holds the lock of the
 * eventfd: `bh_irqfd_end_of_interrupt` takes such a lock under irqfd_lock.
 */
static void irqfd_hangup(struct work_struct *work)
{
    struct irqfd *irqfd = container_of(work, struct irqfd, hangup);

    spin_lock_irq(&irqfd->partition->irqfd_lock);
    if (!list_empty(&irqfd->list))
        deactivate(irqfd);
    spin_unlock_irq(&irqfd->partition->irqfd_lock);
}

static void assert_interrupt(struct irqfd *irqfd)
{
    struct bh_route route;

    if (bh_routing_find(irqfd->partition, irqfd->gsi, &route))
        bh_routing_deliver(irqfd->partition, &route);
}

/* Called with the eventfd's wait-queue lock held and interrupts off. */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
    struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
    __poll_t events = key_to_poll(key);
    u64 count;

    if (events & EPOLLIN) {
        eventfd_ctx_do_read(irqfd->eventfd, &count);
        assert_interrupt(irqfd);
    }
    if (events & EPOLLHUP)
        queue_work(cleanup_queue, &irqfd->hangup);
    return 0;
}

static void irqfd_queue(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
    struct irqfd *irqfd = container_of(poll, struct irqfd, poll);

    add_wait_queue_priority(head, &irqfd->wait);
}

static bool is_taken(struct bh_partition *partition, const struct eventfd_ctx *eventfd)
{
    struct irqfd *other;

    list_for_each_entry(other, &partition->irqfds, list)
        if (other->eventfd == eventfd)
            return true;
    return false;
}

static int insert(struct bh_partition *partition, struct irqfd *irqfd)
{
    int err = 0;

    spin_lock_irq(&partition->irqfd_lock);
    if (is_taken(partition, irqfd->eventfd))
        err = -EBUSY;
    else
        list_add_tail(&irqfd->list, &partition->irqfds);
    spin_unlock_irq(&partition->irqfd_lock);
    return err;
}

/* A resample eventfd makes sense for a level-triggered route only. */
static int get_resample(struct irqfd *irqfd, const struct mshv_user_irqfd *args)
{
    struct bh_route route;

    if (!(args->flags & BIT(MSHV_IRQFD_BIT_RESAMPLE)))
        return 0;
    if (!bh_routing_find(irqfd->partition, irqfd->gsi, &route) || !route.level)
        return -EINVAL;
    irqfd->resample = eventfd_ctx_fdget(args->resamplefd);
    if (!IS_ERR(irqfd->resample))
        return 0;
    return PTR_ERR(xchg(&irqfd->resample, NULL));
}

static struct irqfd *allocate(struct bh_partition *partition, u32 gsi)
{
    struct irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);

    if (!irqfd)
        return NULL;
    irqfd->partition = partition;
    irqfd->gsi = gsi;
    INIT_LIST_HEAD(&irqfd->list);
    INIT_WORK(&irqfd->hangup, irqfd_hangup);
    INIT_WORK(&irqfd->shutdown, irqfd_shutdown);
    init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
    init_poll_funcptr(&irqfd->poll, irqfd_queue);
    return irqfd;
}

/* With the eventfd's file held by the caller. */
static int assign_file(struct bh_partition *partition, const struct mshv_user_irqfd *args,
                       struct file *file)
{
    struct irqfd *irqfd;
    int err;

    irqfd = allocate(partition, args->gsi);
    if (!irqfd)
        return -ENOMEM;
    irqfd->eventfd = eventfd_ctx_fileget(file);
    if (IS_ERR(irqfd->eventfd)) {
        err = PTR_ERR(irqfd->eventfd);
        kfree(irqfd);
        return err;
    }
    err = get_resample(irqfd, args);
    if (!err)
        err = insert(partition, irqfd);
    if (err) {
        if (irqfd->resample)
            eventfd_ctx_put(irqfd->resample);
        eventfd_ctx_put(irqfd->eventfd);
        kfree(irqfd);
        return err;
    }
    /* An event from before the entry was queued must not be lost. */
    if (vfs_poll(file, &irqfd->poll) & EPOLLIN)
        assert_interrupt(irqfd);
    return 0;
}

static int assign(struct bh_partition *partition, const struct mshv_user_irqfd *args)
{
    struct fd file = fdget(args->fd);
    int err;

    if (!file.file)
        return -EBADF;
    err = assign_file(partition, args, file.file);
    fdput(file);
    return err;
}

static int deassign(struct bh_partition *partition, const struct mshv_user_irqfd *args)
{
    struct eventfd_ctx *eventfd = eventfd_ctx_fdget(args->fd);
    struct irqfd *irqfd;
    struct irqfd *next;

    if (IS_ERR(eventfd))
        return PTR_ERR(eventfd);
    spin_lock_irq(&partition->irqfd_lock);
    list_for_each_entry_safe(irqfd, next, &partition->irqfds, list)
        if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi)
            deactivate(irqfd);
    spin_unlock_irq(&partition->irqfd_lock);
    eventfd_ctx_put(eventfd);
    flush_workqueue(cleanup_queue);
    return 0;
}

int bh_irqfd_set(struct bh_partition *partition, const struct mshv_user_irqfd *args)
{
    if (args->flags & ~MSHV_IRQFD_FLAGS_MASK)
        return -EINVAL;
    if (args->flags & BIT(MSHV_IRQFD_BIT_DEASSIGN))
        return deassign(partition, args);
    return assign(partition, args);
}

void bh_irqfd_release(struct bh_partition *partition)
{
    struct irqfd *irqfd;
    struct irqfd *next;

    spin_lock_irq(&partition->irqfd_lock);
    list_for_each_entry_safe(irqfd, next, &partition->irqfds, list)
        deactivate(irqfd);
    spin_unlock_irq(&partition->irqfd_lock);
    flush_workqueue(cleanup_queue);
}

bool bh_irqfd_end_of_interrupt(struct bh_partition *partition, u32 vector)
{
    bool found = false;
    struct irqfd *irqfd;
    struct bh_route route;
    unsigned long flags;

    spin_lock_irqsave(&partition->irqfd_lock, flags);
    list_for_each_entry(irqfd, &partition->irqfds, list)
        if (irqfd->resample && bh_routing_find(partition, irqfd->gsi, &route) && route.level &&
            route.vector == vector) {
            eventfd_signal(irqfd->resample, 1);
            found = true;
        }
    spin_unlock_irqrestore(&partition->irqfd_lock, flags);
    return found;
}
