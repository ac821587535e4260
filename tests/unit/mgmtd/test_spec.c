/* SPDX-License-Identifier: MIT */
/* VM documents: defaults, limits, and what may change while a VM runs. */
#include "tests/unit/mgmtd/common.h"

#include <jansson.h>

#include "mgmtd/said.h"
#include "mgmtd/vm_config.h"
#include "mgmtd/vm_live.h"
#include "mgmtd/vm_spec.h"
#include "parent/control/config.h"

static bool names(const struct api_problem *problem, const char *pointer)
{
    const json_t *error;
    size_t index;

    json_array_foreach(problem->errors, index, error)
    {
        if (strcmp(json_text(error, "pointer"), pointer) == 0)
            return true;
    }
    return false;
}

static void defaults_are_filled_in(void **state)
{
    json_t *spec = json_loads("{\"name\":\"web\",\"memory\":{\"size\":67108864},"
                              "\"disks\":{\"root\":{\"disk\":\"d\"}},\"nics\":{\"a\":{\"network\":"
                              "\"lan\"}}}",
                              0, NULL);
    struct api_problem problem = {.type = API_PROBLEM_NONE};
    const json_t *nic;

    (void)state;
    assert_true(vm_spec_complete(spec, &problem));
    assert_int_equal(json_number(json_object_get(spec, "processors"), "count", 0), 1);
    assert_int_equal(json_number(json_object_get(spec, "processors"), "weight", 0), 100);
    assert_string_equal(json_text(json_object_get(spec, "restart"), "policy"), "never");
    nic = json_object_get(json_object_get(spec, "nics"), "a");
    assert_int_equal(strlen(json_text(nic, "mac")), 17);
    assert_memory_equal(json_text(nic, "mac"), "52:54:00:", 9);
    json_decref(spec);
}

struct refusal {
    const char *spec;
    const char *pointer;
};

static void limits_are_named_by_pointer(void **state)
{
    static const struct refusal refusals[] = {
        {"{\"memory\":{\"size\":33554431}}", "/memory/size"},
        {"{\"memory\":{\"size\":16777216}}", "/memory/size"},
        {"{\"memory\":{}}", "/memory/size"},
        {"{\"memory\":{\"size\":67108864,\"minimum\":134217728}}", "/memory/size"},
        {"{\"memory\":{\"size\":67108864,\"maximum\":33554432}}", "/memory/size"},
        {"{\"memory\":{\"size\":67108864,\"maximum\":67108865}}", "/memory/maximum"},
        {"{\"memory\":{\"size\":67108864},\"processors\":{\"reserve\":50,\"cap\":40}}",
         "/processors/reserve"},
        {"{\"memory\":{\"size\":67108864},\"boot\":{\"initrd\":\"x\"}}", "/boot/initrd"},
        {"{\"memory\":{\"size\":67108864},\"boot\":{\"kernel\":\"x\",\"firmware\":\"ovmf\"}}",
         "/boot/firmware"},
        {"{\"memory\":{\"size\":67108864},\"boot\":{\"firmware\":\"seabios\"}}", "/boot/firmware"},
        {"{\"memory\":{\"size\":67108864},\"boot\":{\"kernel\":\"x\",\"order\":[\"a\"]}}",
         "/boot/order"},
        {"{\"memory\":{\"size\":67108864},\"disks\":{\"a\":{\"disk\":\"d\",\"bus\":\"ide\"}}}",
         "/disks/a/bus"},
        {"{\"memory\":{\"size\":67108864},\"disks\":{\"a\":{}}}", "/disks/a"},
        {"{\"memory\":{\"size\":67108864},\"disks\":{\"a\":{\"cdrom\":true,\"disk\":\"d\"}}}",
         "/disks/a"},
        {"{\"memory\":{\"size\":67108864},\"disks\":{\"a\":{\"disk\":\"d\",\"image\":\"i\"}}}",
         "/disks/a"},
        {"{\"memory\":{\"size\":67108864},\"nics\":{\"a\":{},\"b\":{},\"c\":{},\"d\":{},\"e\":{},"
         "\"f\":{},\"g\":{},\"h\":{},\"i\":{}}}",
         "/nics"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        json_t *spec = json_loads(refusals[i].spec, 0, NULL);
        struct api_problem problem = {.type = API_PROBLEM_NONE};

        assert_non_null(spec);
        assert_false(vm_spec_complete(spec, &problem));
        assert_int_equal(problem.type, API_PROBLEM_INVALID_FIELDS);
        if (!names(&problem, refusals[i].pointer))
            fail_msg("%s does not name %s", refusals[i].spec, refusals[i].pointer);
        json_decref(problem.errors);
        json_decref(spec);
    }
}

static const char running[] =
    "{\"name\":\"web\",\"memory\":{\"size\":67108864,\"minimum\":33554432,\"maximum\":134217728},"
    "\"processors\":{\"count\":2,\"weight\":100,\"reserve\":0,\"cap\":100},"
    "\"boot\":{\"kernel\":\"k\"},\"disks\":{\"root\":{\"disk\":\"d\"},\"cd\":{\"cdrom\":true,"
    "\"image\":\"i\"}},\"nics\":{\"a\":{\"network\":\"lan\"}}}";

/* What a patch of a running VM comes to: allowed, and whether the worker must hear of it. */
static void try_patch(const char *patch_text, const char *refused_pointer, bool needed)
{
    json_t *before = json_loads(running, 0, NULL);
    json_t *after = json_deep_copy(before);
    json_t *patch = json_loads(patch_text, 0, NULL);
    struct api_problem problem = {.type = API_PROBLEM_NONE};
    bool allowed;

    assert_non_null(patch);
    json_merge(after, patch);
    allowed = vm_live_allowed(before, after, &problem);
    if (allowed != (refused_pointer == NULL))
        fail_msg("%s", patch_text);
    if (refused_pointer) {
        assert_int_equal(problem.type, API_PROBLEM_NOT_CHANGEABLE);
        if (!names(&problem, refused_pointer))
            fail_msg("%s does not name %s", patch_text, refused_pointer);
    }
    assert_int_equal(vm_live_needed(before, after), needed);
    json_decref(problem.errors);
    json_decref(before);
    json_decref(after);
    json_decref(patch);
}

static void running_vms_take_some_changes(void **state)
{
    (void)state;
    try_patch("{\"description\":\"x\"}", NULL, false);
    try_patch("{\"tags\":[\"x\"]}", NULL, false);
    try_patch("{\"restart\":{\"policy\":\"always\"}}", NULL, false);
    try_patch("{\"processors\":{\"weight\":200}}", NULL, true);
    try_patch("{\"processors\":{\"cap\":50}}", NULL, true);
    try_patch("{\"memory\":{\"size\":100663296}}", NULL, true);
    try_patch("{\"disks\":{\"more\":{\"disk\":\"d2\"}}}", NULL, true);
    try_patch("{\"disks\":{\"root\":null}}", NULL, true);
    try_patch("{\"disks\":{\"cd\":{\"image\":null}}}", NULL, true);
    try_patch("{\"nics\":{\"b\":{\"network\":\"lan\"}}}", NULL, true);
    try_patch("{\"nics\":{\"a\":null}}", NULL, true);
    try_patch("{\"nics\":{\"a\":{\"connected\":false}}}", NULL, true);
    try_patch("{\"nics\":{\"a\":{\"receive_bytes_per_second\":1000}}}", NULL, true);
}

static void running_vms_refuse_others_by_name(void **state)
{
    (void)state;
    try_patch("{\"processors\":{\"count\":4}}", "/processors/count", true);
    try_patch("{\"memory\":{\"size\":268435456}}", "/memory/size", true);
    try_patch("{\"memory\":{\"maximum\":268435456}}", "/memory/maximum", true);
    try_patch("{\"boot\":{\"cmdline\":\"x\"}}", "/boot", false);
    try_patch("{\"disks\":{\"root\":{\"disk\":\"other\"}}}", "/disks/root/disk", true);
    try_patch("{\"disks\":{\"root\":{\"read_only\":true}}}", "/disks/root/read_only", true);
    try_patch("{\"nics\":{\"a\":{\"network\":\"wan\"}}}", "/nics/a/network", true);
    try_patch("{\"nics\":{\"a\":{\"mtu\":1400}}}", "/nics/a/mtu", true);
    try_patch("{\"disks\":{\"root\":{\"iops\":100}}}", "/disks/root/iops", true);
}

static void caps_and_reserves_are_of_all_processors(void **state)
{
    json_t *processors = json_loads("{\"count\":4,\"cap\":50,\"reserve\":10}", 0, NULL);
    char tap[16];
    char other[16];

    (void)state;
    assert_int_equal(vm_config_cap(processors), 200);
    assert_int_equal(vm_config_reserve(processors), 40);
    json_object_set_new(processors, "cap", json_integer(100));
    assert_int_equal(vm_config_cap(processors), 0); /* none */
    json_decref(processors);
    vm_config_tap("7d3c1a52-0000-4000-8000-000000000001", "a", tap);
    vm_config_tap("7d3c1a52-0000-4000-8000-000000000001", "b", other);
    assert_int_equal(strlen(tap), 14);
    assert_string_not_equal(tap, other);
}

static void what_guests_say_is_cut_and_checked(void **state)
{
    json_t *body = json_pack("{s:s, s:s, s:[s,s,i,s]}", "heartbeat", "lost", "os", "a\"b\n",
                             "addresses", "10.0.0.7", "x\",\"y", 7, "fe80::1");
    struct vm_guest guest;
    char long_name[300];

    (void)state;
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    json_object_set_new(body, "host_name", json_string(long_name));
    said_guest(body, &guest);
    assert_int_equal(guest.heartbeat, VM_HEARTBEAT_LOST);
    assert_string_equal(guest.os, "a\"b\n");
    assert_int_equal(strlen(guest.host_name), sizeof(guest.host_name) - 1);
    assert_string_equal(guest.addresses, "\"10.0.0.7\",\"fe80::1\"");
    json_decref(body);
    said_guest(NULL, &guest);
    assert_int_equal(guest.heartbeat, VM_HEARTBEAT_NONE);
    assert_string_equal(guest.addresses, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(limits_are_named_by_pointer),
        cmocka_unit_test(running_vms_take_some_changes),
        cmocka_unit_test(running_vms_refuse_others_by_name),
        cmocka_unit_test(what_guests_say_is_cut_and_checked),
        cmocka_unit_test(caps_and_reserves_are_of_all_processors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
