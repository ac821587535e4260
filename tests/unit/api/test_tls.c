/* SPDX-License-Identifier: MIT */
/*
 * The server's TLS, seen by a GnuTLS client.
 */
#include "fake.h"
#include "fake_certificate.h"
#include "fake_certificate_new.h"
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake fake;

struct client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static int connect_to_server(void)
{
    const struct timeval limit = {.tv_sec = 5};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(api_server_port(fake.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int client_open(struct client *client, const char *priorities, bool with_certificate)
{
    const gnutls_datum_t certificate = {(unsigned char *)(uintptr_t)fake_certificate,
                                        sizeof fake_certificate - 1};
    const gnutls_datum_t key = {(unsigned char *)(uintptr_t)fake_key, sizeof fake_key - 1};
    client->fd = connect_to_server();
    gnutls_certificate_allocate_credentials(&client->credentials);
    if (with_certificate)
        assert_int_equal(gnutls_certificate_set_x509_key_mem(client->credentials, &certificate,
                                                             &key, GNUTLS_X509_FMT_PEM),
                         0);
    gnutls_init(&client->session, GNUTLS_CLIENT);
    gnutls_priority_set_direct(client->session, priorities, NULL);
    gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE, client->credentials);
    gnutls_transport_set_int(client->session, client->fd);
    int result;
    do
        result = gnutls_handshake(client->session);
    while (result < 0 && !gnutls_error_is_fatal(result) && result != GNUTLS_E_AGAIN);
    return result;
}

static void client_close(struct client *client)
{
    gnutls_deinit(client->session);
    gnutls_certificate_free_credentials(client->credentials);
    close(client->fd);
}

/* Read until at least so many bytes are there; returns what is there. */
static size_t client_read(struct client *client, char *out, size_t have, size_t wanted)
{
    while (have < wanted) {
        ssize_t got = gnutls_record_recv(client->session, out + have, wanted - have);
        if (got > 0)
            have += (size_t)got;
        else if (got != GNUTLS_E_AGAIN && got != GNUTLS_E_INTERRUPTED)
            break;
    }
    return have;
}

/* Send a request and read the whole answer; its status, or 0. */
static int client_ask(struct client *client, const char *request)
{
    static char answer[65536];
    size_t have = 0;
    memset(answer, 0, sizeof answer);
    if (gnutls_record_send(client->session, request, strlen(request)) < 0)
        return 0;
    while (!strstr(answer, "\r\n\r\n") && client_read(client, answer, have, have + 1) > have)
        have++;
    const char *length = strstr(answer, "Content-Length: ");
    if (have < 12)
        return 0;
    if (length)
        client_read(client, answer, have, have + strtoul(length + 16, NULL, 10));
    return (int)strtol(answer + 9, NULL, 10);
}

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

static int try_priorities(const char *priorities)
{
    struct client client;
    int result = client_open(&client, priorities, false);
    client_close(&client);
    return result;
}

static void test_only_good_versions_and_ciphers(void **state)
{
    (void)state;
    assert_int_equal(try_priorities("NORMAL:-VERS-ALL:+VERS-TLS1.3"), 0);
    assert_int_equal(try_priorities("NORMAL:-VERS-ALL:+VERS-TLS1.2"), 0);
    assert_int_not_equal(try_priorities("NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"), 0);
    assert_int_not_equal(try_priorities("NORMAL:-VERS-ALL:+VERS-TLS1.0:%COMPAT"), 0);
    assert_int_not_equal(
        try_priorities("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC:+AES-256-CBC"), 0);
    assert_int_not_equal(try_priorities("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA"), 0);
}

static void test_identity_is_needed(void **state)
{
    struct client client;
    (void)state;
    assert_int_equal(client_open(&client, "NORMAL", false), 0);
    assert_int_equal(client_ask(&client, "GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
    assert_int_equal(client_ask(&client, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_int_equal(
        client_ask(&client, "GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer viewer\r\n\r\n"),
        200);
    client_close(&client);
}

static void test_certificates_are_judged_by_the_backend(void **state)
{
    struct client client;
    (void)state;
    atomic_store(&fake_trusts_certificates, true);
    assert_int_equal(client_open(&client, "NORMAL", true), 0);
    assert_int_equal(client_ask(&client, "GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    atomic_store(&fake_trusts_certificates, false);
    api_server_trust_changed(fake.server);
    assert_int_equal(client_ask(&client, "GET /v1 HTTP/1.1\r\nHost: a\r\n\r\n"), 401);
    assert_int_equal(
        client_ask(&client, "GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer bad\r\n\r\n"),
        401);
    client_close(&client);
}

static void test_the_certificate_can_be_exchanged(void **state)
{
    struct client old, new;
    unsigned count;
    (void)state;
    assert_int_equal(client_open(&old, "NORMAL", false), 0);
    gnutls_datum_t before = *gnutls_certificate_get_peers(old.session, &count);
    assert_false(api_server_set_certificate(fake.server, fake_certificate_new, fake_key));
    assert_true(api_server_set_certificate(fake.server, fake_certificate_new, fake_key_new));
    assert_int_equal(client_open(&new, "NORMAL", false), 0);
    gnutls_datum_t after = *gnutls_certificate_get_peers(new.session, &count);
    assert_true(before.size != after.size || memcmp(before.data, after.data, after.size) != 0);
    assert_int_equal(client_ask(&old, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_int_equal(client_ask(&new, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    client_close(&old);
    client_close(&new);
}

static void test_renegotiation_is_refused(void **state)
{
    struct client client;
    (void)state;
    assert_int_equal(client_open(&client, "NORMAL:-VERS-ALL:+VERS-TLS1.2", false), 0);
    assert_int_equal(client_ask(&client, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_int_not_equal(gnutls_handshake(client.session), 0);
    client_close(&client);
}

/* A WebSocket and a stream over TLS go through other code of the library. */
static void test_streams_over_tls(void **state)
{
    struct client client;
    (void)state;
    assert_int_equal(client_open(&client, "NORMAL", false), 0);
    assert_int_equal(
        client_ask(&client,
                   "GET /v1/vms/web/console HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer viewer\r\n"
                   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
        101);
    char frame[16] = "";
    fake_print(&fake, "hello");
    assert_int_equal(client_read(&client, frame, 0, 7), 7);
    assert_memory_equal(frame, "\x82\x05hello", 7);
    client_close(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_only_good_versions_and_ciphers),
        TEST(test_identity_is_needed),
        TEST(test_certificates_are_judged_by_the_backend),
        TEST(test_the_certificate_can_be_exchanged),
        TEST(test_renegotiation_is_refused),
        TEST(test_streams_over_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
