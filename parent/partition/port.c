/* SPDX-License-Identifier: MIT */
#include "parent/partition/port.h"

#include <errno.h>
#include <string.h>

#include "parent/driver/uapi/bulkhead.h"
#include "parent/partition/internal.h"

_Static_assert(BH_CONNECTION_ID_MAX == BH_CONNECTION_ID_LIMIT, "the driver's limit");

static int request(const struct bh_partition *partition, unsigned long number, void *args)
{
    return partition->layer->ioctl(partition->fd, number, args);
}

/* Why a port with this connection id cannot be, after errno. */
static bool explain(uint32_t connection_id, struct bh_error *error)
{
    switch (errno) {
    case EEXIST:
        return bh_error_set(error, EEXIST, "Connection id %u of the child is in use already.",
                            connection_id);
    case ENOSPC:
        return bh_error_set(error, ENOSPC,
                            "The child has too many ports for one more, with connection id %u.",
                            connection_id);
    default:
        return bh_error_set(error, errno, "The child gets no port with connection id %u: %s.",
                            connection_id, strerror(errno));
    }
}

int bh_message_port_open(struct bh_partition *partition, uint32_t connection_id,
                         struct bh_error *error)
{
    struct bh_message_port args = {.connection_id = connection_id};
    int fd = request(partition, BH_IOC_OPEN_MESSAGE_PORT, &args);

    if (fd < 0)
        explain(connection_id, error);
    return fd;
}

bool bh_event_port_open(struct bh_partition *partition, uint32_t connection_id, int eventfd,
                        struct bh_error *error)
{
    struct bh_event_port args = {.connection_id = connection_id, .fd = eventfd};

    return request(partition, BH_IOC_EVENT_PORT, &args) == 0 || explain(connection_id, error);
}

bool bh_event_port_close(struct bh_partition *partition, uint32_t connection_id,
                         struct bh_error *error)
{
    struct bh_event_port args = {.connection_id = connection_id, .flags = BH_EVENT_PORT_CLOSE};

    if (request(partition, BH_IOC_EVENT_PORT, &args) == 0)
        return true;
    return bh_error_set(error, errno, "The port with connection id %u cannot be closed: %s.",
                        connection_id, strerror(errno));
}

bool bh_partition_post_message(struct bh_partition *partition, uint32_t vp, uint32_t sint,
                               const struct hv_message *message, struct bh_error *error)
{
    struct bh_post_message args = {.vp_index = vp, .sint = sint};

    memcpy(args.message, message, sizeof(args.message));
    if (request(partition, BH_IOC_POST_MESSAGE, &args) == 0)
        return true;
    if (errno == EAGAIN)
        return bh_error_set(error, EAGAIN, "Too many messages wait for virtual processor %u.", vp);
    return bh_error_set(error, errno, "Virtual processor %u takes no message at source %u: %s.", vp,
                        sint, strerror(errno));
}

bool bh_partition_watch_room(struct bh_partition *partition, int eventfd, struct bh_error *error)
{
    struct bh_watch_room args = {.fd = eventfd};

    return request(partition, BH_IOC_WATCH_ROOM, &args) == 0 ||
           bh_error_set(error, errno, "The driver does not tell of room for messages: %s.",
                        strerror(errno));
}

bool bh_partition_signal_event(struct bh_partition *partition, uint32_t vp, uint32_t sint,
                               uint32_t flag, struct bh_error *error)
{
    struct bh_signal_event args = {.vp_index = vp, .sint = (uint8_t)sint, .flag = (uint16_t)flag};

    if (sint >= HV_SINT_COUNT || flag >= HV_EVENT_FLAGS_PER_SINT)
        return bh_error_set(error, EINVAL, "There is no event flag %u of source %u.", flag, sint);
    return request(partition, BH_IOC_SIGNAL_EVENT, &args) == 0 ||
           bh_error_set(error, errno, "Virtual processor %u takes no event at source %u: %s.", vp,
                        sint, strerror(errno));
}
