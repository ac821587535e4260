/* SPDX-License-Identifier: MIT */
/* Ports of the partition library: what reaches the driver, and the sentence for each refusal. */
#include "parent/partition/port.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "parent/driver/uapi/bulkhead.h"
#include "parent/partition/internal.h"
#include "parent/partition/requests.h"

#define FILE_NUMBER 7

static unsigned long request;
static union {
    struct bh_message_port message_port;
    struct bh_event_port event_port;
    struct bh_post_message post;
    struct bh_signal_event signal;
    struct bh_watch_room room;
} seen;
static int answer, refusal;

static int record(int fd, unsigned long number, void *argument)
{
    assert_int_equal(fd, FILE_NUMBER);
    request = number;
    memcpy(&seen, argument, number >> 16 & 0x3fff); /* the size is in the number */
    errno = refusal;
    return refusal ? -1 : answer;
}

static const struct bh_device_layer layer = {.ioctl = record};
static struct bh_partition partition = {&layer, FILE_NUMBER};
static struct bh_error error;

static int setup(void **state)
{
    (void)state;
    answer = refusal = 0;
    request = 0;
    memset(&seen, 0, sizeof seen);
    memset(&error, 0, sizeof error);
    return 0;
}

static void refused(bool result, int number, const char *part)
{
    assert_false(result);
    assert_int_equal(error.number, number);
    assert_non_null(strstr(error.text, part));
}

static void test_message_port(void **state)
{
    (void)state;
    answer = 42;
    assert_int_equal(bh_message_port_open(&partition, 4, &error), 42);
    assert_int_equal(request, BH_IOC_OPEN_MESSAGE_PORT);
    assert_int_equal(seen.message_port.connection_id, 4);
    refusal = EEXIST;
    refused(bh_message_port_open(&partition, 4, &error) >= 0, EEXIST,
            "id 4 of the child is in use");
    refusal = ENOSPC;
    refused(bh_message_port_open(&partition, 4, &error) >= 0, ENOSPC, "too many ports");
    refusal = EINVAL;
    refused(bh_message_port_open(&partition, 0, &error) >= 0, EINVAL, "connection id 0");
}

static void test_event_port(void **state)
{
    (void)state;
    assert_true(bh_event_port_open(&partition, 0x1001, 9, &error));
    assert_int_equal(request, BH_IOC_EVENT_PORT);
    assert_int_equal(seen.event_port.connection_id, 0x1001);
    assert_int_equal(seen.event_port.fd, 9);
    assert_int_equal(seen.event_port.flags, 0);
    assert_true(bh_event_port_close(&partition, 0x1001, &error));
    assert_int_equal(seen.event_port.flags, BH_EVENT_PORT_CLOSE);
    refusal = EBADF;
    refused(bh_event_port_open(&partition, 1, -1, &error), EBADF, "connection id 1");
    refusal = ENOENT;
    refused(bh_event_port_close(&partition, 1, &error), ENOENT, "cannot be closed");
}

static void test_post(void **state)
{
    (void)state;
    struct hv_message message = {.type = 1, .payload_size = 3, .payload = {1, 2, 3}};

    assert_true(bh_partition_post_message(&partition, 1, 2, &message, &error));
    assert_int_equal(request, BH_IOC_POST_MESSAGE);
    assert_int_equal(seen.post.vp_index, 1);
    assert_int_equal(seen.post.sint, 2);
    assert_memory_equal(seen.post.message, &message, sizeof message);
    refusal = EAGAIN;
    refused(bh_partition_post_message(&partition, 1, 2, &message, &error), EAGAIN, "Too many");
    refusal = ENOTCONN;
    refused(bh_partition_post_message(&partition, 1, 2, &message, &error), ENOTCONN, "source 2");
}

static void test_signal(void **state)
{
    (void)state;
    assert_true(bh_partition_signal_event(&partition, 3, 15, 2047, &error));
    assert_int_equal(request, BH_IOC_SIGNAL_EVENT);
    assert_int_equal(seen.signal.vp_index, 3);
    assert_int_equal(seen.signal.sint, 15);
    assert_int_equal(seen.signal.flag, 2047);
    request = 0;
    refused(bh_partition_signal_event(&partition, 0, 16, 0, &error), EINVAL, "source 16");
    refused(bh_partition_signal_event(&partition, 0, 0, 2048, &error), EINVAL, "flag 2048");
    assert_int_equal(request, 0); /* not cut to what fits */
    refusal = ENOTCONN;
    refused(bh_partition_signal_event(&partition, 0, 2, 1, &error), ENOTCONN, "takes no event");
}

static void test_room(void **state)
{
    (void)state;
    assert_true(bh_partition_watch_room(&partition, -1, &error));
    assert_int_equal(request, BH_IOC_WATCH_ROOM);
    assert_int_equal(seen.room.fd, -1);
    refusal = EBADF;
    refused(bh_partition_watch_room(&partition, 99, &error), EBADF, "room");
}

/* A process behind a filter made of the list can use all of it. */
static void test_requests_are_listed(void **state)
{
    (void)state;
    static const uint32_t wanted[] = {BH_IOC_OPEN_MESSAGE_PORT, BH_IOC_EVENT_PORT,
                                      BH_IOC_POST_MESSAGE, BH_IOC_SIGNAL_EVENT, BH_IOC_WATCH_ROOM};

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        unsigned found = 0;
        for (size_t at = 0; at < bh_request_count; at++)
            found += bh_requests[at] == wanted[i];
        assert_int_equal(found, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_message_port, setup),
        cmocka_unit_test_setup(test_event_port, setup),
        cmocka_unit_test_setup(test_post, setup),
        cmocka_unit_test_setup(test_signal, setup),
        cmocka_unit_test_setup(test_room, setup),
        cmocka_unit_test_setup(test_requests_are_listed, setup),
    };

    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
