/* SPDX-License-Identifier: MIT */
/*
 * Client of the worker's control socket.
 *
 * One client is one connection, used by one thread at a time. Two ways of use:
 * `bh_control_call` and the functions over it wait for their answer and hand
 * events that arrive meanwhile to the event handler; an event loop polls
 * `bh_control_client_fd` for input, calls `bh_control_receive` until it says
 * BH_CONTROL_WAIT, and sends with `bh_control_send`.
 *
 * Timeouts are in milliseconds; a negative one waits forever.
 */
#ifndef PARENT_CONTROL_CLIENT_H
#define PARENT_CONTROL_CLIENT_H

#include "parent/control/message.h"

struct bh_control_client;

/* Gets each event; the json_t is borrowed. */
typedef void bh_control_event_handler(void *context, const char *event, const json_t *body);

/*
 * Connects and waits for the hello. NULL with `error` filled when nobody
 * listens (BH_CONTROL_RESOURCE), or when the peer speaks another protocol.
 */
struct bh_control_client *bh_control_connect(const char *path, int timeout_ms,
                                             struct bh_control_error *error);
void bh_control_close(struct bh_control_client *client);

const struct bh_control_hello *bh_control_client_hello(const struct bh_control_client *client);
int bh_control_client_fd(const struct bh_control_client *client);
void bh_control_on_event(struct bh_control_client *client, bh_control_event_handler *handler,
                         void *context);

/* Sends a request without waiting for the answer; `id` is its number. */
bool bh_control_send(struct bh_control_client *client, enum bh_control_method method,
                     json_t *stolen, int64_t *id, struct bh_control_error *error);

enum bh_control_receive {
    BH_CONTROL_WAIT,    /* nothing complete has arrived within the timeout */
    BH_CONTROL_MESSAGE, /* `message` is filled; release it */
    BH_CONTROL_CLOSED,  /* the worker closed, or broke the protocol: see `error` */
};

/*
 * The next message, events included (they do not go to the handler here). A
 * descriptor that came with it is stored in `*fd`, else -1; fd may be NULL.
 */
enum bh_control_receive bh_control_receive(struct bh_control_client *client, int timeout_ms,
                                           struct bh_control_message *message, int *fd,
                                           struct bh_control_error *error);

/*
 * Sends a request and waits for its answer. On success `*result` is a new
 * reference (result may be NULL). A timeout is BH_CONTROL_RESOURCE.
 */
bool bh_control_call(struct bh_control_client *client, enum bh_control_method method,
                     json_t *stolen, int timeout_ms, json_t **result,
                     struct bh_control_error *error);

/*
 * The same, with descriptors for the worker: the opened file of disk_add and
 * cd_insert, the queues of the tap of nic_add. Closes them in every case.
 */
bool bh_control_call_with(struct bh_control_client *client, enum bh_control_method method,
                          json_t *stolen, struct bh_fds fds, int timeout_ms, json_t **result,
                          struct bh_control_error *error);

/* start, pause, resume, reset and power_off: no parameters, the new state as result. */
bool bh_control_change(struct bh_control_client *client, enum bh_control_method method,
                       int timeout_ms, enum bh_vm_state *state, struct bh_control_error *error);

/* A connected stream socket of the console's bytes; the caller closes it. -1 on failure. */
int bh_control_console_attach(struct bh_control_client *client, const char *console,
                              unsigned replay_bytes, int timeout_ms,
                              struct bh_control_error *error);

#endif
