/* SPDX-License-Identifier: MIT */
/* vsp/network: frames, checksums, offloads, hashes, RNDIS packets and control messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vsp/network/offload.h"
#include "vsp/network/packet.h"
#include "vsp/network/rndis.h"
#include "vsp/protocol/ndis.h"
#include "vsp/protocol/nvsp.h"

/* --- frames that are made here ------------------------------------------------------------ */

struct shape {
    unsigned version;
    unsigned protocol;
    bool tagged;
    unsigned payload;
};

/* The checksum by the definition: 16 bits at a time, in network order. */
static uint16_t plain_sum(const uint8_t *data, size_t size, uint32_t sum)
{
    for (size_t i = 0; i < size; i++)
        sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint32_t pseudo_sum(const uint8_t *ip, unsigned version, unsigned protocol, size_t segment)
{
    size_t addresses = version == 4 ? 8 : 32;

    return plain_sum(ip + (version == 4 ? 12 : 8), addresses, 0) + protocol +
           (uint32_t)(segment >> 16) + (uint32_t)(segment & 0xffff);
}

/* Lengths are right, checksums are zero. Returns the frame's size. */
static size_t make(uint8_t *frame, struct shape shape)
{
    size_t ip = shape.tagged ? 18 : 14;
    size_t transport = ip + (shape.version == 4 ? 20 : 40);
    size_t header = shape.protocol == BH_PROTOCOL_TCP ? 32 : 8;
    size_t segment = header + shape.payload;
    static const uint8_t addresses[12] = {0x52, 0x54, 0, 0, 0, 1, 0x52, 0x54, 0, 0, 0, 2};

    memset(frame, 0, transport + segment);
    memcpy(frame, addresses, sizeof(addresses));
    bh_store_be16(frame + 12, 0x8100);
    bh_store_be16(frame + ip - 2, shape.version == 4 ? 0x0800 : 0x86dd);
    for (unsigned i = 0; i < 32; i++)
        frame[ip + 8 + i] = (uint8_t)(0x11 * i + 3);
    if (shape.version == 4) {
        frame[ip] = 0x45;
        bh_store_be16(frame + ip + 2, (uint16_t)(20 + segment));
        frame[ip + 9] = (uint8_t)shape.protocol;
        memset(frame + ip + 10, 0, 2);
    } else {
        frame[ip] = 0x60;
        bh_store_be16(frame + ip + 4, (uint16_t)segment);
        frame[ip + 6] = (uint8_t)shape.protocol;
    }
    for (size_t i = 0; i < segment; i++)
        frame[transport + i] = (uint8_t)(i * 7 + 1);
    if (shape.protocol == BH_PROTOCOL_TCP)
        frame[transport + 12] = 0x80;
    memset(frame + transport + bh_checksum_position((uint8_t)shape.protocol), 0, 2);
    return transport + segment;
}

static void frames_are_understood(void **state)
{
    struct bh_frame_layout layout;
    uint8_t frame[256];

    (void)state;
    for (unsigned version = 4; version <= 6; version += 2) {
        for (unsigned tagged = 0; tagged < 2; tagged++) {
            size_t size = make(frame, (struct shape){version, BH_PROTOCOL_TCP, tagged != 0, 9});
            unsigned ip = tagged ? 18 : 14;
            unsigned transport = ip + (version == 4 ? 20 : 40);

            assert_true(bh_frame_parse(frame, size, &layout));
            assert_int_equal(layout.ip_version, version);
            assert_int_equal(layout.protocol, BH_PROTOCOL_TCP);
            assert_int_equal(layout.tagged, tagged);
            assert_int_equal(layout.ip_offset, ip);
            assert_int_equal(layout.transport_offset, transport);
            assert_int_equal(layout.payload_offset, transport + 32);
            assert_true(bh_frame_parse(frame, transport + 31, &layout)); /* header cut off */
            assert_int_equal(layout.protocol, 0);
        }
    }
    assert_false(bh_frame_parse(frame, 13, &layout));
}

static void fragments_and_odd_headers_have_no_transport(void **state)
{
    struct bh_frame_layout layout;
    uint8_t frame[256];
    size_t size = make(frame, (struct shape){4, BH_PROTOCOL_UDP, false, 9});

    (void)state;
    frame[20] = 0x20; /* more fragments */
    assert_true(bh_frame_parse(frame, size, &layout));
    assert_int_equal(layout.ip_version, 4);
    assert_int_equal(layout.protocol, 0);
    frame[20] = 0;
    frame[14] = 0x44; /* a header of 16 bytes */
    assert_true(bh_frame_parse(frame, size, &layout));
    assert_int_equal(layout.ip_version, 0);
    size = make(frame, (struct shape){6, BH_PROTOCOL_UDP, false, 64});
    frame[20] = 0;  /* a hop-by-hop header ... */
    frame[54] = 17; /* ... before UDP ... */
    frame[55] = 1;  /* ... of 16 bytes */
    assert_true(bh_frame_parse(frame, size, &layout));
    assert_int_equal(layout.transport_offset, 54 + 16);
    frame[54] = 44; /* a fragment header */
    assert_true(bh_frame_parse(frame, size, &layout));
    assert_int_equal(layout.protocol, 0);
}

static void assert_sums(const uint8_t *data, size_t longest)
{
    for (size_t size = 0; size <= longest; size++) {
        uint16_t sum = bh_checksum_fold(bh_checksum_add(0, data, size));
        uint8_t bytes[2];

        memcpy(bytes, &sum, 2);
        assert_int_equal(bh_load_be16(bytes), plain_sum(data, size, 0));
    }
}

static void sums_are_those_of_the_definition(void **state)
{
    uint8_t data[170];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(0xff - i * i);
    assert_sums(data, sizeof(data));
    memset(data, 0xff, sizeof(data)); /* each word carries */
    assert_sums(data, sizeof(data));
    assert_sums(data + 1, sizeof(data) - 1);
}

/* --- offloads ----------------------------------------------------------------------------- */

static void a_checksum_is_left_to_the_tap(void **state)
{
    const struct bh_packet_info tcp = {.has_checksum = true, .checksum = RNDIS_TX_TCP_CHECKSUM};
    const struct bh_packet_info udp = {.has_checksum = true, .checksum = RNDIS_TX_UDP_CHECKSUM};
    struct bh_packet_info wrong = tcp;
    struct virtio_net_hdr header;
    uint8_t frame[256];
    size_t size = make(frame, (struct shape){6, BH_PROTOCOL_TCP, false, 9});

    (void)state;
    assert_true(bh_offload_transmit(frame, size, size, 1514, &tcp, &header));
    assert_int_equal(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(header.csum_start, 54);
    assert_int_equal(header.csum_offset, 16);
    assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    assert_false(bh_offload_transmit(frame, size, size, 1514, &udp, &header));
    wrong.checksum |= RNDIS_TX_UDP_CHECKSUM;
    assert_false(bh_offload_transmit(frame, size, size, 1514, &wrong, &header));
    assert_false(bh_offload_transmit(frame, size, size, size - 1, &tcp, &header));
    size = make(frame, (struct shape){4, BH_PROTOCOL_UDP, true, 9});
    assert_true(bh_offload_transmit(frame, size, size, size - 4, &udp, &header)); /* the tag */
    assert_int_equal(header.csum_start, 38);
    assert_int_equal(header.csum_offset, 6);
    assert_true(bh_offload_transmit(frame, size, size, 1514, &(struct bh_packet_info){0}, &header));
    assert_int_equal(header.flags, 0);
}

static void an_unknown_header_is_where_the_client_says(void **state)
{
    struct bh_packet_info info = {.has_checksum = true,
                                  .checksum = RNDIS_TX_UDP_CHECKSUM |
                                              60u << RNDIS_TX_TRANSPORT_OFFSET_SHIFT};
    struct virtio_net_hdr header;
    uint8_t frame[256] = {[12] = 0x88, [13] = 0xb5};

    (void)state;
    assert_true(bh_offload_transmit(frame, 100, 100, 1514, &info, &header));
    assert_int_equal(header.csum_start, 60);
    assert_false(bh_offload_transmit(frame, 67, 67, 1514, &info, &header));
    info.checksum = RNDIS_TX_UDP_CHECKSUM;
    assert_false(bh_offload_transmit(frame, 100, 100, 1514, &info, &header));
}

static void check_segments(unsigned version)
{
    struct bh_packet_info info = {
        .has_lso = true, .lso = 1000 | RNDIS_LSO_VERSION_2 | (version == 6 ? RNDIS_LSO_IPV6 : 0)};
    struct virtio_net_hdr header;
    uint8_t frame[4096];
    size_t size = make(frame, (struct shape){version, BH_PROTOCOL_TCP, false, 3000});
    size_t transport = version == 4 ? 34 : 54;
    uint16_t pseudo = plain_sum(frame, 0, pseudo_sum(frame + 14, version, 6, size - transport));

    bh_store_be16(frame + (version == 4 ? 16 : 18), 0); /* as Linux leaves it */
    assert_true(bh_offload_transmit(frame, BH_FRAME_HEADERS_MAX, size, 1514, &info, &header));
    assert_int_equal(header.gso_type,
                     version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6);
    assert_int_equal(header.gso_size, 1000);
    assert_int_equal(header.hdr_len, transport + 32);
    assert_int_equal(header.csum_start, transport);
    assert_int_equal(bh_load_be16(frame + (version == 4 ? 16 : 18)),
                     version == 4 ? size - 14 : size - 54);
    assert_int_equal(bh_load_be16(frame + transport + 16), pseudo);
    if (version == 4)
        assert_int_equal(plain_sum(frame + 14, 20, 0), 0xffff);
    info.lso ^= RNDIS_LSO_IPV6;
    assert_false(bh_offload_transmit(frame, BH_FRAME_HEADERS_MAX, size, 1514, &info, &header));
}

static void segments_are_completed_and_left_to_the_tap(void **state)
{
    struct bh_packet_info info = {.has_lso = true, .lso = 1400 | RNDIS_LSO_VERSION_2};
    struct virtio_net_hdr header;
    uint8_t frame[4096];
    size_t size = make(frame, (struct shape){4, BH_PROTOCOL_TCP, false, 1400});

    (void)state;
    check_segments(4);
    check_segments(6);
    assert_true(bh_offload_transmit(frame, 256, size, 1514, &info, &header)); /* one segment */
    assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
    assert_int_equal(header.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_false(bh_offload_transmit(frame, 256, size, 1400, &info, &header)); /* beyond the MTU */
    info.lso = (BH_MSS_MIN - 1) | RNDIS_LSO_VERSION_2;
    assert_false(bh_offload_transmit(frame, 256, size, 1514, &info, &header));
    info.lso = 1400;
    assert_false(bh_offload_transmit(frame, 256, size, 1514, &info, &header));
    size = make(frame, (struct shape){4, BH_PROTOCOL_UDP, false, 1400});
    info.lso = 1400 | RNDIS_LSO_VERSION_2;
    assert_false(bh_offload_transmit(frame, 256, size, 1514, &info, &header));
}

static void what_the_tap_leaves_is_completed(void **state)
{
    (void)state;
    for (unsigned version = 4; version <= 6; version += 2) {
        struct bh_packet_info info = {0};
        uint8_t frame[256];
        size_t size = make(frame, (struct shape){version, BH_PROTOCOL_UDP, true, 33});
        size_t transport = version == 4 ? 38 : 58;
        struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                        .csum_start = (uint16_t)transport,
                                        .csum_offset = 6};
        uint32_t pseudo = pseudo_sum(frame + 18, version, 17, size - transport);

        bh_store_be16(frame + transport + 6, plain_sum(frame, 0, pseudo));
        bh_offload_receive(frame, size, &header, &info);
        assert_int_equal(plain_sum(frame + transport, size - transport, pseudo), 0xffff);
        assert_true(info.has_checksum);
        assert_int_equal(info.checksum, RNDIS_RX_UDP_SUCCEEDED);
    }
}

static void only_what_is_verified_is_called_so(void **state)
{
    struct bh_packet_info info = {0};
    struct virtio_net_hdr header = {0};
    uint8_t frame[256];
    size_t size = make(frame, (struct shape){4, BH_PROTOCOL_TCP, false, 33});

    (void)state;
    bh_offload_receive(frame, size, &header, &info);
    assert_false(info.has_checksum);
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.csum_start = (uint16_t)size;
    bh_offload_receive(frame, size, &header, &info);
    assert_false(info.has_checksum);
    header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    bh_offload_receive(frame, size, &header, &info);
    assert_int_equal(info.checksum, RNDIS_RX_TCP_SUCCEEDED);
}

/* --- hashes: the suite that Microsoft publishes for RSS ----------------------------------- */

static const uint8_t rss_key[NDIS_RSS_KEY_SIZE] = {
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

struct rss_object {
    struct ndis_rss_parameters p;
    uint32_t table[4];
    uint8_t key[NDIS_RSS_KEY_SIZE];
};

static struct rss_object rss_object(uint32_t hash)
{
    struct rss_object object = {
        .p = {.header = {NDIS_TYPE_RSS_PARAMETERS, 2, sizeof(struct ndis_rss_parameters)},
              .hash = hash | NDIS_HASH_TOEPLITZ,
              .indirection_size = sizeof(object.table),
              .indirection_offset = offsetof(struct rss_object, table),
              .key_size = sizeof(object.key),
              .key_offset = offsetof(struct rss_object, key)},
        .table = {0, 1, 0, 1},
    };

    memcpy(object.key, rss_key, sizeof(rss_key));
    return object;
}

static uint32_t hash_of(struct bh_rss *rss, const uint8_t *frame, size_t size)
{
    struct bh_frame_layout layout;
    uint32_t hash = 0;

    assert_true(bh_frame_parse(frame, size, &layout));
    assert_true(bh_rss_hash(rss, frame, &layout, &hash));
    return hash;
}

static void hashes_are_those_of_the_published_suite(void **state)
{
    static const uint8_t addresses_4[8] = {66, 9, 149, 187, 161, 142, 100, 80};
    static const uint8_t addresses_6[32] = {
        0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x07,
        0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 0x01};
    struct rss_object object =
        rss_object(NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6);
    struct bh_rss rss = {0};
    uint8_t frame[256];
    size_t size = make(frame, (struct shape){4, BH_PROTOCOL_TCP, false, 9});

    (void)state;
    assert_true(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    memcpy(frame + 26, addresses_4, sizeof(addresses_4));
    bh_store_be16(frame + 34, 2794);
    bh_store_be16(frame + 36, 1766);
    assert_int_equal(hash_of(&rss, frame, size), 0x51ccc178);
    frame[23] = 1; /* not TCP: addresses alone */
    assert_int_equal(hash_of(&rss, frame, size), 0x323e8fc2);
    size = make(frame, (struct shape){6, BH_PROTOCOL_TCP, false, 9});
    memcpy(frame + 22, addresses_6, 32);
    bh_store_be16(frame + 54, 2794);
    bh_store_be16(frame + 56, 1766);
    assert_int_equal(hash_of(&rss, frame, size), 0x40207d3d);
    assert_int_equal(bh_rss_queue(&rss, 0x40207d3d), 1);
    assert_int_equal(bh_rss_queue(&rss, 0x323e8fc2), 0);
}

static void malformed_scaling_changes_nothing(void **state)
{
    struct rss_object object = rss_object(NDIS_HASH_IPV4);
    struct bh_rss rss = {0};

    (void)state;
    object.table[3] = 2;
    assert_false(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    object.table[3] = 0x100;
    assert_false(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    object = rss_object(NDIS_HASH_IPV4);
    assert_false(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object) - 1, 2));
    object.p.indirection_offset = UINT32_MAX;
    assert_false(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    object = rss_object(NDIS_HASH_IPV4);
    object.p.flags = NDIS_RSS_INDIRECTION_UNCHANGED; /* of a table there never was */
    assert_false(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    object.p.flags = 0;
    object.p.key_size = 39;
    assert_false(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    assert_false(rss.enabled);
    assert_int_equal(rss.table_count, 0);
    object = rss_object(NDIS_HASH_IPV4);
    assert_true(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    object.p.flags = NDIS_RSS_DISABLE;
    assert_true(bh_rss_set(&rss, (const uint8_t *)&object, sizeof(object), 2));
    assert_false(rss.enabled);
}

/* --- RNDIS packets ------------------------------------------------------------------------ */

struct data_packet {
    struct rndis_header header;
    struct rndis_packet fields;
    struct {
        struct rndis_info info;
        uint32_t value;
    } element[2];
    uint8_t frame[64];
};

static struct data_packet data_packet(void)
{
    return (struct data_packet){
        .header = {RNDIS_PACKET, sizeof(struct data_packet)},
        .fields = {.data_offset = offsetof(struct data_packet, frame) - 8,
                   .data_length = 64,
                   .info_offset = 36,
                   .info_length = 32},
        .element = {{{16, RNDIS_INFO_VLAN, 12}, 0x123}, {{16, RNDIS_INFO_CHECKSUM, 12}, 0x456}},
    };
}

static bool parse(const struct data_packet *packet, struct bh_packet *parsed)
{
    return bh_packet_parse((const uint8_t *)packet, packet->header.length, parsed);
}

static void packets_are_taken_apart(void **state)
{
    struct data_packet packet = data_packet();
    struct bh_packet parsed;

    (void)state;
    assert_true(parse(&packet, &parsed));
    assert_int_equal(parsed.data_offset, offsetof(struct data_packet, frame));
    assert_int_equal(parsed.data_length, 64);
    assert_true(parsed.info.has_vlan && parsed.info.vlan == 0x123);
    assert_true(parsed.info.has_checksum && parsed.info.checksum == 0x456);
    assert_false(parsed.info.has_lso || parsed.info.has_hash);
    packet.element[0].info.type |= RNDIS_INFO_INTERNAL; /* means something else, or nothing */
    assert_true(parse(&packet, &parsed));
    assert_false(parsed.info.has_vlan);
}

static void packets_out_of_bounds_are_refused(void **state)
{
    struct data_packet packet;
    struct bh_packet parsed;

    (void)state;
#define REFUSED(field, wrong)                  \
    do {                                       \
        packet = data_packet();                \
        packet.field = (wrong);                \
        assert_false(parse(&packet, &parsed)); \
    } while (0)
    REFUSED(header.length, 43);
    REFUSED(header.length, sizeof(struct data_packet) - 1);
    REFUSED(fields.data_offset, 35);
    REFUSED(fields.data_offset, UINT32_MAX);
    REFUSED(fields.data_length, 65);
    REFUSED(fields.data_length, UINT32_MAX - 60);
    REFUSED(fields.info_offset, 8);
    REFUSED(fields.info_offset, UINT32_MAX - 8);
    REFUSED(fields.info_length, 33);
    REFUSED(fields.info_length, UINT32_MAX);
    REFUSED(element[0].info.size, 0);
    REFUSED(element[0].info.size, 11);
    REFUSED(element[0].info.size, 33);
    REFUSED(element[1].info.size, 17);
    REFUSED(element[0].info.offset, 17);
    REFUSED(element[0].info.offset, 0);
#undef REFUSED
}

static void packets_are_put_together_as_they_are_taken_apart(void **state)
{
    const struct bh_packet_info info = {
        .has_checksum = true, .checksum = RNDIS_RX_TCP_SUCCEEDED, .has_hash = true, .hash = 0x1234};
    uint8_t message[BH_PACKET_HEADER_MAX + 100] = {0};
    struct bh_packet parsed;
    uint32_t size = bh_packet_build(message, &info, (struct bh_packet_part){RNDIS_PART, 7}, 100);

    (void)state;
    assert_int_equal(size, BH_PACKET_HEADER_MAX);
    assert_true(bh_packet_parse(message, size + 100, &parsed));
    assert_int_equal(parsed.data_offset, size);
    assert_int_equal(parsed.data_length, 100);
    assert_int_equal(parsed.info.checksum, info.checksum);
    assert_int_equal(parsed.info.hash, info.hash);
    size = bh_packet_build(message, &(struct bh_packet_info){0}, (struct bh_packet_part){0}, 100);
    assert_int_equal(size, 44);
    assert_true(bh_packet_parse(message, size + 100, &parsed));
}

/* --- RNDIS control ------------------------------------------------------------------------ */

static struct {
    struct bh_nic_options options;
    struct bh_nic_stats stats;
    struct bh_oid_card card;
    struct bh_nic_state state;
    uint8_t answer[BH_RNDIS_ANSWER_MAX];
} control;

static void control_begin(void)
{
    memset(&control, 0, sizeof(control));
    control.options = (struct bh_nic_options){
        .name = "nic0", .mac = {0x52, 0x54, 0, 0, 0, 1}, .mtu = 1500, .queues = 4};
    control.card = (struct bh_oid_card){&control.options, &control.stats, true};
    control.state.version = NVSP_VERSION_61;
}

static uint32_t initialize(void)
{
    const uint32_t message[] = {RNDIS_INITIALIZE, 24, 77, 1, 0, 0x4000};

    return bh_rndis_control(&control.card, &control.state, (const uint8_t *)message,
                            sizeof(message), control.answer);
}

/* The status; the value is in `value`. */
static uint32_t query(uint32_t oid, const void **value, uint32_t *size)
{
    const uint32_t message[] = {RNDIS_QUERY, 28, 78, oid, 0, 20, 0};
    struct rndis_query_complete complete;
    struct rndis_header header;
    uint32_t length = bh_rndis_control(&control.card, &control.state, (const uint8_t *)message,
                                       sizeof(message), control.answer);

    memcpy(&header, control.answer, sizeof(header));
    memcpy(&complete, control.answer + 8, sizeof(complete));
    assert_int_equal(header.type, 0x80000004);
    assert_int_equal(header.length, length);
    assert_int_equal(length, 24 + complete.length);
    assert_int_equal(complete.request_id, 78);
    *value = control.answer + 24;
    *size = complete.length;
    return complete.status;
}

static uint32_t set(uint32_t oid, const void *value, uint32_t size)
{
    uint8_t message[1024] = {0};
    const uint32_t fields[] = {RNDIS_SET, 28 + size, 79, oid, size, 20, 0};
    uint32_t answer[4];

    memcpy(message, fields, sizeof(fields));
    if (size != 0)
        memcpy(message + sizeof(fields), value, size);
    assert_int_equal(
        bh_rndis_control(&control.card, &control.state, message, 28 + size, control.answer), 16);
    memcpy(answer, control.answer, sizeof(answer));
    assert_int_equal(answer[0], 0x80000005);
    assert_int_equal(answer[2], 79);
    return answer[3];
}

static void nothing_is_served_before_initialize(void **state)
{
    const uint32_t message[] = {RNDIS_QUERY, 28, 78, OID_GEN_LINK_SPEED, 0, 20, 0};
    struct rndis_initialize_complete complete;

    (void)state;
    control_begin();
    assert_int_equal(bh_rndis_control(&control.card, &control.state, (const uint8_t *)message,
                                      sizeof(message), control.answer),
                     0);
    assert_int_equal(initialize(), 52);
    memcpy(&complete, control.answer + 8, sizeof(complete));
    assert_int_equal(complete.request_id, 77);
    assert_int_equal(complete.status, RNDIS_SUCCESS);
    assert_int_equal(complete.max_packets_per_message, BH_RNDIS_PACKETS_MAX);
}

static void the_card_describes_itself(void **state)
{
    const struct ndis_rss_capabilities *rss;
    const struct ndis_offload *offload;
    const void *value;
    uint32_t size;

    (void)state;
    control_begin();
    (void)initialize();
    assert_int_equal(query(OID_GEN_MAXIMUM_FRAME_SIZE, &value, &size), RNDIS_SUCCESS);
    assert_int_equal(*(const uint32_t *)value, 1500);
    assert_int_equal(query(OID_802_3_PERMANENT_ADDRESS, &value, &size), RNDIS_SUCCESS);
    assert_int_equal(size, 6);
    assert_memory_equal(value, control.options.mac, 6);
    assert_int_equal(query(OID_GEN_FRIENDLY_NAME, &value, &size), RNDIS_SUCCESS);
    assert_int_equal(size, 8);
    assert_memory_equal(value, "n\0i\0c\0000\0", 8);
    assert_int_equal(query(OID_GEN_RECEIVE_SCALE_CAPABILITIES, &value, &size), RNDIS_SUCCESS);
    rss = value;
    assert_int_equal(size, 18);
    assert_int_equal(rss->receive_queues, 4);
    assert_int_equal(query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &value, &size), RNDIS_SUCCESS);
    offload = value;
    assert_int_equal(size, 156);
    assert_int_equal(offload->header.size, 156);
    control.state.version = NVSP_VERSION_2;
    assert_int_equal(query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &value, &size), RNDIS_SUCCESS);
    assert_int_equal(size, 112);
    control.card.link_up = false;
    assert_int_equal(query(OID_GEN_MEDIA_CONNECT_STATUS, &value, &size), RNDIS_SUCCESS);
    assert_int_equal(*(const uint32_t *)value, 1);
    control.stats.tx_packets = UINT64_MAX;
    assert_int_equal(query(OID_GEN_XMIT_OK, &value, &size), RNDIS_SUCCESS);
    assert_int_equal(*(const uint32_t *)value, UINT32_MAX);
    assert_int_equal(query(0x12345678, &value, &size), RNDIS_NOT_SUPPORTED);
    assert_int_equal(size, 0);
}

static void every_object_of_the_list_is_there(void **state)
{
    uint32_t list[BH_OID_SIZE_MAX / 4];
    const void *value;
    uint32_t bytes;
    uint32_t size;

    (void)state;
    control_begin();
    (void)initialize();
    assert_int_equal(query(OID_GEN_SUPPORTED_LIST, &value, &bytes), RNDIS_SUCCESS);
    memcpy(list, value, bytes);
    for (uint32_t i = 0; i < bytes / 4; i++)
        assert_true(query(list[i], &value, &size) == RNDIS_SUCCESS ||
                    set(list[i], NULL, 0) != RNDIS_NOT_SUPPORTED);
}

static void the_guest_sets_filters_and_offloads(void **state)
{
    struct ndis_offload_parameters offload = {.header = {NDIS_TYPE_DEFAULT, 3, sizeof(offload)},
                                              .tcp4 = NDIS_OFFLOAD_TX_RX,
                                              .rsc_ip4 = NDIS_OFFLOAD_RSC_ENABLED};
    uint32_t filter = 0xffffffff;

    (void)state;
    control_begin();
    (void)initialize();
    assert_int_equal(set(OID_GEN_CURRENT_PACKET_FILTER, &filter, 4), RNDIS_SUCCESS);
    assert_int_equal(control.state.filter, 0x2f);
    assert_int_equal(set(OID_GEN_CURRENT_PACKET_FILTER, &filter, 3), RNDIS_INVALID_LENGTH);
    assert_int_equal(set(OID_TCP_OFFLOAD_PARAMETERS, &offload, sizeof(offload)), RNDIS_SUCCESS);
    assert_true(control.state.verify_checksum && control.state.coalesce_ip4);
    assert_false(control.state.coalesce_ip6);
    offload = (struct ndis_offload_parameters){.header = {NDIS_TYPE_DEFAULT, 3, 22},
                                               .tcp4 = NDIS_OFFLOAD_DISABLED};
    assert_int_equal(set(OID_TCP_OFFLOAD_PARAMETERS, &offload, 22), RNDIS_SUCCESS); /* as NVSP 4 */
    assert_false(control.state.verify_checksum);
    assert_true(control.state.coalesce_ip4);
    assert_int_equal(set(OID_TCP_OFFLOAD_PARAMETERS, &offload, 19), RNDIS_INVALID_LENGTH);
    assert_int_equal(set(OID_GEN_LINK_SPEED, &filter, 4), RNDIS_NOT_SUPPORTED);
}

struct address_parameter {
    struct rndis_config_parameter p;
    uint16_t name[14];
    uint16_t value[12];
};

static struct address_parameter address_parameter(const char *mac)
{
    struct address_parameter parameter = {.p = {offsetof(struct address_parameter, name), 28,
                                                RNDIS_CONFIG_STRING,
                                                offsetof(struct address_parameter, value), 24}};

    for (unsigned i = 0; i < 14; i++)
        parameter.name[i] = (uint16_t) "NetworkAddress"[i];
    for (unsigned i = 0; i < 12; i++)
        parameter.value[i] = (uint16_t)mac[i];
    return parameter;
}

static void only_a_trusted_guest_chooses_its_address(void **state)
{
    struct address_parameter parameter = address_parameter("525400000001");

    (void)state;
    control_begin();
    (void)initialize();
    assert_int_equal(set(OID_RNDIS_CONFIG_PARAMETER, &parameter, sizeof(parameter)), RNDIS_SUCCESS);
    parameter = address_parameter("5254000000aF");
    assert_int_equal(set(OID_RNDIS_CONFIG_PARAMETER, &parameter, sizeof(parameter)),
                     RNDIS_NOT_SUPPORTED);
    control.options.trusted = true;
    assert_int_equal(set(OID_RNDIS_CONFIG_PARAMETER, &parameter, sizeof(parameter)), RNDIS_SUCCESS);
    parameter.value[3] = 'g';
    assert_int_equal(set(OID_RNDIS_CONFIG_PARAMETER, &parameter, sizeof(parameter)),
                     RNDIS_INVALID_DATA);
    parameter.p.value_offset = UINT32_MAX;
    assert_int_equal(set(OID_RNDIS_CONFIG_PARAMETER, &parameter, sizeof(parameter)),
                     RNDIS_INVALID_DATA);
    parameter = address_parameter("525400000001");
    parameter.name[13] = 'S';
    assert_int_equal(set(OID_RNDIS_CONFIG_PARAMETER, &parameter, sizeof(parameter)),
                     RNDIS_NOT_SUPPORTED);
}

static void requests_out_of_bounds_get_no_answer(void **state)
{
    static const uint32_t wrong[][7] = {
        {RNDIS_SET, 28, 1, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0}, /* beyond the end */
        {RNDIS_SET, 28, 1, OID_GEN_CURRENT_PACKET_FILTER, UINT32_MAX, 20, 0},
        {RNDIS_SET, 28, 1, OID_GEN_CURRENT_PACKET_FILTER, 4, UINT32_MAX, 0},
        {RNDIS_SET, 28, 1, OID_GEN_CURRENT_PACKET_FILTER, 4, 0, 0}, /* its own fields */
        {RNDIS_SET, 29, 1, OID_GEN_CURRENT_PACKET_FILTER, 0, 20, 0},
        {RNDIS_SET, 24, 1, OID_GEN_CURRENT_PACKET_FILTER, 0, 20, 0},
        {RNDIS_QUERY, 7, 1, OID_GEN_LINK_SPEED, 0, 20, 0},
        {RNDIS_KEEPALIVE, 8, 1, 0, 0, 0, 0},
        {RNDIS_PACKET, 28, 0, 0, 0, 0, 0},
        {99, 28, 0, 0, 0, 0, 0},
    };

    (void)state;
    control_begin();
    (void)initialize();
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(bh_rndis_control(&control.card, &control.state, (const uint8_t *)wrong[i],
                                          sizeof(wrong[i]), control.answer),
                         0);
}

static void keepalive_reset_and_halt(void **state)
{
    const uint32_t keepalive[] = {RNDIS_KEEPALIVE, 12, 5};
    const uint32_t reset[] = {RNDIS_RESET, 12, 0};
    const uint32_t halt[] = {RNDIS_HALT, 12, 6};
    uint32_t filter = 0xd;

    (void)state;
    control_begin();
    (void)initialize();
    assert_int_equal(bh_rndis_control(&control.card, &control.state, (const uint8_t *)keepalive, 12,
                                      control.answer),
                     16);
    assert_int_equal(set(OID_GEN_CURRENT_PACKET_FILTER, &filter, 4), RNDIS_SUCCESS);
    assert_int_equal(
        bh_rndis_control(&control.card, &control.state, (const uint8_t *)reset, 12, control.answer),
        16);
    assert_int_equal(control.state.filter, 0);
    assert_true(control.state.initialized);
    assert_int_equal(
        bh_rndis_control(&control.card, &control.state, (const uint8_t *)halt, 12, control.answer),
        0);
    assert_false(control.state.initialized);
    assert_int_equal(control.state.version, NVSP_VERSION_61);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_understood),
        cmocka_unit_test(fragments_and_odd_headers_have_no_transport),
        cmocka_unit_test(sums_are_those_of_the_definition),
        cmocka_unit_test(a_checksum_is_left_to_the_tap),
        cmocka_unit_test(an_unknown_header_is_where_the_client_says),
        cmocka_unit_test(segments_are_completed_and_left_to_the_tap),
        cmocka_unit_test(what_the_tap_leaves_is_completed),
        cmocka_unit_test(only_what_is_verified_is_called_so),
        cmocka_unit_test(hashes_are_those_of_the_published_suite),
        cmocka_unit_test(malformed_scaling_changes_nothing),
        cmocka_unit_test(packets_are_taken_apart),
        cmocka_unit_test(packets_out_of_bounds_are_refused),
        cmocka_unit_test(packets_are_put_together_as_they_are_taken_apart),
        cmocka_unit_test(nothing_is_served_before_initialize),
        cmocka_unit_test(the_card_describes_itself),
        cmocka_unit_test(every_object_of_the_list_is_there),
        cmocka_unit_test(the_guest_sets_filters_and_offloads),
        cmocka_unit_test(only_a_trusted_guest_chooses_its_address),
        cmocka_unit_test(requests_out_of_bounds_get_no_answer),
        cmocka_unit_test(keepalive_reset_and_halt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
