/* SPDX-License-Identifier: MIT */
#include "tests/unit/parent/fake_mshv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "parent/driver/uapi/bulkhead.h"
#include "parent/driver/uapi/mshv.h"

#define NODE_FD      200
#define PARTITION_FD 201
#define VP_FD        300

struct fake_mshv fake_mshv;

static int fail(int number)
{
    errno = number;
    return -1;
}

static int fake_open(const char *path)
{
    if (strcmp(path, BH_PARTITION_NODE) != 0)
        return fail(ENOENT);
    atomic_fetch_add(&fake_mshv.open_files, 1);
    return NODE_FD;
}

static int fake_close(int fd)
{
    (void)fd;
    atomic_fetch_sub(&fake_mshv.open_files, 1);
    return 0;
}

static void *fake_map(int fd, size_t size, long offset)
{
    struct fake_vp *vp = &fake_mshv.vp[fd - VP_FD];

    return size == 4096 && offset == 0 && vp->has_page ? &vp->page : NULL;
}

static void fake_unmap(void *at, size_t size)
{
    (void)at;
    (void)size;
}

/* Registers below RIP are RAX..R15. */
static void set_register(struct fake_vp *vp, const struct hv_register_assoc *element)
{
    if (element->name >= HV_REGISTER_RAX && element->name <= HV_REGISTER_R15)
        vp->set[element->name - HV_REGISTER_RAX] = element->value;
    else if (element->name == HV_REGISTER_RIP)
        vp->rip = element->value.u64;
}

static void set_registers(const struct mshv_root_hvcall *args)
{
    const struct hv_input_vp_registers *head = (const void *)(uintptr_t)args->in_ptr;
    const struct hv_register_assoc *element = (const void *)(head + 1);

    for (unsigned i = 0; i < args->reps; i++)
        set_register(&fake_mshv.vp[head->vp_index], &element[i]);
}

static void get_registers(const struct mshv_root_hvcall *args)
{
    const struct hv_input_vp_registers *head = (const void *)(uintptr_t)args->in_ptr;
    const uint32_t *name = (const void *)(head + 1);
    union hv_register_value *out = (void *)(uintptr_t)args->out_ptr;

    for (unsigned i = 0; i < args->reps; i++)
        out[i] = fake_mshv.vp[head->vp_index].set[name[i] - HV_REGISTER_RAX];
}

static void translate(const struct mshv_root_hvcall *args)
{
    const struct hv_input_translate *input = (const void *)(uintptr_t)args->in_ptr;
    struct hv_output_translate *output = (void *)(uintptr_t)args->out_ptr;

    *output = (struct hv_output_translate){.gpa_page = input->gva_page};
    if (input->gva_page >= 1u << 20)
        output->code = HV_TRANSLATE_NOT_PRESENT;
}

static int set_property(const struct hv_input_set_partition_property *input)
{
    if (input->code == BH_PROPERTY_SHARE)
        fake_mshv.share = input->value;
    if (input->code == HV_PROPERTY_TIME_FREEZE)
        fake_mshv.frozen = input->value;
    return 0;
}

static int get_property(const struct hv_input_get_partition_property *input,
                        struct hv_output_get_partition_property *output)
{
    output->value = fake_mshv.reference_time;
    return input->code == HV_PROPERTY_REFERENCE_TIME ? 0 : fail(EIO);
}

static int hypercall(struct mshv_root_hvcall *args)
{
    switch (args->code) {
    case HVCALL_SET_VP_REGISTERS:
        set_registers(args);
        return 0;
    case HVCALL_GET_VP_REGISTERS:
        get_registers(args);
        return 0;
    case HVCALL_TRANSLATE_VIRTUAL_ADDRESS:
        translate(args);
        return 0;
    case HVCALL_ASSERT_VIRTUAL_INTERRUPT:
        memcpy(&fake_mshv.interrupt, (const void *)(uintptr_t)args->in_ptr,
               sizeof(fake_mshv.interrupt));
        fake_mshv.interrupts++;
        return 0;
    case HVCALL_SET_PARTITION_PROPERTY:
        args->status = fake_mshv.property_status;
        return args->status != 0 ? fail(EIO) : set_property((const void *)(uintptr_t)args->in_ptr);
    case HVCALL_GET_PARTITION_PROPERTY:
        return get_property((const void *)(uintptr_t)args->in_ptr,
                            (void *)(uintptr_t)args->out_ptr);
    default:
        return fail(EINVAL);
    }
}

static int run(struct fake_vp *vp, struct hv_message *message)
{
    const struct timespec long_time = {.tv_sec = 1};

    if (fake_mshv.frozen != 0)
        atomic_fetch_add(&fake_mshv.frozen_runs, 1);
    atomic_fetch_add(&vp->runs, 1);
    if (vp->next < vp->scripted) {
        *message = vp->script[vp->next++];
        return 0;
    }
    return nanosleep(&long_time, NULL) == 0 ? fail(EINTR) : -1;
}

static int partition_call(unsigned long request, void *argument)
{
    switch (request) {
    case MSHV_INITIALIZE_PARTITION:
        return 0;
    case BH_IOC_OPEN_MESSAGE_PORT:
        return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* never a message */
    case BH_IOC_WATCH_ROOM:
        return fake_mshv.refuse_ports ? fail(ENOMEM) : 0;
    case MSHV_CREATE_VP:
        atomic_fetch_add(&fake_mshv.open_files, 1);
        return VP_FD + (int)((struct mshv_create_vp *)argument)->vp_index;
    case MSHV_SET_GUEST_MEMORY:
        if (fake_mshv.refuse_memory)
            return fail(ENOMEM);
        fake_mshv.maps++;
        fake_mshv.mapped_bytes += ((struct mshv_user_mem_region *)argument)->size;
        if (((struct mshv_user_mem_region *)argument)->guest_pfn == 0)
            fake_mshv.ram =
                (uint8_t *)(uintptr_t)((struct mshv_user_mem_region *)argument)->userspace_addr;
        return 0;
    default:
        return fail(ENOTTY);
    }
}

static int fake_ioctl(int fd, unsigned long request, void *argument)
{
    if (request == MSHV_ROOT_HVCALL)
        return hypercall(argument);
    if (fd == PARTITION_FD)
        return partition_call(request, argument);
    if (fd >= VP_FD && request == MSHV_RUN_VP)
        return run(&fake_mshv.vp[fd - VP_FD], argument);
    if (fd != NODE_FD || request != MSHV_CREATE_PARTITION || fake_mshv.refuse_partition)
        return fail(EIO);
    fake_mshv.partitions++;
    atomic_fetch_add(&fake_mshv.open_files, 1);
    return PARTITION_FD;
}

static bool fake_on_bulkhead(void)
{
    return true;
}

const struct bh_device_layer fake_mshv_layer = {
    .open = fake_open,
    .ioctl = fake_ioctl,
    .close = fake_close,
    .map = fake_map,
    .unmap = fake_unmap,
    .on_bulkhead = fake_on_bulkhead,
};

void fake_mshv_reset(void)
{
    memset(&fake_mshv, 0, sizeof(fake_mshv));
}

void fake_mshv_script(unsigned vp, uint32_t type, const void *payload, size_t size)
{
    struct fake_vp *fake = &fake_mshv.vp[vp];
    struct hv_message *message = &fake->script[fake->scripted++];

    *message = (struct hv_message){.type = type, .payload_size = (uint8_t)size, .sender = 2};
    memcpy(message->payload, payload, size);
}

struct hv_io_port_intercept fake_io(uint16_t port, unsigned size, bool write, uint64_t rax)
{
    return (struct hv_io_port_intercept){
        .header = {.length_and_cr8 = 2,
                   .access = write ? HV_ACCESS_WRITE : HV_ACCESS_READ,
                   .execution_state = HV_EXECUTION_EFER_LMA,
                   .cs = {.attributes = 0xa09b},
                   .rip = 0x1000},
        .port = port,
        .access_info = (uint8_t)size,
        .rax = rax,
    };
}
