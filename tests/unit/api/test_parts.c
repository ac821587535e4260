/* SPDX-License-Identifier: MIT */
/*
 * The parts of the server that are pure: routes, queries, schemas, JSON bytes, problems, metrics.
 */
#include "api/accept.h"
#include "api/contract.h"
#include "api/exchange.h"
#include "api/json_scan.h"
#include "api/log.h"
#include "api/metrics_text.h"
#include "api/schema.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- JSON bytes --- */

static void check_pick(const char *fields, const char *document, const char *expected)
{
    struct json_fields parsed;
    struct text out = {0};
    assert_true(json_fields_parse(&parsed, fields));
    json_fields_pick(&parsed, document, strlen(document), &out);
    assert_string_equal(out.bytes, expected);
    json_fields_free(&parsed);
    text_free(&out);
}

static void test_fields_are_picked(void **state)
{
    static const char document[] =
        "{\"a\":1,\"b\":{\"c\":\"x,}\\\"\",\"d\":[1,{\"e\":2}]},\"name\":\"\\u0041\",\"f\":null}";
    (void)state;
    check_pick("a", document, "{\"a\":1}");
    check_pick("f,a", document, "{\"a\":1,\"f\":null}");
    check_pick("b.c", document, "{\"b\":{\"c\":\"x,}\\\"\"}}");
    check_pick("b", document, "{\"b\":{\"c\":\"x,}\\\"\",\"d\":[1,{\"e\":2}]}}");
    check_pick("b.d,b.c", document, "{\"b\":{\"c\":\"x,}\\\"\",\"d\":[1,{\"e\":2}]}}");
    check_pick("nothing,a.b", document, "{}");
    check_pick("nam", document, "{}");
    check_pick("a", "{ \"a\" : 1 , \"b\" : 2 }", "{\"a\":1}");
    check_pick("a", "[1]", "[1]");
    check_pick("a", "{\"a\":", "{\"a\":");
}

static void test_the_wanted_form_is_chosen(void **state)
{
    static const char *const forms[] = {"application/json", "application/x-ndjson",
                                        "text/event-stream"};
    static const struct {
        const char *accept;
        int form;
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {" , ", 0},
        {"*/*", 0},
        {"application/*", 0},
        {"APPLICATION/X-NDJSON", 1},
        {"text/*", 2},
        {"text/html, application/xml;q=0.9, */*;q=0.8", 0},
        {"application/x-ndjson, */*", 1}, /* named wins over a star */
        {"application/x-ndjson;q=0.5, application/json", 0},
        {"application/json;q=0.1,application/x-ndjson ; q=0.2", 1},
        {"application/json;q=0, */*", 1},
        {"application/json;q=0.000", -1},
        {"application/json;q=0,application/x-ndjson;q=0.001", 1},
        {"text/event-stream;q=1.000, application/json;q=0.999", 2},
        {"application/json;charset=utf-8;q=0.2, text/*;q=0.3", 2},
        {"application/json;Q=0.2, text/event-stream;q=0.3", 2},
        {"application/json;q=high, application/x-ndjson;q=0.9", 0}, /* no quality: 1 */
        {"text/csv", -1},
        {"text/csv, image/*", -1},
        {"application/jsonx", -1},
        {"application/json;title=\"a, text/event-stream;q=1\";q=0.1, application/x-ndjson", 1},
        {"*/*;q=0", -1},
        {"json", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (accept_choose(cases[i].accept, forms, 3) != cases[i].form)
            fail_msg("%s: %d", cases[i].accept, accept_choose(cases[i].accept, forms, 3));
}

static void test_depth_is_measured(void **state)
{
    (void)state;
    assert_int_equal(json_scan_depth("1", 1), 0);
    assert_int_equal(json_scan_depth("{\"a\":[[]]}", 10), 3);
    assert_int_equal(json_scan_depth("\"[[[[\"", 6), 0);
    assert_int_equal(json_scan_depth("[[[[[", 5), 5);
    assert_int_equal(json_scan_depth("]]]]]", 5), 0);
    assert_int_equal(json_scan_depth("[\"a\\\"[\",[]]", 11), 2);
}

static void test_members_are_found(void **state)
{
    struct json_slice value;
    static const char document[] = "{\"x\":{\"sequence\":1},\"sequence\":22}";
    (void)state;
    assert_true(json_scan_member(document, strlen(document), "sequence", &value));
    assert_int_equal(value.size, 2);
    assert_memory_equal(value.bytes, "22", 2);
    assert_false(json_scan_member(document, strlen(document), "seq", &value));
    assert_false(json_scan_member("", 0, "a", &value));
}

static void test_strings_are_escaped(void **state)
{
    struct text out = {0};
    (void)state;
    text_json(&out, "a\"\\\n\x7f\xc3\xa9\xff\xed\xa0\x80");
    assert_string_equal(out.bytes, "\"a\\\"\\\\\\u000a\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef"
                                   "\xbf\xbd\xef\xbf\xbd\"");
    text_free(&out);
}

/* --- Routes --- */

static enum route_result find(const char *method, const char *path, struct route_match *match)
{
    return route_find(method, path, strlen(path), match);
}

static void test_routes_are_found(void **state)
{
    struct route_match match;
    (void)state;
    assert_int_equal(find("GET", "/v1/vms/web/snapshots/clean", &match), ROUTE_FOUND);
    assert_int_equal(route_id(match.route), API_SNAPSHOT_GET);
    assert_string_equal(match.name[0], "web");
    assert_string_equal(match.name[1], "clean");
    assert_int_equal(find("HEAD", "/v1/vms", &match), ROUTE_FOUND);
    assert_int_equal(route_id(match.route), API_VM_LIST);
    assert_int_equal(find("POST", "/v1/vms/start", &match), ROUTE_NO_METHOD);
    assert_int_equal(find("GET", "/v1/vms//console", &match), ROUTE_NO_PATH);
    assert_int_equal(find("GET", "/v1/vms/...", &match), ROUTE_NO_PATH);
    assert_int_equal(find("GET", "/v1/vms/A", &match), ROUTE_NO_PATH);
    assert_int_equal(find("GET", "", &match), ROUTE_NO_PATH);
}

static void test_names_have_a_limit(void **state)
{
    char path[128] = "/v1/vms/";
    struct route_match match;
    (void)state;
    memset(path + 8, 'a', 63);
    assert_int_equal(find("GET", path, &match), ROUTE_FOUND);
    path[8 + 63] = 'a';
    assert_int_equal(find("GET", path, &match), ROUTE_NO_PATH);
}

static void test_every_route_has_its_own_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < API_ROUTE_COUNT; i++) {
        char path[256];
        struct route_match match;
        size_t used = 0;
        for (const char *p = contract_routes[i].path; *p; p++) {
            if (*p == '{') {
                path[used++] = 'x';
                p = strchr(p, '}');
            } else {
                path[used++] = *p;
            }
        }
        path[used] = '\0';
        assert_int_equal(find(contract_routes[i].method, path, &match), ROUTE_FOUND);
        assert_int_equal(route_id(match.route), i);
        assert_int_not_equal(contract_routes[i].roles, 0);
    }
}

/* --- Queries --- */

static bool parse(enum api_route route, const char *text, struct query *query,
                  struct api_problem *problem)
{
    *problem = (struct api_problem){0};
    return query_parse(&contract_routes[route], text, query, problem);
}

static void test_queries_are_typed(void **state)
{
    struct query query;
    struct api_problem problem;
    (void)state;
    assert_true(parse(API_VM_LIST,
                      "limit=7&since=9&fields=name,status.state&filter=name=we*,state!=stopped",
                      &query, &problem));
    assert_int_equal(query.limit, 7);
    assert_true(query.has_since && query.since == 9);
    assert_string_equal(query.fields, "name,status.state");
    assert_int_equal(query.condition_count, 2);
    assert_string_equal(query.condition[0].column, "name");
    assert_string_equal(query.condition[0].value, "we");
    assert_true(query.condition[0].prefix && !query.condition[0].negated);
    assert_string_equal(query.condition[1].value, "stopped");
    assert_true(query.condition[1].negated);
    query_free(&query);
    assert_true(parse(API_VM_LIST, "filter=name%3Dweb%2A", &query, &problem));
    assert_true(query.condition[0].prefix);
    query_free(&query);
    assert_true(parse(API_VM_CREATE, "dry_run=true&wait=5", &query, &problem));
    assert_true(query.dry_run && query.wait == 5);
    query_free(&query);
    assert_true(parse(API_READYZ_GET, "verbose", &query, &problem));
    assert_true(query.verbose);
    query_free(&query);
}

static void test_wrong_queries_are_refused(void **state)
{
    static const char *const wrong[] = {
        "limit=0",      "limit=1001",       "limit=",
        "limit=1x",     "limit=%",          "a",
        "fields=",      "since=-1",         "limit=1&limit=1",
        "filter=name",  "filter==x",        "filter=",
        "fields=a%00b", "page_token=a%20b", "since=99999999999999999999"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct query query;
        struct api_problem problem;
        if (parse(API_VM_LIST, wrong[i], &query, &problem))
            fail_msg("%s was taken", wrong[i]);
        assert_int_equal(problem.type, API_PROBLEM_INVALID_PARAMETER);
        assert_int_equal(json_array_size(problem.errors), 1);
        query_free(&query);
        api_problem_clear(&problem);
    }
}

/* --- Schemas --- */

static void check_body(enum api_route route, const char *text, const char *pointer)
{
    struct api_problem problem = {0};
    json_t *body = json_loads(text, 0, NULL);
    assert_non_null(body);
    bool good = schema_check(contract_routes[route].body_schema, body, &problem);
    if (!pointer && !good)
        fail_msg("%s was refused", text);
    if (pointer) {
        if (good)
            fail_msg("%s was taken", text);
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(problem.errors, 0), "pointer")),
            pointer);
    }
    json_decref(body);
    api_problem_clear(&problem);
}

static void test_bodies_fit_their_schema(void **state)
{
    (void)state;
    check_body(API_VM_UPDATE, "{}", NULL);
    check_body(API_VM_UPDATE,
               "{\"description\":null,\"disks\":{\"data\":null,\"cd\":{\"image\":null}}}", NULL);
    check_body(API_VM_UPDATE, "{\"name\":null}", "/name");
    check_body(API_VM_UPDATE, "{\"uuid\":\"x\"}", "/uuid");
    check_body(API_VM_UPDATE, "{\"disks\":{\"Data\":null}}", "/disks/Data");
    check_body(API_VM_UPDATE, "{\"disks\":{\"a/b\":{}}}", "/disks/a~1b");
    check_body(API_VM_UPDATE, "{\"nics\":{\"lan\":{\"mac\":\"01:00:00:00:00:01\"}}}",
               "/nics/lan/mac");
    check_body(API_VM_UPDATE, "{\"tags\":[\"ok\",\"not ok\"]}", "/tags/1");
    check_body(API_VM_UPDATE, "{\"processors\":{\"count\":1.0}}", "/processors/count");
    check_body(API_VM_UPDATE, "{\"processors\":{\"weight\":10001}}", "/processors/weight");
    check_body(API_VM_UPDATE, "{\"memory\":{\"size\":\"64MiB\"}}", NULL);
    check_body(API_VM_UPDATE, "{\"memory\":{\"size\":\"64KiB\"}}", "/memory/size");
    check_body(API_VM_UPDATE, "{\"memory\":{\"size\":\"64 MiB\"}}", "/memory/size");
    check_body(API_VM_UPDATE, "{\"restart\":{\"policy\":\"sometimes\"}}", "/restart/policy");
    check_body(API_DISK_UPDATE, "{\"format\":\"raw\"}", "/format");
    check_body(API_TOKEN_CREATE, "{\"name\":\"ci\",\"role\":\"admin\",\"lifetime\":60}", NULL);
    check_body(API_TOKEN_CREATE, "{\"name\":\"ci\"}", "/role");
}

static void test_sizes_are_read(void **state)
{
    int64_t bytes;
    (void)state;
    assert_true(schema_parse_bytes("1KiB", &bytes) && bytes == 1024);
    assert_true(schema_parse_bytes("8388607TiB", &bytes) && bytes == (INT64_C(8388607) << 40));
    assert_false(schema_parse_bytes("8388608TiB", &bytes));
    assert_false(schema_parse_bytes("0KiB", &bytes));
    assert_false(schema_parse_bytes("-1KiB", &bytes));
    assert_false(schema_parse_bytes("1", &bytes));
    assert_false(schema_parse_bytes("1KiBx", &bytes));
    assert_false(schema_parse_bytes("99999999999999999999GiB", &bytes));
}

/* --- Problems, metrics, limits --- */

static void test_problems_are_documents(void **state)
{
    struct api_problem problem = {0};
    struct text out = {0};
    (void)state;
    api_problem_set(&problem, API_PROBLEM_NAME_TAKEN, "A VM named %s exists", "web\"");
    api_problem_point(&problem, "/name", "is taken");
    strcpy(problem.holder, "7c0b4c1e-8f5e-4d8e-9b36-0d5a3f1f2a10");
    api_problem_render(&problem, "/v1/vms", "id-1", &out);
    json_t *document = json_loadb(out.bytes, out.size, 0, NULL);
    assert_non_null(document);
    assert_string_equal(json_string_value(json_object_get(document, "type")),
                        "/docs#problem-name-taken");
    assert_int_equal(json_integer_value(json_object_get(document, "status")), 409);
    assert_string_equal(json_string_value(json_object_get(document, "detail")),
                        "A VM named web\" exists. Choose another name.");
    assert_int_equal(json_array_size(json_object_get(document, "errors")), 1);
    json_decref(document);
    text_free(&out);
    api_problem_clear(&problem);
}

static void test_problems_are_bounded(void **state)
{
    struct api_problem problem = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        api_problem_point(&problem, "/a", "%d", i);
    api_problem_point(&problem, "/\xff", "bad");
    assert_int_equal(json_array_size(problem.errors), 64);
    api_problem_clear(&problem);
}

static void test_metrics_are_openmetrics(void **state)
{
    struct api_metrics metrics = {0};
    (void)state;
    api_metrics_family(&metrics, "bulkhead_x_seconds", "gauge", "seconds", "A\nB");
    api_metrics_real(&metrics, "", NULL, 0.25);
    api_metrics_integer(&metrics, "_total", (struct api_label[]){{"a", "1"}, {"b", "\\\"\n"}, {0}},
                        3);
    assert_string_equal(metrics.text.bytes,
                        "# TYPE bulkhead_x_seconds gauge\n"
                        "# UNIT bulkhead_x_seconds seconds\n"
                        "# HELP bulkhead_x_seconds A\\nB\n"
                        "bulkhead_x_seconds 0.25\n"
                        "bulkhead_x_seconds_total{a=\"1\",b=\"\\\\\\\"\\n\"} 3\n");
    text_free(&metrics.text);
}

static void test_buckets_are_separate(void **state)
{
    struct limiter *limiter = limiter_create(1, 2);
    unsigned wait = 0;
    (void)state;
    assert_true(limiter_take(limiter, "a", &wait) && limiter_take(limiter, "a", &wait));
    assert_false(limiter_take(limiter, "a", &wait));
    assert_in_range(wait, 1, 2);
    assert_true(limiter_take(limiter, "b", &wait));
    limiter_free(limiter);
    limiter = limiter_create(UINT_MAX, 1);
    for (int i = 0; i < 100; i++)
        assert_true(limiter_take(limiter, "a", &wait));
    limiter_free(limiter);
}

static void test_keyboards_have_one_holder(void **state)
{
    const struct api_caller alice = {.name = "user:alice"}, bob = {.name = "user:bob"};
    int first, second;
    (void)state;
    assert_true(keyboard_may_type("vm", &bob));
    assert_true(keyboard_hold("vm", &first, &alice, false));
    assert_false(keyboard_hold("vm", &second, &bob, false));
    assert_true(keyboard_may_type("vm", &alice));
    assert_false(keyboard_may_type("vm", &bob));
    assert_true(keyboard_hold("other", &second, &bob, false));
    assert_true(keyboard_hold("vm", &second, &bob, true));
    assert_false(keyboard_is_held_by("vm", &first));
    keyboard_release("vm", &first);
    assert_true(keyboard_is_held_by("vm", &second));
    keyboard_release("vm", &second);
    keyboard_release("other", &second);
    assert_true(keyboard_may_type("vm", &alice));
}

static int prepare(void **state)
{
    (void)state;
    return schema_prepare() ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_picked),
        cmocka_unit_test(test_the_wanted_form_is_chosen),
        cmocka_unit_test(test_depth_is_measured),
        cmocka_unit_test(test_members_are_found),
        cmocka_unit_test(test_strings_are_escaped),
        cmocka_unit_test(test_routes_are_found),
        cmocka_unit_test(test_names_have_a_limit),
        cmocka_unit_test(test_every_route_has_its_own_place),
        cmocka_unit_test(test_queries_are_typed),
        cmocka_unit_test(test_wrong_queries_are_refused),
        cmocka_unit_test(test_bodies_fit_their_schema),
        cmocka_unit_test(test_sizes_are_read),
        cmocka_unit_test(test_problems_are_documents),
        cmocka_unit_test(test_problems_are_bounded),
        cmocka_unit_test(test_metrics_are_openmetrics),
        cmocka_unit_test(test_buckets_are_separate),
        cmocka_unit_test(test_keyboards_have_one_holder),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
