/* SPDX-License-Identifier: MIT */
/*
 * Connections and their deadlines. The library closes a connection that says nothing; it lets one
 * live that says a byte now and then (slow loris). So each step has a deadline here, and a
 * connection that misses it is shut down by the ticker.
 */
#include "api/exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void connection_expect(struct connection *connection, unsigned seconds)
{
    atomic_store(&connection->deadline,
                 seconds ? clock_milliseconds() + 1000 * (int64_t)seconds : 0);
}

static void describe_peer(struct connection *connection, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    const char *name = NULL;
    if (address && address->sa_family == AF_INET)
        name = inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                         connection->address, sizeof connection->address);
    else if (address && address->sa_family == AF_INET6)
        name = inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
                         connection->address, sizeof connection->address);
    if (!name)
        snprintf(connection->address, sizeof connection->address, "local");
}

static void describe_local_peer(struct connection *connection)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    connection->uid = (uid_t)-1;
    connection->gid = (gid_t)-1;
    if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0) {
        connection->uid = peer.uid;
        connection->gid = peer.gid;
    }
}

static struct connection *connection_create(struct api_server *server, struct MHD_Connection *mhd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    connection->server = server;
    connection->fd = fd ? fd->connect_fd : -1;
    connection->is_local = !tls || !tls->tls_session;
    describe_peer(connection, mhd);
    if (connection->is_local)
        describe_local_peer(connection);
    else
        tls_ask_for_certificate(mhd, server);
    connection_expect(connection, server->limits.request_seconds);
    return connection;
}

static void connection_insert(struct api_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->connections_lock);
    connection->next = server->connections;
    if (connection->next)
        connection->next->previous = connection;
    server->connections = connection;
    pthread_mutex_unlock(&server->connections_lock);
    atomic_fetch_add(&server->connection_count, 1);
}

static void connection_remove(struct api_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->connections_lock);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    pthread_mutex_unlock(&server->connections_lock);
    atomic_fetch_sub(&server->connection_count, 1);
}

void connection_notify(void *context, struct MHD_Connection *mhd, void **state,
                       enum MHD_ConnectionNotificationCode code)
{
    struct api_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct connection *connection = connection_create(server, mhd);
        if (connection)
            connection_insert(server, connection);
        *state = connection;
    } else if (*state) {
        connection_remove(server, *state);
        free(*state);
        *state = NULL;
    }
}

void connection_tick(struct api_server *server)
{
    int64_t now = clock_milliseconds();
    pthread_mutex_lock(&server->connections_lock);
    for (struct connection *c = server->connections; c; c = c->next) {
        int64_t deadline = atomic_load(&c->deadline);
        if (deadline && now > deadline)
            shutdown(c->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->connections_lock);
}
