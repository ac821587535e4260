/* SPDX-License-Identifier: MIT */
/*
 * The server over its UNIX socket, with raw HTTP, against a backend in memory.
 */
#include "fake.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake fake;
static char answer[65536];

static int start(void **state)
{
    (void)state;
    fake_start(&fake, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fake_stop(&fake);
    return 0;
}

/* One request with these header lines and body; the answer is in `answer`. */
static int ask(const char *line, const char *headers, const char *body)
{
    char request[8192];
    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: localhost\r\n%s", line, headers);
    if (body)
        snprintf(request + strlen(request), sizeof request - strlen(request),
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    snprintf(request + strlen(request), sizeof request - strlen(request), "\r\n%s",
             body ? body : "");
    fake_exchange(&fake, request, answer, sizeof answer);
    return strlen(answer) > 12 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

static int raw(const char *request)
{
    fake_exchange(&fake, request, answer, sizeof answer);
    return strlen(answer) > 12 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

#define assert_has(text)   assert_non_null(strstr(answer, text))
#define assert_lacks(text) assert_null(strstr(answer, text))

static void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

/* --- Routing and refusal --- */

static void test_root_says_who_calls(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1", "", NULL), 200);
    assert_has("\"role\":\"admin\",\"via\":\"socket\"");
    assert_int_equal(ask("GET /v1", "Authorization: Bearer viewer\r\n", NULL), 200);
    assert_has("\"name\":\"user:viewer\",\"role\":\"viewer\",\"via\":\"token\"");
}

static void test_unknown_paths_and_methods(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v2", "", NULL), 404);
    assert_has("application/problem+json");
    assert_has("#problem-no-such-route");
    assert_int_equal(ask("GET /v1/vms/..", "", NULL), 404);
    assert_int_equal(ask("GET /v1/vms/%2e%2e", "", NULL), 404);
    assert_int_equal(ask("GET /v1/vms/web/", "", NULL), 404);
    assert_int_equal(ask("DELETE /v1/vms", "", NULL), 405);
    assert_has("Allow: GET, HEAD, POST");
    assert_int_equal(ask("TRACE /v1/vms", "", NULL), 405);
}

static void test_wrong_token_is_never_ignored(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/vms", "Authorization: Bearer nobody\r\n", NULL), 401);
    assert_has("WWW-Authenticate: Bearer");
    assert_int_equal(ask("GET /v1/vms", "Authorization: Basic YTpi\r\n", NULL), 401);
    assert_int_equal(ask("GET /livez", "Authorization: Bearer nobody\r\n", NULL), 200);
}

static void test_roles(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/vms", "Authorization: Bearer metrics\r\n", NULL), 403);
    assert_int_equal(ask("GET /metrics", "Authorization: Bearer metrics\r\n", NULL), 200);
    assert_int_equal(ask("POST /v1/vms/web/start", "Authorization: Bearer viewer\r\n", NULL), 403);
    assert_int_equal(ask("POST /v1/vms/web/start", "Authorization: Bearer operator\r\n", NULL),
                     200);
    assert_int_equal(ask("GET /v1/users", "Authorization: Bearer operator\r\n", NULL), 403);
    assert_int_equal(ask("GET /v1/vms/web/console", "Authorization: Bearer console\r\n", NULL),
                     200);
    assert_int_equal(ask("GET /v1/vms", "Authorization: Bearer console\r\n", NULL), 403);
}

static void test_unknown_parameters(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/vms?recursion=1&limit=x", "", NULL), 400);
    assert_has("\"parameter\":\"recursion\"");
    assert_has("\"parameter\":\"limit\"");
    assert_int_equal(ask("GET /v1/vms?limit=1&limit=2", "", NULL), 400);
    assert_int_equal(ask("GET /v1/vms?limit=%zz", "", NULL), 400);
    assert_int_equal(ask("GET /v1/vms?filter=colour=red", "", NULL), 400);
    assert_has("there are name, state");
    assert_int_equal(ask("GET /v1/vms?page_token=bad", "", NULL), 400);
}

static void test_bodies_are_checked(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /v1/vms", "", "{\"name\":"), 400);
    assert_has("#problem-invalid-json");
    assert_int_equal(ask("POST /v1/vms", "", "[1]"), 400);
    assert_int_equal(
        ask("POST /v1/vms", "", "{\"name\":\"a\",\"name\":\"b\",\"memory\":{\"size\":1048576}}"),
        400);
    assert_int_equal(
        ask("POST /v1/vms", "",
            "{\"name\":\"Web\",\"memory\":{\"sise\":1},\"processors\":{\"count\":\"2\"}}"),
        422);
    assert_has("\"pointer\":\"/name\"");
    assert_has("\"pointer\":\"/memory/sise\"");
    assert_has("\"pointer\":\"/memory/size\"");
    assert_has("\"pointer\":\"/processors/count\"");
    assert_int_equal(
        ask("POST /v1/vms", "", "{\"name\":\"web\",\"memory\":{\"size\":\"2GiB\"},\"status\":{}}"),
        422);
    assert_has("\"pointer\":\"/status\"");
    assert_int_equal(ask("POST /v1/vms", "", NULL), 400);
    assert_int_equal(ask("POST /v1/vms/web/start", "", "{}"), 400);
    assert_has("takes no body");
}

static void test_deep_bodies_are_refused(void **state)
{
    char body[256] = "";
    (void)state;
    memset(body, '[', 100);
    assert_int_equal(ask("POST /v1/vms", "", body), 400);
    assert_has("nests deeper");
}

static void test_media_types(void **state)
{
    (void)state;
    assert_int_equal(raw("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"), 415);
    assert_int_equal(raw("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Type: "
                         "text/plain\r\nContent-Length: 2\r\n\r\n{}"),
                     415);
    assert_int_equal(
        raw("POST /v1/vms HTTP/1.1\r\nHost: x\r\nContent-Type: "
            "application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
        415);
    assert_int_equal(raw("PATCH /v1/vms/web HTTP/1.1\r\nHost: x\r\nContent-Type: "
                         "application/merge-patch+json\r\nContent-Length: 2\r\n\r\n{}"),
                     200);
    assert_int_equal(ask("PATCH /v1/vms/web", "", "{\"disks\":{\"data\":null}}"), 200);
    assert_int_equal(ask("GET /v1/vms", "Accept: text/csv\r\n", NULL), 406);
}

static void test_sizes_become_integers(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /v1/vms", "", "{\"name\":\"web\",\"memory\":{\"size\":\"2GiB\"}}"),
                     201);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(fake_body, "memory"), "size")),
        2147483648);
    assert_int_equal(
        ask("POST /v1/vms", "", "{\"name\":\"web\",\"memory\":{\"size\":\"9999999TiB\"}}"), 422);
    assert_int_equal(ask("POST /v1/vms", "", "{\"name\":\"web\",\"memory\":{\"size\":\"2GB\"}}"),
                     422);
}

/* --- Framing: what a proxy and a server could read differently --- */

static void test_smuggling_is_refused(void **state)
{
    static const char *const requests[] = {
        "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 30\r\n\r\nGET /v1 "
        "HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST /v1/vms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
        "5\r\n\r\n0\r\n\r\n",
        "POST /v1/vms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/vms HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
        "identity\r\n\r\n0\r\n\r\n",
        "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\nhello",
        "GET /v1 HTTP/1.1\r\n\r\n",
        "GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        "GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer admin\r\nAuthorization: Bearer "
        "viewer\r\n\r\n",
        "GET http://other/v1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /v1/vms HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int status = raw(requests[i]);
        if (status != 400)
            print_error("%s -> %s\n", requests[i], answer);
        assert_int_equal(status, 400);
        assert_lacks("HTTP/1.1 200");
        const char *id = strstr(answer, "X-Request-Id");     /* the library's own answer has none */
        assert_true(!id || !strstr(id + 1, "X-Request-Id")); /* one request was seen, not two */
    }
}

/* The library itself refuses these, in its own words. */
static void test_the_library_refuses_bad_lengths(void **state)
{
    (void)state;
    assert_int_equal(raw("GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), 400);
    assert_has("Connection: close");
}

static void test_a_refused_patch_does_not_become_a_request(void **state)
{
    (void)state;
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "PATCH /v1/nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                  "Content-Length: 31\r\n\r\nGET /v1 HTTP/1.1\r\nHost: evil\r\n\r\n"
                  "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    fake_read_until(fd, answer, sizeof answer, NULL);
    close(fd);
    assert_has("404");
    assert_has("\"status\":\"ok\"");
    assert_lacks("\"caller\"");
}

static void test_large_requests_are_refused(void **state)
{
    static char request[40000];
    (void)state;
    int used = snprintf(request, sizeof request, "GET /v1 HTTP/1.1\r\nHost: a\r\nX-Long: ");
    memset(request + used, 'a', 20000);
    memcpy(request + used + 20000, "\r\n\r\n", 5);
    assert_int_equal(raw(request), 431);
    used = snprintf(request, sizeof request, "GET /v1 HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 80; i++)
        used += snprintf(request + used, sizeof request - (size_t)used, "X-H%d: 1\r\n", i);
    memcpy(request + used, "\r\n", 3);
    assert_int_equal(raw(request), 431);
    assert_int_equal(raw("POST /v1/vms HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                         "Content-Length: 99999999\r\n\r\n"),
                     413);
    assert_has("Connection: close");
}

static void test_foreign_pages_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1", "Origin: https://evil.example\r\n", NULL), 403);
    assert_int_equal(ask("GET /v1", "Origin: https://localhost\r\n", NULL), 200);
}

/* --- Changes --- */

static void test_slow_answers_do_not_block(void **state)
{
    (void)state;
    atomic_store(&fake_delay_ms, 300);
    int slow = fake_connect(&fake);
    fake_send(slow, "POST /v1/vms/web/start HTTP/1.1\r\nHost: a\r\n\r\n");
    pause_ms(50);
    assert_int_equal(ask("GET /livez", "", NULL), 200);
    answer[0] = '\0';
    assert_true(fake_read_until(slow, answer, sizeof answer, "\"status\""));
    assert_has("HTTP/1.1 200");
    close(slow);
}

static void test_etags(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/vms/web", "", NULL), 200);
    assert_has("ETag: \"spec-1.7\"");
    assert_int_equal(ask("GET /v1/vms/web", "If-None-Match: \"x\", W/\"spec-1.7\"\r\n", NULL), 304);
    assert_int_equal(ask("GET /v1/vms/web", "If-None-Match: \"spec-1.8\"\r\n", NULL), 200);
    assert_int_equal(ask("PATCH /v1/vms/web", "If-Match: \"spec-1.3\"\r\n", "{}"), 200);
    assert_int_equal(ask("PATCH /v1/vms/web", "If-Match: \"spec-2.7\"\r\n", "{}"), 412);
    assert_int_equal(ask("PATCH /v1/vms/web", "If-Match: spec-1\r\n", "{}"), 400);
    assert_int_equal(ask("GET /v1/vms/missing", "", NULL), 404);
}

static void test_fields_of_one_object(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/vms/web?fields=name,status.state", "", NULL), 200);
    assert_has("{\"name\":\"web\",\"status\":{\"state\":\"stopped\"}}");
}

static void test_request_ids(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/nothing", "X-Request-Id: my-id.1\r\n", NULL), 404);
    assert_has("X-Request-Id: my-id.1");
    assert_has("\"request_id\":\"my-id.1\"");
    assert_int_equal(ask("GET /v1", "X-Request-Id: a\"b\r\n", NULL), 200);
    assert_lacks("a\"b");
}

/* --- Lists --- */

static void test_lists(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /v1/vms", "", NULL), 200);
    assert_has("{\"items\":[{");
    assert_has("],\"next\":null,\"total_estimate\":3,\"sequence\":42}");
    assert_int_equal(ask("GET /v1/vms?limit=2&fields=name", "", NULL), 200);
    assert_has("{\"items\":[{\"name\":\"db\"},{\"name\":\"mail\"}],\"next\":\"more\"");
    assert_int_equal(ask("GET /v1/vms?filter=name=web&fields=name", "", NULL), 200);
    assert_has("{\"items\":[{\"name\":\"web\"}],");
    assert_int_equal(ask("GET /v1/vms?since=3&fields=name&limit=1", "", NULL), 200);
    assert_has("\"deleted\":[{\"name\":\"old\"}]");
    assert_int_equal(ask("GET /v1/vms?fields=name", "Accept: application/x-ndjson\r\n", NULL), 200);
    assert_has("{\"name\":\"db\"}\n{\"name\":\"mail\"}\n{\"name\":\"web\"}\n");
}

static void test_lists_are_not_sent_twice(void **state)
{
    char etag[64] = "", header[128];
    (void)state;
    assert_int_equal(ask("GET /v1/vms", "", NULL), 200);
    sscanf(strstr(answer, "ETag: "), "ETag: %63s", etag);
    snprintf(header, sizeof header, "If-None-Match: %s\r\n", etag);
    unsigned before = atomic_load(&fake_lists);
    assert_int_equal(ask("GET /v1/vms", header, NULL), 304);
    assert_int_equal(atomic_load(&fake_lists), before);
    fake_change();
    assert_int_equal(ask("GET /v1/vms", header, NULL), 200);
    assert_int_equal(atomic_load(&fake_lists), before + 1);
}

/* --- Streams --- */

static void test_event_stream_resumes(void **state)
{
    (void)state;
    fake_event(&fake, "vm.created");
    fake_event(&fake, "vm.started");
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "GET /v1/events HTTP/1.1\r\nHost: a\r\nAccept: "
                  "text/event-stream\r\nLast-Event-ID: 1\r\n\r\n");
    assert_true(fake_read_until(fd, answer, sizeof answer, "id: 2\nevent: vm.started\ndata: {"));
    assert_lacks("id: 1\n");
    fake_event(&fake, "vm.stopped");
    assert_true(fake_read_until(fd, answer, sizeof answer, "id: 3\nevent: vm.stopped\n"));
    close(fd);
}

static void test_trimmed_history_is_said(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        fake_event(&fake, "vm.created");
    fake_trim(4);
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd,
              "GET /v1/events?since=1 HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    assert_true(fake_read_until(fd, answer, sizeof answer, "id: 5\n"));
    assert_has("event: trimmed\ndata: {\"sequence\":4,");
    assert_true(strstr(answer, "event: trimmed") < strstr(answer, "id: 4\n"));
    close(fd);
    assert_int_equal(ask("GET /v1/events?since=1", "", NULL), 410);
    assert_has("\"oldest\":4");
    assert_int_equal(ask("GET /v1/events?since=4&fields=sequence", "", NULL), 200);
    assert_has("{\"items\":[{\"sequence\":5}],");
}

static void test_numbers_of_no_event_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        fake_event(&fake, "vm.created");
    assert_int_equal(ask("GET /v1/events?since=4", "", NULL), 410);
    assert_has("#problem-unknown-sequence\"");
    assert_has("There is no event 4 here; the newest is 3.");
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "GET /v1/events HTTP/1.1\r\nHost: a\r\nAccept: "
                  "text/event-stream\r\nLast-Event-ID: 99\r\n\r\n");
    assert_true(fake_read_until(fd, answer, sizeof answer, "\"snapshot\":\"/v1/vms\"}}\n\n"));
    assert_has("id: 3\nevent: trimmed\ndata: {\"sequence\":3,");
    fake_event(&fake, "vm.started");
    assert_true(fake_read_until(fd, answer, sizeof answer, "id: 4\nevent: vm.started\n"));
    assert_lacks("id: 1\n");
    close(fd);
}

static void test_revoked_streams_end(void **state)
{
    (void)state;
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "GET /v1/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    assert_true(fake_read_until(fd, answer, sizeof answer, "retry:"));
    atomic_store(&fake_revoked, true);
    api_server_trust_changed(fake.server);
    assert_true(fake_read_until(fd, answer, sizeof answer, "\r\n0\r\n"));
    close(fd);
}

static void test_console_is_a_log(void **state)
{
    (void)state;
    fake_print(&fake, "hello, ");
    fake_print(&fake, "world");
    assert_int_equal(ask("GET /v1/vms/web/console", "", NULL), 200);
    assert_has("\r\n\r\nhello, world");
    assert_has("Console-Next: 12");
    assert_int_equal(ask("GET /v1/vms/web/console?offset=7&limit=3", "", NULL), 200);
    assert_has("\r\n\r\nwor");
    assert_int_equal(ask("GET /v1/vms/web/console?offset=-2", "", NULL), 200);
    assert_has("\r\n\r\nld");
    assert_int_equal(ask("GET /v1/vms/other/console", "", NULL), 404);
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "GET /v1/vms/web/console?offset=7&follow=true HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(fake_read_until(fd, answer, sizeof answer, "world"));
    fake_print(&fake, "!again");
    assert_true(fake_read_until(fd, answer, sizeof answer, "!again"));
    close(fd);
}

static void test_one_types(void **state)
{
    (void)state;
    assert_int_equal(
        raw("POST /v1/vms/web/console HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nls\n"), 204);
    assert_string_equal(fake_typed, "ls\n");
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "GET /v1/vms/web/console?follow=true&write=true HTTP/1.1\r\nHost: a\r\n"
                  "Authorization: Bearer operator\r\n\r\n");
    assert_true(fake_read_until(fd, answer, sizeof answer, "\r\n\r\n"));
    assert_int_equal(
        raw("POST /v1/vms/web/console HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"), 409);
    assert_has("#problem-console-held");
    assert_int_equal(
        raw("POST /v1/vms/web/console HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer operator\r\n"
            "Content-Length: 1\r\n\r\nx"),
        204);
    close(fd);
    assert_int_equal(
        ask("GET /v1/vms/web/console?write=true", "Authorization: Bearer viewer\r\n", NULL), 403);
}

#define HANDSHAKE                                                                  \
    " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
    "Sec-WebSocket-Protocol: bulkhead.console\r\n\r\n"

static void test_websocket(void **state)
{
    /* "ok" as a masked binary frame with the mask 0 */
    static const char frame[] = "\x82\x82\0\0\0\0ok";
    (void)state;
    fake_print(&fake, "login: ");
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "GET /v1/vms/web/console?write=true" HANDSHAKE);
    assert_true(fake_read_until(fd, answer, sizeof answer, "\x82\x07login: "));
    assert_has("101 Switching Protocols");
    assert_has("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(send(fd, frame, sizeof frame - 1, 0), sizeof frame - 1);
    fake_print(&fake, "more");
    assert_true(fake_read_until(fd, answer, sizeof answer, "\x82\x04more"));
    for (int i = 0; i < 100 && strcmp(fake_typed, "ok") != 0; i++)
        pause_ms(20);
    assert_string_equal(fake_typed, "ok");
    int second = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(second, "GET /v1/vms/web/console?write=true" HANDSHAKE);
    assert_true(fake_read_until(second, answer, sizeof answer, "console-held"));
    close(second);
    atomic_store(&fake_revoked, true);
    api_server_trust_changed(fake.server);
    assert_false(fake_read_until(fd, answer, sizeof answer, "never comes"));
    close(fd);
    assert_int_equal(raw("GET /v1/vms/web/console HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\nSec-WebSocket-Version: 8\r\n\r\n"),
                     400);
}

static void test_upload(void **state)
{
    (void)state;
    assert_int_equal(
        raw("PUT /v1/images/a/content HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nimage"), 200);
    assert_string_equal(fake_uploaded, "image");
    assert_int_equal(fake_upload_total, 5);
    assert_int_equal(
        raw("PUT /v1/images/a/content HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
        200);
    assert_string_equal(fake_uploaded, "abcde");
    assert_int_equal(fake_upload_total, -1);
    assert_int_equal(
        raw("PUT /v1/images/a/content HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 5-9/10\r\n"
            "Content-Length: 5\r\n\r\nimage"),
        200);
    assert_int_equal(fake_upload_offset, 5);
    assert_int_equal(fake_upload_total, 10);
    assert_int_equal(
        raw("PUT /v1/images/a/content HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 5-8/10\r\n"
            "Content-Length: 5\r\n\r\nimage"),
        416);
    assert_int_equal(
        raw("PUT /v1/images/a/content HTTP/1.1\r\nHost: a\r\nContent-Range: bytes 500-504/510\r\n"
            "Content-Length: 5\r\n\r\nimage"),
        416);
    int fd = fake_connect(&fake);
    fake_send(fd, "PUT /v1/images/a/content HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\npart");
    pause_ms(100);
    close(fd);
    for (int i = 0; i < 100 && strcmp(fake_uploaded, "aborted") != 0; i++)
        pause_ms(20);
    assert_string_equal(fake_uploaded, "aborted");
}

/* --- Service --- */

static void test_health_and_metrics(void **state)
{
    (void)state;
    assert_int_equal(ask("GET /readyz?verbose", "", NULL), 200);
    assert_has("\"checks\":[{\"name\":\"database\",\"ok\":true");
    atomic_store(&fake_revoked, true);
    assert_int_equal(ask("GET /readyz", "", NULL), 503);
    assert_int_equal(ask("GET /livez", "", NULL), 200);
    assert_int_equal(ask("GET /metrics", "", NULL), 200);
    assert_has("bulkhead_vm_info_info{name=\"we\\\"b\\n\"} 1\n");
    assert_has("bulkhead_api_request_duration_seconds_count{route=\"/"
               "readyz\",method=\"GET\",code=\"5xx\"} 1\n");
    assert_has("# EOF\n");
    assert_int_equal(ask("GET /docs", "", NULL), 200);
    assert_has("Content-Security-Policy: default-src 'none'");
    assert_int_equal(ask("GET /v1/openapi.json", "", NULL), 200);
    assert_has("\"openapi\":\"3.1.0\"");
}

/* Asks until a text is written anew: the one before is shared for as long as it took. */
static void ask_for_new_metrics(void)
{
    unsigned before = atomic_load(&fake_scrapes);
    for (int i = 0; i < 200 && atomic_load(&fake_scrapes) == before; i++) {
        pause_ms(20);
        assert_int_equal(ask("GET /metrics", "", NULL), 200);
    }
    assert_int_equal(atomic_load(&fake_scrapes), before + 1);
}

static void test_metrics_that_take_long_are_shared(void **state)
{
    (void)state;
    unsigned before = atomic_load(&fake_scrapes);
    for (int i = 0; i < 3; i++)
        ask_for_new_metrics();
    assert_int_equal(atomic_load(&fake_scrapes), before + 3);
    pause_ms(100);
    atomic_store(&fake_scrape_ms, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask("GET /metrics", "", NULL), 200);
    atomic_store(&fake_scrape_ms, 0);
    assert_int_equal(atomic_load(&fake_scrapes), before + 4);
    assert_has("# EOF\n");
    ask_for_new_metrics();
}

static void test_head_has_no_body(void **state)
{
    (void)state;
    int fd = fake_connect(&fake);
    answer[0] = '\0';
    fake_send(fd, "HEAD /v1/vms HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_false(fake_read_until(fd, answer, sizeof answer, "items"));
    assert_has("HTTP/1.1 200");
    assert_has("ETag: ");
    close(fd);
}

static void test_rate_is_limited(void **state)
{
    const struct api_limits limits = {.requests_per_second = 1, .burst = 3};
    int refused = 0;
    (void)state;
    fake_stop(&fake);
    fake_start(&fake, &limits);
    for (int i = 0; i < 6; i++)
        refused += ask("GET /v1", "", NULL) == 429;
    assert_in_range(refused, 2, 3);
    assert_has("Retry-After: ");
    assert_int_equal(ask("GET /v1", "Authorization: Bearer viewer\r\n", NULL), 200);
}

static void test_slow_requests_are_cut(void **state)
{
    const struct api_limits limits = {.request_seconds = 1};
    char byte[2] = "x";
    (void)state;
    fake_stop(&fake);
    fake_start(&fake, &limits);
    int fd = fake_connect(&fake);
    fake_send(fd, "GET /v1 HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    time_t begun = time(NULL);
    while (send(fd, byte, 1, MSG_NOSIGNAL) == 1 && time(NULL) - begun < 10)
        pause_ms(100);
    assert_true(time(NULL) - begun < 6);
    close(fd);
}

static void test_stop_ends_open_streams(void **state)
{
    (void)state;
    int events = fake_connect(&fake), console = fake_connect(&fake), socket = fake_connect(&fake);
    int waiting = fake_connect(&fake);
    atomic_store(&fake_delay_ms, 300);
    answer[0] = '\0';
    fake_send(events, "GET /v1/events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    assert_true(fake_read_until(events, answer, sizeof answer, "retry"));
    fake_send(console, "GET /v1/vms/web/console?follow=true HTTP/1.1\r\nHost: a\r\n\r\n");
    fake_send(socket, "GET /v1/vms/web/console" HANDSHAKE);
    fake_send(waiting, "POST /v1/vms/web/start HTTP/1.1\r\nHost: a\r\n\r\n");
    pause_ms(100);
    fake_stop(&fake);
    fake_start(&fake, NULL);
    close(events), close(console), close(socket), close(waiting);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_root_says_who_calls),
        TEST(test_unknown_paths_and_methods),
        TEST(test_wrong_token_is_never_ignored),
        TEST(test_roles),
        TEST(test_unknown_parameters),
        TEST(test_bodies_are_checked),
        TEST(test_deep_bodies_are_refused),
        TEST(test_media_types),
        TEST(test_sizes_become_integers),
        TEST(test_smuggling_is_refused),
        TEST(test_the_library_refuses_bad_lengths),
        TEST(test_a_refused_patch_does_not_become_a_request),
        TEST(test_large_requests_are_refused),
        TEST(test_foreign_pages_are_refused),
        TEST(test_slow_answers_do_not_block),
        TEST(test_etags),
        TEST(test_fields_of_one_object),
        TEST(test_request_ids),
        TEST(test_lists),
        TEST(test_lists_are_not_sent_twice),
        TEST(test_event_stream_resumes),
        TEST(test_trimmed_history_is_said),
        TEST(test_numbers_of_no_event_are_refused),
        TEST(test_revoked_streams_end),
        TEST(test_console_is_a_log),
        TEST(test_one_types),
        TEST(test_websocket),
        TEST(test_upload),
        TEST(test_health_and_metrics),
        TEST(test_metrics_that_take_long_are_shared),
        TEST(test_head_has_no_body),
        TEST(test_rate_is_limited),
        TEST(test_slow_requests_are_cut),
        TEST(test_stop_ends_open_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
