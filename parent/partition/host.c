/* SPDX-License-Identifier: MIT */
#include "parent/partition/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parent/driver/uapi/bulkhead.h"
#include "parent/partition/open.h"

struct bh_host {
    const struct bh_device_layer *layer;
    int fd;
};

struct bh_host *bh_host_open(const struct bh_device_layer *layer, struct bh_error *error)
{
    struct bh_host *host = malloc(sizeof(*host));

    if (host == NULL) {
        bh_error_set(error, ENOMEM, "Out of memory.");
        return NULL;
    }
    host->layer = layer != NULL ? layer : &bh_device_layer_kernel;
    host->fd = host->layer->open(BH_HOST_NODE);
    if (host->fd < 0) {
        bh_open_explain(host->layer, BH_HOST_NODE, errno, error);
        free(host);
        return NULL;
    }
    return host;
}

void bh_host_close(struct bh_host *host)
{
    if (host == NULL)
        return;
    (void)host->layer->close(host->fd);
    free(host);
}

bool bh_host_info(struct bh_host *host, struct bh_info *info, struct bh_error *error)
{
    if (host->layer->ioctl(host->fd, BH_IOC_GET_INFO, info) != 0)
        return bh_error_set(error, errno, "The driver gives no information: %s.", strerror(errno));
    info->release[sizeof(info->release) - 1] = '\0';
    info->build[sizeof(info->build) - 1] = '\0';
    info->command_line[sizeof(info->command_line) - 1] = '\0';
    return true;
}

bool bh_host_read_log(struct bh_host *host, uint64_t position, struct bh_log_output *log,
                      struct bh_error *error)
{
    log->position = position;
    if (host->layer->ioctl(host->fd, BH_IOC_READ_LOG, log) != 0)
        return bh_error_set(error, errno, "The hypervisor's log cannot be read: %s.",
                            strerror(errno));
    if (log->length > BH_LOG_TEXT_SIZE)
        return bh_error_set(error, EIO, "The hypervisor's log is damaged: %u bytes in one piece.",
                            log->length);
    return true;
}

bool bh_host_partitions(struct bh_host *host, uint64_t *ids, uint32_t capacity, uint32_t *count,
                        struct bh_error *error)
{
    struct bh_partition_list list = {.buffer = (uintptr_t)ids, .capacity = capacity};

    if (host->layer->ioctl(host->fd, BH_IOC_LIST_PARTITIONS, &list) != 0)
        return bh_error_set(error, errno, "The driver does not list partitions: %s.",
                            strerror(errno));
    *count = list.count;
    return true;
}

bool bh_host_partition_id(struct bh_host *host, int fd, uint64_t *id, struct bh_error *error)
{
    struct bh_partition_id request = {.fd = fd};

    if (host->layer->ioctl(host->fd, BH_IOC_PARTITION_ID, &request) != 0)
        return bh_error_set(error, errno, "The partition has no id: %s.", strerror(errno));
    *id = request.id;
    return true;
}

static bool get_stats(struct bh_host *host, struct bh_stats_input object, void *stats,
                      uint32_t size, struct bh_error *error)
{
    static const char *const names[] = {"hypervisor", "LP", "partition", "VP"};
    struct bh_stats_request request = {
        .object = object,
        .buffer = (uintptr_t)stats,
        .buffer_size = size,
    };

    if (host->layer->ioctl(host->fd, BH_IOC_GET_STATS, &request) != 0)
        return bh_error_set(error, errno, "No statistics of %s %u: %s.", names[object.object],
                            object.index, strerror(errno));
    return true;
}

bool bh_host_hypervisor_stats(struct bh_host *host, struct bh_hypervisor_stats *stats,
                              struct bh_error *error)
{
    struct bh_stats_input object = {.object = BH_STATS_HYPERVISOR};

    return get_stats(host, object, stats, sizeof(*stats), error);
}

bool bh_host_lp_stats(struct bh_host *host, uint32_t lp, struct bh_lp_stats *stats,
                      struct bh_error *error)
{
    struct bh_stats_input object = {.object = BH_STATS_LP, .index = lp};

    return get_stats(host, object, stats, sizeof(*stats), error);
}

bool bh_host_partition_stats(struct bh_host *host, uint64_t partition_id,
                             struct bh_partition_stats *stats, struct bh_error *error)
{
    struct bh_stats_input object = {.object = BH_STATS_PARTITION, .partition_id = partition_id};

    return get_stats(host, object, stats, sizeof(*stats), error);
}

bool bh_host_vp_stats(struct bh_host *host, uint64_t partition_id, uint32_t vp,
                      struct bh_vp_stats *stats, struct bh_error *error)
{
    struct bh_stats_input object = {
        .object = BH_STATS_VP, .index = vp, .partition_id = partition_id};

    return get_stats(host, object, stats, sizeof(*stats), error);
}

const char *bh_vendor_name(uint32_t vendor)
{
    switch (vendor) {
    case BH_VENDOR_SVM:
        return "svm";
    case BH_VENDOR_VMX:
        return "vmx";
    default:
        return "unknown";
    }
}

const char *bh_exit_name(unsigned kind)
{
    static const char *const names[BH_EXIT_COUNT] = {
        [BH_EXIT_INTERRUPT] = "interrupt",
        [BH_EXIT_NMI] = "nmi",
        [BH_EXIT_INTERRUPT_WINDOW] = "interrupt_window",
        [BH_EXIT_CPUID] = "cpuid",
        [BH_EXIT_MSR_READ] = "msr_read",
        [BH_EXIT_MSR_WRITE] = "msr_write",
        [BH_EXIT_HLT] = "hlt",
        [BH_EXIT_HYPERCALL] = "hypercall",
        [BH_EXIT_IO] = "io",
        [BH_EXIT_NESTED_FAULT] = "nested_fault",
        [BH_EXIT_EXCEPTION] = "exception",
        [BH_EXIT_CONTROL_REGISTER] = "control_register",
        [BH_EXIT_IRET] = "iret",
        [BH_EXIT_CACHE] = "cache",
        [BH_EXIT_VIRTUALIZATION_INSTRUCTION] = "virtualization_instruction",
        [BH_EXIT_SHUTDOWN] = "shutdown",
        [BH_EXIT_OTHER] = "other",
    };

    return kind < BH_EXIT_COUNT ? names[kind] : NULL;
}
