/* SPDX-License-Identifier: MIT */
/*
 * Lines of the control protocol, read and written. Both halves use this: the
 * worker (and a simulated worker in a test) parses requests and encodes
 * replies and events; the client does the opposite.
 *
 * A line is given without its line feed. Encoders return a malloc'd line that
 * ends with one, or NULL without memory. A json_t argument called `stolen` is
 * released in every case.
 */
#ifndef PARENT_CONTROL_MESSAGE_H
#define PARENT_CONTROL_MESSAGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "parent/control/fds.h"
#include "parent/control/protocol.h"

struct bh_control_error {
    enum bh_control_error_code code;
    char message[256];
    char field[64]; /* empty when no one parameter is at fault */
};

/* Fills `error`; `field` may be NULL. Always returns false, so callers can return it. */
bool bh_control_error_set(struct bh_control_error *error, enum bh_control_error_code code,
                          const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define BH_CONTROL_NO_ID  (-1)
#define BH_CONTROL_ID_MAX ((INT64_C(1) << 53) - 1)

struct bh_control_request {
    int64_t id; /* BH_CONTROL_NO_ID when the line had none */
    enum bh_control_method method;
    json_t *params;    /* an object, never NULL after success; owned by the request */
    struct bh_fds fds; /* that came along, owned by the request */
};

/*
 * Parses and validates a request: names and types of all parameters, ranges of
 * numbers, required ones present. The contents of `disk` and `nic` are checked
 * by config.h. On failure `id` is still set, for the error reply.
 */
bool bh_control_request_parse(const char *line, size_t length, struct bh_control_request *request,
                              struct bh_control_error *error);
/* Also closes the descriptors; whoever keeps them takes them before. */
void bh_control_request_release(struct bh_control_request *request);

/*
 * The parameter whose file or tap must come opened with this request, as `*count` descriptors;
 * NULL: none.
 */
const char *bh_control_request_descriptors(const struct bh_control_request *request,
                                           unsigned *count);

char *bh_control_encode_request(int64_t id, enum bh_control_method method, json_t *stolen);
char *bh_control_encode_result(int64_t id, json_t *stolen);
char *bh_control_encode_error(int64_t id, const struct bh_control_error *error);

/* `stolen` is an object with the event's further members, or NULL. Adds `event` and `time`. */
char *bh_control_encode_event(const char *event, json_t *stolen);

struct bh_control_hello {
    int protocol;
    int pid;
    int keeper; /* the process that starts the worker again when it falls; 0: there is none */
    enum bh_vm_state state;
    char worker[32]; /* release */
    char vm[40];     /* UUID */
};

/* Fills in BH_CONTROL_PROTOCOL itself. */
char *bh_control_encode_hello(const struct bh_control_hello *hello);

enum bh_control_message_kind {
    BH_CONTROL_HELLO,
    BH_CONTROL_RESULT,
    BH_CONTROL_ERROR,
    BH_CONTROL_EVENT,
};

/* What a client receives. */
struct bh_control_message {
    enum bh_control_message_kind kind;
    int64_t id;                    /* of a result or an error; BH_CONTROL_NO_ID for null */
    json_t *body;                  /* result's value, or the whole event or hello; owned */
    struct bh_control_error error; /* of an error */
    struct bh_control_hello hello; /* of a hello */
};

bool bh_control_message_parse(const char *line, size_t length, struct bh_control_message *message,
                              struct bh_control_error *error);
void bh_control_message_release(struct bh_control_message *message);

/* `now` in RFC 3339 with milliseconds, UTC, for "time" and "since". */
void bh_control_timestamp(char text[32]);

#endif
