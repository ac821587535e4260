/* SPDX-License-Identifier: MIT */
/*
 * The worker's half of the control socket: listens, says hello, reads requests,
 * sends answers and events. It never blocks. An event loop polls
 * `bh_control_server_fd` for input and calls `bh_control_server_serve` when it
 * is readable. One thread only.
 */
#ifndef PARENT_CONTROL_SERVER_H
#define PARENT_CONTROL_SERVER_H

#include "parent/control/message.h"

struct bh_control_server;

struct bh_control_service {
    /* Fills everything but `protocol`. */
    void (*hello)(void *context, struct bh_control_hello *hello);
    /*
     * Serves a request that is valid and allowed in the present state, with
     * `request->fds` where the method needs them: who keeps them takes them.
     * Returns the result (a new reference), or NULL with `error` filled. A
     * descriptor put into *fd (-1 before) goes along and is closed here.
     */
    json_t *(*request)(void *context, struct bh_control_request *request, int *fd,
                       struct bh_control_error *error);
    void *context;
};

/*
 * Listens at `path`, mode 0600. A socket that a dead worker left there is
 * replaced; with a live one it fails. NULL with `error` filled.
 */
struct bh_control_server *bh_control_server_open(const char *path,
                                                 const struct bh_control_service *service,
                                                 struct bh_control_error *error);

/* Sends what can be sent without waiting, closes all connections, removes the socket. */
void bh_control_server_close(struct bh_control_server *server);

/* Readable whenever there is something to serve. */
int bh_control_server_fd(const struct bh_control_server *server);

/* Does all that can be done now. */
void bh_control_server_serve(struct bh_control_server *server);

/* Sends an event to all connections; `stolen` is an object or NULL. */
void bh_control_server_event(struct bh_control_server *server, const char *event, json_t *stolen);

#endif
