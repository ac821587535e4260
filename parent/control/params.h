/* SPDX-License-Identifier: MIT */
/* Members of JSON objects, checked by table: names, types, ranges, required ones. */
#ifndef PARENT_CONTROL_PARAMS_H
#define PARENT_CONTROL_PARAMS_H

#include "parent/control/message.h"

enum bh_param_type {
    BH_PARAM_BOOL,
    BH_PARAM_INTEGER,
    BH_PARAM_TEXT,
    BH_PARAM_OBJECT,
    BH_PARAM_ARRAY
};

struct bh_param {
    const char *name;
    enum bh_param_type type;
    bool required;
    int64_t min; /* of an integer, or of a text's length in bytes, or of an array's */
    int64_t max;
};

/*
 * Checks that `object` is an object with members as in the table and no others.
 * `where` is put before member names in errors ("" or "disks[1]").
 */
bool bh_params_check(const json_t *object, const char *where, const struct bh_param *params,
                     size_t count, struct bh_control_error *error);

/* Checks the parameters of a method. */
bool bh_method_params_check(enum bh_control_method method, const json_t *params,
                            struct bh_control_error *error);

#endif
