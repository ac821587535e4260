/* SPDX-License-Identifier: MIT */
/*
 * Parts of the model of ports (ports.c): what is written down of a state, the calls that are made
 * in it (ports_calls.c), what each does and shows (ports_acts.c), and what must hold and must be
 * refused in all of them (ports_rule.c).
 */
#ifndef TESTS_MODEL_PORTS_H
#define TESTS_MODEL_PORTS_H

#include "hv/abi/port.h"
#include "tests/model/machine.h"

#define CHILDREN     MACHINE_CHILDREN
#define PORTS        3u
#define FEW          2u
#define FULL         QUEUE_MESSAGES
#define RING_FEW     2u
#define RING_TAIL    (HV_EVENT_RING_ENTRIES - 2)
#define RING_FILLER  0xabcdu /* the id of ports that are not looked at */
#define PORT_SINT    5u
#define MESSAGE_SINT 2u
#define EVENT_SINT   3u
#define EVENT_FLAG   70u
/* The word of a child's page that has the flag. */
#define EVENT_WORD   (EVENT_SINT * (HV_EVENT_FLAGS_PER_SINT / 8ull) + EVENT_FLAG / 64 * 8ull)
#define CONNECTION   7u
#define DOORBELL_AT  0xfeb00000ull
#define CALL_AT      0x800u /* input of calls, in the page of a child */
#define NUMBERS      2u     /* of messages */

#define MESSAGES    0x3000ull /* pages of the parent */
#define RINGS       0x4000ull
#define CHILD_FRAME 5u /* the only page of each child: messages, events and calls */
#define POOL_FRAME  7u
#define BASE_PAGES  5u /* tables and the VP */

struct port_kind {
    uint32_t type;
    uint8_t child, connection;
};

struct model_system {
    const char *name;
    struct port_kind port[PORTS]; /* type 0: none */
    bool to_children;
    unsigned pages[CHILDREN]; /* of the pools */
};

extern const struct model_system *model;
extern bool mutant;

struct port {
    uint8_t exists, connected;
    uint8_t count, next; /* messages that wait, and the number of the next one */
    uint8_t turned;      /* the queue's first message is near its end */
};

struct child {
    uint8_t alive, ended; /* it runs; its finalization is finished */
    uint8_t has_port_page;
    /* From the parent: in the slot and behind it; it was refused, and is owed a word or two. */
    uint8_t count, next, wants_room, room_owed;
    uint8_t flag; /* an event that was not taken */
};

struct shadow {
    struct child child[CHILDREN];
    struct port port[PORTS];
    uint8_t ring[RING_FEW], ring_count;
    uint8_t ring_full; /* with RING_FILLER behind the others */
};
extern struct shadow now;

enum verb {
    CREATE, /* of each port */
    DELETE,
    CONNECT,
    DISCONNECT,
    SEND,      /* a message, an event or a store, by the child */
    SEND_MANY, /* until the queue has room for one more */
    TURN,      /* as many messages as bring the queue's first one near its end */
    READ,
    READ_ALL,
    PORT_VERBS,
    FINALIZE = PORT_VERBS, /* of each child; one slice */
    RENEW,                 /* what is left is deleted, and another child comes */
    POST,                  /* to the child */
    POST_MANY,
    TAKE, /* by the child, from its slot */
    TAKE_ALL,
    FLAG, /* an event to the child */
    TAKE_FLAG,
    CHILD_VERBS_END,
    FILL_RING = CHILD_VERBS_END,
    TAKE_NEWS, /* by the parent */
    REFUSALS,
    VERBS,
};
struct operation {
    enum verb verb;
    unsigned of; /* the port, or the child */
};

/* ---- ports_calls.c ---- */

uint32_t port_id(unsigned port);
uint64_t child_id(unsigned child);
uint64_t child_page(unsigned child);
uint64_t pool_of(unsigned child);
struct vp *child_vp(unsigned child);
uint8_t oldest(uint8_t count, uint8_t next);
bool told_of_room(unsigned number);
unsigned reached(unsigned port);

bool granted(struct machine_answer answer);
struct machine_answer call_create(uint64_t id, uint32_t port, uint32_t type);
struct machine_answer call_connect(uint64_t id, uint32_t port, uint32_t type, uint32_t connection);
struct machine_answer call_disconnect(uint64_t id, uint32_t type, uint32_t connection);
struct machine_answer call_delete(uint32_t port);
struct machine_answer call_read(uint64_t id, uint32_t port, uint32_t most);
struct machine_answer call_post(unsigned child, uint32_t connection, uint32_t type, uint32_t size,
                                uint8_t number);
struct machine_answer call_signal(unsigned child, uint32_t connection);
struct machine_answer call_store(unsigned child, uint64_t gpa, unsigned size);
struct machine_answer call_post_direct(uint64_t id, uint32_t vp, uint32_t sint,
                                       const struct hv_message *message);
struct machine_answer call_flag(uint64_t id, uint8_t sint, uint16_t flag);
struct machine_answer call_send(unsigned port);
void make_child(unsigned child);
void delete_child(unsigned child);

/* ---- ports_acts.c: true, the call was granted ---- */

bool take_port(struct operation operation);
bool take_child(struct operation operation);
void send_many(unsigned number);
void turn_queue(unsigned number);
void read_all(unsigned number);
void fill_ring(void);
void take_news(void);
uint64_t ring_at(unsigned entry);

/* ---- ports_rule.c ---- */

void check_rule(void);
void refuse_all(void);

#endif
