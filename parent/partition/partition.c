/* SPDX-License-Identifier: MIT */
#include "parent/partition/partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/hypercall.h"
#include "parent/driver/uapi/mshv.h"
#include "parent/partition/internal.h"
#include "parent/partition/open.h"

#define PAGE_SIZE 4096u

struct bh_vp {
    const struct bh_device_layer *layer;
    int fd;
    uint32_t index;
    struct hv_register_page *registers;
};

/* --- partition ---------------------------------------------------------------------------- */

int bh_partition_open_node(const struct bh_device_layer *layer, struct bh_error *error)
{
    int node = layer->open(BH_PARTITION_NODE);

    if (node < 0)
        bh_open_explain(layer, BH_PARTITION_NODE, errno, error);
    return node;
}

struct bh_partition *bh_partition_create(const struct bh_device_layer *layer, int node,
                                         struct bh_error *error)
{
    struct mshv_create_partition args = {
        .pt_flags =
            1u << MSHV_PT_BIT_LAPIC | 1u << MSHV_PT_BIT_X2APIC | 1u << MSHV_PT_BIT_GPA_SUPER_PAGES,
    };
    struct bh_partition *partition = malloc(sizeof(*partition));

    if (partition == NULL) {
        bh_error_set(error, ENOMEM, "Out of memory.");
        return NULL;
    }
    partition->layer = layer;
    partition->fd = layer->ioctl(node, MSHV_CREATE_PARTITION, &args);
    if (partition->fd >= 0)
        return partition;
    bh_error_set(error, errno, "The hypervisor creates no partition: %s.", strerror(errno));
    free(partition);
    return NULL;
}

struct bh_partition *bh_partition_adopt(const struct bh_device_layer *layer, int fd)
{
    struct bh_partition *partition = malloc(sizeof(*partition));

    if (partition != NULL)
        *partition = (struct bh_partition){.layer = layer, .fd = fd};
    return partition;
}

int bh_partition_fd(const struct bh_partition *partition)
{
    return partition->fd;
}

void bh_partition_close(struct bh_partition *partition)
{
    if (partition == NULL)
        return;
    (void)partition->layer->close(partition->fd);
    free(partition);
}

/* A hypercall of this partition or VP. `in` begins with the partition's id, which the driver sets.
 */
struct pass {
    uint16_t code;
    uint16_t reps;
    const void *in;
    size_t in_size;
    void *out;
    size_t out_size;
    uint16_t status; /* the hypervisor's, after a refusal */
};

static bool pass(const struct bh_device_layer *layer, int fd, struct pass *what,
                 struct bh_error *error)
{
    struct mshv_root_hvcall args;

    do {
        args = (struct mshv_root_hvcall){
            .code = what->code,
            .reps = what->reps,
            .in_sz = (uint16_t)what->in_size,
            .out_sz = (uint16_t)what->out_size,
            .in_ptr = (uintptr_t)what->in,
            .out_ptr = (uintptr_t)what->out,
        };
        if (layer->ioctl(fd, MSHV_ROOT_HVCALL, &args) == 0)
            return true;
    } while (errno == EAGAIN || errno == EINTR); /* EAGAIN: memory was given, try again */
    what->status = args.status;
    return bh_error_set(error, errno, "Hypercall 0x%x fails with status 0x%x: %s.", what->code,
                        args.status, strerror(errno));
}

bool bh_partition_set_property(struct bh_partition *partition, uint32_t code, uint64_t value,
                               struct bh_error *error)
{
    struct hv_input_set_partition_property input = {.code = code, .value = value};
    struct pass what = {
        .code = HVCALL_SET_PARTITION_PROPERTY, .in = &input, .in_size = sizeof(input)};

    return pass(partition->layer, partition->fd, &what, error);
}

bool bh_partition_freeze_time(struct bh_partition *partition, bool freeze, struct bh_error *error)
{
    return bh_partition_set_property(partition, HV_PROPERTY_TIME_FREEZE, freeze, error);
}

bool bh_partition_reference_time(struct bh_partition *partition, uint64_t *time,
                                 struct bh_error *error)
{
    struct hv_input_get_partition_property input = {.code = HV_PROPERTY_REFERENCE_TIME};
    struct hv_output_get_partition_property output = {0};
    struct pass what = {.code = HVCALL_GET_PARTITION_PROPERTY,
                        .in = &input,
                        .in_size = sizeof(input),
                        .out = &output,
                        .out_size = sizeof(output)};

    if (!pass(partition->layer, partition->fd, &what, error))
        return false;
    *time = output.value;
    return true;
}

bool bh_partition_set_share(struct bh_partition *partition, uint64_t share, struct bh_error *error)
{
    struct hv_input_set_partition_property input = {.code = BH_PROPERTY_SHARE, .value = share};
    struct pass what = {
        .code = HVCALL_SET_PARTITION_PROPERTY, .in = &input, .in_size = sizeof(input)};

    if (pass(partition->layer, partition->fd, &what, error))
        return true;
    if (what.status != HV_STATUS_NO_RESOURCES)
        return false;
    return bh_error_set(error, ENOSPC,
                        "No logical processor can keep a reserve of %.2f %% for each virtual "
                        "processor beside what is reserved for others (%u %% of each in all): ask "
                        "for less, or lower that of another VM.",
                        (double)BH_SHARE_RESERVE(share) / 100, BH_SHARE_RESERVE_MAX / 100);
}

bool bh_partition_initialize(struct bh_partition *partition, struct bh_error *error)
{
    if (partition->layer->ioctl(partition->fd, MSHV_INITIALIZE_PARTITION, NULL) == 0)
        return true;
    return bh_error_set(error, errno, "The partition cannot be initialized: %s.", strerror(errno));
}

bool bh_partition_map(struct bh_partition *partition, uint64_t gpa, void *host, uint64_t size,
                      struct bh_error *error)
{
    struct mshv_user_mem_region args = {
        .size = size,
        .guest_pfn = gpa / PAGE_SIZE,
        .userspace_addr = (uintptr_t)host,
        .flags = 1u << MSHV_SET_MEM_BIT_WRITABLE | 1u << MSHV_SET_MEM_BIT_EXECUTABLE,
    };

    if (partition->layer->ioctl(partition->fd, MSHV_SET_GUEST_MEMORY, &args) == 0)
        return true;
    return bh_error_set(error, errno, "The child gets no memory of %llu MiB: %s.",
                        (unsigned long long)(size >> 20), strerror(errno));
}

bool bh_partition_assert_interrupt(struct bh_partition *partition,
                                   const struct bh_partition_interrupt *interrupt,
                                   struct bh_error *error)
{
    struct hv_input_assert_interrupt input = {
        .type = interrupt->type,
        .flags = (interrupt->level ? HV_INTERRUPT_LEVEL_TRIGGERED : 0) |
                 (interrupt->logical ? HV_INTERRUPT_LOGICAL_DESTINATION : 0),
        .destination = interrupt->destination,
        .vector = interrupt->vector,
    };
    struct pass what = {
        .code = HVCALL_ASSERT_VIRTUAL_INTERRUPT, .in = &input, .in_size = sizeof(input)};

    return pass(partition->layer, partition->fd, &what, error);
}

/* --- VP ----------------------------------------------------------------------------------- */

static void *map_page(const struct bh_vp *vp, long page)
{
    return vp->layer->map(vp->fd, PAGE_SIZE, page * (long)PAGE_SIZE);
}

struct bh_vp *bh_vp_create(struct bh_partition *partition, uint32_t index, struct bh_error *error)
{
    struct mshv_create_vp args = {.vp_index = index};
    struct bh_vp *vp = calloc(1, sizeof(*vp));

    if (vp == NULL) {
        bh_error_set(error, ENOMEM, "Out of memory.");
        return NULL;
    }
    vp->layer = partition->layer;
    vp->index = index;
    vp->fd = partition->layer->ioctl(partition->fd, MSHV_CREATE_VP, &args);
    if (vp->fd < 0) {
        bh_error_set(error, errno, "Virtual processor %u cannot be created: %s.", index,
                     strerror(errno));
        free(vp);
        return NULL;
    }
    vp->registers = map_page(vp, MSHV_VP_MMAP_OFFSET_REGISTERS);
    return vp;
}

struct bh_vp *bh_vp_adopt(struct bh_partition *partition, uint32_t index, int fd)
{
    struct bh_vp *vp = calloc(1, sizeof(*vp));

    if (vp == NULL)
        return NULL;
    *vp = (struct bh_vp){.layer = partition->layer, .fd = fd, .index = index};
    vp->registers = map_page(vp, MSHV_VP_MMAP_OFFSET_REGISTERS);
    return vp;
}

int bh_vp_fd(const struct bh_vp *vp)
{
    return vp->fd;
}

uint32_t bh_vp_index(const struct bh_vp *vp)
{
    return vp->index;
}

void bh_vp_close(struct bh_vp *vp)
{
    if (vp == NULL)
        return;
    if (vp->registers != NULL)
        vp->layer->unmap(vp->registers, PAGE_SIZE);
    (void)vp->layer->close(vp->fd);
    free(vp);
}

static bool check_count(size_t count, struct bh_error *error)
{
    return (count > 0 && count <= BH_REGISTERS_MAX) ||
           bh_error_set(error, EINVAL, "%zu registers at once.", count);
}

bool bh_vp_set_registers(struct bh_vp *vp, const struct bh_register *registers, size_t count,
                         struct bh_error *error)
{
    struct {
        struct hv_input_vp_registers head;
        struct hv_register_assoc element[BH_REGISTERS_MAX];
    } input = {.head = {.vp_index = vp->index}};
    struct pass what = {
        .code = HVCALL_SET_VP_REGISTERS,
        .reps = (uint16_t)count,
        .in = &input,
        .in_size = sizeof(input.head) + count * sizeof(input.element[0]),
    };

    if (!check_count(count, error))
        return false;
    for (size_t i = 0; i < count; i++) {
        input.element[i].name = registers[i].name;
        input.element[i].value = registers[i].value;
    }
    return pass(vp->layer, vp->fd, &what, error);
}

bool bh_vp_get_registers(struct bh_vp *vp, struct bh_register *registers, size_t count,
                         struct bh_error *error)
{
    struct {
        struct hv_input_vp_registers head;
        uint32_t name[BH_REGISTERS_MAX];
    } input = {.head = {.vp_index = vp->index}};
    union hv_register_value value[BH_REGISTERS_MAX];
    struct pass what = {
        .code = HVCALL_GET_VP_REGISTERS,
        .reps = (uint16_t)count,
        .in = &input,
        .in_size = sizeof(input.head) + count * sizeof(input.name[0]),
        .out = value,
        .out_size = count * sizeof(value[0]),
    };

    if (!check_count(count, error))
        return false;
    for (size_t i = 0; i < count; i++)
        input.name[i] = registers[i].name;
    if (!pass(vp->layer, vp->fd, &what, error))
        return false;
    for (size_t i = 0; i < count; i++)
        registers[i].value = value[i];
    return true;
}

struct hv_register_page *bh_vp_register_page(struct bh_vp *vp)
{
    return vp->registers;
}

enum bh_vp_run bh_vp_run(struct bh_vp *vp, struct hv_message *message, struct bh_error *error)
{
    if (vp->layer->ioctl(vp->fd, MSHV_RUN_VP, message) == 0)
        return BH_VP_MESSAGE;
    if (errno == EINTR)
        return BH_VP_INTERRUPTED;
    bh_error_set(error, errno, "Virtual processor %u does not run: %s.", vp->index,
                 strerror(errno));
    return BH_VP_FAILED;
}

bool bh_vp_translate(struct bh_vp *vp, uint64_t gva, uint64_t flags, uint64_t *gpa,
                     struct bh_error *error)
{
    struct hv_input_translate input = {
        .vp_index = vp->index, .flags = flags, .gva_page = gva / PAGE_SIZE};
    struct hv_output_translate output = {0};
    struct pass what = {
        .code = HVCALL_TRANSLATE_VIRTUAL_ADDRESS,
        .in = &input,
        .in_size = sizeof(input),
        .out = &output,
        .out_size = sizeof(output),
    };

    if (!pass(vp->layer, vp->fd, &what, error))
        return false;
    if (output.code != HV_TRANSLATE_SUCCESS)
        return bh_error_set(error, EFAULT, "The guest's address 0x%llx is not mapped (code %u).",
                            (unsigned long long)gva, output.code);
    *gpa = output.gpa_page * PAGE_SIZE + gva % PAGE_SIZE;
    return true;
}
