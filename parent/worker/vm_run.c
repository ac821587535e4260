/* SPDX-License-Identifier: MIT */
/*
 * One run of a VM's guest: its memory, partition and VPs, made from nothing, taken up from a
 * process before (keeper.h), and taken apart.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "parent/worker/entry.h"
#include "parent/worker/firmware.h"
#include "parent/worker/vm_parts.h"

/* --- memory ------------------------------------------------------------------------------- */

/* Address space for it, 2 MiB-aligned; and what is behind it. */
static bool map_memory(struct bh_vm *vm)
{
    uint64_t size = vm->config.memory_bytes;
    uint64_t misplaced;

    vm->area = mmap(NULL, size + BH_VM_LARGE_PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vm->area == MAP_FAILED) {
        vm->area = NULL;
        return false;
    }
    misplaced = (uintptr_t)vm->area % BH_VM_LARGE_PAGE;
    vm->ram = vm->area + (misplaced != 0 ? BH_VM_LARGE_PAGE - misplaced : 0);
    return vm->file < 0 || mmap(vm->ram, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                                vm->file, 0) != MAP_FAILED;
}

static bool allocate_memory(struct bh_vm *vm, bool populate, struct bh_error *error)
{
    uint64_t size = vm->config.memory_bytes;

    if (vm->area != NULL)
        return true;
    if (!map_memory(vm))
        return bh_error_set(error, errno, "No memory of %llu MiB for the VM: %s.",
                            (unsigned long long)(size >> 20), strerror(errno));
    (void)madvise(vm->ram, size, MADV_HUGEPAGE);
    (void)madvise(vm->ram, size, MADV_DONTDUMP);
    /* The driver pins it all; what is there already it pins by large pages. */
    if (populate)
        (void)madvise(vm->ram, size, MADV_POPULATE_WRITE);
    bh_guest_memory_init(&vm->memory, vm->ram, size);
    return true;
}

bool bh_vm_run_open_memory(struct bh_vm *vm, struct bh_error *error)
{
    vm->file = vm->kept->fd[BH_KEPT_MEMORY];
    if (vm->kept->socket < 0 || vm->file >= 0)
        return true;
    vm->file = memfd_create("bulkhead-memory", MFD_CLOEXEC);
    if (vm->file < 0 || ftruncate(vm->file, (off_t)vm->config.memory_bytes) != 0)
        return bh_error_set(error, errno, "No file for the VM's memory: %s.", strerror(errno));
    return bh_kept_put(vm->kept, BH_KEPT_MEMORY, vm->file, error);
}

/* --- partition ---------------------------------------------------------------------------- */

/* Percent of one LP for the whole VM, as its VPs' equal parts, each of its own LP. */
static uint32_t part_of_lp(const struct bh_vm_config *config, uint32_t percent)
{
    const uint32_t part = percent * (BH_SHARE_WHOLE / 100) / config->vps;

    return percent != 0 && part == 0 ? 1 : part;
}

uint64_t bh_vm_run_share(const struct bh_vm_config *config)
{
    uint32_t cap = part_of_lp(config, config->cap_percent);
    uint32_t reserve = part_of_lp(config, config->reserve_percent);

    if (reserve > BH_SHARE_WHOLE)
        reserve = BH_SHARE_WHOLE;
    if (cap >= BH_SHARE_WHOLE)
        cap = 0;
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): it is 64 bits wide */
    return BH_SHARE(config->weight, reserve, cap);
}

/* For statistics only: the VM runs without it, too. */
static void learn_id(struct bh_vm *vm)
{
    struct bh_error error;

    if (vm->host == NULL || !bh_host_partition_id(vm->host, bh_partition_fd(vm->partition),
                                                  &vm->status.partition_id, &error))
        vm->status.partition_id = 0;
}

static bool create_partition(struct bh_vm *vm, struct bh_error *error)
{
    vm->partition = bh_partition_create(vm->layer, vm->node, error);
    if (vm->partition == NULL || !bh_partition_initialize(vm->partition, error) ||
        !bh_partition_set_share(vm->partition, bh_vm_run_share(&vm->config), error) ||
        !bh_partition_set_property(vm->partition, HV_PROPERTY_UNIMPLEMENTED_MSR_ACTION, 1, error))
        return false;
    learn_id(vm);
    if (!bh_kept_put(vm->kept, BH_KEPT_PARTITION, bh_partition_fd(vm->partition), error))
        return false;
    for (unsigned i = 0; i < vm->memory.count; i++) {
        const struct bh_memory_region *region = &vm->memory.region[i];

        if (!bh_partition_map(vm->partition, region->gpa, region->host, region->size, error))
            return false;
    }
    return true;
}

/* The driver has one errno for all refusals but few; a reserve is the likely reason. */
static bool explain_reserve(const struct bh_vm_config *config, uint32_t vp, struct bh_error *error)
{
    if (config->reserve_percent == 0 || error->number != EIO)
        return false;
    return bh_error_set(error, ENOSPC,
                        "Virtual processor %u finds no logical processor that can keep its part of "
                        "a reserve of %u %%: ask for less, or lower that of another VM.",
                        vp, config->reserve_percent);
}

static struct bh_vp *create_vp(struct bh_vm *vm, uint32_t index, struct bh_error *error)
{
    struct bh_vp *vp = bh_vp_create(vm->partition, index, error);

    if (vp == NULL)
        (void)explain_reserve(&vm->config, index, error);
    if (vp == NULL || bh_kept_put(vm->kept, BH_KEPT_VP + index, bh_vp_fd(vp), error))
        return vp;
    bh_vp_close(vp);
    return NULL;
}

static struct bh_vp *adopt_vp(struct bh_vm *vm, uint32_t index, struct bh_error *error)
{
    int fd = bh_kept_take(vm->kept, BH_KEPT_VP + index);
    struct bh_vp *vp = fd >= 0 ? bh_vp_adopt(vm->partition, index, fd) : NULL;

    if (vp == NULL)
        (void)bh_error_set(error, ENOMEM, "Virtual processor %u cannot be taken up.", index);
    return vp;
}

static bool add_vps(struct bh_vm *vm,
                    struct bh_vp *(*get)(struct bh_vm *vm, uint32_t index, struct bh_error *error),
                    struct bh_error *error)
{
    for (uint32_t i = 0; i < vm->config.vps; i++) {
        struct bh_intercept_server server = {.chipset = &vm->chipset, .memory = &vm->memory};

        vm->vp[i] = get(vm, i, error);
        if (vm->vp[i] == NULL)
            return false;
        server.vp = vm->vp[i];
        if (!bh_vcpus_add(&vm->vcpus, &server, error))
            return false;
    }
    return true;
}

static bool load(struct bh_vm *vm, struct bh_boot_state *boot, struct bh_error *error)
{
    struct bh_boot_input input = {.kernel = vm->kernel,
                                  .unpacked = vm->unpacked,
                                  .initrd = vm->initrd,
                                  .command_line = vm->config.command_line};
    struct bh_boot_error boot_error;
    bool loaded;

    if (getrandom(input.entropy, sizeof(input.entropy), 0) != (ssize_t)sizeof(input.entropy))
        return bh_error_set(error, errno, "No random numbers: %s.", strerror(errno));
    if (!bh_firmware_write(&vm->memory, vm->config.vps, &input.rsdp))
        return bh_error_set(error, EINVAL, "The VM's memory is too small for its ACPI tables.");
    loaded = bh_boot_load(&vm->memory, &input, boot, &boot_error);
    bh_image_rest(&vm->kernel);
    bh_image_rest(&vm->unpacked);
    bh_image_rest(&vm->initrd);
    if (!loaded)
        return bh_error_set(error, EINVAL, "%.120s: %s", vm->config.kernel, boot_error.text);
    return true;
}

bool bh_vm_run_build(struct bh_vm *vm, bool may_run, struct bh_error *error)
{
    struct bh_boot_state boot;

    atomic_store(&vm->news, 0);
    vm->journal->news = 0;
    vm->journal->ending = ENDING_NONE;
    vm->journal->may_run = may_run;
    bh_chipset_reset(&vm->chipset);
    vm->journal->is_live = allocate_memory(vm, true, error) && load(vm, &boot, error) &&
                           create_partition(vm, error) && add_vps(vm, create_vp, error) &&
                           bh_guest_bus_attach(vm->bus, vm->partition, error) &&
                           bh_entry_set(vm->vp[0], &boot, error);
    return vm->journal->is_live != 0;
}

bool bh_vm_run_take_up(struct bh_vm *vm, struct bh_error *error)
{
    if (!allocate_memory(vm, false, error))
        return false;
    vm->partition = bh_partition_adopt(vm->layer, bh_kept_take(vm->kept, BH_KEPT_PARTITION));
    if (vm->partition == NULL)
        return bh_error_set(error, ENOMEM, "Out of memory.");
    learn_id(vm);
    if (!add_vps(vm, adopt_vp, error))
        return false;
    bh_chipset_resume(&vm->chipset);
    if (!bh_guest_bus_resume(vm->bus, vm->partition, error))
        return false;
    for (uint32_t i = 0; i < vm->config.vps; i++)
        if (!bh_intercept_resume(&vm->vcpus.vcpu[i].server, error))
            return false;
    return true;
}

bool bh_vm_run_dismantle(struct bh_vm *vm, int patience)
{
    vm->journal->is_live = 0;
    vm->journal->may_run = 0;
    bh_vcpus_end(&vm->vcpus);
    if (!bh_guest_bus_detach(vm->bus, patience))
        return false;
    for (unsigned i = 0; i < BH_VCPUS_MAX; i++) {
        bh_vp_close(vm->vp[i]);
        vm->vp[i] = NULL;
    }
    bh_partition_close(vm->partition);
    vm->partition = NULL;
    vm->status.partition_id = 0;
    bh_kept_drop_run(vm->kept);
    if (vm->area != NULL)
        (void)madvise(vm->ram, vm->config.memory_bytes,
                      vm->file >= 0 ? MADV_REMOVE : MADV_DONTNEED);
    return true;
}
