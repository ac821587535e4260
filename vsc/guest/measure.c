/* SPDX-License-Identifier: MIT */
#include "vsc/guest/measure.h"

#include "vsc/guest/console.h"
#include "vsc/guest/interrupts.h"
#include "vsc/guest/processor.h"
#include "vsc/guest/synic.h"

/* Waits without leaving the virtual processor: somebody may read the hypervisor's counters. */
static void rest(const struct options *options)
{
    uint64_t end = synic_clock() + options->pause * VSC_MILLISECOND;

    while (options->pause != 0 && synic_clock() < end)
        spin(10000);
}

void measure_nothing(const struct options *options)
{
    if (options->pause == 0)
        return;
    say("begin nothing\n");
    rest(options);
    say("end nothing 1\n");
    rest(options);
}

void measure_begin(struct measure *measure, const struct options *options, const char *name)
{
    say("begin ");
    say(name);
    say("\n");
    rest(options);
    *measure = (struct measure){.options = options,
                                .name = name,
                                .interrupts = interrupts_taken(),
                                .signals = synic_signals(),
                                .time = synic_clock(),
                                .ticks = read_tsc()};
}

bool measure_goes_on(struct measure *measure)
{
    const struct options *options = measure->options;

    if (options->requests != 0 ? measure->asked >= options->requests
                               : synic_clock() - measure->time >= options->seconds * VSC_SECOND)
        return false;
    measure->asked++;
    return true;
}

void measure_end(const struct measure *measure, uint64_t operations, uint64_t bytes)
{
    const char *name = measure->name;
    uint64_t ticks = read_tsc() - measure->ticks;
    uint64_t time = synic_clock() - measure->time;
    uint64_t interrupts = interrupts_taken() - measure->interrupts;
    uint64_t signals = synic_signals() - measure->signals;

    if (operations == 0 || time == 0)
        guest_fail(name, "nothing was done in its time");
    say("end ");
    say(name);
    say(" ");
    say_number(operations);
    say("\n");
    rest(measure->options);
    say_figure(name, "operations", operations, "op");
    say_figure(name, "ticks", ticks / operations, "ticks/op");
    say_figure(name, "time", time * 100 / operations, "ns/op");
    say_figure(name, "rate", operations * VSC_SECOND / time, "op/s");
    say_figure(name, "bytes", bytes * VSC_SECOND / time, "B/s");
    say_ratio(name, "interrupts", interrupts, operations, "/op");
    say_ratio(name, "signals", signals, operations, "/op");
}
