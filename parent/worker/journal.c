/* SPDX-License-Identifier: MIT */
#include "parent/worker/journal.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vsp/bus/vmbus.h"

#define MAGIC UINT64_C(0x314c4e524a4d5642)
#define PAGE  4096u

static size_t bus_offset(void)
{
    return (sizeof(struct bh_vm_journal) + PAGE - 1) / PAGE * PAGE;
}

static size_t whole_size(void)
{
    return bus_offset() + bh_vmbus_journal_size();
}

/* The descriptor of a new journal, with the keeper; -1 on failure. */
static int make(struct bh_kept *kept, struct bh_error *error)
{
    int fd = memfd_create("bulkhead-journal", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, (off_t)whole_size()) != 0) {
        bh_error_set(error, errno, "No memory for the VM's journal: %s.", strerror(errno));
    } else if (bh_kept_put(kept, BH_KEPT_JOURNAL, fd, error)) {
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* Of a worker that fell; one that was broken into may have left anything. */
static int check(int fd, struct bh_error *error)
{
    struct stat file;

    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && (size_t)file.st_size == whole_size())
        return fd;
    (void)close(fd);
    bh_error_set(error, EINVAL, "What the worker before left is no journal of this worker's.");
    return -1;
}

static void *map(int fd, int flags, struct bh_error *error)
{
    void *at = mmap(NULL, whole_size(), PROT_READ | PROT_WRITE, flags, fd, 0);

    if (fd >= 0)
        (void)close(fd);
    if (at != MAP_FAILED)
        return at;
    bh_error_set(error, errno, "No memory for the VM's journal: %s.", strerror(errno));
    return NULL;
}

struct bh_vm_journal *bh_vm_journal_open(struct bh_kept *kept, bool *resumed,
                                         struct bh_error *error)
{
    struct bh_vm_journal *journal;

    *resumed = false;
    if (kept->socket < 0) {
        journal = map(-1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, error);
    } else {
        int fd = kept->fd[BH_KEPT_JOURNAL] >= 0 ? check(kept->fd[BH_KEPT_JOURNAL], error)
                                                : make(kept, error);

        journal = fd >= 0 ? map(fd, MAP_SHARED, error) : NULL;
    }
    if (journal == NULL)
        return NULL;
    *resumed = journal->magic == MAGIC && journal->size == whole_size();
    if (!*resumed)
        journal->is_live = 0;
    journal->size = whole_size();
    return journal;
}

void *bh_vm_journal_bus(struct bh_vm_journal *journal)
{
    return (uint8_t *)journal + bus_offset();
}

void bh_vm_journal_clear_bus(struct bh_vm_journal *journal)
{
    void *bus = bh_vm_journal_bus(journal);

    if (madvise(bus, bh_vmbus_journal_size(), MADV_REMOVE) != 0)
        (void)madvise(bus, bh_vmbus_journal_size(), MADV_DONTNEED);
}

void bh_vm_journal_set_config(struct bh_vm_journal *journal, const struct bh_vm_config *config)
{
    uint32_t number = journal->config_number + 1;

    journal->config[number % 2] = *config;
    __atomic_store_n(&journal->config_number, number, __ATOMIC_RELEASE);
    __atomic_store_n(&journal->magic, MAGIC, __ATOMIC_RELEASE);
}

const struct bh_vm_config *bh_vm_journal_config(const struct bh_vm_journal *journal)
{
    return &journal->config[journal->config_number % 2];
}
