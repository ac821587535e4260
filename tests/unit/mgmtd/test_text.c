/* SPDX-License-Identifier: MIT */
/* Texts and their JSON, merge patches, times, uuids, roles, subnets, commands. */
#include "tests/unit/mgmtd/common.h"

#include <jansson.h>

#include "mgmtd/command.h"
#include "mgmtd/network_host.h"
#include "mgmtd/object.h"
#include "mgmtd/trust.h"

/* Whatever bytes come in, jansson reads what goes out. */
static void json_strings_are_json(void **state)
{
    (void)state;
    for (int a = 1; a < 256; a++) {
        for (int b = 0; b < 256; b++) {
            char raw[4] = {(char)a, (char)b, 'x', 0};
            struct text text = {0};
            json_t *value;

            text_json(&text, raw);
            value = json_loadb(text.bytes, text.size, JSON_DECODE_ANY, NULL);
            if (!value)
                fail_msg("%02x %02x became %s", a, b, text.bytes);
            if (a >= 0x20 && a < 0x7f && b >= 0x20 && b < 0x7f)
                assert_string_equal(json_string_value(value), raw);
            json_decref(value);
            text_free(&text);
        }
    }
}

static void good_utf8_is_kept(void **state)
{
    static const char *const kept[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2"};
    static const char *const replaced[] = {"\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80",
                                           "\xe2\x82"};
    struct text text = {0};
    char quoted[16];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        text_json(&text, kept[i]);
        snprintf(quoted, sizeof(quoted), "\"%s\"", kept[i]);
        assert_string_equal(text.bytes, quoted);
        text.size = 0;
    }
    for (size_t i = 0; i < 4; i++) {
        text_json(&text, replaced[i]);
        assert_memory_equal(text.bytes, "\"\xef\xbf\xbd", 4);
        text.size = 0;
    }
    text_free(&text);
}

/* The examples of RFC 7396, appendix A, with an object on the left. */
static void merge_patches_merge(void **state)
{
    static const char *const cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"{\"e\":null}", "{\"a\":1}", "{\"a\":1,\"e\":null}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *target = json_loads(cases[i][0], 0, NULL);
        json_t *patch = json_loads(cases[i][1], 0, NULL);
        json_t *wanted = json_loads(cases[i][2], 0, NULL);

        json_merge(target, patch);
        if (!json_equal(target, wanted))
            fail_msg("case %zu", i);
        json_decref(target);
        json_decref(patch);
        json_decref(wanted);
    }
}

static void times_and_uuids(void **state)
{
    char time[TIME_SIZE];
    char uuid[UUID_SIZE];

    (void)state;
    time_format(1795248000123, time);
    assert_string_equal(time, "2026-11-21T08:00:00.123Z");
    uuid_make(uuid);
    assert_true(uuid_valid(uuid));
    assert_int_equal(uuid[14], '4');
    assert_false(uuid_valid("7c0b4c1e-8f5e-4d8e-9b36-0d5a3f1f2a1"));
    assert_false(uuid_valid("7C0B4C1E-8f5e-4d8e-9b36-0d5a3f1f2a10"));
    assert_false(uuid_valid("web"));
    assert_false(uuid_valid(""));
}

static void the_lesser_role_wins(void **state)
{
    (void)state;
    assert_int_equal(role_least(API_ROLE_ADMIN, API_ROLE_VIEWER), API_ROLE_VIEWER);
    assert_int_equal(role_least(API_ROLE_VIEWER, API_ROLE_ADMIN), API_ROLE_VIEWER);
    assert_int_equal(role_least(API_ROLE_OPERATOR, API_ROLE_CONSOLE), API_ROLE_CONSOLE);
    assert_int_equal(role_least(API_ROLE_VIEWER, API_ROLE_METRICS), API_ROLE_METRICS);
    assert_int_equal(role_least(API_ROLE_METRICS, API_ROLE_CONSOLE), API_ROLE_NONE);
    assert_int_equal(role_least(API_ROLE_NONE, API_ROLE_ADMIN), API_ROLE_NONE);
    assert_int_equal(role_parse("nobody"), API_ROLE_NONE);
    for (int role = API_ROLE_ADMIN; role <= API_ROLE_CONSOLE; role++) {
        assert_int_equal(role_parse(role_name((enum api_role)role)), role);
        assert_int_equal(role_least((enum api_role)role, (enum api_role)role), role);
    }
}

static void subnets(void **state)
{
    static const char *const bad[] = {"10.64.0.1/24", "10.64.0.0/7", "10.64.0.0/31", "10.64.0.0",
                                      "10.64.0/24",   "256.0.0.0/8", "10.64.0.0/x"};
    struct subnet a;
    struct subnet b;
    char text[INET_ADDRSTRLEN];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(subnet_parse(bad[i], &a));
    assert_true(subnet_parse("10.64.0.0/24", &a));
    assert_true(subnet_parse("10.64.0.128/25", &b));
    assert_true(subnet_overlaps(&a, &b));
    assert_true(subnet_overlaps(&b, &a));
    assert_true(subnet_parse("10.64.1.0/24", &b));
    assert_false(subnet_overlaps(&a, &b));
    address_format(a.address + 1, text);
    assert_string_equal(text, "10.64.0.1");
}

static bool run(const char *const *arguments, const char *input, int timeout_ms, char *output,
                char *problem, size_t size)
{
    struct command command = {
        .arguments = arguments, .input = input, .timeout_ms = timeout_ms, .output = output};

    return command_run(&command, problem, size);
}

static void commands_take_no_shell_and_end_in_time(void **state)
{
    char *output = calloc(1, COMMAND_OUTPUT);
    char problem[256] = "";
    int64_t start;

    (void)state;
    assert_true(run((const char *const[]){"echo", "$HOME; exit 1", NULL}, NULL, 5000, output,
                    problem, sizeof(problem)));
    assert_string_equal(output, "$HOME; exit 1");
    assert_true(
        run((const char *const[]){"cat", NULL}, "typed", 5000, output, problem, sizeof(problem)));
    assert_string_equal(output, "typed");
    assert_false(run((const char *const[]){"ls", "/nowhere", NULL}, NULL, 5000, NULL, problem,
                     sizeof(problem)));
    assert_non_null(strstr(problem, "No such file"));
    assert_false(run((const char *const[]){"no-such-program", NULL}, NULL, 5000, NULL, problem,
                     sizeof(problem)));
    assert_non_null(strstr(problem, "cannot run no-such-program"));
    start = time_monotonic();
    assert_false(
        run((const char *const[]){"sleep", "30", NULL}, NULL, 200, NULL, problem, sizeof(problem)));
    assert_true(time_monotonic() - start < 5000);
    assert_non_null(strstr(problem, "took longer"));
    free(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings_are_json),
        cmocka_unit_test(good_utf8_is_kept),
        cmocka_unit_test(merge_patches_merge),
        cmocka_unit_test(times_and_uuids),
        cmocka_unit_test(the_lesser_role_wins),
        cmocka_unit_test(subnets),
        cmocka_unit_test(commands_take_no_shell_and_end_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
