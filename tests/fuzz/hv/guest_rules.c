/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/hv/guest_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/synic.h"
#include "hv/arch.h"
#include "tests/unit/hv/host_arch.h"
#include "tests/unit/hv/host_machine.h"

#define FOREIGN_BYTE 0x5a

static const frame_t foreign[] = {HOST_PAGE_HYPERVISOR, HOST_PAGE_UNASSIGNED, HOST_PAGE_DEPOSITED};
static uint8_t foreign_page[PAGE_SIZE];
static uint32_t frames[HOST_PAGE_COUNT];
static uint64_t tables[HOST_TABLES][PAGE_SIZE / sizeof(uint64_t)];
static struct vp before[HOST_VPS];
static unsigned level_raised[HOST_VPS][256];

static void check(bool ok, const char *rule)
{
    if (!ok) {
        fprintf(stderr, "broken: %s\n", rule);
        abort();
    }
}

static bool is_table(spa_t page)
{
    return spa_frame(page) >= HOST_PAGE_COUNT &&
           spa_frame(page) < HOST_PAGE_COUNT + host.tables_used;
}

/* The guest's own pages, and the tables by which the hypervisor finds a child's. */
static bool is_guest_page(spa_t page)
{
    if (is_table(page)) {
        return true;
    }
    const enum frame_state state = frame_state(&host.frames, spa_frame(page));

    return state == FRAME_PARENT || state == FRAME_SHARED;
}

void rules_begin(void)
{
    host_window_allowed = NULL;
    for (unsigned i = 0; i < ARRAY_COUNT(foreign); i++) {
        host_page_fill(frame_spa(foreign[i]), FOREIGN_BYTE);
    }
    memset(foreign_page, FOREIGN_BYTE, sizeof foreign_page);
    memcpy(frames, host.frame_storage, sizeof frames);
    memset(level_raised, 0, sizeof level_raised);
    for (frame_t i = 0; i < host.tables_used; i++) {
        host_guest_read((HOST_PAGE_COUNT + i) << PAGE_SHIFT, tables[i], PAGE_SIZE);
    }
    host_window_allowed = is_guest_page;
}

/* ---- memory ---- */

/* The hypervisor's writes for a guest count as the guest's: they set bits 5 and 6. */
static bool same_table(const uint64_t *now, const uint64_t *then)
{
    const uint64_t use = 3ull << 5;

    for (unsigned i = 0; i < PAGE_SIZE / sizeof *now; i++) {
        if ((now[i] | use) != (then[i] | use)) {
            return false;
        }
    }
    return true;
}

static void check_memory(void)
{
    check(host_windows_closed(), "no window stays open");
    check(memcmp(frames, host.frame_storage, sizeof frames) == 0, "frames keep their owners");
    host_window_allowed = NULL;
    for (unsigned i = 0; i < ARRAY_COUNT(foreign); i++) {
        void *page = arch_window_map(frame_spa(foreign[i]));

        check(memcmp(page, foreign_page, PAGE_SIZE) == 0, "foreign pages stay as they are");
        arch_window_unmap(page);
    }
    for (frame_t i = 0; i < host.tables_used; i++) {
        void *page = arch_window_map(frame_spa(HOST_PAGE_COUNT + i));

        check(same_table(page, tables[i]), "a child's tables stay as they are");
        arch_window_unmap(page);
    }
    host_window_allowed = is_guest_page;
}

static bool is_free(const struct spinlock *lock)
{
    return lock->next == lock->serving;
}

static void check_locks(const struct vp *vp)
{
    check(is_free(&vp->synic.lock), "the SynIC's lock is free");
    check(is_free(&host.partition.register_lock), "the registers' lock is free");
    check(is_free(&host.partition.memory_lock), "the memory's lock is free");
    check(is_free(&host.frames.lock), "the frame table's lock is free");
}

/* ---- interrupts ---- */

static bool bit(const uint64_t bits[4], unsigned vector)
{
    return bits[vector / 64] >> (vector % 64) & 1;
}

static int highest(const uint64_t bits[4])
{
    for (int vector = 255; vector >= 0; vector--) {
        if (bit(bits, (unsigned)vector)) {
            return vector;
        }
    }
    return VAPIC_NONE;
}

static void check_interrupts(const struct vp *vp)
{
    const struct vapic *apic = &vp->apic;

    check((apic->irr[0] & 0xffff) == 0 && (apic->isr[0] & 0xffff) == 0, "no vector below 16");
    for (unsigned word = 0; word < 4; word++) {
        check((apic->tmr[word] & ~(apic->irr[word] | apic->isr[word])) == 0,
              "level is marked of requested and served vectors only");
        for (unsigned shift = 0; shift < 64; shift += 16) {
            const uint64_t served = apic->isr[word] >> shift & 0xffff;

            check((served & (served - 1)) == 0, "one vector of a class is in service at most");
        }
    }
    for (unsigned vector = 0; vector < 256; vector++) {
        const unsigned ended = host.record[vp->index].level_eoi[vector];

        check(ended + bit(apic->tmr, vector) == level_raised[vp->index][vector],
              "each level interrupt has one end");
    }
    if (apic->assist_armed) {
        const int served = highest(apic->isr);

        check(served != VAPIC_NONE, "the EOI flag stands for an interrupt");
        /* By level only if that came later, by the same vector: the next look withdraws the flag.
         */
        check(!bit(apic->tmr, (unsigned)served) || bit(apic->irr, (unsigned)served),
              "and not for one by level");
        check(vp->assist.usable, "and there is a page for it");
    }
}

void rules_level_raised(unsigned vp, uint8_t vector)
{
    level_raised[vp][vector]++;
}

bool rules_level_is_free(unsigned vp, uint8_t vector)
{
    return !bit(host.vp[vp].apic.tmr, vector);
}

/* ---- timers ---- */

static reftime_t earlier(const struct timer *timer, reftime_t deadline)
{
    return timer->armed && timer->deadline < deadline ? timer->deadline : deadline;
}

static void check_timers(const struct vp *vp)
{
    reftime_t next = earlier(&vp->apic.timer, TIMER_NEVER);

    for (unsigned i = 0; i < HV_STIMER_COUNT; i++) {
        const struct stimer *stimer = &vp->stimer[i];

        next = earlier(&stimer->timer, next);
        check((stimer->config & ~HV_STIMER_CONFIG_VALID) == 0, "a timer has valid bits only");
        check(!stimer->timer.armed || ((stimer->config & HV_STIMER_ENABLE) && stimer->count != 0),
              "a timer that runs is enabled");
    }
    check(timer_next_deadline(vp->timers) == next, "the queue knows its earliest timer");
}

/* ---- the other VPs ---- */

static void forget_shared(struct vp *vp)
{
    memset(vp->apic.irr, 0, sizeof vp->apic.irr);
    memset(&vp->synic.lock, 0, sizeof vp->synic.lock);
    vp->requests = 0;
    vp->startup_vector = 0;
    vp->notified = 0;
    vp->flush_wanted = false;
    vp->stats.messages_delivered = 0;
}

static void check_others(unsigned vp)
{
    for (unsigned i = 0; i < host.partition.vp_count; i++) {
        if (i == vp) {
            continue;
        }
        struct vp now;

        memcpy(&now, &host.vp[i], sizeof now);
        forget_shared(&now);
        forget_shared(&before[i]);
        check(memcmp(&now, &before[i], sizeof now) == 0, "other VPs are left alone");
    }
}

void rules_before(unsigned vp)
{
    (void)vp;
    memcpy(before, host.vp, sizeof before);
}

void rules_after(unsigned vp, bool alone)
{
    check_memory();
    for (unsigned i = 0; i < host.partition.vp_count; i++) {
        check_locks(&host.vp[i]);
        check_interrupts(&host.vp[i]);
        check_timers(&host.vp[i]);
        check((host.vp[i].requests & ~(VP_REQUEST_NMI | VP_REQUEST_INIT | VP_REQUEST_STARTUP)) == 0,
              "requests are those that there are");
    }
    if (alone) {
        check_others(vp);
    }
}
