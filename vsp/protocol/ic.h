/* SPDX-License-Identifier: MIT */
/*
 * Integration components: shutdown, heartbeat, time synchronisation and
 * key-value exchange. All four share the header and the negotiation. The
 * parent asks, the guest answers in place: the same message with the response
 * flag, of the same length, under the same transaction id of the bus.
 */
#ifndef VSP_PROTOCOL_IC_H
#define VSP_PROTOCOL_IC_H

#include <stdint.h>

enum ic_type {
    IC_NEGOTIATE = 0,
    IC_HEARTBEAT = 1,
    IC_KVP = 2,
    IC_SHUTDOWN = 3,
    IC_TIME_SYNC = 4,
};

#define IC_FLAG_TRANSACTION 1u
#define IC_FLAG_REQUEST     2u
#define IC_FLAG_RESPONSE    4u

#define IC_STATUS_OK      0x00000000u
#define IC_STATUS_FAIL    0x80004005u
#define IC_STATUS_NO_MORE 0x80070103u /* the end of an enumeration */
#define IC_PIPE_FLAG      1u

struct ic_version {
    uint16_t major;
    uint16_t minor;
};

/* In front of each body: the pipe's header of 8 bytes and the message's of 20. */
struct ic_header {
    uint32_t pipe_flags;
    uint32_t pipe_size; /* of all that follows the pipe's header */
    struct ic_version framework;
    uint16_t type;
    struct ic_version message;
    uint16_t size; /* of the body */
    uint32_t status;
    uint8_t transaction;
    uint8_t flags;
    uint16_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct ic_header) == 28, "IC header");
_Static_assert(__builtin_offsetof(struct ic_header, status) == 20, "IC header");

/* Versions of the framework come first, then those of the component's messages. */
#define IC_VERSIONS_MAX 8u

struct ic_negotiate {
    uint16_t framework_count;
    uint16_t message_count;
    uint32_t reserved;
    struct ic_version version[IC_VERSIONS_MAX];
};
_Static_assert(sizeof(struct ic_negotiate) == 40, "IC negotiation");

struct ic_heartbeat {
    uint64_t sequence; /* comes back one higher */
    uint32_t reserved[8];
};
_Static_assert(sizeof(struct ic_heartbeat) == 40, "heartbeat");

#define IC_SHUTDOWN_POWER_OFF 0u
#define IC_SHUTDOWN_FORCE     1u
#define IC_SHUTDOWN_REBOOT    2u

struct ic_shutdown {
    uint32_t reason;
    uint32_t timeout_seconds;
    uint32_t flags;
    uint8_t message[2048];
};
_Static_assert(sizeof(struct ic_shutdown) == 2060, "shutdown");

#define IC_TIME_SYNC_SET    1u /* set the clock */
#define IC_TIME_SYNC_SAMPLE 2u

/* Between 1601-01-01, where times of the protocol begin, and 1970-01-01, in 100 ns. */
#define IC_TIME_1970 116444736000000000ull

/* Version 4. */
struct ic_time_reference {
    uint64_t parent_time;    /* UTC, 100 ns since 1601 */
    uint64_t reference_time; /* of the partition, when parent_time was taken; 100 ns */
    uint8_t flags;
    uint8_t leap_flags;
    uint8_t stratum;
    uint8_t reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct ic_time_reference) == 22, "time synchronisation, version 4");

/* Versions 1 and 3. */
struct ic_time {
    uint64_t parent_time;
    uint64_t child_time;
    uint64_t round_trip_time;
    uint8_t flags;
} __attribute__((packed));
_Static_assert(sizeof(struct ic_time) == 25, "time synchronisation, versions 1 and 3");

/* --- key-value exchange ------------------------------------------------------------------- */

enum ic_kvp_operation {
    IC_KVP_GET = 0,
    IC_KVP_SET = 1,
    IC_KVP_DELETE = 2,
    IC_KVP_ENUMERATE = 3,
    IC_KVP_GET_IP = 4,
    IC_KVP_SET_IP = 5,
};

enum ic_kvp_pool {
    IC_KVP_POOL_EXTERNAL = 0,
    IC_KVP_POOL_GUEST = 1,
    IC_KVP_POOL_AUTO = 2,
};

#define IC_KVP_STRING     1u
#define IC_KVP_KEY_SIZE   512u /* bytes of UTF-16 */
#define IC_KVP_VALUE_SIZE 2048u

struct ic_kvp_pair {
    uint32_t type;
    uint32_t key_size; /* bytes, with the terminator */
    uint32_t value_size;
    uint8_t key[IC_KVP_KEY_SIZE];
    uint8_t value[IC_KVP_VALUE_SIZE];
};
_Static_assert(sizeof(struct ic_kvp_pair) == 2572, "KVP pair");

struct ic_kvp_enumerate {
    uint8_t operation;
    uint8_t pool;
    uint16_t reserved;
    uint32_t index;
    struct ic_kvp_pair pair;
};
_Static_assert(sizeof(struct ic_kvp_enumerate) == 2580, "KVP enumeration");

/* A KVP body is always this long: the longest operation is about addresses. */
#define IC_KVP_BODY_SIZE 7432u

#endif
