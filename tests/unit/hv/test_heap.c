/* SPDX-License-Identifier: MIT */
/* The leftist heap: order under random use, its shape, and the number of comparisons. */
#include "hv/core/heap.h"
#include "tests/unit/hv/unit.h"

#define NODES 10000u

struct item {
    struct heap_node node;
    uint64_t key;
    bool in;
};

static struct item item[NODES];
static uint64_t comparisons;

static struct item *item_of(struct heap_node *node)
{
    return CONTAINER_OF(node, struct item, node);
}

static bool item_before(const struct heap_node *a, const struct heap_node *b)
{
    comparisons++;
    return CONTAINER_OF(a, const struct item, node)->key <
           CONTAINER_OF(b, const struct item, node)->key;
}

/* Checks links, order and leftist shape; returns the number of nodes. */
static uint64_t check_tree(struct heap_node *node, struct heap_node *parent)
{
    if (!node) {
        return 0;
    }
    uint32_t left = node->left ? node->left->rank : 0;
    uint32_t right = node->right ? node->right->rank : 0;

    assert_ptr_equal(node->parent, parent);
    assert_true(left >= right);
    assert_int_equal(node->rank, right + 1);
    assert_false(parent && item_of(node)->key < item_of(parent)->key);
    return 1 + check_tree(node->left, node) + check_tree(node->right, node);
}

static void check_heap(const struct heap *heap)
{
    assert_int_equal(check_tree(heap->root, NULL), heap->count);
}

static void test_comes_out_sorted(void **state)
{
    (void)state;
    struct heap heap;
    uint64_t random = 1, last = 0;

    heap_init(&heap, item_before);
    assert_null(heap_first(&heap));
    for (unsigned i = 0; i < 1000; i++) {
        item[i].key = random_next(&random) % 500;
        heap_insert(&heap, &item[i].node);
    }
    check_heap(&heap);
    for (unsigned i = 0; i < 1000; i++) {
        struct item *first = item_of(heap_first(&heap));

        assert_true(first->key >= last);
        last = first->key;
        heap_remove(&heap, &first->node);
    }
    assert_null(heap_first(&heap));
    assert_int_equal(heap.count, 0);
}

static void check_first_is_least(struct heap *heap, unsigned nodes)
{
    uint64_t least = UINT64_MAX;

    for (unsigned i = 0; i < nodes; i++) {
        least = item[i].in && item[i].key < least ? item[i].key : least;
    }
    struct heap_node *first = heap_first(heap);

    assert_int_equal(first ? item_of(first)->key : UINT64_MAX, least);
}

static void test_random_inserts_and_removals(void **state)
{
    (void)state;
    struct heap heap;
    uint64_t random = 7;

    heap_init(&heap, item_before);
    for (unsigned i = 0; i < 64; i++) {
        item[i].in = false;
    }
    for (unsigned step = 0; step < 20000; step++) {
        struct item *one = &item[random_next(&random) % 64];

        if (one->in) {
            heap_remove(&heap, &one->node);
        } else {
            one->key = random_next(&random) % 100;
            heap_insert(&heap, &one->node);
        }
        one->in = !one->in;
        check_heap(&heap);
        check_first_is_least(&heap, 64);
    }
}

static void test_meld(void **state)
{
    (void)state;
    struct heap one, other;
    uint64_t random = 3;

    heap_init(&one, item_before);
    heap_init(&other, item_before);
    heap_meld(&one, &other);
    assert_null(heap_first(&one));
    for (unsigned i = 0; i < 300; i++) {
        item[i].key = random_next(&random);
        heap_insert(i % 3 ? &one : &other, &item[i].node);
    }
    heap_meld(&one, &other);
    assert_int_equal(one.count, 300);
    assert_int_equal(other.count, 0);
    assert_null(heap_first(&other));
    check_heap(&one);
    heap_meld(&other, &one);
    assert_int_equal(other.count, 300);
    check_heap(&other);
    heap_insert(&one, &(struct item){.key = 1}.node);
    assert_int_equal(one.count, 1);
}

static unsigned log2_ceiling(uint64_t n)
{
    unsigned log = 0;

    while ((1ull << log) < n) {
        log++;
    }
    return log;
}

/* Each operation stays below two right edges, 2 log2(n + 1), in the worst case. */
static void check_cost(unsigned nodes, uint64_t (*key)(unsigned))
{
    struct heap heap;
    uint64_t worst = 0, random = 5;

    heap_init(&heap, item_before);
    for (unsigned i = 0; i < nodes; i++) {
        item[i].key = key(i);
        comparisons = 0;
        heap_insert(&heap, &item[i].node);
        worst = comparisons > worst ? comparisons : worst;
    }
    for (unsigned i = 0; i < nodes; i++) {
        struct item *one = &item[random_next(&random) % nodes];

        comparisons = 0;
        heap_remove(&heap, &one->node);
        worst = comparisons > worst ? comparisons : worst;
        heap_insert(&heap, &one->node);
    }
    assert_true(worst <= 2ull * log2_ceiling(nodes + 1));
    check_heap(&heap);
}

static uint64_t key_up(unsigned i)
{
    return i;
}

static uint64_t key_down(unsigned i)
{
    return NODES - i;
}

static uint64_t key_mixed(unsigned i)
{
    return i * 2654435761u % 65536;
}

static void test_cost_is_logarithmic(void **state)
{
    (void)state;
    for (unsigned nodes = 10; nodes <= NODES; nodes *= 10) {
        check_cost(nodes, key_up);
        check_cost(nodes, key_down);
        check_cost(nodes, key_mixed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_out_sorted),
        cmocka_unit_test(test_random_inserts_and_removals),
        cmocka_unit_test(test_meld),
        cmocka_unit_test(test_cost_is_logarithmic),
    };

    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
