/* SPDX-License-Identifier: MIT */
#include "vsp/network/rndis.h"

#include <string.h>

#include "vsp/protocol/rndis.h"

#define BODY ((uint32_t)sizeof(struct rndis_header))

/* A message of `size` bytes of body and, already in place behind them, `more`. */
static uint32_t answer_and(uint8_t *answer, uint32_t type, const void *body, uint32_t size,
                           uint32_t more)
{
    const struct rndis_header header = {type, BODY + size + more};

    memcpy(answer, &header, sizeof(header));
    memcpy(answer + BODY, body, size);
    return header.length;
}

static uint32_t answer_with(uint8_t *answer, uint32_t type, const void *body, uint32_t size)
{
    return answer_and(answer, type, body, size, 0);
}

static uint32_t initialize(struct bh_nic_state *state, const uint8_t *message, uint32_t length,
                           uint8_t *answer)
{
    struct rndis_initialize request;
    struct rndis_initialize_complete complete = {
        .status = RNDIS_SUCCESS,
        .major = RNDIS_MAJOR_VERSION,
        .minor = RNDIS_MINOR_VERSION,
        .device_flags = RNDIS_CONNECTIONLESS,
        .medium = RNDIS_MEDIUM_ETHERNET,
        .max_packets_per_message = BH_RNDIS_PACKETS_MAX,
        .max_transfer_size = BH_RNDIS_TRANSFER_MAX,
        .alignment_shift = BH_RNDIS_ALIGNMENT_SHIFT,
    };

    if (length < BODY + sizeof(request))
        return 0;
    memcpy(&request, message + BODY, sizeof(request));
    complete.request_id = request.request_id;
    if (request.major != RNDIS_MAJOR_VERSION)
        complete.status = RNDIS_NOT_SUPPORTED;
    else
        state->initialized = true;
    return answer_with(answer, RNDIS_INITIALIZE | RNDIS_COMPLETION, &complete, sizeof(complete));
}

/* The data of a QUERY or SET is where the request says, or nowhere. */
static bool request_data(const uint8_t *message, uint32_t length, struct rndis_request *request,
                         const uint8_t **data)
{
    if (length < BODY + sizeof(*request))
        return false;
    memcpy(request, message + BODY, sizeof(*request));
    *data = message + BODY;
    if (request->length == 0)
        return true;
    if (request->offset < sizeof(*request) || request->offset > length - BODY ||
        request->length > length - BODY - request->offset)
        return false;
    *data = message + BODY + request->offset;
    return true;
}

static uint32_t query(const struct bh_oid_card *card, const struct bh_nic_state *state,
                      const uint8_t *message, uint32_t length, uint8_t *answer)
{
    struct rndis_query_complete complete = {0};
    uint8_t *value = answer + BODY + sizeof(complete);
    struct rndis_request request;
    const uint8_t *data;

    if (!request_data(message, length, &request, &data))
        return 0;
    complete.request_id = request.request_id;
    complete.status = bh_oid_query(card, state, request.oid, value, &complete.length);
    complete.offset = complete.length != 0 ? sizeof(complete) : 0;
    return answer_and(answer, RNDIS_QUERY | RNDIS_COMPLETION, &complete, sizeof(complete),
                      complete.length);
}

static uint32_t set(const struct bh_oid_card *card, struct bh_nic_state *state,
                    const uint8_t *message, uint32_t length, uint8_t *answer)
{
    struct rndis_complete complete = {0};
    struct rndis_request request;
    const uint8_t *data;

    if (!request_data(message, length, &request, &data))
        return 0;
    complete.request_id = request.request_id;
    complete.status = bh_oid_set(card, state, request.oid, data, request.length);
    return answer_with(answer, RNDIS_SET | RNDIS_COMPLETION, &complete, sizeof(complete));
}

static uint32_t keepalive(const uint8_t *message, uint32_t length, uint8_t *answer)
{
    struct rndis_complete complete = {.status = RNDIS_SUCCESS};

    if (length < BODY + sizeof(complete.request_id))
        return 0;
    memcpy(&complete.request_id, message + BODY, sizeof(complete.request_id));
    return answer_with(answer, RNDIS_KEEPALIVE | RNDIS_COMPLETION, &complete, sizeof(complete));
}

/* What the guest has set goes; the version of NVSP, the MTU and the shared buffers stay. */
static void forget(struct bh_nic_state *state)
{
    *state = (struct bh_nic_state){.version = state->version, .mtu = state->mtu};
}

static uint32_t reset(struct bh_nic_state *state, uint8_t *answer)
{
    const struct rndis_reset_complete complete = {RNDIS_SUCCESS, 1};

    forget(state);
    state->initialized = true;
    return answer_with(answer, RNDIS_RESET | RNDIS_COMPLETION, &complete, sizeof(complete));
}

uint32_t bh_rndis_control(const struct bh_oid_card *card, struct bh_nic_state *state,
                          const uint8_t *message, uint32_t length,
                          uint8_t answer[BH_RNDIS_ANSWER_MAX])
{
    struct rndis_header header;

    if (length < sizeof(header))
        return 0;
    memcpy(&header, message, sizeof(header));
    if (header.length < sizeof(header) || header.length > length)
        return 0;
    if (header.type == RNDIS_INITIALIZE)
        return initialize(state, message, header.length, answer);
    if (!state->initialized)
        return 0;
    switch (header.type) {
    case RNDIS_HALT:
        forget(state);
        return 0;
    case RNDIS_QUERY:
        return query(card, state, message, header.length, answer);
    case RNDIS_SET:
        return set(card, state, message, header.length, answer);
    case RNDIS_RESET:
        return reset(state, answer);
    case RNDIS_KEEPALIVE:
        return keepalive(message, header.length, answer);
    default:
        return 0;
    }
}

uint32_t bh_rndis_link(bool up, uint8_t message[BH_RNDIS_ANSWER_MAX])
{
    const struct rndis_indicate_status status = {.status = up ? RNDIS_MEDIA_CONNECT
                                                              : RNDIS_MEDIA_DISCONNECT};

    return answer_with(message, RNDIS_INDICATE_STATUS, &status, sizeof(status));
}
