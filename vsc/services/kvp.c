/* SPDX-License-Identifier: MIT */
/* Key-value exchange: the parent asks for the pairs of the guest one by one. */
#include <string.h>

#include "vsc/services/services.h"

/* ASCII as UTF-16 with its end; what does not fit is left out. Returns the bytes. */
static uint32_t put_text(uint8_t *to, uint32_t capacity, const char *text)
{
    uint32_t size = 0;

    memset(to, 0, capacity);
    for (; *text != '\0' && size + 4 <= capacity; text++, size += 2)
        to[size] = (uint8_t)*text;
    return size + 2;
}

static uint32_t serve_kvp(struct vsc_service *service, uint8_t *body, uint32_t size)
{
    const struct vsc_pairs *pairs = service->state;
    struct ic_kvp_enumerate message;

    (void)size;
    memcpy(&message, body, sizeof(message));
    if (message.operation != IC_KVP_ENUMERATE || message.pool != IC_KVP_POOL_AUTO)
        return IC_STATUS_FAIL;
    if (message.index >= pairs->count)
        return IC_STATUS_NO_MORE;
    message.pair.type = IC_KVP_STRING;
    message.pair.key_size =
        put_text(message.pair.key, IC_KVP_KEY_SIZE, pairs->pair[message.index].key);
    message.pair.value_size =
        put_text(message.pair.value, IC_KVP_VALUE_SIZE, pairs->pair[message.index].value);
    memcpy(body, &message, sizeof(message));
    return IC_STATUS_OK;
}

static const struct ic_version versions[] = {{4, 0}, {3, 0}, {1, 0}};

const struct vsc_service_kind vsc_kvp_kind = {.name = "kvp",
                                              .class = VMBUS_CLASS_KVP,
                                              .type = IC_KVP,
                                              .body_size = sizeof(struct ic_kvp_enumerate),
                                              .versions = versions,
                                              .version_count = 3,
                                              .serve = serve_kvp};
