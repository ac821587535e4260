/* SPDX-License-Identifier: MIT */
#include "parent/worker/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "parent/worker/vm_parts.h"

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

/* --- the end of a run, and what follows --------------------------------------------------- */

static void run_again(struct bh_vm *vm)
{
    struct bh_error error;

    vm->status.resets++;
    if (!bh_vm_run_build(vm, true, &error)) {
        (void)bh_vm_run_dismantle(vm, 0);
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

    if (!bh_vm_run_dismantle(vm, patience)) {
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
    if (!bh_vm_run_build(vm, !paused, error)) {
        (void)bh_vm_run_dismantle(vm, 0);
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

    if (!bh_vm_run_take_up(vm, error)) {
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

    take_status(vm);
    if (ending != ENDING_STOP && ending != ENDING_FAIL) {
        vm->status.resets += ending == ENDING_RESET;
        return false;
    }
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
    if (vm->partition == NULL ||
        bh_partition_set_share(vm->partition, bh_vm_run_share(config), error))
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
    return vm->node >= 0 && bh_vm_run_open_memory(vm, error) &&
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
        (void)bh_vm_run_dismantle(vm, -1);
    bh_guest_bus_destroy(vm->bus);
    if (vm->area != NULL)
        (void)munmap(vm->area, vm->config.memory_bytes + BH_VM_LARGE_PAGE);
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
