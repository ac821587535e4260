/* SPDX-License-Identifier: MIT */
#include "vsc/bus/ring.h"

#include <string.h>

static uint32_t distance(const struct vsc_ring *ring, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : ring->size - from + to;
}

static uint32_t advance(const struct vsc_ring *ring, uint32_t index, uint32_t bytes)
{
    uint32_t sum = index + bytes;

    return sum >= ring->size ? sum - ring->size : sum;
}

static bool is_index(const struct vsc_ring *ring, uint32_t index)
{
    return index < ring->size && index % 8 == 0;
}

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Between a store that the other side must see and a load that depends on its answer. */
static void barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Bytes from `index` on before the data begin again. */
static uint32_t straight(const struct vsc_ring *ring, uint32_t index, uint32_t size)
{
    return size < ring->size - index ? size : ring->size - index;
}

static void copy_out(const struct vsc_ring *ring, uint32_t index, uint8_t *to, uint32_t size)
{
    uint32_t first = straight(ring, index, size);

    memcpy(to, ring->data + index, first);
    memcpy(to + first, ring->data, size - first);
}

static void put(uint8_t *to, const uint8_t *from, uint32_t size)
{
    if (from != NULL)
        memcpy(to, from, size);
    else
        memset(to, 0, size);
}

/* Zeros when `from` is NULL. Returns the index behind. */
static uint32_t copy_in(const struct vsc_ring *ring, uint32_t index, const void *from,
                        uint32_t size)
{
    uint32_t first = straight(ring, index, size);

    put(ring->data + index, from, first);
    put(ring->data, from != NULL ? (const uint8_t *)from + first : NULL, size - first);
    return advance(ring, index, size);
}

void vsc_ring_begin(struct vsc_ring *ring, void *memory, uint32_t pages)
{
    memset(memory, 0, (size_t)pages * VMBUS_PAGE_SIZE);
    *ring = (struct vsc_ring){.control = memory,
                              .data = (uint8_t *)memory + VMBUS_PAGE_SIZE,
                              .size = (pages - 1) * VMBUS_PAGE_SIZE};
    ring->control->features = VMBUS_RING_HAS_PENDING_SEND;
}

/* --- writer ------------------------------------------------------------------------------- */

/* The ring is never filled to the last byte. */
bool vsc_ring_write(struct vsc_ring *ring, const struct vsc_part *parts, unsigned count)
{
    const uint32_t trailer[2] = {0, ring->position};
    uint32_t read_index = load(&ring->control->read_index);
    uint32_t index = ring->position;
    uint32_t size = 0;
    uint32_t padding;

    for (unsigned i = 0; i < count; i++)
        size += parts[i].size;
    padding = (8 - size % 8) % 8;
    size += padding + (uint32_t)sizeof(trailer);
    if (!is_index(ring, read_index) ||
        ring->size - distance(ring, read_index, ring->position) <= size)
        return false;
    for (unsigned i = 0; i < count; i++)
        index = copy_in(ring, index, parts[i].data, parts[i].size);
    index = copy_in(ring, index, NULL, padding);
    ring->position = copy_in(ring, index, trailer, sizeof(trailer));
    return true;
}

/* A reader that had found the ring empty waits; any other will come to what is new. */
bool vsc_ring_publish(struct vsc_ring *ring)
{
    uint32_t before = ring->shown;

    if (before == ring->position)
        return false;
    ring->shown = ring->position;
    store(&ring->control->write_index, ring->position);
    barrier();
    return load(&ring->control->interrupt_mask) == 0 && load(&ring->control->read_index) == before;
}

/* --- reader ------------------------------------------------------------------------------- */

enum vsc_ring_status vsc_ring_read(struct vsc_ring *ring, void *packet, uint32_t capacity,
                                   uint32_t *size)
{
    uint32_t write_index = load(&ring->control->write_index);
    struct vmbus_descriptor descriptor;
    uint32_t available;

    if (!is_index(ring, write_index))
        return VSC_RING_BROKEN;
    available = distance(ring, ring->position, write_index);
    if (available == 0)
        return VSC_RING_EMPTY;
    if (available < sizeof(descriptor) + VMBUS_PACKET_TRAILER)
        return VSC_RING_BROKEN;
    copy_out(ring, ring->position, (uint8_t *)&descriptor, sizeof(descriptor));
    *size = descriptor.length8 * 8u;
    if (*size < sizeof(descriptor) || *size > available - VMBUS_PACKET_TRAILER ||
        descriptor.offset8 > descriptor.length8)
        return VSC_RING_BROKEN;
    copy_out(ring, ring->position, packet, *size < capacity ? *size : capacity);
    ring->position = advance(ring, ring->position, *size + VMBUS_PACKET_TRAILER);
    return VSC_RING_OK;
}

/* The other side waits for more room than there was, and not for more than there is. */
bool vsc_ring_release(struct vsc_ring *ring)
{
    uint32_t made = distance(ring, ring->shown, ring->position);
    uint32_t pending;
    uint32_t room;

    if (made == 0)
        return false;
    ring->shown = ring->position;
    store(&ring->control->read_index, ring->position);
    barrier();
    pending = load(&ring->control->pending_send_size);
    if (pending == 0)
        return false;
    room = ring->size - distance(ring, ring->position, load(&ring->control->write_index));
    return room > pending && (made > room || room - made <= pending);
}

void vsc_ring_mask(const struct vsc_ring *ring)
{
    store(&ring->control->interrupt_mask, 1);
}

bool vsc_ring_unmask(const struct vsc_ring *ring)
{
    store(&ring->control->interrupt_mask, 0);
    barrier();
    if (load(&ring->control->write_index) == ring->position)
        return true;
    store(&ring->control->interrupt_mask, 1);
    return false;
}
