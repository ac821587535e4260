/* SPDX-License-Identifier: MIT */
#include "parent/control/params.h"

#include <string.h>

#include "parent/control/config.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *type_name(enum bh_param_type type)
{
    static const char *const names[] = {
        [BH_PARAM_BOOL] = "true or false", [BH_PARAM_INTEGER] = "a whole number",
        [BH_PARAM_TEXT] = "a text",        [BH_PARAM_OBJECT] = "an object",
        [BH_PARAM_ARRAY] = "an array",
    };

    return names[type];
}

static bool has_type(const json_t *value, enum bh_param_type type)
{
    switch (type) {
    case BH_PARAM_BOOL:
        return json_is_boolean(value);
    case BH_PARAM_INTEGER:
        return json_is_integer(value);
    case BH_PARAM_TEXT:
        return json_is_string(value);
    case BH_PARAM_OBJECT:
        return json_is_object(value);
    default:
        return json_is_array(value);
    }
}

static const struct bh_param *find(const struct bh_param *params, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(params[i].name, name) == 0)
            return &params[i];
    }
    return NULL;
}

static void path(char text[64], const char *where, const char *name)
{
    (void)snprintf(text, 64, "%.30s%s%.31s", where, where[0] != '\0' ? "." : "", name);
}

static bool refuse(struct bh_control_error *error, const char *where, const char *name,
                   const char *what)
{
    char field[64];

    path(field, where, name);
    return bh_control_error_set(error, BH_CONTROL_INVALID_PARAMS, field, "'%s' %s.", field, what);
}

static bool refuse_range(struct bh_control_error *error, const char *where,
                         const struct bh_param *param, const char *of)
{
    char what[96];

    (void)snprintf(what, sizeof(what), "must %s from %lld to %lld%s", of, (long long)param->min,
                   (long long)param->max, param->type == BH_PARAM_TEXT ? " bytes" : "");
    return refuse(error, where, param->name, what);
}

static bool check_text(const json_t *value, const char *where, const struct bh_param *param,
                       struct bh_control_error *error)
{
    int64_t length = (int64_t)json_string_length(value);

    if (strlen(json_string_value(value)) != (size_t)length)
        return refuse(error, where, param->name, "must not contain a NUL");
    if (length < param->min || length > param->max)
        return refuse_range(error, where, param, "have");
    return true;
}

static bool check_value(const json_t *value, const char *where, const struct bh_param *param,
                        struct bh_control_error *error)
{
    int64_t number;

    if (!has_type(value, param->type)) {
        char what[64];

        (void)snprintf(what, sizeof(what), "must be %s", type_name(param->type));
        return refuse(error, where, param->name, what);
    }
    if (param->type == BH_PARAM_TEXT)
        return check_text(value, where, param, error);
    if (param->type == BH_PARAM_ARRAY && (int64_t)json_array_size(value) > param->max)
        return refuse_range(error, where, param, "have a number of elements");
    if (param->type != BH_PARAM_INTEGER)
        return true;
    number = json_integer_value(value);
    return (number >= param->min && number <= param->max) ||
           refuse_range(error, where, param, "be");
}

bool bh_params_check(const json_t *object, const char *where, const struct bh_param *params,
                     size_t count, struct bh_control_error *error)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return bh_control_error_set(error, BH_CONTROL_INVALID_PARAMS, where,
                                    "'%s' must be an object.", where);
    json_object_foreach((json_t *)object, name, value)
    {
        const struct bh_param *param = find(params, count, name);

        if (param == NULL)
            return refuse(error, where, name, "is not known here");
        if (!check_value(value, where, param, error))
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (params[i].required && json_object_get(object, params[i].name) == NULL)
            return refuse(error, where, params[i].name, "is missing");
    }
    return true;
}

#define ID_PARAM                         \
    {                                    \
        "id", BH_PARAM_TEXT, true, 1, 31 \
    }

static const struct bh_param start_params[] = {{"paused", BH_PARAM_BOOL, false, 0, 0}};
static const struct bh_param shutdown_params[] = {
    {"action", BH_PARAM_TEXT, false, 1, 16},
    {"reason", BH_PARAM_TEXT, false, 0, 255},
};
static const struct bh_param set_params[] = {
    {"weight", BH_PARAM_INTEGER, false, 1, BH_CONFIG_WEIGHT_MAX},
    {"cap_percent", BH_PARAM_INTEGER, false, 0, BH_CONFIG_PERCENT_MAX},
    {"reserve_percent", BH_PARAM_INTEGER, false, 0, BH_CONFIG_PERCENT_MAX},
    {"memory_target_bytes", BH_PARAM_INTEGER, false, 1, BH_CONFIG_MEMORY_MAX},
};
static const struct bh_param disk_add_params[] = {{"disk", BH_PARAM_OBJECT, true, 0, 0}};
static const struct bh_param nic_add_params[] = {
    {"nic", BH_PARAM_OBJECT, true, 0, 0},
    {"tap_queues", BH_PARAM_INTEGER, false, 1, BH_CONFIG_NIC_QUEUES_MAX},
};
_Static_assert(BH_CONFIG_NIC_QUEUES_MAX <= BH_FDS_MAX, "the queues of a tap go with a line");
static const struct bh_param nic_set_params[] = {
    ID_PARAM,
    {"link_up", BH_PARAM_BOOL, false, 0, 0},
    {"transmit_bytes_per_second", BH_PARAM_INTEGER, false, 0, BH_CONFIG_NIC_RATE_MAX},
    {"receive_bytes_per_second", BH_PARAM_INTEGER, false, 0, BH_CONFIG_NIC_RATE_MAX},
};
static const struct bh_param id_params[] = {ID_PARAM};
static const struct bh_param cd_insert_params[] = {
    ID_PARAM,
    {"path", BH_PARAM_TEXT, true, 1, BH_CONFIG_PATH_MAX - 1},
};
static const struct bh_param cd_eject_params[] = {
    ID_PARAM,
    {"force", BH_PARAM_BOOL, false, 0, 0},
};
static const struct bh_param console_attach_params[] = {
    {"console", BH_PARAM_TEXT, false, 1, 31},
    {"replay_bytes", BH_PARAM_INTEGER, false, 0, BH_CONTROL_REPLAY_MAX},
};

struct table {
    const struct bh_param *params;
    size_t count;
};

#define TABLE(params)         \
    {                         \
        params, COUNT(params) \
    }

static const struct table tables[BH_METHOD_COUNT] = {
    [BH_METHOD_START] = TABLE(start_params),
    [BH_METHOD_SHUTDOWN] = TABLE(shutdown_params),
    [BH_METHOD_SET] = TABLE(set_params),
    [BH_METHOD_DISK_ADD] = TABLE(disk_add_params),
    [BH_METHOD_DISK_REMOVE] = TABLE(id_params),
    [BH_METHOD_NIC_ADD] = TABLE(nic_add_params),
    [BH_METHOD_NIC_REMOVE] = TABLE(id_params),
    [BH_METHOD_NIC_SET] = TABLE(nic_set_params),
    [BH_METHOD_CD_INSERT] = TABLE(cd_insert_params),
    [BH_METHOD_CD_EJECT] = TABLE(cd_eject_params),
    [BH_METHOD_CONSOLE_ATTACH] = TABLE(console_attach_params),
};

static bool check_shutdown(const json_t *params, struct bh_control_error *error)
{
    const char *action = json_string_value(json_object_get(params, "action"));

    if (action == NULL || strcmp(action, "power_off") == 0 || strcmp(action, "reboot") == 0)
        return true;
    return refuse(error, "", "action", "must be power_off or reboot");
}

bool bh_method_params_check(enum bh_control_method method, const json_t *params,
                            struct bh_control_error *error)
{
    if (!bh_params_check(params, "", tables[method].params, tables[method].count, error))
        return false;
    if (method == BH_METHOD_SHUTDOWN)
        return check_shutdown(params, error);
    if ((method == BH_METHOD_SET && json_object_size(params) == 0) ||
        (method == BH_METHOD_NIC_SET && json_object_size(params) == 1))
        return bh_control_error_set(error, BH_CONTROL_INVALID_PARAMS, NULL,
                                    "Nothing to set was named.");
    return true;
}
