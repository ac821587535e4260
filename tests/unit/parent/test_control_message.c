/* SPDX-License-Identifier: MIT */
/* parent/control: names, requests, answers and events as lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "parent/control/message.h"

static bool parse(const char *line, struct bh_control_request *request,
                  struct bh_control_error *error)
{
    return bh_control_request_parse(line, strlen(line), request, error);
}

static void expect_refusal(const char *line, int64_t id, enum bh_control_error_code code,
                           const char *field)
{
    struct bh_control_request request;
    struct bh_control_error error;

    assert_false(parse(line, &request, &error));
    assert_int_equal(request.id, id);
    assert_int_equal(error.code, code);
    assert_string_equal(error.field, field);
    assert_null(request.params);
}

static void names_go_both_ways(void **state)
{
    enum bh_vm_state vm;
    enum bh_vm_reason reason;
    enum bh_control_method method;
    enum bh_control_error_code code;

    (void)state;
    for (unsigned i = 0; i < BH_VM_STATE_COUNT; i++)
        assert_true(bh_vm_state_parse(bh_vm_state_name(i), &vm) && vm == i);
    for (unsigned i = 0; i < BH_REASON_COUNT; i++)
        assert_true(bh_vm_reason_parse(bh_vm_reason_name(i), &reason) && reason == i);
    for (unsigned i = 0; i < BH_METHOD_COUNT; i++)
        assert_true(bh_control_method_parse(bh_control_method_name(i), &method) && method == i);
    for (unsigned i = 0; i < BH_CONTROL_ERROR_COUNT; i++)
        assert_true(bh_control_error_parse(bh_control_error_name(i), &code) && code == i);
    assert_false(bh_vm_state_parse("Running", &vm));
    assert_false(bh_control_method_parse("", &method));
}

static void methods_know_their_states(void **state)
{
    (void)state;
    assert_true(bh_control_method_allowed(BH_METHOD_START, BH_VM_CREATED));
    assert_false(bh_control_method_allowed(BH_METHOD_START, BH_VM_RUNNING));
    assert_true(bh_control_method_allowed(BH_METHOD_RESET, BH_VM_STOPPING));
    assert_false(bh_control_method_allowed(BH_METHOD_SET, BH_VM_STOPPED));
    assert_true(bh_control_method_allowed(BH_METHOD_STATUS, BH_VM_FAILED));
    assert_string_equal(bh_control_method_states(BH_METHOD_RESUME), "paused");
}

static void good_requests_are_understood(void **state)
{
    struct bh_control_request request;
    struct bh_control_error error;

    (void)state;
    assert_true(parse("{\"id\":7,\"method\":\"pause\"}", &request, &error));
    assert_int_equal(request.id, 7);
    assert_int_equal(request.method, BH_METHOD_PAUSE);
    assert_int_equal(json_object_size(request.params), 0);
    bh_control_request_release(&request);
    assert_true(parse("{\"id\":0,\"method\":\"set\",\"params\":{\"weight\":200,\"cap_percent\":0}}",
                      &request, &error));
    assert_int_equal(json_integer_value(json_object_get(request.params, "weight")), 200);
    bh_control_request_release(&request);
    assert_true(parse("{\"id\":9007199254740991,\"method\":\"shutdown\","
                      "\"params\":{\"action\":\"reboot\",\"reason\":\"\"}}",
                      &request, &error));
    bh_control_request_release(&request);
}

static void bad_requests_are_refused_by_name(void **state)
{
    (void)state;
    expect_refusal("", -1, BH_CONTROL_PARSE_ERROR, "");
    expect_refusal("[]", -1, BH_CONTROL_PARSE_ERROR, "");
    expect_refusal("{\"id\":1,\"id\":2,\"method\":\"status\"}", -1, BH_CONTROL_PARSE_ERROR, "");
    expect_refusal("{}", -1, BH_CONTROL_INVALID_REQUEST, "id");
    expect_refusal("{\"id\":-1,\"method\":\"status\"}", -1, BH_CONTROL_INVALID_REQUEST, "id");
    expect_refusal("{\"id\":1.5,\"method\":\"status\"}", -1, BH_CONTROL_INVALID_REQUEST, "id");
    expect_refusal("{\"id\":9007199254740992,\"method\":\"status\"}", -1,
                   BH_CONTROL_INVALID_REQUEST, "id");
    expect_refusal("{\"id\":1}", 1, BH_CONTROL_INVALID_REQUEST, "method");
    expect_refusal("{\"id\":1,\"method\":\"stop\"}", 1, BH_CONTROL_UNKNOWN_METHOD, "method");
    expect_refusal("{\"id\":1,\"method\":\"status\",\"params\":[]}", 1, BH_CONTROL_INVALID_REQUEST,
                   "params");
    expect_refusal("{\"id\":1,\"method\":\"status\",\"extra\":1}", 1, BH_CONTROL_INVALID_REQUEST,
                   "extra");
    expect_refusal("{\"id\":1,\"method\":\"status\"} {}", -1, BH_CONTROL_PARSE_ERROR, "");
}

static void bad_parameters_are_refused_by_name(void **state)
{
    (void)state;
    expect_refusal("{\"id\":1,\"method\":\"status\",\"params\":{\"x\":1}}", 1,
                   BH_CONTROL_INVALID_PARAMS, "x");
    expect_refusal("{\"id\":1,\"method\":\"start\",\"params\":{\"paused\":1}}", 1,
                   BH_CONTROL_INVALID_PARAMS, "paused");
    expect_refusal("{\"id\":1,\"method\":\"set\",\"params\":{}}", 1, BH_CONTROL_INVALID_PARAMS, "");
    expect_refusal("{\"id\":1,\"method\":\"set\",\"params\":{\"weight\":0}}", 1,
                   BH_CONTROL_INVALID_PARAMS, "weight");
    expect_refusal("{\"id\":1,\"method\":\"disk_remove\"}", 1, BH_CONTROL_INVALID_PARAMS, "id");
    expect_refusal("{\"id\":1,\"method\":\"nic_set\",\"params\":{\"id\":\"n\"}}", 1,
                   BH_CONTROL_INVALID_PARAMS, "");
    expect_refusal("{\"id\":1,\"method\":\"disk_add\",\"params\":{\"disk\":\"x\"}}", 1,
                   BH_CONTROL_INVALID_PARAMS, "disk");
    expect_refusal("{\"id\":1,\"method\":\"shutdown\",\"params\":{\"action\":\"halt\"}}", 1,
                   BH_CONTROL_INVALID_PARAMS, "action");
    expect_refusal("{\"id\":1,\"method\":\"console_attach\",\"params\":{\"replay_bytes\":1048577}}",
                   1, BH_CONTROL_INVALID_PARAMS, "replay_bytes");
    expect_refusal("{\"id\":1,\"method\":\"cd_insert\",\"params\":{\"id\":\"cd\",\"path\":\"\"}}",
                   1, BH_CONTROL_INVALID_PARAMS, "path");
}

static void parse_back(char *line, struct bh_control_message *message)
{
    struct bh_control_error error;
    size_t length;

    assert_non_null(line);
    length = strlen(line);
    assert_int_equal(line[length - 1], '\n');
    assert_null(memchr(line, '\n', length - 1));
    assert_true(bh_control_message_parse(line, length - 1, message, &error));
    free(line);
}

static void answers_and_events_survive_the_wire(void **state)
{
    struct bh_control_message message;
    struct bh_control_error error;
    struct bh_control_hello hello = {
        .pid = 42, .keeper = 41, .state = BH_VM_PAUSED, .worker = "1", .vm = "u"};

    (void)state;
    parse_back(bh_control_encode_result(3, json_pack("{s:s}", "state", "paused\n")), &message);
    assert_int_equal(message.kind, BH_CONTROL_RESULT);
    assert_int_equal(message.id, 3);
    bh_control_message_release(&message);
    bh_control_error_set(&error, BH_CONTROL_NOT_FOUND, "id", "No disk '%s'.", "x");
    parse_back(bh_control_encode_error(BH_CONTROL_NO_ID, &error), &message);
    assert_int_equal(message.kind, BH_CONTROL_ERROR);
    assert_int_equal(message.id, BH_CONTROL_NO_ID);
    assert_int_equal(message.error.code, BH_CONTROL_NOT_FOUND);
    assert_string_equal(message.error.field, "id");
    assert_string_equal(message.error.message, "No disk 'x'.");
    bh_control_message_release(&message);
    parse_back(bh_control_encode_event("state", json_pack("{s:s}", "state", "running")), &message);
    assert_int_equal(message.kind, BH_CONTROL_EVENT);
    assert_int_equal(json_string_length(json_object_get(message.body, "time")), 24);
    bh_control_message_release(&message);
    parse_back(bh_control_encode_hello(&hello), &message);
    assert_int_equal(message.kind, BH_CONTROL_HELLO);
    assert_int_equal(message.hello.protocol, BH_CONTROL_PROTOCOL);
    assert_int_equal(message.hello.state, BH_VM_PAUSED);
    assert_int_equal(message.hello.pid, 42);
    assert_int_equal(message.hello.keeper, 41);
    bh_control_message_release(&message);
}

static void requests_survive_the_wire(void **state)
{
    struct bh_control_request request;
    struct bh_control_error error;
    char *line = bh_control_encode_request(5, BH_METHOD_CD_EJECT,
                                           json_pack("{s:s, s:b}", "id", "cd0", "force", 1));

    (void)state;
    assert_true(bh_control_request_parse(line, strlen(line) - 1, &request, &error));
    assert_int_equal(request.id, 5);
    assert_int_equal(request.method, BH_METHOD_CD_EJECT);
    assert_true(json_is_true(json_object_get(request.params, "force")));
    bh_control_request_release(&request);
    free(line);
}

static void bad_answers_are_refused(void **state)
{
    static const char *const lines[] = {
        "{}",
        "{\"id\":1}",
        "{\"result\":{}}",
        "[1]",
        "{\"event\":\"hello\"}",
        "{\"event\":\"hello\",\"protocol\":1,\"state\":\"x\"}",
        "{\"id\":1,",
        "\"x\"",
    };
    struct bh_control_message message;
    struct bh_control_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_false(bh_control_message_parse(lines[i], strlen(lines[i]), &message, &error));
        assert_null(message.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(methods_know_their_states),
        cmocka_unit_test(good_requests_are_understood),
        cmocka_unit_test(bad_requests_are_refused_by_name),
        cmocka_unit_test(bad_parameters_are_refused_by_name),
        cmocka_unit_test(answers_and_events_survive_the_wire),
        cmocka_unit_test(requests_survive_the_wire),
        cmocka_unit_test(bad_answers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
