/* SPDX-License-Identifier: MIT */
#include "tests/unit/vsp/memory_store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t bytes[MEMORY_STORE_SIZE];
static unsigned fail_every;
static unsigned operations_done;

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void transfer(const struct bh_store_io *io)
{
    uint64_t at = io->offset;

    for (int i = 0; i < io->count; i++) {
        size_t length = io->pieces[i].iov_len;

        must(at + length <= io->offset + io->size);
        if (io->operation == BH_STORE_READ)
            memcpy(io->pieces[i].iov_base, bytes + at, length);
        else
            memcpy(bytes + at, io->pieces[i].iov_base, length);
        at += length;
    }
    must(at == io->offset + io->size);
}

static void submit(struct bh_store *store, struct bh_store_io *io)
{
    must(io->offset <= store->size && io->size <= store->size - io->offset);
    must(!store->read_only || io->operation == BH_STORE_READ);
    operations_done++;
    if (fail_every != 0 && operations_done % fail_every == 0) {
        io->done(io, operations_done % 2 != 0 ? -EIO : -EOPNOTSUPP);
        return;
    }
    if (io->operation == BH_STORE_READ || io->operation == BH_STORE_WRITE)
        transfer(io);
    else
        memset(bytes + io->offset, 0, io->operation == BH_STORE_FLUSH ? 0 : io->size);
    io->done(io, 0);
}

static void close_store(struct bh_store *store)
{
    (void)store;
}

struct bh_store *memory_store(bool read_only, unsigned fail)
{
    static const struct bh_store_operations operations = {submit, NULL, close_store};
    static struct bh_store store;

    memset(bytes, 0, sizeof(bytes));
    store = (struct bh_store){&operations, MEMORY_STORE_SIZE, read_only};
    fail_every = fail;
    operations_done = 0;
    return &store;
}
