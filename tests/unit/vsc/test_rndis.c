/* SPDX-License-Identifier: MIT */
/* vsc/network/rndis: messages out, messages in, and messages that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vsc/network/rndis.h"

static uint32_t word(const uint8_t *message, unsigned number)
{
    uint32_t value;

    memcpy(&value, message + 4 * (size_t)number, sizeof(value));
    return value;
}

static void test_requests(void **state)
{
    const uint32_t filter = 13;
    uint8_t message[VSC_RNDIS_REQUEST_MAX];

    (void)state;
    assert_int_equal(vsc_rndis_initialize(message, 7, 0x4000), 24);
    assert_int_equal(word(message, 0), RNDIS_INITIALIZE);
    assert_int_equal(word(message, 1), 24);
    assert_int_equal(word(message, 2), 7);
    assert_int_equal(vsc_rndis_query(message, 8, 0x01010101), 28);
    assert_int_equal(word(message, 3), 0x01010101);
    assert_int_equal(vsc_rndis_set(message, 9, 0x0001010e, &filter, sizeof(filter)), 32);
    assert_int_equal(word(message, 4), 4);  /* bytes */
    assert_int_equal(word(message, 5), 20); /* from the eighth byte on */
    assert_int_equal(word(message, 7), 13);
    assert_int_equal(vsc_rndis_halt(message, 10), 12);
}

/* What is sent as a packet reads as one. */
static void test_packet(void **state)
{
    uint8_t message[VSC_RNDIS_PACKET_HEAD + 60];
    struct vsc_rndis_message parsed;

    (void)state;
    vsc_rndis_packet(message, 60);
    assert_true(vsc_rndis_parse(message, sizeof(message), &parsed));
    assert_int_equal(parsed.type, RNDIS_PACKET);
    assert_int_equal(parsed.size, 60);
    assert_ptr_equal(parsed.data, message + VSC_RNDIS_PACKET_HEAD);
    for (uint32_t length = 0; length < sizeof(message); length++)
        assert_false(vsc_rndis_parse(message, length, &parsed));
}

/* Whatever the words are, data lies in the message: the sanitizer looks at each byte of it. */
static void test_any_words(void **state)
{
    static const uint32_t words[] = {0,          1,          8,          16,        36,
                                     0x7fffffff, 0x80000002, 0x80000004, 0xffffffff};
    const unsigned count = sizeof(words) / sizeof(words[0]);
    struct vsc_rndis_message parsed;
    uint32_t sum = 0;

    (void)state;
    for (unsigned i = 0; i < count * count * count * count; i++) {
        uint32_t *message = malloc(64);
        uint32_t at = i;

        assert_non_null(message);
        for (unsigned j = 0; j < 16; j++)
            message[j] = words[(i + j) % count];
        message[0] = words[at % count];
        message[1] = (i & 1) != 0 ? 64 : words[at % count];
        for (unsigned j = 2; j < 6; j++, at /= count)
            message[j] = words[at % count];
        if (vsc_rndis_parse((const uint8_t *)message, 64, &parsed))
            for (uint32_t j = 0; j < parsed.size; j++)
                sum += parsed.data[j];
        free(message);
    }
    assert_true(sum != 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_packet),
        cmocka_unit_test(test_any_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
