/* SPDX-License-Identifier: MIT */
#include "tests/unit/vsc/pair.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STEP UINT64_C(1000000) /* ns */

static struct pair pair;

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* --- the clients' platform ---------------------------------------------------------------- */

static bool on_post(void *context, uint32_t connection, const void *payload, size_t size)
{
    (void)context;
    must(connection == VMBUS_CONNECTION || connection == VMBUS_CONNECTION_OLD);
    if (pair.full != 0) {
        pair.full--;
        return false;
    }
    guest_post(pair.guest, payload, size);
    return true;
}

static void on_signal(void *context, uint32_t connection)
{
    int fd = pair.guest->doorbell[connection];
    const uint64_t one = 1;

    (void)context;
    pair.signalled++;
    if (fd >= 0)
        must(write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

static uint64_t on_frame(void *context, const void *address)
{
    (void)context;
    return (uint64_t)((const uint8_t *)address - pair.guest->memory) / VMBUS_PAGE_SIZE;
}

static uint64_t on_clock(void *context)
{
    (void)context;
    return pair.now / 100;
}

static void hand_over_messages(void)
{
    struct guest *guest = pair.guest;

    while (guest->count != 0) {
        const struct guest_message message =
            guest_take(guest, (enum vmbus_message_type)guest->message[0].header.type);

        vsc_bus_message(&pair.bus, &message.header, message.size);
    }
}

static void hand_over_events(void)
{
    for (uint32_t relid = 1; relid < VSC_RELIDS; relid++) {
        if (pair.guest->signals[0][relid] == 0)
            continue;
        pair.guest->signals[0][relid] = 0;
        vsc_bus_event(&pair.bus, relid);
    }
}

static void on_serve(void *context, bool sleep)
{
    (void)context;
    guest_run(pair.guest);
    hand_over_messages();
    hand_over_events();
    if (sleep)
        pair.now += STEP;
}

/* --- life --------------------------------------------------------------------------------- */

struct pair *pair_begin(void)
{
    memset(&pair, 0, sizeof(pair));
    pair.now = 1000 * PAIR_SECOND;
    pair.guest = guest_begin();
    pair.next_page = 16;
    pair.platform = (struct vsc_platform){.post = on_post,
                                          .signal = on_signal,
                                          .frame = on_frame,
                                          .clock = on_clock,
                                          .serve = on_serve};
    vsc_bus_begin(&pair.bus, &pair.platform, 0);
    return &pair;
}

void pair_end(struct pair *ended)
{
    guest_end(ended->guest);
}

uint64_t pair_clock(void)
{
    return pair.now;
}

void *pair_pages(struct pair *of, uint32_t count)
{
    void *pages = guest_page(of->guest, of->next_page);

    must(of->next_page + count <= GUEST_PAGES);
    of->next_page += count;
    return pages;
}

void pair_pass(struct pair *of, uint32_t seconds)
{
    uint64_t end = of->now + seconds * PAIR_SECOND;

    while (of->now < end)
        on_serve(NULL, true);
}
