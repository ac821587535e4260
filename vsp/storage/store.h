/* SPDX-License-Identifier: MIT */
/*
 * Where a disk's bytes are: a file, a block device, an NBD export. All I/O is
 * asynchronous: `done` is called once, from the loop or from within
 * `bh_store_submit`.
 */
#ifndef VSP_STORAGE_STORE_H
#define VSP_STORAGE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct bh_store;

enum bh_store_operation {
    BH_STORE_READ,
    BH_STORE_WRITE,
    BH_STORE_FLUSH,   /* all writes that are done become durable */
    BH_STORE_DISCARD, /* the content does not matter any more; the space may be given back */
    BH_STORE_ZERO,    /* reads as zeros; -EOPNOTSUPP where that costs as much as writing them */
};

struct bh_store_io {
    enum bh_store_operation operation;
    bool durable; /* of a write: done means on stable storage */
    bool unmap;   /* of zeros: the space may be given back */
    uint64_t offset;
    uint64_t size;        /* the pieces together have this many bytes */
    struct iovec *pieces; /* of a read or write; may be changed */
    int count;
    void (*done)(struct bh_store_io *io, int result); /* 0 or a negative errno */
    void *context;                                    /* of `done` */
    /* the store's own */
    struct bh_store *store;
    struct iovec bounce;
    uint64_t finished;
    int first; /* the piece that is next */
};

struct bh_store_operations {
    void (*submit)(struct bh_store *store, struct bh_store_io *io);
    void (*kick)(struct bh_store *store);  /* starts what was submitted; may be NULL */
    void (*close)(struct bh_store *store); /* no I/O runs */
};

/* The beginning of each kind of store. */
struct bh_store {
    const struct bh_store_operations *operations;
    uint64_t size; /* bytes */
    bool read_only;
};

/* `offset` and `size` lie inside the store. */
static inline void bh_store_submit(struct bh_store *store, struct bh_store_io *io)
{
    io->store = store;
    store->operations->submit(store, io);
}

static inline void bh_store_kick(struct bh_store *store)
{
    if (store->operations->kick != NULL)
        store->operations->kick(store);
}

static inline void bh_store_close(struct bh_store *store)
{
    if (store != NULL)
        store->operations->close(store);
}

#endif
