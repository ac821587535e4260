/* SPDX-License-Identifier: MIT */
#include "parent/control/config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "parent/control/nbd_uri.h"
#include "parent/control/params.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool refuse(struct bh_control_error *error, const char *field, const char *what)
{
    return bh_control_error_set(error, BH_CONTROL_INVALID_PARAMS, field, "'%s' %s.", field, what);
}

static const char *text_of(const json_t *object, const char *name, const char *otherwise)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value != NULL ? value : otherwise;
}

static int64_t integer_of(const json_t *object, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(object, name);

    return value != NULL ? json_integer_value(value) : otherwise;
}

static void copy(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text);
}

static bool is_name(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
           strlen(text);
}

/* 8-4-4-4-12 digits in lower case. */
static bool is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        bool good = form[i] == '-' ? text[i] == '-'
                                   : text[i] != '\0' && strchr("0123456789abcdef", text[i]) != NULL;

        if (!good)
            return false;
    }
    return text[sizeof(form) - 1] == '\0';
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;

    return at != NULL ? (int)(at - digits) : -1;
}

/* `text` has 17 bytes: six pairs of digits with a colon between. */
static bool parse_mac(const char *text, uint8_t mac[6])
{
    for (size_t i = 0; i < 6; i++) {
        int high = hex_digit(text[3 * i]);
        int low = hex_digit(text[3 * i + 1]);

        if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
            return false;
        mac[i] = (uint8_t)(high << 4 | low);
    }
    return (mac[0] & 1u) == 0;
}

static void member(char field[64], const char *where, const char *name)
{
    (void)snprintf(field, 64, "%.40s.%.20s", where, name);
}

bool bh_disk_config_parse(const json_t *value, const char *where, struct bh_disk_config *disk,
                          struct bh_control_error *error)
{
    static const struct bh_param members[] = {
        {"id", BH_PARAM_TEXT, true, 1, sizeof(disk->id) - 1},
        {"kind", BH_PARAM_TEXT, false, 1, 16},
        {"path", BH_PARAM_TEXT, false, 1, sizeof(disk->path) - 1},
        {"format", BH_PARAM_TEXT, false, 1, 16},
        {"read_only", BH_PARAM_BOOL, false, 0, 0},
        {"iops", BH_PARAM_INTEGER, false, 0, BH_CONFIG_RATE_MAX},
        {"bytes_per_second", BH_PARAM_INTEGER, false, 0, BH_CONFIG_RATE_MAX},
    };
    const char *kind;
    char field[64];

    if (!bh_params_check(value, where, members, COUNT(members), error))
        return false;
    memset(disk, 0, sizeof(*disk));
    copy(disk->id, sizeof(disk->id), text_of(value, "id", ""));
    copy(disk->path, sizeof(disk->path), text_of(value, "path", ""));
    disk->iops = (uint64_t)integer_of(value, "iops", 0);
    disk->bytes_per_second = (uint64_t)integer_of(value, "bytes_per_second", 0);
    disk->qcow2 = strcmp(text_of(value, "format", "raw"), "qcow2") == 0;
    kind = text_of(value, "kind", "disk");
    disk->is_cd = strcmp(kind, "cd") == 0;
    disk->read_only = disk->is_cd || json_is_true(json_object_get(value, "read_only"));
    member(field, where, "kind");
    if (!disk->is_cd && strcmp(kind, "disk") != 0)
        return refuse(error, field, "must be disk or cd");
    member(field, where, "id");
    if (!is_name(disk->id))
        return refuse(error, field, "must have only letters, digits, '-', '_' and '.'");
    member(field, where, "path");
    if (disk->path[0] == '\0' && !disk->is_cd)
        return refuse(error, field, "is missing");
    if (disk->path[0] != '\0' && disk->path[0] != '/' && !bh_nbd_uri_is(disk->path))
        return refuse(error, field, "must be an absolute path or an NBD URI");
    member(field, where, "format");
    if (!disk->qcow2 && strcmp(text_of(value, "format", "raw"), "raw") != 0)
        return refuse(error, field, "must be raw or qcow2");
    if (disk->qcow2 && (disk->is_cd || disk->path[0] != '/'))
        return refuse(error, field, "can be qcow2 only for a disk that is a file");
    return true;
}

bool bh_nic_config_parse(const json_t *value, const char *where, struct bh_nic_config *nic,
                         struct bh_control_error *error)
{
    static const struct bh_param members[] = {
        {"id", BH_PARAM_TEXT, true, 1, sizeof(nic->id) - 1},
        {"tap", BH_PARAM_TEXT, true, 1, sizeof(nic->tap) - 1},
        {"mac", BH_PARAM_TEXT, true, 17, 17},
        {"mtu", BH_PARAM_INTEGER, false, BH_CONFIG_NIC_MTU_MIN, BH_CONFIG_NIC_MTU_MAX},
        {"queues", BH_PARAM_INTEGER, false, 1, BH_CONFIG_NIC_QUEUES_MAX},
        {"link_up", BH_PARAM_BOOL, false, 0, 0},
        {"trusted", BH_PARAM_BOOL, false, 0, 0},
        {"transmit_bytes_per_second", BH_PARAM_INTEGER, false, 0, BH_CONFIG_NIC_RATE_MAX},
        {"receive_bytes_per_second", BH_PARAM_INTEGER, false, 0, BH_CONFIG_NIC_RATE_MAX},
    };
    char field[64];

    if (!bh_params_check(value, where, members, COUNT(members), error))
        return false;
    memset(nic, 0, sizeof(*nic));
    copy(nic->id, sizeof(nic->id), text_of(value, "id", ""));
    copy(nic->tap, sizeof(nic->tap), text_of(value, "tap", ""));
    member(field, where, "id");
    if (!is_name(nic->id))
        return refuse(error, field, "must have only letters, digits, '-', '_' and '.'");
    member(field, where, "tap");
    if (!is_name(nic->tap))
        return refuse(error, field, "must be the name of a network interface");
    member(field, where, "mac");
    if (!parse_mac(text_of(value, "mac", ""), nic->mac))
        return refuse(error, field, "must be a unicast address such as 52:54:00:12:34:56");
    nic->mtu = (uint32_t)integer_of(value, "mtu", 1500);
    nic->queues = (uint32_t)integer_of(value, "queues", 1);
    nic->link_up = !json_is_false(json_object_get(value, "link_up"));
    nic->trusted = json_is_true(json_object_get(value, "trusted"));
    nic->transmit_bytes_per_second = (uint64_t)integer_of(value, "transmit_bytes_per_second", 0);
    nic->receive_bytes_per_second = (uint64_t)integer_of(value, "receive_bytes_per_second", 0);
    return true;
}

static bool parse_disks(const json_t *array, struct bh_vm_config *config,
                        struct bh_control_error *error)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        char where[64];

        (void)snprintf(where, sizeof(where), "disks[%zu]", i);
        if (!bh_disk_config_parse(json_array_get(array, i), where, &config->disk[i], error))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(config->disk[i].id, config->disk[j].id) == 0)
                return refuse(error, where, "has the id of an earlier disk");
        }
        config->disk_count = (uint32_t)i + 1;
    }
    return true;
}

static bool parse_nics(const json_t *array, struct bh_vm_config *config,
                       struct bh_control_error *error)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        char where[64];

        (void)snprintf(where, sizeof(where), "nics[%zu]", i);
        if (!bh_nic_config_parse(json_array_get(array, i), where, &config->nic[i], error))
            return false;
        for (size_t j = 0; j < i; j++) {
            if (strcmp(config->nic[i].id, config->nic[j].id) == 0)
                return refuse(error, where, "has the id of an earlier NIC");
        }
        config->nic_count = (uint32_t)i + 1;
    }
    return true;
}

static bool parse_boot(const json_t *boot, struct bh_vm_config *config,
                       struct bh_control_error *error)
{
    static const struct bh_param members[] = {
        {"kernel", BH_PARAM_TEXT, true, 1, sizeof(config->kernel) - 1},
        {"initrd", BH_PARAM_TEXT, false, 1, sizeof(config->initrd) - 1},
        {"command_line", BH_PARAM_TEXT, false, 0, sizeof(config->command_line) - 1},
    };

    if (!bh_params_check(boot, "boot", members, COUNT(members), error))
        return false;
    copy(config->kernel, sizeof(config->kernel), text_of(boot, "kernel", ""));
    copy(config->initrd, sizeof(config->initrd), text_of(boot, "initrd", ""));
    copy(config->command_line, sizeof(config->command_line), text_of(boot, "command_line", ""));
    if (config->kernel[0] != '/')
        return refuse(error, "boot.kernel", "must be an absolute path");
    if (config->initrd[0] != '\0' && config->initrd[0] != '/')
        return refuse(error, "boot.initrd", "must be an absolute path");
    return true;
}

static bool parse_shares(const json_t *document, struct bh_vm_config *config,
                         struct bh_control_error *error)
{
    config->weight = (uint32_t)integer_of(document, "weight", 100);
    config->cap_percent = (uint32_t)integer_of(document, "cap_percent", 0);
    config->reserve_percent = (uint32_t)integer_of(document, "reserve_percent", 0);
    if (config->cap_percent != 0 && config->reserve_percent > config->cap_percent)
        return refuse(error, "reserve_percent", "must not be above cap_percent");
    return true;
}

static bool parse_identity(const json_t *document, struct bh_vm_config *config,
                           struct bh_control_error *error)
{
    const char *on_crash = text_of(document, "on_crash", "stop");

    copy(config->id, sizeof(config->id), text_of(document, "id", ""));
    copy(config->name, sizeof(config->name), text_of(document, "name", ""));
    config->reset_on_crash = strcmp(on_crash, "reset") == 0;
    if (!is_uuid(config->id))
        return refuse(error, "id", "must be a UUID in lower case");
    if (!is_name(config->name))
        return refuse(error, "name", "must have only letters, digits, '-', '_' and '.'");
    if (!config->reset_on_crash && strcmp(on_crash, "stop") != 0)
        return refuse(error, "on_crash", "must be stop or reset");
    return true;
}

bool bh_vm_config_parse(const json_t *document, struct bh_vm_config *config,
                        struct bh_control_error *error)
{
    static const struct bh_param members[] = {
        {"version", BH_PARAM_INTEGER, true, BH_CONFIG_VERSION, BH_CONFIG_VERSION},
        {"id", BH_PARAM_TEXT, true, 36, 36},
        {"name", BH_PARAM_TEXT, true, 1, sizeof(config->name) - 1},
        {"vps", BH_PARAM_INTEGER, true, 1, BH_CONFIG_VPS_MAX},
        {"memory_bytes", BH_PARAM_INTEGER, true, BH_CONFIG_MEMORY_MIN, BH_CONFIG_MEMORY_MAX},
        {"weight", BH_PARAM_INTEGER, false, 1, BH_CONFIG_WEIGHT_MAX},
        {"cap_percent", BH_PARAM_INTEGER, false, 0, BH_CONFIG_PERCENT_MAX},
        {"reserve_percent", BH_PARAM_INTEGER, false, 0, BH_CONFIG_PERCENT_MAX},
        {"boot", BH_PARAM_OBJECT, true, 0, 0},
        {"disks", BH_PARAM_ARRAY, false, 0, BH_CONFIG_DISKS_MAX},
        {"nics", BH_PARAM_ARRAY, false, 0, BH_CONFIG_NICS_MAX},
        {"on_crash", BH_PARAM_TEXT, false, 1, 16},
        {"nbd", BH_PARAM_BOOL, false, 0, 0},
    };

    memset(config, 0, sizeof(*config));
    if (!bh_params_check(document, "", members, COUNT(members), error))
        return false;
    config->nbd = json_is_true(json_object_get(document, "nbd"));
    config->vps = (uint32_t)integer_of(document, "vps", 1);
    config->memory_bytes = (uint64_t)integer_of(document, "memory_bytes", 0);
    if (config->memory_bytes % (uint64_t)BH_CONFIG_MEMORY_UNIT != 0)
        return refuse(error, "memory_bytes", "must be a multiple of 2097152");
    return parse_identity(document, config, error) && parse_shares(document, config, error) &&
           parse_boot(json_object_get(document, "boot"), config, error) &&
           parse_disks(json_object_get(document, "disks"), config, error) &&
           parse_nics(json_object_get(document, "nics"), config, error);
}

bool bh_vm_config_load(const char *path, struct bh_vm_config *config,
                       struct bh_control_error *error)
{
    json_error_t problem;
    json_t *document = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
    bool good;

    if (document == NULL)
        return bh_control_error_set(error, BH_CONTROL_RESOURCE, NULL, "%.120s: %.100s (line %d).",
                                    path, problem.text, problem.line);
    good = bh_vm_config_parse(document, config, error);
    json_decref(document);
    return good;
}
