/* SPDX-License-Identifier: MIT */
#include "parent/worker/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "parent/worker/entry.h"
#include "parent/worker/firmware.h"
#include "parent/worker/image.h"
#include "parent/worker/journal.h"

#define LARGE_PAGE (2ull << 20)

/* How long I/O of a guest that has stopped is waited for: */
#define LOOP_PATIENCE_MS 1000                       /* with nothing else done, */
#define END_PATIENCE     (UINT64_C(5) * 1000000000) /* and, before an end, in all; nanoseconds */

/* What VP threads report; bits of `news`. */
#define NEWS_POWER_OFF    1u
#define NEWS_RESET        2u
#define NEWS_DEBUG_EXIT   4u
#define NEWS_TRIPLE_FAULT 8u
#define NEWS_GUEST_FAULT  16u
#define NEWS_FAILED       32u

/* What comes when the I/O in the guest's memory has ended. */
enum ending { ENDING_NONE, ENDING_RESET, ENDING_STOP, ENDING_FAIL };

struct bh_vm {
    struct bh_vm_config config;
    struct bh_vm_status status;
    void (*changed)(void *context, const struct bh_vm_status *status);
    void *context;
    const struct bh_device_layer *layer;
    struct bh_host *host;
    struct bh_kept *kept;
    struct bh_vm_journal *journal;
    struct bh_boot_image kernel;
    struct bh_boot_image unpacked; /* the same, if it is there */
    struct bh_boot_image initrd;
    struct bh_console *console;
    int node; /* of the driver */
    int wake; /* eventfd */
    _Atomic uint32_t news;
    _Atomic uint32_t exit_code;
    pthread_mutex_t sentence_lock;
    char sentence[256]; /* of the last guest fault or failure */
    int file;           /* of the memory, where the keeper has it too; else -1 */
    uint8_t *area;      /* what was mapped; RAM is in it, 2 MiB-aligned */
    uint8_t *ram;
    struct bh_guest_memory memory;
    struct bh_chipset chipset;
    struct bh_vcpus vcpus;
    struct bh_guest_bus *bus;
    struct bh_partition *partition;
    struct bh_vp *vp[BH_VCPUS_MAX];
    enum ending ending;
    enum bh_vm_reason ending_reason;
    uint64_t ending_since; /* bh_loop_now */
    bool abandoned;        /* it has ended while I/O hung */
};

/* --- state -------------------------------------------------------------------------------- */

static void change(struct bh_vm *vm, enum bh_vm_state state, enum bh_vm_reason reason)
{
    vm->status.state = state;
    vm->status.reason = reason;
    bh_control_timestamp(vm->status.since);
    vm->journal->status = vm->status;
    vm->changed(vm->context, &vm->status);
}

/* What a VP's thread has said. */
static void take_sentence(struct bh_vm *vm)
{
    (void)pthread_mutex_lock(&vm->sentence_lock);
    memcpy(vm->status.message, vm->sentence, sizeof(vm->status.message));
    (void)pthread_mutex_unlock(&vm->sentence_lock);
}

static void fail(struct bh_vm *vm, const char *text)
{
    (void)snprintf(vm->status.message, sizeof(vm->status.message), "%s", text);
    change(vm, BH_VM_FAILED, BH_REASON_WORKER_ERROR);
}

/* --- news from VP threads ----------------------------------------------------------------- */

static void tell(struct bh_vm *vm, uint32_t news)
{
    uint64_t one = 1;

    if (news != NEWS_FAILED) /* that comes again by itself */
        (void)__atomic_fetch_or(&vm->journal->news, news, __ATOMIC_SEQ_CST);
    atomic_fetch_or(&vm->news, news);
    (void)!write(vm->wake, &one, sizeof(one)); /* full: it is awake already */
}

static void on_power(void *context, enum bh_power_event event, uint32_t value)
{
    struct bh_vm *vm = context;

    bh_vcpus_ask_park(&vm->vcpus);
    if (event == BH_POWER_DEBUG_EXIT) {
        atomic_store(&vm->exit_code, value);
        vm->journal->exit_code = value;
        tell(vm, NEWS_DEBUG_EXIT);
    } else {
        tell(vm, event == BH_POWER_OFF ? NEWS_POWER_OFF : NEWS_RESET);
    }
}

static void on_stopped(void *context, enum bh_intercept_result why, const char *text)
{
    static const uint32_t news[] = {[BH_INTERCEPT_TRIPLE_FAULT] = NEWS_TRIPLE_FAULT,
                                    [BH_INTERCEPT_GUEST_FAULT] = NEWS_GUEST_FAULT,
                                    [BH_INTERCEPT_FAILED] = NEWS_FAILED};
    struct bh_vm *vm = context;

    if (why != BH_INTERCEPT_FAILED) /* that one the worker tells at its end */
        (void)fprintf(stderr, "bulkhead-worker: %s\n", text);
    if (why != BH_INTERCEPT_TRIPLE_FAULT) {
        (void)pthread_mutex_lock(&vm->sentence_lock);
        (void)snprintf(vm->sentence, sizeof(vm->sentence), "%s", text);
        (void)pthread_mutex_unlock(&vm->sentence_lock);
    }
    tell(vm, news[why]);
}

static void on_interrupt(void *context, const struct bh_interrupt *interrupt)
{
    struct bh_vm *vm = context;
    struct bh_error error;
    const struct bh_partition_interrupt request = {
        .type = interrupt->delivery_mode,
        .vector = interrupt->vector,
        .level = interrupt->level,
        .logical = interrupt->logical,
        .destination = interrupt->destination,
    };

    /* A guest may name processors or vectors that are not there: then there is no interrupt. */
    if (vm->partition != NULL)
        (void)bh_partition_assert_interrupt(vm->partition, &request, &error);
}

static void on_output(void *context, uint8_t byte)
{
    const struct bh_vm *vm = context;

    bh_console_output(vm->console, byte);
}

static void on_input_wanted(void *context)
{
    const struct bh_vm *vm = context;

    bh_console_input_wanted(vm->console);
}

static uint64_t on_output_end(void *context)
{
    const struct bh_vm *vm = context;

    return bh_console_get_stats(vm->console).out_bytes;
}

static size_t on_input(void *context, const uint8_t *data, size_t length)
{
    struct bh_vm *vm = context;

    return bh_chipset_serial_input(&vm->chipset, data, length);
}

/* --- memory ------------------------------------------------------------------------------- */

/* Address space for it, 2 MiB-aligned; and what is behind it. */
static bool map_memory(struct bh_vm *vm)
{
    uint64_t size = vm->config.memory_bytes;
    uint64_t misplaced;

    vm->area = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vm->area == MAP_FAILED) {
        vm->area = NULL;
        return false;
    }
    misplaced = (uintptr_t)vm->area % LARGE_PAGE;
    vm->ram = vm->area + (misplaced != 0 ? LARGE_PAGE - misplaced : 0);
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

/* The file that the keeper has, or a new one. */
static bool open_memory(struct bh_vm *vm, struct bh_error *error)
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

static uint64_t share_of(const struct bh_vm_config *config)
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
        !bh_partition_set_share(vm->partition, share_of(&vm->config), error) ||
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
    int fd = vm->kept->fd[BH_KEPT_VP + index];
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

/* From nothing to VPs that wait for their turn; `may_run` for a process that goes on with them. */
static bool build(struct bh_vm *vm, bool may_run, struct bh_error *error)
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

/* From what another process left to VPs that wait for their turn. */
static bool take_up(struct bh_vm *vm, struct bh_error *error)
{
    if (!allocate_memory(vm, false, error))
        return false;
    vm->partition = bh_partition_adopt(vm->layer, vm->kept->fd[BH_KEPT_PARTITION]);
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

/*
 * Takes back everything but the memory itself, which is empty afterwards. False when I/O still uses
 * it after `patience` milliseconds: then only the VPs have ended.
 */
static bool dismantle(struct bh_vm *vm, int patience)
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

/* --- the end of a run, and what follows --------------------------------------------------- */

static void run_again(struct bh_vm *vm)
{
    struct bh_error error;

    vm->status.resets++;
    if (!build(vm, true, &error)) {
        (void)dismantle(vm, 0);
        fail(vm, error.text);
        return;
    }
    bh_vcpus_run(&vm->vcpus);
    change(vm, BH_VM_RUNNING, vm->ending_reason);
}

/* A reset waits for the I/O of the guest before as long as that takes; an end does not. */
static bool go_on(struct bh_vm *vm, int patience)
{
    const enum ending ending = vm->ending;

    if (!dismantle(vm, patience)) {
        if (ending == ENDING_RESET || bh_loop_now() - vm->ending_since < END_PATIENCE)
            return false;
        vm->abandoned = true;
    }
    vm->ending = ENDING_NONE;
    if (ending == ENDING_RESET)
        run_again(vm);
    else if (ending == ENDING_STOP)
        change(vm, BH_VM_STOPPED, vm->ending_reason);
    else
        change(vm, BH_VM_FAILED, vm->ending_reason);
    return true;
}

/* Where I/O hangs, the state is "stopping", and bh_vm_serve goes on later. */
static void end_run(struct bh_vm *vm, enum ending ending, enum bh_vm_reason reason)
{
    if (vm->ending == ENDING_NONE)
        vm->ending_since = bh_loop_now();
    vm->ending = ending;
    vm->ending_reason = reason;
    vm->journal->status = vm->status;
    vm->journal->ending_reason = reason;
    __atomic_store_n(&vm->journal->ending, ending, __ATOMIC_RELEASE);
    if (go_on(vm, LOOP_PATIENCE_MS))
        return;
    bh_vmbus_log(bh_guest_bus_vmbus(vm->bus),
                 "The guest has stopped, but I/O of its disks has not ended: %s",
                 ending == ENDING_RESET ? "the reset waits for it."
                                        : "the end waits for it a while.");
    change(vm, BH_VM_STOPPING, reason);
}

/* --- requests ----------------------------------------------------------------------------- */

/* The VPs are parked. A hypervisor that can not do it has the guest see how long it stood. */
static void freeze_time(struct bh_vm *vm, bool freeze)
{
    struct bh_error error;

    if (!bh_partition_freeze_time(vm->partition, freeze, &error))
        (void)fprintf(stderr, "bulkhead-worker: The guest's time is not %s: %s\n",
                      freeze ? "stopped" : "let go on", error.text);
}

static void hold_time(struct bh_vm *vm)
{
    bh_chipset_hold_time(&vm->chipset, true);
    freeze_time(vm, true);
}

static void release_time(struct bh_vm *vm)
{
    freeze_time(vm, false);
    bh_chipset_hold_time(&vm->chipset, false);
}

bool bh_vm_start(struct bh_vm *vm, bool paused, struct bh_error *error)
{
    if (!build(vm, !paused, error)) {
        (void)dismantle(vm, 0);
        fail(vm, error->text);
        return false;
    }
    if (paused)
        hold_time(vm);
    else
        bh_vcpus_run(&vm->vcpus);
    change(vm, paused ? BH_VM_PAUSED : BH_VM_RUNNING, BH_REASON_REQUESTED);
    return true;
}

/* What the process before knew, but for the number of a partition. */
static void take_status(struct bh_vm *vm)
{
    uint64_t id = vm->status.partition_id;

    vm->status = vm->journal->status;
    vm->status.partition_id = id;
    vm->status.restarts++;
    vm->status.since[sizeof(vm->status.since) - 1] = '\0';
    vm->status.message[sizeof(vm->status.message) - 1] = '\0';
}

/* A start, a pause or its end that the process before had begun is finished. */
static void finish_turn(struct bh_vm *vm)
{
    if (vm->journal->may_run == 0) {
        hold_time(vm);
        vm->status.state = BH_VM_PAUSED;
        return;
    }
    release_time(vm);
    if (vm->status.state != BH_VM_STOPPING)
        vm->status.state = BH_VM_RUNNING;
}

bool bh_vm_go_on(struct bh_vm *vm, struct bh_error *error)
{
    const uint64_t one = 1;
    const enum ending ending = vm->journal->ending;

    if (!take_up(vm, error)) {
        fail(vm, error->text);
        return false;
    }
    take_status(vm);
    finish_turn(vm);
    atomic_store(&vm->exit_code, vm->journal->exit_code);
    atomic_store(&vm->news, vm->journal->news);
    (void)!write(vm->wake, &one, sizeof(one));
    if (vm->journal->may_run != 0 && vm->journal->news == 0 && ending == ENDING_NONE)
        bh_vcpus_run(&vm->vcpus);
    change(vm, vm->status.state, BH_REASON_REQUESTED);
    if (ending != ENDING_NONE)
        end_run(vm, ending, vm->journal->ending_reason);
    return true;
}

bool bh_vm_finish_end(struct bh_vm *vm)
{
    const enum ending ending = vm->journal->ending;

    if (ending != ENDING_STOP && ending != ENDING_FAIL)
        return false;
    take_status(vm);
    change(vm, ending == ENDING_STOP ? BH_VM_STOPPED : BH_VM_FAILED, vm->journal->ending_reason);
    return true;
}

void bh_vm_pause(struct bh_vm *vm)
{
    vm->journal->may_run = 0;
    bh_vcpus_park(&vm->vcpus);
    hold_time(vm);
    change(vm, BH_VM_PAUSED, BH_REASON_REQUESTED);
}

void bh_vm_resume(struct bh_vm *vm)
{
    vm->journal->may_run = 1;
    release_time(vm);
    bh_vcpus_run(&vm->vcpus);
    change(vm, BH_VM_RUNNING, BH_REASON_REQUESTED);
}

bool bh_vm_reference_time(const struct bh_vm *vm, uint64_t *time)
{
    struct bh_error error;

    return vm->partition != NULL && bh_partition_reference_time(vm->partition, time, &error);
}

void bh_vm_shutting_down(struct bh_vm *vm, bool is)
{
    enum bh_vm_state state = is ? BH_VM_STOPPING : BH_VM_RUNNING;
    enum bh_vm_state before = is ? BH_VM_RUNNING : BH_VM_STOPPING;

    if (vm->status.state == before && vm->ending == ENDING_NONE)
        change(vm, state, BH_REASON_REQUESTED);
}

bool bh_vm_reset(struct bh_vm *vm, enum bh_vm_reason reason, struct bh_error *error)
{
    end_run(vm, ENDING_RESET, reason);
    return vm->status.state != BH_VM_FAILED || bh_error_set(error, EIO, "%s", vm->status.message);
}

void bh_vm_power_off(struct bh_vm *vm, enum bh_vm_reason reason)
{
    end_run(vm, ENDING_STOP, reason);
}

bool bh_vm_set_shares(struct bh_vm *vm, int64_t weight, int64_t cap_percent,
                      int64_t reserve_percent, struct bh_error *error)
{
    struct bh_vm_config *config = &vm->config;
    const uint32_t old[] = {config->weight, config->cap_percent, config->reserve_percent};

    config->weight = weight >= 0 ? (uint32_t)weight : old[0];
    config->cap_percent = cap_percent >= 0 ? (uint32_t)cap_percent : old[1];
    config->reserve_percent = reserve_percent >= 0 ? (uint32_t)reserve_percent : old[2];
    if (vm->partition == NULL || bh_partition_set_share(vm->partition, share_of(config), error))
        return true;
    config->weight = old[0];
    config->cap_percent = old[1];
    config->reserve_percent = old[2];
    return false;
}

/* --- news --------------------------------------------------------------------------------- */

static void reset_or_stop(struct bh_vm *vm, enum bh_vm_reason reason)
{
    struct bh_error error;

    if (vm->config.reset_on_crash)
        (void)bh_vm_reset(vm, reason, &error);
    else
        bh_vm_power_off(vm, reason);
}

void bh_vm_crashed(struct bh_vm *vm)
{
    reset_or_stop(vm, BH_REASON_GUEST_CRASH);
}

uint32_t bh_vm_take_news(struct bh_vm *vm)
{
    uint64_t count;

    (void)!read(vm->wake, &count, sizeof(count));
    return atomic_exchange(&vm->news, 0);
}

void bh_vm_serve(struct bh_vm *vm, uint32_t news)
{
    struct bh_error error;

    if (vm->ending != ENDING_NONE) {
        (void)go_on(vm, 0);
        return;
    }
    if (vm->partition == NULL || news == 0)
        return; /* of a run that is over */
    if ((news & NEWS_FAILED) != 0) {
        take_sentence(vm);
        end_run(vm, ENDING_FAIL, BH_REASON_WORKER_ERROR);
    } else if ((news & NEWS_DEBUG_EXIT) != 0) {
        vm->status.exit_code = atomic_load(&vm->exit_code);
        bh_vm_power_off(vm, BH_REASON_DEBUG_EXIT);
    } else if ((news & NEWS_POWER_OFF) != 0) {
        bh_vm_power_off(vm, BH_REASON_GUEST_POWER_OFF);
    } else if ((news & NEWS_RESET) != 0) {
        (void)bh_vm_reset(vm, BH_REASON_GUEST_RESET, &error);
    } else if ((news & NEWS_GUEST_FAULT) != 0) {
        take_sentence(vm);
        reset_or_stop(vm, BH_REASON_GUEST_FAULT);
    } else {
        reset_or_stop(vm, BH_REASON_TRIPLE_FAULT);
    }
}

/* --- life --------------------------------------------------------------------------------- */

static bool set_up(struct bh_vm *vm, struct bh_error *error)
{
    const struct bh_chipset_host host = {on_interrupt, on_output,     on_input_wanted,
                                         on_power,     on_output_end, vm};
    struct bh_vm_journal *journal = vm->journal;
    const bool is_kept = vm->kept->socket >= 0;

    (void)pthread_mutex_init(&vm->sentence_lock, NULL);
    vm->node = -1;
    vm->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    vm->console =
        bh_console_create(on_input, vm, journal->console, bh_chipset_output_end(&journal->chipset));
    bh_chipset_init(&vm->chipset, &host, is_kept ? &journal->chipset : NULL);
    bh_vcpus_init(&vm->vcpus, on_stopped, vm);
    vm->bus = bh_guest_bus_create(&vm->memory, vm->config.vps,
                                  is_kept ? bh_vm_journal_bus(journal) : NULL, vm->kept);
    if (vm->wake < 0 || vm->console == NULL || vm->bus == NULL)
        return bh_error_set(error, errno, "The worker lacks memory or files: %s.", strerror(errno));
    vm->node = bh_partition_open_node(vm->layer, error);
    return vm->node >= 0 && open_memory(vm, error) &&
           bh_image_open(vm->config.kernel, &vm->kernel, error) &&
           bh_image_open(vm->config.initrd, &vm->initrd, error);
}

struct bh_vm *bh_vm_create(const struct bh_vm_config *config, const struct bh_device_layer *layer,
                           struct bh_host *host, struct bh_kept *kept,
                           struct bh_vm_journal *journal,
                           void (*changed)(void *context, const struct bh_vm_status *status),
                           void *context, struct bh_error *error)
{
    struct bh_vm *vm = calloc(1, sizeof(*vm));

    if (vm == NULL) {
        bh_error_set(error, ENOMEM, "Out of memory.");
        return NULL;
    }
    vm->config = *config;
    vm->layer = layer;
    vm->host = host;
    vm->kept = kept;
    vm->journal = journal;
    vm->file = -1;
    vm->changed = changed;
    vm->context = context;
    vm->status.state = BH_VM_CREATED;
    bh_control_timestamp(vm->status.since);
    if (set_up(vm, error))
        return vm;
    bh_vm_destroy(vm);
    return NULL;
}

void bh_vm_destroy(struct bh_vm *vm)
{
    if (vm == NULL)
        return;
    if (vm->bus != NULL)
        (void)dismantle(vm, -1);
    bh_guest_bus_destroy(vm->bus);
    if (vm->area != NULL)
        (void)munmap(vm->area, vm->config.memory_bytes + LARGE_PAGE);
    bh_console_destroy(vm->console);
    bh_image_close(&vm->kernel);
    bh_image_close(&vm->unpacked);
    bh_image_close(&vm->initrd);
    if (vm->wake >= 0)
        (void)close(vm->wake);
    if (vm->file >= 0)
        (void)close(vm->file);
    if (vm->node >= 0)
        (void)vm->layer->close(vm->node);
    free(vm);
}

void bh_vm_use_unpacked(struct bh_vm *vm, struct bh_boot_image unpacked)
{
    vm->unpacked = unpacked;
}

bool bh_vm_is_abandoned(const struct bh_vm *vm)
{
    return vm->abandoned;
}

int bh_vm_fd(const struct bh_vm *vm)
{
    return vm->wake;
}

const struct bh_vm_config *bh_vm_get_config(const struct bh_vm *vm)
{
    return &vm->config;
}

const struct bh_vm_status *bh_vm_get_status(struct bh_vm *vm)
{
    return &vm->status;
}

struct bh_console *bh_vm_get_console(struct bh_vm *vm)
{
    return vm->console;
}

struct bh_guest_bus *bh_vm_get_bus(struct bh_vm *vm)
{
    return vm->bus;
}
