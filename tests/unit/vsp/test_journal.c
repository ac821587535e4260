/* SPDX-License-Identifier: MIT */
/*
 * vsp/bus/journal.c: a process that was broken into leaves a journal of its own making, which the
 * next one reads with more rights than it had.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/bus/parts.h"

#define ROUNDS 4000u

static const struct bh_vmbus_identity identity = {VMBUS_CLASS_SCSI, {.a = 7}};

static bool on_opened(void *context, struct bh_vmbus_channel *channel, const uint8_t *user)
{
    (void)context;
    (void)channel;
    (void)user;
    return true;
}

static void on_channel(void *context, struct bh_vmbus_channel *channel)
{
    (void)context;
    (void)channel;
}

static const struct bh_vmbus_provider provider = {
    .opened = on_opened, .closed = on_channel, .ready = on_channel};

static struct guest *guest;

/* A guest with a device whose channel is open: what it left is a journal that can be gone on with.
 */
static int setup(void **state)
{
    uint32_t relid;

    (void)state;
    guest = guest_begin_kept();
    assert_non_null(bh_vmbus_device_add(guest->bus, &identity, &provider, NULL));
    guest_connect(guest);
    relid = guest_take(guest, VMBUS_OFFER_CHANNEL).offer.relid;
    (void)guest_ring_of(guest, relid, 16, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    guest_end(guest);
    return 0;
}

static struct bh_journal *journal(void)
{
    return guest->bus->journal;
}

/* Another process begins with the journal as it is, as far as it does before its sandbox. */
static bool begins(void)
{
    struct bh_vmbus_host host = guest->host;
    struct bh_loop *loop = bh_loop_create();
    struct bh_vmbus *bus = bh_vmbus_create(&host, loop);
    const bool is = bus != NULL;

    if (is) {
        struct bh_vmbus_device *device = bh_vmbus_device_add(bus, &identity, &provider, NULL);

        if (device != NULL && bh_vmbus_device_saved(device) != NULL)
            (void)bh_vmbus_device_space(device);
    }
    bh_vmbus_destroy(bus);
    bh_loop_destroy(loop);
    return is;
}

/* --- one field ---------------------------------------------------------------------------- */

static void expect_refused(void *field, uint32_t size, uint8_t byte)
{
    uint8_t before[8];

    memcpy(before, field, size);
    memset(field, byte, size);
    assert_false(begins());
    memcpy(field, before, size);
    assert_true(begins());
}

static void a_field_out_of_its_bounds_is_refused(void **state)
{
    struct bh_journal_half *half = &journal()->half[journal()->round % 2];
    struct bh_journal_control *control = &journal()->control[half->which];

    (void)state;
    assert_true(begins());
    expect_refused(&half->which, sizeof(half->which), 0x02);
    expect_refused(&half->device[3].used, 1, 0x02);
    expect_refused(&control->contact.connected, 1, 0xff);
    expect_refused(&control->contact.offering, 1, 0x80);
    expect_refused(&control->farewell, sizeof(control->farewell), 0xff);
    expect_refused(&control->outbox_first, sizeof(control->outbox_first), 0x7f);
    expect_refused(&control->outbox_count, sizeof(control->outbox_count), 0xff);
    expect_refused(&control->gpadl_pages, sizeof(control->gpadl_pages), 0x01);
    expect_refused(&control->gpadl_doomed, sizeof(control->gpadl_doomed), 0x01);
    expect_refused(&control->gpadl[0].relid, sizeof(uint32_t), 0x01);
    expect_refused(&control->gpadl[1].pages, sizeof(uint32_t), 0xff);
    expect_refused(&control->gpadl[0].first, sizeof(uint32_t), 0xff);
    expect_refused(&control->gpadl[0].received, sizeof(uint32_t), 0xff);
    expect_refused(&control->gpadl[9].doomed, 1, 0x03);
    expect_refused(&control->channel[0].phase, sizeof(control->channel[0].phase), 0x7f);
    expect_refused(&control->channel[200].broken, 1, 0xfe);
}

/* --- any bytes ---------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Whether such a journal is refused or not: nothing is touched that is not the journal's. */
static void any_bytes_harm_nobody(void **state)
{
    const size_t size = offsetof(struct bh_journal, outbox);
    static uint8_t before[offsetof(struct bh_journal, outbox)];
    uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
    unsigned begun = 0;

    (void)state;
    memcpy(before, journal(), size);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint8_t *bytes = (uint8_t *)journal();

        for (uint64_t count = next_random(&seed) % 8; count > 0; count--) {
            size_t at = offsetof(struct bh_journal, round) + next_random(&seed) % (size - 64);
            uint64_t value = next_random(&seed);

            memcpy(bytes + at, &value, 1 + value % 8);
        }
        begun += begins();
        memcpy(bytes, before, size);
    }
    assert_in_range(begun, ROUNDS / 100, ROUNDS - 1); /* some of both kinds */
}

/* Nothing is found in a journal of another program, and a new bus begins. */
static void another_program_s_journal_is_passed_over(void **state)
{
    (void)state;
    journal()->size--;
    assert_false(bh_vmbus_journal_holds_guest(journal()));
    assert_true(begins());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_field_out_of_its_bounds_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_harm_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(another_program_s_journal_is_passed_over, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
