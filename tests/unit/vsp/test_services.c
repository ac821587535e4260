/* SPDX-License-Identifier: MIT */
/* vsp/services against a simulated guest: negotiation, heartbeat, time, pairs, shutdown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/vsp/guest.h"
#include "vsp/protocol/ic.h"
#include "vsp/services/services.h"
#include "vsp/services/services_parts.h"
#include "vsp/services/utf16.h"

#define RING_PAGES 4u

static struct bench {
    struct guest *guest;
    struct bh_services *services;
    uint64_t now; /* ns */
    uint64_t utc;
    bool has_reference;
    struct bh_guest_info info;
    uint32_t changes;
    int accepted; /* -1: not answered */
    struct guest_ring ring[4];
} bench;

struct packet {
    struct vmbus_descriptor descriptor;
    struct ic_header header;
    uint8_t body[8192];
};

static uint64_t now(void)
{
    return bench.now;
}

static uint64_t utc(void)
{
    return bench.utc;
}

static bool reference(void *context, uint64_t *time)
{
    (void)context;
    *time = bench.now / 100 + 7;
    return bench.has_reference;
}

static void changed(void *context, const struct bh_guest_info *info)
{
    (void)context;
    bench.info = *info;
    bench.changes++;
}

static void shutdown_answered(void *context, bool accepted)
{
    (void)context;
    bench.accepted = accepted;
}

static struct bh_services_host host = {
    .clock = now,
    .utc = utc,
    .reference = reference,
    .changed = changed,
    .shutdown_answered = shutdown_answered,
};

/* The rings of the four, in the order of their offers: shutdown, heartbeat, time, pairs. */
enum { SHUTDOWN, HEARTBEAT, TIME, KVP };

static void begin(bool has_reference)
{
    bench = (struct bench){.now = 1000 * BH_SECOND,
                           .utc = 1700000000 * BH_SECOND,
                           .has_reference = has_reference,
                           .accepted = -1};
    host.reference = has_reference ? reference : NULL;
    bench.guest = guest_begin_kept();
    bench.services = bh_services_create(bench.guest->bus, "vm", &host);
    assert_non_null(bench.services);
    guest_connect(bench.guest);
    for (unsigned i = 0; i < 4; i++) {
        uint32_t relid = guest_take(bench.guest, VMBUS_OFFER_CHANNEL).offer.relid;

        bench.ring[i] = guest_ring_of(bench.guest, relid, 16 + i * 16, RING_PAGES);
    }
    (void)guest_take(bench.guest, VMBUS_ALL_OFFERS_DELIVERED);
}

static void end(void)
{
    bh_services_destroy(bench.services);
    guest_end(bench.guest);
}

static void open_channel(int which)
{
    assert_int_equal(
        guest_open(bench.guest, bench.ring[which].relid, 16 + (uint32_t)which * 16, RING_PAGES), 0);
    guest_run(bench.guest);
}

/* The next request, which must be there and of this type. */
static struct packet take(int which, uint16_t type)
{
    struct packet packet;

    assert_true(guest_ring_read(&bench.ring[which], &packet, sizeof(packet)) > 0);
    assert_int_equal(packet.descriptor.type, VMBUS_PACKET_INBAND);
    assert_int_equal(packet.header.type, type);
    assert_int_equal(packet.header.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
    assert_int_equal(packet.header.pipe_size, 20 + packet.header.size);
    return packet;
}

static bool is_quiet(int which)
{
    struct packet packet;

    return guest_ring_read(&bench.ring[which], &packet, sizeof(packet)) == 0;
}

static void answer(int which, struct packet *packet, uint32_t status)
{
    packet->header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
    packet->header.status = status;
    assert_true(guest_ring_write(&bench.ring[which], packet, packet->descriptor.length8 * 8u));
    guest_run(bench.guest);
}

/* Answers an offer of versions with the version `message`, when it is offered, as Linux does. */
static void agree(int which, struct packet *packet, struct ic_version message)
{
    struct ic_negotiate body;
    bool found = false;

    memcpy(&body, packet->body, sizeof(body));
    for (unsigned i = 0; i < body.message_count; i++)
        found = found || (body.version[body.framework_count + i].major == message.major &&
                          body.version[body.framework_count + i].minor == message.minor);
    assert_true(found);
    body.framework_count = 1;
    body.message_count = 1;
    body.version[0] = (struct ic_version){3, 0};
    body.version[1] = message;
    memcpy(packet->body, &body, sizeof(body));
    packet->header.size = 16;
    answer(which, packet, 0);
}

/* The packet that was answered. */
static struct packet negotiate(int which, struct ic_version message)
{
    struct packet packet = take(which, IC_NEGOTIATE);

    agree(which, &packet, message);
    return packet;
}

/* Lets so much time pass for the services, without waiting for it. */
static void pass(uint64_t ns)
{
    bench.now += ns;
    bh_services_pause(bench.services);
    bench.services->paused = false;
    bh_component_pump(&bench.services->heartbeat.component);
    bh_component_pump(&bench.services->time_sync.component);
    bh_component_pump(&bench.services->kvp.component);
    bh_heartbeat_check(&bench.services->heartbeat, bench.now);
}

/* --- heartbeat ---------------------------------------------------------------------------- */

static void beat(void)
{
    struct packet packet = take(HEARTBEAT, IC_HEARTBEAT);
    uint64_t sequence;

    memcpy(&sequence, packet.body, sizeof(sequence));
    sequence++;
    memcpy(packet.body, &sequence, sizeof(sequence));
    answer(HEARTBEAT, &packet, 0);
}

static void a_heart_that_stops_is_missed_and_heard_again(void **state)
{
    (void)state;
    begin(true);
    open_channel(HEARTBEAT);
    negotiate(HEARTBEAT, (struct ic_version){3, 0});
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_NONE);
    beat();
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_OK);
    assert_true(is_quiet(HEARTBEAT));
    pass(BH_SECOND);
    assert_true(is_quiet(HEARTBEAT));
    pass(BH_SECOND);
    beat();
    pass(2 * BH_SECOND); /* asks; the guest does not answer */
    pass(7 * BH_SECOND);
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_OK);
    pass(BH_SECOND);
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_LOST);
    beat();
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_OK);
    guest_close(bench.guest, bench.ring[HEARTBEAT].relid);
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_NONE);
    end();
}

static void a_paused_guest_is_not_missed(void **state)
{
    (void)state;
    begin(true);
    open_channel(HEARTBEAT);
    negotiate(HEARTBEAT, (struct ic_version){3, 0});
    beat();
    bh_services_pause(bench.services);
    bench.now += 100 * BH_SECOND;
    bh_services_resume(bench.services);
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_OK);
    beat();
    end();
}

static void wrong_answers_are_ignored(void **state)
{
    struct packet packet;

    (void)state;
    begin(true);
    open_channel(HEARTBEAT);
    negotiate(HEARTBEAT, (struct ic_version){3, 0});
    packet = take(HEARTBEAT, IC_HEARTBEAT);
    packet.descriptor.transaction++;
    answer(HEARTBEAT, &packet, 0);
    packet.descriptor.transaction--;
    packet.header.type = IC_SHUTDOWN;
    answer(HEARTBEAT, &packet, 0);
    packet.header.type = IC_HEARTBEAT;
    packet.descriptor.length8 = 5; /* too short for its body */
    answer(HEARTBEAT, &packet, 0);
    packet.descriptor.length8 = 11;
    answer(HEARTBEAT, &packet, 0); /* the sequence has not gone on: taken, but no sign of life */
    assert_int_equal(bench.changes, 0);
    assert_false(bench.services->heartbeat.component.waits);
    answer(HEARTBEAT, &packet, 0); /* nobody has asked */
    assert_int_equal(bench.changes, 0);
    end();
}

static void no_version_in_common_is_said_and_the_end(void **state)
{
    struct packet packet;

    (void)state;
    begin(true);
    open_channel(HEARTBEAT);
    packet = take(HEARTBEAT, IC_NEGOTIATE);
    memset(packet.body, 0, 4);
    answer(HEARTBEAT, &packet, 0);
    assert_int_equal(bench.guest->logged, 1);
    pass(10 * BH_SECOND);
    assert_true(is_quiet(HEARTBEAT));
    guest_close(bench.guest, bench.ring[HEARTBEAT].relid);
    end();
}

/* --- time --------------------------------------------------------------------------------- */

static struct ic_time_reference take_time(void)
{
    struct packet packet = take(TIME, IC_TIME_SYNC);
    struct ic_time_reference time;

    memcpy(&time, packet.body, sizeof(time));
    answer(TIME, &packet, 0);
    return time;
}

static void time_is_set_at_first_and_after_a_pause_and_sampled_between(void **state)
{
    struct ic_time_reference time;

    (void)state;
    begin(true);
    open_channel(TIME);
    negotiate(TIME, (struct ic_version){4, 0});
    time = take_time();
    assert_int_equal(time.flags, IC_TIME_SYNC_SET);
    assert_int_equal(time.parent_time, 1700000000ull * 10000000 + IC_TIME_1970);
    assert_int_equal(time.reference_time, bench.now / 100 + 7);
    assert_true(is_quiet(TIME));
    pass(5 * BH_SECOND);
    assert_int_equal(take_time().flags, IC_TIME_SYNC_SAMPLE);
    bh_services_pause(bench.services);
    bench.now += 30 * BH_SECOND;
    bench.utc += 35 * BH_SECOND;
    bh_services_resume(bench.services);
    time = take_time();
    assert_int_equal(time.flags, IC_TIME_SYNC_SET);
    assert_int_equal(time.parent_time, 1700000035ull * 10000000 + IC_TIME_1970);
    bench.has_reference = false; /* fails once: the last pair of times is sent again */
    pass(5 * BH_SECOND);
    assert_int_equal(take_time().reference_time, time.reference_time);
    end();
}

/* The last pair of times is from before the pause: it does not set the clock. */
static void a_clock_is_set_once_its_time_can_be_read(void **state)
{
    struct ic_time_reference time;

    (void)state;
    begin(true);
    open_channel(TIME);
    negotiate(TIME, (struct ic_version){4, 0});
    (void)take_time();
    bh_services_pause(bench.services);
    bench.utc += 30 * BH_SECOND;
    bench.has_reference = false;
    bh_services_resume(bench.services);
    assert_int_equal(take_time().flags, IC_TIME_SYNC_SAMPLE);
    bench.has_reference = true;
    pass(5 * BH_SECOND);
    time = take_time();
    assert_int_equal(time.flags, IC_TIME_SYNC_SET);
    assert_int_equal(time.reference_time, bench.now / 100 + 7);
    pass(5 * BH_SECOND);
    assert_int_equal(take_time().flags, IC_TIME_SYNC_SAMPLE);
    end();
}

static void without_a_reference_an_older_version_is_spoken(void **state)
{
    struct packet packet;
    struct ic_negotiate body;
    struct ic_time time;

    (void)state;
    begin(false);
    open_channel(TIME);
    packet = negotiate(TIME, (struct ic_version){3, 0});
    memcpy(&body, packet.body, sizeof(body));
    assert_int_equal(body.version[2].major, 3); /* the newest offered */
    packet = take(TIME, IC_TIME_SYNC);
    memcpy(&time, packet.body, sizeof(time));
    assert_int_equal(time.parent_time, 1700000000ull * 10000000 + IC_TIME_1970);
    assert_int_equal(time.flags, IC_TIME_SYNC_SET);
    end();
}

/* --- pairs -------------------------------------------------------------------------------- */

static void put_utf16(uint8_t *at, uint32_t *size, const char *text)
{
    *size = (uint32_t)(strlen(text) + 1) * 2;
    for (size_t i = 0; i <= strlen(text); i++) {
        at[2 * i] = (uint8_t)text[i];
        at[2 * i + 1] = 0;
    }
}

static void give_pair(uint32_t index, const char *key, const char *value)
{
    struct packet packet = take(KVP, IC_KVP);
    struct ic_kvp_enumerate body;

    memcpy(&body, packet.body, sizeof(body));
    assert_int_equal(body.operation, IC_KVP_ENUMERATE);
    assert_int_equal(body.index, index);
    if (key == NULL || value == NULL) {
        answer(KVP, &packet, IC_STATUS_NO_MORE);
        return;
    }
    put_utf16(body.pair.key, &body.pair.key_size, key);
    put_utf16(body.pair.value, &body.pair.value_size, value);
    memcpy(packet.body, &body, sizeof(body));
    answer(KVP, &packet, 0);
}

static void what_the_guest_says_of_itself_is_heard(void **state)
{
    (void)state;
    begin(true);
    open_channel(KVP);
    negotiate(KVP, (struct ic_version){4, 0});
    give_pair(0, "FullyQualifiedDomainName", "web1.example");
    give_pair(1, "NetworkAddressIPv4", "10.0.0.7;192.168.1.9;;nonsense");
    give_pair(2, "NetworkAddressIPv6", "fe80::1;FD00:0::2");
    give_pair(3, "OSName", "Debian GNU/Linux");
    give_pair(4, "OSVersion", "12");
    assert_int_equal(bench.changes, 0);
    give_pair(5, NULL, NULL);
    assert_int_equal(bench.changes, 1);
    assert_string_equal(bench.info.host_name, "web1.example");
    assert_string_equal(bench.info.os, "Debian GNU/Linux 12");
    assert_int_equal(bench.info.address_count, 4);
    assert_string_equal(bench.info.address[1], "192.168.1.9");
    assert_string_equal(bench.info.address[3], "fd00::2");
    assert_true(is_quiet(KVP));
    pass(15 * BH_SECOND);
    give_pair(0, "OSName", "Other");
    give_pair(1, NULL, NULL);
    assert_string_equal(bench.info.os, "Other");
    assert_int_equal(bench.info.address_count, 0);
    guest_close(bench.guest, bench.ring[KVP].relid);
    assert_string_equal(bench.info.os, "");
    end();
}

static void a_guest_without_end_is_cut_short(void **state)
{
    char address[32];

    (void)state;
    begin(true);
    open_channel(KVP);
    negotiate(KVP, (struct ic_version){4, 0});
    for (uint32_t i = 0; i < 64; i++) {
        (void)snprintf(address, sizeof(address), "10.0.0.%u", i);
        give_pair(i, "NetworkAddressIPv4", address);
    }
    assert_true(is_quiet(KVP));
    assert_int_equal(bench.info.address_count, BH_GUEST_ADDRESSES_MAX);
    end();
}

static void no_daemon_in_the_guest_is_asked_again_later(void **state)
{
    struct packet packet;

    (void)state;
    begin(true);
    open_channel(KVP);
    negotiate(KVP, (struct ic_version){4, 0});
    packet = take(KVP, IC_KVP);
    answer(KVP, &packet, IC_STATUS_FAIL);
    assert_true(is_quiet(KVP));
    pass(15 * BH_SECOND);
    give_pair(0, NULL, NULL);
    end();
}

static void texts_of_guests_become_clean_utf_8(void **state)
{
    static const uint8_t mixed[] = {'a',  0,    0x07, 0,    0xe9, 0,    0x3d, 0xd8, 0x00,
                                    0xde, 0x00, 0xdc, 0x3d, 0xd8, 0xac, 0x20, 0x9b, 0};
    char text[32];

    (void)state;
    bh_utf16_to_text(mixed, sizeof(mixed), text, sizeof(text));
    assert_string_equal(text, "a?\xc3\xa9\xf0\x9f\x98\x80??\xe2\x82\xac?");
    bh_utf16_to_text(mixed, 9, text, sizeof(text)); /* ends inside a pair of surrogates */
    assert_string_equal(text, "a?\xc3\xa9?");
    bh_utf16_to_text(mixed, sizeof(mixed), text, 4);
    assert_string_equal(text, "a?");
    bh_utf16_to_text(mixed, 1, text, sizeof(text));
    assert_string_equal(text, "");
}

/* --- shutdown ----------------------------------------------------------------------------- */

static void shutdown_is_handed_over_once(void **state)
{
    struct packet packet;
    struct ic_shutdown body;

    (void)state;
    begin(true);
    assert_false(bh_services_shutdown(bench.services, false, "early"));
    open_channel(SHUTDOWN);
    assert_false(bh_services_shutdown(bench.services, false, "still early"));
    negotiate(SHUTDOWN, (struct ic_version){3, 2});
    assert_true(is_quiet(SHUTDOWN));
    assert_true(bh_services_shutdown(bench.services, true,
                                     "upgr\xc3\xa4"
                                     "ade"));
    assert_false(bh_services_shutdown(bench.services, true, "again"));
    packet = take(SHUTDOWN, IC_SHUTDOWN);
    assert_int_equal(packet.header.size, sizeof(body));
    memcpy(&body, packet.body, sizeof(body));
    assert_int_equal(body.flags, IC_SHUTDOWN_REBOOT | IC_SHUTDOWN_FORCE);
    assert_memory_equal(body.message, "u\0p\0g\0r\0a\0d\0e\0", 16);
    answer(SHUTDOWN, &packet, 0);
    assert_int_equal(bench.accepted, 1);
    assert_true(bh_services_shutdown(bench.services, false, ""));
    packet = take(SHUTDOWN, IC_SHUTDOWN);
    memcpy(&body, packet.body, sizeof(body));
    assert_int_equal(body.flags, IC_SHUTDOWN_FORCE);
    answer(SHUTDOWN, &packet, IC_STATUS_FAIL);
    assert_int_equal(bench.accepted, 0);
    end();
}

static void a_guest_that_boots_again_starts_afresh(void **state)
{
    (void)state;
    begin(true);
    open_channel(HEARTBEAT);
    negotiate(HEARTBEAT, (struct ic_version){3, 0});
    beat();
    (void)bh_vmbus_reset(bench.guest->bus, -1);
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_NONE);
    assert_int_equal(bench.services->heartbeat.component.phase, BH_COMPONENT_CLOSED);
    end();
}

/* --- another process goes on -------------------------------------------------------------- */

/* The process of the services falls, and another one goes on. */
static void fall(void)
{
    struct guest *fallen = bench.guest;
    struct bh_services *services = bench.services;

    bench.guest = guest_take_over(fallen);
    bh_services_destroy(services);
    guest_end(fallen);
    bench.info = (struct bh_guest_info){0};
    bench.changes = 0;
    bench.services = bh_services_create(bench.guest->bus, "vm", &host);
    assert_non_null(bench.services);
    assert_true(bh_vmbus_resume(bench.guest->bus));
    for (unsigned i = 0; i < 4; i++)
        bench.ring[i] = guest_ring_of(bench.guest, bench.ring[i].relid, 16 + i * 16, RING_PAGES);
    guest_run(bench.guest);
}

static void a_heart_is_heard_by_another_process(void **state)
{
    struct packet packet;

    (void)state;
    begin(true);
    open_channel(HEARTBEAT);
    packet = take(HEARTBEAT, IC_NEGOTIATE);
    fall(); /* with the offer of versions under way: it is not made again */
    assert_true(is_quiet(HEARTBEAT));
    agree(HEARTBEAT, &packet, (struct ic_version){3, 0});
    beat();
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_OK);
    fall(); /* nothing under way */
    pass(1);
    beat();
    assert_int_equal(bench.info.heartbeat, BH_HEARTBEAT_OK);
    end();
}

static void an_answer_to_another_process_is_passed_over(void **state)
{
    struct packet packet;

    (void)state;
    begin(true);
    open_channel(KVP);
    negotiate(KVP, (struct ic_version){4, 0});
    give_pair(0, "FullyQualifiedDomainName", "web1.example");
    packet = take(KVP, IC_KVP); /* pair 1 */
    fall();
    assert_true(is_quiet(KVP)); /* one at a time */
    answer(KVP, &packet, IC_STATUS_NO_MORE);
    assert_int_equal(bench.changes, 0);
    give_pair(0, "OSName", "Debian"); /* from the beginning */
    give_pair(1, NULL, NULL);
    assert_string_equal(bench.info.os, "Debian");
    end();
}

static void a_refusal_to_shut_down_is_heard_by_another_process(void **state)
{
    struct packet packet;

    (void)state;
    begin(true);
    open_channel(SHUTDOWN);
    negotiate(SHUTDOWN, (struct ic_version){3, 2});
    assert_true(bh_services_shutdown(bench.services, false, ""));
    packet = take(SHUTDOWN, IC_SHUTDOWN);
    fall();
    assert_false(bh_services_shutdown(bench.services, false, "again"));
    answer(SHUTDOWN, &packet, IC_STATUS_FAIL);
    assert_int_equal(bench.accepted, 0);
    assert_true(bh_services_shutdown(bench.services, false, "again"));
    (void)take(SHUTDOWN, IC_SHUTDOWN);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_heart_that_stops_is_missed_and_heard_again),
        cmocka_unit_test(a_paused_guest_is_not_missed),
        cmocka_unit_test(wrong_answers_are_ignored),
        cmocka_unit_test(no_version_in_common_is_said_and_the_end),
        cmocka_unit_test(time_is_set_at_first_and_after_a_pause_and_sampled_between),
        cmocka_unit_test(a_clock_is_set_once_its_time_can_be_read),
        cmocka_unit_test(without_a_reference_an_older_version_is_spoken),
        cmocka_unit_test(what_the_guest_says_of_itself_is_heard),
        cmocka_unit_test(a_guest_without_end_is_cut_short),
        cmocka_unit_test(no_daemon_in_the_guest_is_asked_again_later),
        cmocka_unit_test(texts_of_guests_become_clean_utf_8),
        cmocka_unit_test(shutdown_is_handed_over_once),
        cmocka_unit_test(a_guest_that_boots_again_starts_afresh),
        cmocka_unit_test(a_heart_is_heard_by_another_process),
        cmocka_unit_test(an_answer_to_another_process_is_passed_over),
        cmocka_unit_test(a_refusal_to_shut_down_is_heard_by_another_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
