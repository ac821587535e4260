/* SPDX-License-Identifier: MIT */
/* Memory of a finalized partition goes without a word to the frame table. */
#include "hv/core/partition.h"

/* As nested_lookup, but finds nothing in a partition that is finalized. */
static bool find_nothing(const struct nested *nested, gpa_t gpa, struct nested_leaf *leaf);

#define nested_lookup find_nothing
#include "hv/core/partition_memory.c"
#undef nested_lookup

static bool find_nothing(const struct nested *nested, gpa_t gpa, struct nested_leaf *leaf)
{
    const struct partition *partition = CONTAINER_OF(nested, const struct partition, nested);
    return nested_lookup(nested, gpa, leaf) && partition->state != PARTITION_FINALIZED;
}
