/* SPDX-License-Identifier: MIT */
#include "vsp/network/shared.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u

/* False when a page does not begin where a piece does, or a whole number of pages further on. */
static bool fill_pages(struct bh_shared *shared, const struct iovec *pieces, int count)
{
    uint32_t page = 0;

    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len % PAGE != 0)
            return false;
        for (size_t at = 0; at < pieces[i].iov_len; at += PAGE)
            shared->page[page++] = (uint8_t *)pieces[i].iov_base + at;
    }
    return page == shared->size / PAGE;
}

static bool map(struct bh_shared *shared, const struct bh_vmbus_channel *channel, uint32_t gpadl)
{
    int max = (int)(shared->size / PAGE);
    struct iovec *pieces = calloc((size_t)max, sizeof(*pieces));
    int count = -1;
    bool fits = false;

    if (pieces != NULL)
        count = bh_vmbus_gpadl_memory(channel, gpadl, 0, shared->size, pieces, max);
    if (count > 0)
        fits = fill_pages(shared, pieces, count);
    free(pieces);
    return fits;
}

bool bh_shared_open(struct bh_shared *shared, const struct bh_vmbus_channel *channel,
                    uint32_t gpadl, uint32_t unit)
{
    uint64_t size = bh_vmbus_gpadl_size(channel, gpadl);

    *shared = (struct bh_shared){0};
    if (size < unit || size > BH_SHARED_SIZE_MAX || size % PAGE != 0)
        return false;
    shared->size = (uint32_t)size;
    shared->unit = unit;
    shared->count = shared->size / unit;
    shared->page = calloc(shared->size / PAGE, sizeof(*shared->page));
    if (shared->page != NULL && map(shared, channel, gpadl))
        return true;
    bh_shared_close(shared);
    return false;
}

void bh_shared_close(struct bh_shared *shared)
{
    free(shared->page);
    *shared = (struct bh_shared){0};
}

int bh_shared_pieces(const struct bh_shared *shared, uint32_t offset, uint32_t size,
                     struct iovec pieces[BH_SHARED_PIECES_MAX])
{
    int count = 0;

    while (size != 0) {
        uint32_t rest = PAGE - offset % PAGE;
        uint32_t part = size < rest ? size : rest;
        uint8_t *at = shared->page[offset / PAGE] + offset % PAGE;

        if (count > 0 && (uint8_t *)pieces[count - 1].iov_base + pieces[count - 1].iov_len == at)
            pieces[count - 1].iov_len += part;
        else
            pieces[count++] = (struct iovec){at, part};
        offset += part;
        size -= part;
    }
    return count;
}

void bh_shared_write(const struct bh_shared *shared, uint32_t offset, const void *data,
                     uint32_t size)
{
    struct iovec pieces[BH_SHARED_PIECES_MAX];
    int count = bh_shared_pieces(shared, offset, size, pieces);
    const uint8_t *from = data;

    for (int i = 0; i < count; i++) {
        memcpy(pieces[i].iov_base, from, pieces[i].iov_len);
        from += pieces[i].iov_len;
    }
}
