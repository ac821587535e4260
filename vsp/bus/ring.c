/* SPDX-License-Identifier: MIT */
#include "vsp/bus/ring.h"

#include <string.h>

/* Bytes from `from` to `to`, around the ring. */
static uint32_t distance(const struct bh_ring *ring, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : ring->size - from + to;
}

static uint32_t advance(const struct bh_ring *ring, uint32_t index, uint32_t bytes)
{
    uint32_t sum = index + bytes; /* sizes are far below 2^31 */

    return sum >= ring->size ? sum - ring->size : sum;
}

static bool is_index(const struct bh_ring *ring, uint32_t index)
{
    return index < ring->size && index % 8 == 0;
}

bool bh_ring_begin(struct bh_ring *ring, uint32_t first_page, uint32_t pages, uint32_t index)
{
    if (pages < 2 || pages > (1u << 18))
        return false;
    *ring = (struct bh_ring){.first_page = first_page,
                             .size = (pages - 1) * VMBUS_PAGE_SIZE,
                             .position = index,
                             .shown = index};
    return is_index(ring, index);
}

static uint8_t *page_at(const struct bh_ring *ring, const struct bh_ring_memory *memory,
                        uint32_t page)
{
    return memory->host->memory(memory->host->context,
                                memory->pfn[ring->first_page + page] * VMBUS_PAGE_SIZE,
                                VMBUS_PAGE_SIZE);
}

struct vmbus_ring_control *bh_ring_control(const struct bh_ring *ring,
                                           const struct bh_ring_memory *memory)
{
    return (struct vmbus_ring_control *)(void *)page_at(ring, memory, 0);
}

/* The longest piece of data from `index` on that lies in one page, at most `size` bytes. */
static uint8_t *piece_at(const struct bh_ring *ring, const struct bh_ring_memory *memory,
                         uint32_t index, uint32_t size, uint32_t *length)
{
    uint32_t within = index % VMBUS_PAGE_SIZE;

    *length = size < VMBUS_PAGE_SIZE - within ? size : VMBUS_PAGE_SIZE - within;
    return page_at(ring, memory, 1 + index / VMBUS_PAGE_SIZE) + within;
}

static void copy_out(const struct bh_ring *ring, const struct bh_ring_memory *memory,
                     uint32_t index, uint8_t *to, uint32_t size)
{
    while (size > 0) {
        uint32_t length;
        const uint8_t *from = piece_at(ring, memory, index, size, &length);

        memcpy(to, from, length);
        to += length;
        size -= length;
        index = advance(ring, index, length);
    }
}

/* Zeros when `from` is NULL. Returns the index behind. */
static uint32_t copy_in(const struct bh_ring *ring, const struct bh_ring_memory *memory,
                        uint32_t index, const uint8_t *from, uint32_t size)
{
    while (size > 0) {
        uint32_t length;
        uint8_t *to = piece_at(ring, memory, index, size, &length);

        if (from != NULL) {
            memcpy(to, from, length);
            from += length;
        } else {
            memset(to, 0, length);
        }
        size -= length;
        index = advance(ring, index, length);
    }
    return index;
}

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Between a store that the guest must see and a load that depends on its answer. */
static void barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* --- reader ------------------------------------------------------------------------------- */

enum bh_ring_status bh_ring_read(struct bh_ring *ring, const struct bh_ring_memory *memory,
                                 void *packet, uint32_t capacity, uint32_t *size)
{
    struct vmbus_ring_control *control = bh_ring_control(ring, memory);
    uint32_t write_index = load(&control->write_index);
    struct vmbus_descriptor descriptor;
    uint32_t available;

    if (!is_index(ring, write_index))
        return BH_RING_BROKEN;
    available = distance(ring, ring->position, write_index);
    if (available == 0)
        return BH_RING_EMPTY;
    if (available < sizeof(descriptor) + VMBUS_PACKET_TRAILER)
        return BH_RING_BROKEN;
    copy_out(ring, memory, ring->position, (uint8_t *)&descriptor, sizeof(descriptor));
    *size = descriptor.length8 * 8u;
    if (*size < sizeof(descriptor) || *size > available - VMBUS_PACKET_TRAILER || *size > capacity)
        return BH_RING_BROKEN;
    /* The descriptor that was checked is the one that counts, not what the guest puts there now. */
    memcpy(packet, &descriptor, sizeof(descriptor));
    copy_out(ring, memory, advance(ring, ring->position, sizeof(descriptor)),
             (uint8_t *)packet + sizeof(descriptor), *size - (uint32_t)sizeof(descriptor));
    ring->position = advance(ring, ring->position, *size + VMBUS_PACKET_TRAILER);
    return BH_RING_OK;
}

void bh_ring_mask(const struct bh_ring *ring, const struct bh_ring_memory *memory)
{
    store(&bh_ring_control(ring, memory)->interrupt_mask, 1);
}

bool bh_ring_unmask(const struct bh_ring *ring, const struct bh_ring_memory *memory)
{
    struct vmbus_ring_control *control = bh_ring_control(ring, memory);

    store(&control->interrupt_mask, 0);
    barrier();
    if (load(&control->write_index) == ring->position)
        return true;
    store(&control->interrupt_mask, 1);
    return false;
}

/* The guest waits for more room than there was, and not for more than there is. */
bool bh_ring_reader_flush(struct bh_ring *ring, const struct bh_ring_memory *memory)
{
    struct vmbus_ring_control *control = bh_ring_control(ring, memory);
    uint32_t made = distance(ring, ring->shown, ring->position);
    uint32_t write_index;
    uint32_t pending;
    uint32_t room;

    ring->shown = ring->position;
    if (made == 0)
        return false;
    store(&control->read_index, ring->position);
    barrier();
    pending = load(&control->pending_send_size);
    write_index = load(&control->write_index);
    if (pending == 0 || !is_index(ring, write_index))
        return false;
    room = ring->size - distance(ring, ring->position, write_index);
    return room > pending && (made > room || room - made <= pending);
}

void bh_ring_show_reader(const struct bh_ring *ring, const struct bh_ring_memory *memory)
{
    store(&bh_ring_control(ring, memory)->read_index, ring->position);
}

/* --- writer ------------------------------------------------------------------------------- */

/* Bytes that can be written; the ring is never filled to the last byte. */
static bool find_room(const struct bh_ring *ring, const struct vmbus_ring_control *control,
                      uint32_t *room)
{
    uint32_t read_index = load(&control->read_index);

    if (!is_index(ring, read_index))
        return false;
    *room = ring->size - distance(ring, read_index, ring->position) - 1;
    return true;
}

enum bh_ring_status bh_ring_write(struct bh_ring *ring, const struct bh_ring_memory *memory,
                                  const struct bh_ring_part *parts, unsigned count)
{
    struct vmbus_ring_control *control = bh_ring_control(ring, memory);
    const uint32_t trailer[2] = {0, ring->position};
    uint32_t index = ring->position;
    uint32_t size = 0;
    uint32_t padding;
    uint32_t room;

    for (unsigned i = 0; i < count; i++)
        size += parts[i].size;
    padding = (8 - size % 8) % 8;
    size += padding + (uint32_t)sizeof(trailer);
    if (size >= ring->size || !find_room(ring, control, &room))
        return BH_RING_BROKEN;
    if (room < size) {
        store(&control->pending_send_size, size);
        barrier();
        if (!find_room(ring, control, &room))
            return BH_RING_BROKEN;
        if (room < size)
            return BH_RING_EMPTY;
    }
    if (load(&control->pending_send_size) != 0)
        store(&control->pending_send_size, 0);
    for (unsigned i = 0; i < count; i++)
        index = copy_in(ring, memory, index, parts[i].data, parts[i].size);
    index = copy_in(ring, memory, index, NULL, padding);
    ring->position = copy_in(ring, memory, index, (const uint8_t *)trailer, sizeof(trailer));
    return BH_RING_OK;
}

/* A guest that found the ring empty waits; one that did not will come to the new packets. */
bool bh_ring_writer_flush(struct bh_ring *ring, const struct bh_ring_memory *memory)
{
    struct vmbus_ring_control *control = bh_ring_control(ring, memory);
    uint32_t before = ring->shown;

    if (before == ring->position)
        return false;
    ring->shown = ring->position;
    store(&control->write_index, ring->position);
    barrier();
    return load(&control->interrupt_mask) == 0 && load(&control->read_index) == before;
}

void bh_ring_show_writer(const struct bh_ring *ring, const struct bh_ring_memory *memory)
{
    store(&bh_ring_control(ring, memory)->write_index, ring->position);
}
