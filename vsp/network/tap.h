/* SPDX-License-Identifier: MIT */
/*
 * A queue of a tap device: a descriptor on which each read and write is one
 * frame behind a virtio_net_hdr. Any datagram socket serves as well, without
 * offloads; tests use that.
 */
#ifndef VSP_NETWORK_TAP_H
#define VSP_NETWORK_TAP_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* What may be left to the reader: TUN_F_* bits. Nothing on a descriptor that is no tap. */
void bh_tap_set_offload(int fd, unsigned bits);

/* Writes one frame; pieces[0] holds the header. False: the frame was not taken, and is lost. */
bool bh_tap_write(int fd, const struct iovec *pieces, int count);

/*
 * Reads one frame of at most `size` bytes. Returns its length; 0: none is there
 * now; -1: the device is gone.
 */
long bh_tap_read(int fd, struct virtio_net_hdr *header, void *frame, size_t size);

#endif
