/* SPDX-License-Identifier: MIT */
/*
 * The transport's TLS, by the HTTP library's GnuTLS: TLS 1.2 and 1.3, forward secrecy and
 * authenticated encryption only, no renegotiation. A client certificate is asked for and never
 * judged here; the backend judges it. The server's own certificate can be exchanged while serving.
 */
#include "api/exchange.h"
#include "api/log.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLS_PRIORITIES                                                                   \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:" \
    "+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE"

enum { MAX_CHAIN = 8 };

struct tls_identity {
    struct tls_identity *older;
    gnutls_pcert_st chain[MAX_CHAIN];
    unsigned chain_size;
    gnutls_privkey_t key;
};

/* Does the key belong to the certificate? */
static bool key_fits(const struct tls_identity *identity)
{
    unsigned char of_key[64], of_certificate[64];
    size_t key_size = sizeof of_key, certificate_size = sizeof of_certificate;
    gnutls_pubkey_t public;
    if (gnutls_pubkey_init(&public) < 0)
        return false;
    bool fits = gnutls_pubkey_import_privkey(public, identity->key, 0, 0) == 0 &&
                gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, of_key, &key_size) == 0 &&
                gnutls_pubkey_get_key_id(identity->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256,
                                         of_certificate, &certificate_size) == 0 &&
                key_size == certificate_size && memcmp(of_key, of_certificate, key_size) == 0;
    gnutls_pubkey_deinit(public);
    return fits;
}

struct tls_identity *tls_identity_create(const char *certificate, const char *key,
                                         struct tls_identity *older)
{
    gnutls_datum_t chain = {(unsigned char *)(uintptr_t)certificate, (unsigned)strlen(certificate)};
    gnutls_datum_t secret = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
    struct tls_identity *identity = calloc(1, sizeof *identity);
    if (!identity)
        return NULL;
    unsigned size = MAX_CHAIN;
    if (gnutls_pcert_list_import_x509_raw(identity->chain, &size, &chain, GNUTLS_X509_FMT_PEM, 0) <
        0) {
        free(identity);
        return NULL;
    }
    identity->chain_size = size;
    if (gnutls_privkey_init(&identity->key) < 0 ||
        gnutls_privkey_import_x509_raw(identity->key, &secret, GNUTLS_X509_FMT_PEM, NULL, 0) < 0 ||
        !key_fits(identity)) {
        tls_identity_free(identity);
        return NULL;
    }
    identity->older = older;
    return identity;
}

void tls_identity_free(struct tls_identity *identity)
{
    while (identity) {
        struct tls_identity *older = identity->older;
        for (unsigned i = 0; i < identity->chain_size; i++)
            gnutls_pcert_deinit(&identity->chain[i]);
        if (identity->key)
            gnutls_privkey_deinit(identity->key);
        free(identity);
        identity = older;
    }
}

/* GnuTLS asks which certificate to show. The session leads to the connection's server. */
static int retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
                    const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                    gnutls_pcert_st **chain, unsigned *chain_size, gnutls_privkey_t *key)
{
    (void)authorities, (void)count, (void)algorithms, (void)algorithm_count;
    struct api_server *server = gnutls_db_get_ptr(session);
    if (!server)
        return -1;
    struct tls_identity *identity = atomic_load(&server->identity);
    *chain = identity->chain;
    *chain_size = identity->chain_size;
    *key = identity->key;
    return 0;
}

static gnutls_session_t session_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info ? info->tls_session : NULL;
}

void tls_ask_for_certificate(struct MHD_Connection *mhd, struct api_server *server)
{
    gnutls_session_t session = session_of(mhd);
    if (!session)
        return;
    gnutls_db_set_ptr(session, server); /* for retrieve(); sessions are not cached */
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    gnutls_certificate_send_x509_rdn_sequence(session, 1); /* do not name authorities */
}

const unsigned char *tls_peer_certificate(struct MHD_Connection *mhd, size_t *size)
{
    gnutls_session_t session = session_of(mhd);
    unsigned count = 0;
    if (!session)
        return NULL;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    if (!chain || !count)
        return NULL;
    *size = chain[0].size;
    return chain[0].data;
}

/* The library's own complaints, mostly about broken connections. */
static void __attribute__((format(printf, 2, 0)))
library_log(void *context, const char *format, va_list arguments)
{
    char message[512];
    (void)context;
    vsnprintf(message, sizeof message, format, arguments);
    message[strcspn(message, "\r\n")] = '\0';
    log_write(LOG_LEVEL_DEBUG, message, NULL);
}

static bool parse_address(const char *text, uint16_t port, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)address;
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return true;
    }
    return false;
}

struct MHD_Daemon *tls_daemon_start(struct api_server *server, const struct api_options *options,
                                    char *error, size_t size)
{
    struct sockaddr_storage address;
    const struct api_limits *limits = &server->limits;
    if (!parse_address(options->address, options->port, &address)) {
        snprintf(error, size, "%s is not a numeric IP address", options->address);
        return NULL;
    }
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG |
                     (address.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0u);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, options->port, NULL, NULL, exchange_handle, server, MHD_OPTION_EXTERNAL_LOGGER,
        library_log, NULL, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_HTTPS_PRIORITIES,
        TLS_PRIORITIES, MHD_OPTION_HTTPS_CERT_CALLBACK, retrieve, MHD_OPTION_THREAD_POOL_SIZE,
        limits->threads, MHD_OPTION_CONNECTION_LIMIT, limits->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, limits->connections_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, limits->idle_seconds, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_create, server, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_end, server, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, server,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!daemon)
        snprintf(error, size, "cannot serve HTTPS on %s port %u: is it in use?", options->address,
                 options->port);
    return daemon;
}

struct MHD_Daemon *local_daemon_start(struct api_server *server, int listener, char *error,
                                      size_t size)
{
    const struct api_limits *limits = &server->limits;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, exchange_handle, server, MHD_OPTION_EXTERNAL_LOGGER, library_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_CONNECTION_LIMIT, limits->connections,
        MHD_OPTION_CONNECTION_TIMEOUT, limits->idle_seconds, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, exchange_create, server, MHD_OPTION_NOTIFY_COMPLETED,
        exchange_end, server, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, server,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!daemon)
        snprintf(error, size, "cannot serve the UNIX socket");
    return daemon;
}
