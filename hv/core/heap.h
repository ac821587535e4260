/* SPDX-License-Identifier: MIT */
/*
 * An intrusive priority queue: a leftist heap. Insert, removal of any node and
 * the melding of two whole heaps cost O(log n) comparisons in the worst case,
 * the look at the first node none; nothing is ever allocated.
 *
 * The order of nodes is the owner's: before(a, b) says that a comes out first.
 * A node's place in the order must not change while it is in a heap.
 */
#ifndef HV_CORE_HEAP_H
#define HV_CORE_HEAP_H

#include "hv/core/types.h"

struct heap_node {
    struct heap_node *left, *right, *parent;
    uint32_t rank; /* nodes on the shortest way down to a missing child */
};

typedef bool heap_before(const struct heap_node *a, const struct heap_node *b);

struct heap {
    struct heap_node *root;
    heap_before *before;
    uint64_t count;
};

void heap_init(struct heap *heap, heap_before *before);
void heap_insert(struct heap *heap, struct heap_node *node);
/* node must be in this heap. */
void heap_remove(struct heap *heap, struct heap_node *node);
/* Moves all nodes of from, which has the same order, to heap. */
void heap_meld(struct heap *heap, struct heap *from);

/* The node that comes out first, NULL when empty. */
static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->root;
}

#endif
