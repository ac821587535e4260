/* SPDX-License-Identifier: MIT */
/* Small tables of what can be read by a number: MSRs, properties. */
#ifndef HV_CORE_NAMED_VALUE_H
#define HV_CORE_NAMED_VALUE_H

#include "hv/core/types.h"

struct named_value {
    uint32_t name;
    uint64_t value;
};

/* False: there is none of that name, and *value is as it was. */
static inline bool named_value_find(const struct named_value *table, unsigned count, uint32_t name,
                                    uint64_t *value)
{
    for (unsigned i = 0; i < count; i++) {
        if (table[i].name == name) {
            *value = table[i].value;
            return true;
        }
    }
    return false;
}

#endif
