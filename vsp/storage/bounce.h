/* SPDX-License-Identifier: MIT */
/* A buffer in place of pieces of memory that a store cannot use as they are. */
#ifndef VSP_STORAGE_BOUNCE_H
#define VSP_STORAGE_BOUNCE_H

#include "vsp/storage/store.h"

/* One aligned buffer of io->size bytes, filled when the I/O is a write; false: no memory. */
bool bh_bounce_begin(struct bh_store_io *io);

/* After a read that went well copies to the pieces; gives the buffer back. */
void bh_bounce_end(struct bh_store_io *io, bool copy);

#endif
