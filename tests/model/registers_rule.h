/* SPDX-License-Identifier: MIT */
/*
 * What each register of a child's VP may be set to and what it then reads as: written from the
 * architecture's manual and docs/abi.md, not from the code.
 */
#ifndef TESTS_MODEL_REGISTERS_RULE_H
#define TESTS_MODEL_REGISTERS_RULE_H

#include <stdbool.h>

#include "hv/abi/vp.h"

enum register_kind {
    REGISTER_SCALAR,   /* 64 bits */
    REGISTER_WIDE,     /* 128 bits */
    REGISTER_CONSTANT, /* takes any value or none, and reads as it did */
    REGISTER_ELSEWHERE /* under the rules of an MSR or of the APIC, which have tests of their own */
};

struct register_rule {
    uint32_t first, last; /* names */
    enum register_kind kind;
    uint64_t may; /* of a scalar: bits that can be one */
    /* Further values that it can not have; NULL: none. */
    bool (*refuses)(const union hv_register_value *value);
    /* What it reads as, of a value that it can have; NULL: the value. */
    void (*settle)(union hv_register_value *value);
};

/* NULL: there is no such register. */
const struct register_rule *register_rule_find(uint32_t name);
bool register_rule_takes(const struct register_rule *rule, const union hv_register_value *value);
/* What it reads as after it took the value. */
union hv_register_value register_rule_settle(const struct register_rule *rule,
                                             const union hv_register_value *value);

#endif
