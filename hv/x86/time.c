/* SPDX-License-Identifier: MIT */
/* Clock and timer hardware. */
#include "hv/x86/time.h"

#include "hv/arch.h"
#include "hv/core/timer.h"
#include "hv/x86/cpu.h"
#include "hv/x86/lapic.h"
#include "hv/x86/lp.h"

#define PM_TIMER_HZ          3579545ull
#define CALIBRATION_TICKS    (PM_TIMER_HZ / 20) /* 50 ms */
#define CALIBRATION_READINGS 10
#define LAPIC_COUNT_MAX      0xffffffffull

struct time_base time_base;

static uint64_t multiply_shift_64(uint64_t a, uint64_t b)
{
    return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

/* a * 2^64 / b, for a < b. */
static uint64_t divide_2_64(uint64_t a, uint64_t b)
{
    uint64_t quotient, remainder;
    __asm__("divq %4" : "=a"(quotient), "=d"(remainder) : "a"(0ull), "d"(a), "r"(b));
    return quotient;
}

/*
 * Of several readings the quickest counts: an interruption of the machine itself, by
 * system management or by the host of an emulator, would put the clocks apart.
 */
static struct clock_sample read_clocks(const struct acpi_info *acpi)
{
    struct clock_sample best = {0};
    uint64_t best_time = UINT64_MAX;
    for (unsigned i = 0; i < CALIBRATION_READINGS; i++) {
        const uint64_t before = cpu_read_tsc();
        const uint32_t pm = cpu_in32(acpi->pm_timer_port);
        const uint32_t lapic = lapic_read(LAPIC_TIMER_CURRENT);
        const uint64_t after = cpu_read_tsc();
        if (after - before < best_time) {
            best_time = after - before;
            best = (struct clock_sample){before + best_time / 2, pm, lapic};
        }
    }
    return best;
}

static uint32_t pm_ticks(const struct acpi_info *acpi, uint32_t from, uint32_t to)
{
    return (to - from) & (acpi->pm_timer_32bit ? 0xffffffff : 0xffffff);
}

static bool has_invariant_tsc(void)
{
    return cpu_cpuid(0x80000000, 0).eax >= 0x80000007 && (cpu_cpuid(0x80000007, 0).edx >> 8 & 1);
}

void time_base_set(const struct clock_sample *start, const struct clock_sample *end,
                   uint64_t pm_ticks)
{
    time_base.tsc_hz = (end->tsc - start->tsc) * PM_TIMER_HZ / pm_ticks;
    time_base.lapic_hz = (start->lapic - end->lapic) * PM_TIMER_HZ / pm_ticks;
    time_base.scale = divide_2_64(REFTIME_HZ, time_base.tsc_hz);
    time_base.offset = -(int64_t)multiply_shift_64(start->tsc, time_base.scale);
}

void time_calibrate(const struct acpi_info *acpi)
{
    lapic_write(LAPIC_LVT_TIMER, LAPIC_LVT_MASKED);
    lapic_write(LAPIC_TIMER_INITIAL, (uint32_t)LAPIC_COUNT_MAX);
    const struct clock_sample start = read_clocks(acpi);
    while (pm_ticks(acpi, start.pm, cpu_in32(acpi->pm_timer_port)) < CALIBRATION_TICKS)
        cpu_pause();
    const struct clock_sample end = read_clocks(acpi);
    lapic_write(LAPIC_TIMER_INITIAL, 0);
    lapic_write(LAPIC_LVT_TIMER, HV_VECTOR_TIMER);

    time_base_set(&start, &end, pm_ticks(acpi, start.pm, end.pm));
    time_base.invariant = has_invariant_tsc();
    time_base.synchronized = true;
}

/* ---- comparison between LPs ---- */

#define COMPARE_ROUNDS 1000u

static struct {
    uint64_t stamp[2];
    bool running;
} comparison;

static void compare_once(unsigned side)
{
    __atomic_store_n(&comparison.stamp[side], cpu_read_tsc(), __ATOMIC_SEQ_CST);
    const uint64_t other = __atomic_load_n(&comparison.stamp[1 - side], __ATOMIC_SEQ_CST);
    if (other > cpu_read_tsc())
        time_base.synchronized = false;
    cpu_pause();
}

void time_compare_as_starter(void)
{
    for (unsigned round = 0; round < COMPARE_ROUNDS; round++)
        compare_once(0);
    __atomic_store_n(&comparison.running, false, __ATOMIC_RELEASE);
}

void time_compare_as_started(void)
{
    comparison.stamp[0] = comparison.stamp[1] = 0;
    __atomic_store_n(&comparison.running, true, __ATOMIC_SEQ_CST);
    lp_this()->online = true;
    while (__atomic_load_n(&comparison.running, __ATOMIC_ACQUIRE))
        compare_once(1);
}

reftime_t time_from_tsc(uint64_t tsc)
{
    return multiply_shift_64(tsc, time_base.scale) + (uint64_t)time_base.offset;
}

/* Before the start there was no time: what should happen then is due at once. */
reftime_t arch_time_from_tsc(uint64_t tsc)
{
    const reftime_t time = time_from_tsc(tsc);
    return time > INT64_MAX ? 0 : time;
}

uint64_t arch_ticks_to_reftime(uint64_t ticks)
{
    return multiply_shift_64(ticks, time_base.scale);
}

reftime_t arch_time_now(void)
{
    return time_from_tsc(cpu_read_tsc());
}

void time_delay_microseconds(uint64_t microseconds)
{
    const uint64_t start = cpu_read_tsc();
    const uint64_t ticks = microseconds * (time_base.tsc_hz / 1000000);
    while (cpu_read_tsc() - start < ticks)
        cpu_pause();
}

void time_arm(reftime_t deadline, reftime_t now)
{
    if (deadline == TIMER_NEVER) {
        lapic_write(LAPIC_TIMER_INITIAL, 0);
        return;
    }
    const uint64_t wait = deadline > now ? deadline - now : 0;
    uint64_t ticks = LAPIC_COUNT_MAX;
    if (wait < REFTIME_HZ)
        ticks = wait * time_base.lapic_hz / REFTIME_HZ + 1;
    lapic_write(LAPIC_TIMER_INITIAL, (uint32_t)(ticks > LAPIC_COUNT_MAX ? LAPIC_COUNT_MAX : ticks));
}
