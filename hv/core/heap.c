/* SPDX-License-Identifier: MIT */
/*
 * A leftist heap: the shortest way down from any node is along its right
 * children, and has at most log2(n + 1) nodes. Everything is a merge of two
 * such right edges.
 */
#include "hv/core/heap.h"

void heap_init(struct heap *heap, heap_before *before)
{
    *heap = (struct heap){.before = before};
}

static uint32_t node_rank(const struct heap_node *node)
{
    return node ? node->rank : 0;
}

/* Restores rank and leftist order of a node whose children changed. True: its rank changed. */
static bool node_settle(struct heap_node *node)
{
    uint32_t rank = node->rank;

    if (node_rank(node->left) < node_rank(node->right)) {
        struct heap_node *right = node->right;

        node->right = node->left;
        node->left = right;
    }
    node->rank = node_rank(node->right) + 1;
    return node->rank != rank;
}

/* Merges two trees; the root's parent is left for the caller to set. */
static struct heap_node *tree_merge(heap_before *before, struct heap_node *a, struct heap_node *b)
{
    struct heap_node *root = NULL;
    struct heap_node *parent = NULL;
    struct heap_node **link = &root;

    while (a && b) {
        if (before(b, a)) {
            struct heap_node *swap = a;

            a = b;
            b = swap;
        }
        *link = a;
        a->parent = parent;
        parent = a;
        link = &a->right;
        a = a->right;
    }
    *link = a ? a : b;
    if (*link)
        (*link)->parent = parent;
    for (; parent; parent = parent->parent)
        node_settle(parent);
    return root;
}

void heap_insert(struct heap *heap, struct heap_node *node)
{
    *node = (struct heap_node){.rank = 1};
    heap->root = tree_merge(heap->before, heap->root, node);
    heap->count++;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    struct heap_node *parent = node->parent;
    struct heap_node *rest = tree_merge(heap->before, node->left, node->right);

    if (rest)
        rest->parent = parent;
    if (!parent)
        heap->root = rest;
    else if (parent->left == node)
        parent->left = rest;
    else
        parent->right = rest;
    while (parent && node_settle(parent))
        parent = parent->parent;
    heap->count--;
    *node = (struct heap_node){0};
}

void heap_meld(struct heap *heap, struct heap *from)
{
    heap->root = tree_merge(heap->before, heap->root, from->root);
    heap->count += from->count;
    heap_init(from, from->before);
}
