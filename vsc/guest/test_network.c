/* SPDX-License-Identifier: MIT */
/* The network card: objects, and echo requests that the parent's kernel answers through the tap. */
#include <string.h>

#include "vsc/guest/echo.h"
#include "vsc/guest/tests.h"
#include "vsc/network/network.h"
#include "vsp/protocol/ndis.h"

#define PAYLOAD   56u
#define DEPTH_MAX 32u
#define NO_OBJECT 0x12345678u
#define TRIES     20u /* of ARP, a second each: the parent's side may come up later */

static struct vsc_network network;
static struct echo_station own, peer;

static struct {
    bool resolved;
    struct measure *measure; /* NULL: single echoes */
    uint32_t size;           /* of the payload */
    uint32_t sent;
    uint32_t heard;
    uint32_t spoilt; /* that did not carry what was sent */
} echo;

static void check(bool holds, const char *why)
{
    check_that(holds, "network", why);
}

static void send_frame(const uint8_t *frame, uint32_t size)
{
    check(vsc_network_send(&network, frame, size), "the card takes no more frames");
}

static void send_echo(void)
{
    uint8_t frame[VSC_NETWORK_FRAME_MAX];

    send_frame(frame, echo_request(frame, &own, &peer, (uint16_t)echo.sent, echo.size));
    echo.sent++;
}

static void answer_arp(const struct echo_station *from)
{
    uint8_t frame[ECHO_ARP_SIZE];

    echo_arp(frame, &own, from, true);
    send_frame(frame, sizeof(frame));
}

static void on_reply(const uint8_t *frame, uint32_t size, uint16_t sequence)
{
    echo.heard++;
    echo.spoilt += !echo_is_intact(frame, size, sequence, echo.size);
}

static void on_frame(void *context, const uint8_t *frame, uint32_t size)
{
    struct echo_station from;
    uint16_t sequence;

    (void)context;
    switch (echo_look(frame, size, &from, &sequence)) {
    case ECHO_ARP_REQUEST:
        answer_arp(&from);
        break;
    case ECHO_ARP_REPLY:
        if (from.address == peer.address) {
            peer = from;
            echo.resolved = true;
        }
        break;
    case ECHO_REPLY:
        on_reply(frame, size, sequence);
        break;
    default:
        break;
    }
}

/* --- tests -------------------------------------------------------------------------------- */

static void open_card(void)
{
    void *memory = memory_pages(VSC_NETWORK_PAGES);

    connect("network");
    check(vsc_network_open(&network, synic_bus(), memory, on_frame, NULL),
          "the card can not be opened");
    check(network.link, "the link is down");
    memcpy(own.mac, network.mac, sizeof(own.mac));
}

static void close_card(uint64_t mark)
{
    check(vsc_network_close(&network), "the card can not be closed");
    memory_release(mark);
}

static void find_peer(void)
{
    uint8_t frame[ECHO_ARP_SIZE];

    for (uint32_t i = 0; i < TRIES && !echo.resolved; i++) {
        uint64_t deadline = vsc_bus_deadline(synic_bus(), VSC_SECOND);

        echo_arp(frame, &own, &peer, false);
        send_frame(frame, sizeof(frame));
        vsc_network_flush(&network);
        while (!echo.resolved && vsc_bus_wait(synic_bus(), deadline))
            ;
    }
    check(echo.resolved, "nobody answers for the peer's address");
}

static void await_echo(void)
{
    uint64_t deadline = vsc_bus_deadline(synic_bus(), VSC_PATIENCE);
    uint32_t heard = echo.heard;

    while (echo.heard == heard)
        check(vsc_bus_wait(synic_bus(), deadline) || echo.heard != heard,
              "an echo request was not answered");
}

static void echo_once(uint32_t size)
{
    echo.size = size;
    send_echo();
    vsc_network_flush(&network);
    await_echo();
    check(echo.spoilt == 0, "an echo did not carry what was sent");
}

static void test_objects(void)
{
    check(vsc_network_query(&network, OID_GEN_MAXIMUM_FRAME_SIZE) == RNDIS_SUCCESS,
          "the card does not tell its frame size");
    check(vsc_network_query(&network, NO_OBJECT) != RNDIS_SUCCESS &&
              vsc_network_set(&network, NO_OBJECT, 1) != RNDIS_SUCCESS,
          "an object there is not");
}

/* A frame from another address goes nowhere, and the card stays well. */
static void test_spoofing(void)
{
    uint8_t frame[ECHO_ARP_SIZE];
    struct echo_station other = own;

    other.mac[5] ^= 1;
    echo_arp(frame, &other, &peer, false);
    send_frame(frame, sizeof(frame));
    vsc_network_flush(&network);
    echo_once(PAYLOAD);
}

/* --- figures ------------------------------------------------------------------------------ */

static void send_more(uint32_t count)
{
    for (uint32_t i = 0; i < count && measure_goes_on(echo.measure); i++)
        send_echo();
    vsc_network_flush(&network);
}

static void run_load(const struct options *options, const char *name, uint32_t depth)
{
    struct measure measure;
    uint32_t first = echo.sent;
    uint32_t before = echo.heard;

    measure_begin(&measure, options, name);
    echo.measure = &measure;
    send_more(depth);
    while (echo.heard - before != echo.sent - first) {
        await_echo();
        send_more(depth - (echo.sent - first - (echo.heard - before)));
    }
    echo.measure = NULL;
    measure_end(&measure, echo.heard - before,
                (uint64_t)(echo.heard - before) * 2 * (ECHO_HEAD + echo.size));
    check(echo.spoilt == 0, "an echo of the load did not carry what was sent");
}

void test_network(const struct options *options)
{
    uint64_t mark = memory_mark();
    uint32_t depth = options->depth < DEPTH_MAX ? options->depth : DEPTH_MAX;

    own.address = options->address;
    peer.address = options->peer;
    open_card();
    test_objects();
    find_peer();
    for (uint32_t size = 18; size + ECHO_HEAD <= VSC_NETWORK_FRAME_MAX; size += 243)
        echo_once(size);
    test_spoofing();
    check(network.malformed == 0, "the card sent what is no message");
    close_card(mark);
    open_card(); /* again, with other buffers */
    echo.size = PAYLOAD;
    run_load(options, "network.echo.one", 1);
    run_load(options, "network.echo.deep", depth);
    echo.size = VSC_NETWORK_FRAME_MAX - ECHO_HEAD;
    run_load(options, "network.frame.deep", depth);
    close_card(mark);
    say("ok network\n");
}
