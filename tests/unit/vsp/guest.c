/* SPDX-License-Identifier: MIT */
#include "tests/unit/vsp/guest.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vsp/bus/parts.h"

#define MEMORY_SIZE ((size_t)GUEST_PAGES * VMBUS_PAGE_SIZE)

static void must(bool condition)
{
    if (!condition)
        abort();
}

/* --- what the bus asks for ---------------------------------------------------------------- */

static enum bh_vmbus_post on_post(void *context, uint32_t vp, const void *payload, size_t size)
{
    struct guest *guest = context;
    struct guest_message *message = &guest->message[guest->count];

    must(vp < GUEST_VPS && size <= sizeof(message->offer));
    if (guest->room == 0 || guest->count == GUEST_MESSAGES)
        return BH_VMBUS_POST_FULL;
    guest->room--;
    guest->count++;
    message->vp = vp;
    message->size = size;
    memcpy(&message->header, payload, size);
    return BH_VMBUS_POSTED;
}

static void on_signal(void *context, uint32_t vp, uint32_t flag)
{
    struct guest *guest = context;

    must(vp < GUEST_VPS && flag > 0 && flag < 2048);
    guest->signals[vp][flag]++;
}

static int on_bind(void *context, uint32_t connection)
{
    struct guest *guest = context;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    must(guest->doorbell[connection] == -1);
    guest->doorbell[connection] = fd;
    return fd;
}

static void on_unbind(void *context, uint32_t connection, int fd)
{
    struct guest *guest = context;

    must(guest->doorbell[connection] == fd);
    guest->doorbell[connection] = -1;
    (void)close(fd);
}

static void *on_memory(void *context, uint64_t gpa, uint64_t size)
{
    struct guest *guest = context;
    uint64_t total = (uint64_t)GUEST_PAGES * VMBUS_PAGE_SIZE;

    return gpa <= total && size <= total - gpa ? guest->memory + gpa : NULL;
}

static void on_log(void *context, const char *sentence)
{
    struct guest *guest = context;

    (void)sentence;
    guest->logged++;
}

/* --- life --------------------------------------------------------------------------------- */

static void *map(size_t size)
{
    void *at =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    must(at != MAP_FAILED);
    return at;
}

/* With the bus of a process that begins. */
static void begin_process(struct guest *guest, void *journal)
{
    for (unsigned i = 0; i < sizeof(guest->doorbell) / sizeof(int); i++)
        guest->doorbell[i] = -1;
    guest->host = (struct bh_vmbus_host){.context = guest,
                                         .vp_count = GUEST_VPS,
                                         .journal = journal,
                                         .post = on_post,
                                         .signal = on_signal,
                                         .bind = on_bind,
                                         .unbind = on_unbind,
                                         .memory = on_memory,
                                         .log = on_log};
    guest->loop = bh_loop_create();
    guest->bus = bh_vmbus_create(&guest->host, guest->loop);
    must(guest->bus != NULL);
}

struct guest *guest_begin(void)
{
    return guest_begin_with_journal(NULL);
}

struct guest *guest_begin_kept(void)
{
    void *journal = map(bh_vmbus_journal_size());
    struct guest *guest = guest_begin_with_journal(journal);

    guest->journal = journal;
    return guest;
}

struct guest *guest_begin_with_journal(void *journal)
{
    struct guest *guest = calloc(1, sizeof(*guest));

    must(guest != NULL);
    guest->memory = map(MEMORY_SIZE);
    guest->room = UINT32_MAX;
    begin_process(guest, journal);
    return guest;
}

/* Only what is used: the rest has never been written. */
static void *copy_journal(const struct bh_journal *journal)
{
    struct bh_journal *copy = map(sizeof(*copy));

    memcpy(copy, journal, offsetof(struct bh_journal, space));
    for (uint32_t i = 0; i < BH_VMBUS_DEVICES_MAX; i++)
        if (bh_journal_last(journal)->device[i].used)
            memcpy(copy->space[i], journal->space[i], BH_VMBUS_SPACE);
    return copy;
}

struct guest *guest_take_over(const struct guest *fallen)
{
    struct guest *guest = malloc(sizeof(*guest));

    must(guest != NULL);
    *guest = *fallen;
    guest->memory = map(MEMORY_SIZE);
    memcpy(guest->memory, fallen->memory, MEMORY_SIZE);
    guest->journal = copy_journal(fallen->bus->journal);
    begin_process(guest, guest->journal);
    return guest;
}

void guest_end(struct guest *guest)
{
    (void)bh_vmbus_reset(guest->bus, -1);
    bh_vmbus_destroy(guest->bus);
    bh_loop_destroy(guest->loop);
    (void)munmap(guest->memory, MEMORY_SIZE);
    if (guest->journal != NULL)
        (void)munmap(guest->journal, bh_vmbus_journal_size());
    free(guest);
}

void guest_run(struct guest *guest)
{
    struct pollfd wait = {.fd = bh_loop_fd(guest->loop), .events = POLLIN};

    for (int round = 0; round < 1000 && poll(&wait, 1, 0) > 0; round++)
        bh_loop_serve(guest->loop);
}

/* --- messages ----------------------------------------------------------------------------- */

void guest_post(struct guest *guest, const void *message, size_t size)
{
    bh_vmbus_receive(guest->bus, message, size);
}

struct guest_message guest_take(struct guest *guest, enum vmbus_message_type type)
{
    struct guest_message message = guest->message[0];

    must(guest->count > 0 && message.header.type == type);
    guest->count--;
    memmove(&guest->message[0], &guest->message[1], guest->count * sizeof(message));
    return message;
}

void guest_connect(struct guest *guest)
{
    const struct vmbus_initiate_contact contact = {.header = {.type = VMBUS_INITIATE_CONTACT},
                                                   .version = VMBUS_VERSION_5_3,
                                                   .interrupt_page = VMBUS_SINT};
    const struct vmbus_header offers = {.type = VMBUS_REQUEST_OFFERS};

    guest_post(guest, &contact, sizeof(contact));
    must(guest_take(guest, VMBUS_VERSION_RESPONSE).version.supported == 1);
    guest_post(guest, &offers, sizeof(offers));
}

uint32_t guest_gpadl(struct guest *guest, uint32_t relid, uint32_t id, uint32_t first,
                     uint32_t pages)
{
    uint64_t buffer[VMBUS_MESSAGE_SIZE_MAX / 8];
    struct vmbus_gpadl_header header = {.header = {.type = VMBUS_GPADL_HEADER},
                                        .relid = relid,
                                        .gpadl = id,
                                        .range_count = 1,
                                        .byte_count = pages * VMBUS_PAGE_SIZE};
    const struct vmbus_gpadl_body body = {.header = {.type = VMBUS_GPADL_BODY}, .gpadl = id};
    uint8_t *at = (uint8_t *)buffer + sizeof(header);
    uint32_t count = 0;
    uint32_t left = 26;

    memcpy(buffer, &header, sizeof(header));
    for (uint32_t i = 0; i < pages; i++) {
        uint64_t pfn = first + i;

        memcpy(at + count * sizeof(pfn), &pfn, sizeof(pfn));
        if (++count == left || i + 1 == pages) {
            guest_post(guest, buffer, (size_t)(at - (uint8_t *)buffer) + count * sizeof(uint64_t));
            memcpy(buffer, &body, sizeof(body));
            at = (uint8_t *)buffer + sizeof(body);
            count = 0;
            left = 28;
        }
    }
    return guest_take(guest, VMBUS_GPADL_CREATED).created.status;
}

uint32_t guest_open(struct guest *guest, uint32_t relid, uint32_t first, uint32_t pages)
{
    const struct vmbus_open request = {.header = {.type = VMBUS_OPEN_CHANNEL},
                                       .relid = relid,
                                       .open_id = relid,
                                       .ring_gpadl = relid + 100,
                                       .downstream_page = pages};

    if (guest_gpadl(guest, relid, relid + 100, first, 2 * pages) != 0)
        return UINT32_MAX;
    memset(guest->memory + (size_t)first * VMBUS_PAGE_SIZE, 0, (size_t)2 * pages * VMBUS_PAGE_SIZE);
    guest_post(guest, &request, sizeof(request));
    return guest_take(guest, VMBUS_OPEN_RESULT).open.status;
}

void guest_close(struct guest *guest, uint32_t relid)
{
    const struct vmbus_relid_message request = {.header = {.type = VMBUS_CLOSE_CHANNEL},
                                                .relid = relid};

    guest_post(guest, &request, sizeof(request));
}

/* --- rings -------------------------------------------------------------------------------- */

struct guest_ring guest_ring_of(struct guest *guest, uint32_t relid, uint32_t first, uint32_t pages)
{
    uint8_t *out = guest->memory + (size_t)first * VMBUS_PAGE_SIZE;

    return (struct guest_ring){guest, relid, out, out + (size_t)pages * VMBUS_PAGE_SIZE,
                               (pages - 1) * VMBUS_PAGE_SIZE};
}

static void ring_doorbell(const struct guest_ring *ring)
{
    const int *fd = &ring->guest->doorbell[0x2000 + ring->relid];
    uint64_t one = 1;

    if (*fd >= 0)
        must(write(*fd, &one, sizeof(one)) == (ssize_t)sizeof(one));
}

/* Returns the index behind. */
static uint32_t put(const struct guest_ring *ring, uint32_t at, const void *data, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        memcpy(ring->out + VMBUS_PAGE_SIZE + (at + i) % ring->size, (const uint8_t *)data + i, 1);
    return (at + size) % ring->size;
}

bool guest_ring_write(struct guest_ring *ring, const void *packet, uint32_t size)
{
    struct vmbus_ring_control *control = (void *)ring->out;
    uint32_t at = control->write_index;
    uint32_t used = (at + ring->size - control->read_index) % ring->size;
    const uint32_t trailer[2] = {0, at};
    bool empty = used == 0;

    if (ring->size - used <= size + sizeof(trailer))
        return false;
    at = put(ring, at, packet, size);
    at = put(ring, at, trailer, sizeof(trailer));
    control->write_index = at;
    if (empty && control->interrupt_mask == 0)
        ring_doorbell(ring);
    return true;
}

uint32_t guest_ring_read(struct guest_ring *ring, void *packet, uint32_t capacity)
{
    struct vmbus_ring_control *control = (void *)ring->in;
    uint32_t at = control->read_index;
    uint32_t before = (at + ring->size - control->write_index - 1) % ring->size;
    struct vmbus_descriptor descriptor = {0};
    uint32_t size;

    if (at == control->write_index)
        return 0;
    for (uint32_t i = 0; i < sizeof(descriptor); i++)
        ((uint8_t *)&descriptor)[i] = ring->in[VMBUS_PAGE_SIZE + (at + i) % ring->size];
    size = descriptor.length8 * 8u;
    must(size <= capacity);
    for (uint32_t i = 0; i < size; i++)
        ((uint8_t *)packet)[i] = ring->in[VMBUS_PAGE_SIZE + (at + i) % ring->size];
    control->read_index = (at + size + VMBUS_PACKET_TRAILER) % ring->size;
    if (control->pending_send_size > before &&
        control->pending_send_size <= before + size + VMBUS_PACKET_TRAILER)
        ring_doorbell(ring);
    return size;
}

bool guest_send(struct guest_ring *ring, uint64_t transaction, const void *payload, uint32_t size)
{
    uint64_t packet[1024] = {0};
    struct vmbus_descriptor descriptor = {.type = VMBUS_PACKET_INBAND,
                                          .offset8 = 2,
                                          .length8 = (uint16_t)((16 + size + 7) / 8),
                                          .flags = VMBUS_PACKET_WANTS_COMPLETION,
                                          .transaction = transaction};

    memcpy(packet, &descriptor, sizeof(descriptor));
    memcpy((uint8_t *)packet + sizeof(descriptor), payload, size);
    return guest_ring_write(ring, packet, descriptor.length8 * 8u);
}
