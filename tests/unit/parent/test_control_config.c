/* SPDX-License-Identifier: MIT */
/* parent/control/config.c: the configuration file of a VM. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parent/control/config.h"
#include "parent/control/nbd_uri.h"

#define HEAD                                                                            \
    "{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"web1\"," \
    "\"vps\":2,\"memory_bytes\":1073741824,\"boot\":{\"kernel\":\"/srv/vmlinuz\"}"

static bool parse(const char *text, struct bh_vm_config *config, struct bh_control_error *error)
{
    json_t *document = json_loads(text, JSON_ALLOW_NUL, NULL);
    bool good;

    assert_non_null(document);
    good = bh_vm_config_parse(document, config, error);
    json_decref(document);
    return good;
}

static struct bh_vm_config config;

static void expect_refusal(const char *text, const char *field)
{
    struct bh_control_error error;

    assert_false(parse(text, &config, &error));
    assert_int_equal(error.code, BH_CONTROL_INVALID_PARAMS);
    assert_string_equal(error.field, field);
    assert_non_null(strstr(error.message, field));
}

static void the_shortest_file_gets_defaults(void **state)
{
    struct bh_control_error error;

    (void)state;
    assert_true(parse(HEAD "}", &config, &error));
    assert_string_equal(config.name, "web1");
    assert_int_equal(config.vps, 2);
    assert_int_equal(config.weight, 100);
    assert_int_equal(config.cap_percent, 0);
    assert_string_equal(config.initrd, "");
    assert_int_equal(config.disk_count, 0);
    assert_false(config.reset_on_crash);
}

static void everything_is_read(void **state)
{
    struct bh_control_error error;

    (void)state;
    assert_true(parse(HEAD ",\"weight\":400,\"cap_percent\":150,\"reserve_percent\":50,"
                           "\"on_crash\":\"reset\",\"disks\":[{\"id\":\"root\",\"path\":\"/d\","
                           "\"read_only\":true},{\"id\":\"cd\",\"kind\":\"cd\"}],"
                           "\"nics\":[{\"id\":\"n0\",\"tap\":\"bh0\","
                           "\"mac\":\"52:54:00:12:34:56\"}]}",
                      &config, &error));
    assert_int_equal(config.weight, 400);
    assert_int_equal(config.reserve_percent, 50);
    assert_true(config.reset_on_crash);
    assert_int_equal(config.disk_count, 2);
    assert_true(config.disk[0].read_only);
    assert_true(config.disk[1].is_cd && config.disk[1].read_only);
    assert_string_equal(config.disk[1].path, "");
    assert_int_equal(config.nic_count, 1);
    assert_memory_equal(config.nic[0].mac, "\x52\x54\x00\x12\x34\x56", 6);
    assert_int_equal(config.nic[0].mtu, 1500);
    assert_int_equal(config.nic[0].queues, 1);
    assert_true(config.nic[0].link_up && !config.nic[0].trusted);
    assert_int_equal(config.nic[0].transmit_bytes_per_second, 0);
}

static void disks_may_have_limits_and_be_exports(void **state)
{
    struct bh_disk_config disk;
    struct bh_control_error error;
    json_t *value = json_pack("{s:s, s:s, s:i, s:I}", "id", "a", "path", "nbd://storage/a", "iops",
                              500, "bytes_per_second", (json_int_t)1 << 33);

    (void)state;
    assert_true(bh_disk_config_parse(value, "disk", &disk, &error));
    assert_string_equal(disk.path, "nbd://storage/a");
    assert_int_equal(disk.iops, 500);
    assert_int_equal(disk.bytes_per_second, UINT64_C(1) << 33);
    assert_false(disk.qcow2);
    json_object_set_new(value, "format", json_string("qcow2"));
    assert_false(bh_disk_config_parse(value, "disk", &disk, &error));
    assert_string_equal(error.field, "disk.format");
    json_object_set_new(value, "path", json_string("/srv/a"));
    assert_true(bh_disk_config_parse(value, "disk", &disk, &error));
    assert_true(disk.qcow2);
    json_object_set_new(value, "format", json_string("vmdk"));
    assert_false(bh_disk_config_parse(value, "disk", &disk, &error));
    json_decref(value);
}

static void each_fault_is_named_by_its_path(void **state)
{
    (void)state;
    expect_refusal("{}", "version");
    expect_refusal(HEAD ",\"wieght\":1}", "wieght");
    expect_refusal(HEAD ",\"weight\":10001}", "weight");
    expect_refusal(HEAD ",\"weight\":\"1\"}", "weight");
    expect_refusal(HEAD ",\"cap_percent\":10,\"reserve_percent\":11}", "reserve_percent");
    expect_refusal(HEAD ",\"on_crash\":\"explode\"}", "on_crash");
    expect_refusal(HEAD ",\"disks\":{}}", "disks");
    expect_refusal(HEAD ",\"disks\":[{\"id\":\"a\",\"path\":\"relative\"}]}", "disks[0].path");
    expect_refusal(HEAD ",\"disks\":[{\"id\":\"a\",\"path\":\"http://x/\"}]}", "disks[0].path");
    expect_refusal(HEAD ",\"disks\":[{\"id\":\"a\",\"path\":\"/x\",\"iops\":-1}]}",
                   "disks[0].iops");
    expect_refusal(HEAD ",\"disks\":[{\"id\":\"a\",\"path\":\"/x\"},{\"id\":\"b\"}]}",
                   "disks[1].path");
    expect_refusal(HEAD ",\"disks\":[{\"id\":\"a b\",\"path\":\"/x\"}]}", "disks[0].id");
    expect_refusal(HEAD ",\"disks\":[{\"id\":\"a\",\"path\":\"/x\",\"kind\":\"tape\"}]}",
                   "disks[0].kind");
    expect_refusal(HEAD
                   ",\"disks\":[{\"id\":\"a\",\"path\":\"/x\"},{\"id\":\"a\",\"path\":\"/y\"}]}",
                   "disks[1]");
    expect_refusal(HEAD ",\"nics\":[{\"id\":\"n\",\"tap\":\"t\",\"mac\":\"52:54:00:12:34:56\","
                        "\"mtu\":67}]}",
                   "nics[0].mtu");
    expect_refusal(HEAD ",\"nics\":[{\"id\":\"n\",\"tap\":\"t\",\"mac\":\"52:54:00:12:34:56\","
                        "\"queues\":9}]}",
                   "nics[0].queues");
    expect_refusal(HEAD ",\"nics\":[{\"id\":\"n\",\"tap\":\"t\",\"mac\":\"53:54:00:12:34:56\"}]}",
                   "nics[0].mac");
    expect_refusal(HEAD ",\"nics\":[{\"id\":\"n\",\"tap\":\"t\",\"mac\":\"52:54:00:12:34:5g\"}]}",
                   "nics[0].mac");
}

static void sizes_and_names_have_limits(void **state)
{
    (void)state;
    expect_refusal("{\"version\":1,\"id\":\"7D3C1A52-0000-4000-8000-000000000001\",\"name\":\"a\","
                   "\"vps\":1,\"memory_bytes\":33554432,\"boot\":{\"kernel\":\"/k\"}}",
                   "id");
    expect_refusal(
        "{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"a/b\","
        "\"vps\":1,\"memory_bytes\":33554432,\"boot\":{\"kernel\":\"/k\"}}",
        "name");
    expect_refusal("{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"a\","
                   "\"vps\":65,\"memory_bytes\":33554432,\"boot\":{\"kernel\":\"/k\"}}",
                   "vps");
    expect_refusal("{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"a\","
                   "\"vps\":1,\"memory_bytes\":33554433,\"boot\":{\"kernel\":\"/k\"}}",
                   "memory_bytes");
    expect_refusal("{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"a\","
                   "\"vps\":1,\"memory_bytes\":33554432,\"boot\":{\"kernel\":\"k\"}}",
                   "boot.kernel");
    expect_refusal("{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"a\","
                   "\"vps\":1,\"memory_bytes\":33554432,"
                   "\"boot\":{\"kernel\":\"/k\",\"initrd\":\"i\"}}",
                   "boot.initrd");
    expect_refusal("{\"version\":1,\"id\":\"7d3c1a52-0000-4000-8000-000000000001\",\"name\":\"a\","
                   "\"vps\":1,\"memory_bytes\":33554432,"
                   "\"boot\":{\"kernel\":\"/k\\u0000x\"}}",
                   "boot.kernel");
}

static void a_missing_file_is_a_resource_error(void **state)
{
    struct bh_control_error error;

    (void)state;
    assert_false(bh_vm_config_load("/nonexistent/vm.json", &config, &error));
    assert_int_equal(error.code, BH_CONTROL_RESOURCE);
    assert_non_null(strstr(error.message, "/nonexistent/vm.json"));
}

static void expect_uri(const char *text, const char *host, const char *port, const char *socket,
                       const char *name)
{
    struct bh_control_error error;
    struct bh_nbd_uri uri;

    assert_true(bh_nbd_uri_is(text));
    assert_true(bh_nbd_uri_parse(text, &uri, &error));
    assert_string_equal(uri.host, host);
    assert_string_equal(uri.port, port);
    assert_string_equal(uri.socket, socket);
    assert_string_equal(uri.name, name);
}

static void nbd_uris_are_taken_apart(void **state)
{
    static const char *const wrong[] = {"/srv/disk.raw",
                                        "nbds://host/x",
                                        "nbd://",
                                        "nbd:///x",
                                        "nbd://:1/x",
                                        "nbd://h:/x",
                                        "nbd://h:1a/x",
                                        "nbd://h:123456789/x",
                                        "nbd://u@h/x",
                                        "nbd://[::1/x",
                                        "nbd://h/x?tls=1",
                                        "nbd://h/%0",
                                        "nbd://h/%00",
                                        "nbd://h/%zz",
                                        "nbd+unix:///",
                                        "nbd+unix:///x?socket=",
                                        "nbd+unix:///x?socket=relative",
                                        "nbd+unix:///x?socket=/s&more=1",
                                        "nbd+unix://h/x?socket=/s",
                                        "nbd+unix:///x?other=/s"};
    char text[600] = "nbd://h/";
    struct bh_control_error error;
    struct bh_nbd_uri uri;

    (void)state;
    expect_uri("nbd://host/name", "host", "10809", "", "name");
    expect_uri("nbd://10.0.0.1:10810", "10.0.0.1", "10810", "", "");
    expect_uri("nbd://[fd00::1]:7/a/b%20c", "fd00::1", "7", "", "a/b c");
    expect_uri("nbd://[::1]/", "::1", "10809", "", "");
    expect_uri("nbd+unix:///?socket=/run/s", "", "", "/run/s", "");
    expect_uri("nbd+unix:///x?socket=/run/a%3fb", "", "", "/run/a?b", "x");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(bh_nbd_uri_parse(wrong[i], &uri, &error));
    assert_int_equal(error.code, BH_CONTROL_INVALID_PARAMS);
    memset(text + strlen(text), 'n', 256);
    assert_false(bh_nbd_uri_parse(text, &uri, &error));
    text[strlen(text) - 1] = '\0';
    assert_true(bh_nbd_uri_parse(text, &uri, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nbd_uris_are_taken_apart),
        cmocka_unit_test(the_shortest_file_gets_defaults),
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(disks_may_have_limits_and_be_exports),
        cmocka_unit_test(each_fault_is_named_by_its_path),
        cmocka_unit_test(sizes_and_names_have_limits),
        cmocka_unit_test(a_missing_file_is_a_resource_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
