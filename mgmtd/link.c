/* SPDX-License-Identifier: MIT */
/* The way from the daemon's parts to the API's server. */
#include "mgmtd/link.h"

void link_set(struct daemon *daemon, struct api_server *server)
{
    pthread_rwlock_wrlock(&daemon->server_lock);
    daemon->server = server;
    pthread_rwlock_unlock(&daemon->server_lock);
}

struct api_server *link_take(struct daemon *daemon)
{
    struct api_server *server;

    pthread_rwlock_wrlock(&daemon->server_lock);
    server = daemon->server;
    daemon->server = NULL;
    pthread_rwlock_unlock(&daemon->server_lock);
    return server;
}

void link_events_advanced(struct daemon *daemon)
{
    pthread_rwlock_rdlock(&daemon->server_lock);
    if (daemon->server)
        api_server_events_advanced(daemon->server);
    pthread_rwlock_unlock(&daemon->server_lock);
}

void link_console_advanced(struct daemon *daemon, const char *vm_id)
{
    pthread_rwlock_rdlock(&daemon->server_lock);
    if (daemon->server)
        api_server_console_advanced(daemon->server, vm_id);
    pthread_rwlock_unlock(&daemon->server_lock);
}

void link_trust_changed(struct daemon *daemon)
{
    pthread_rwlock_rdlock(&daemon->server_lock);
    if (daemon->server)
        api_server_trust_changed(daemon->server);
    pthread_rwlock_unlock(&daemon->server_lock);
}

bool link_use_certificate(struct daemon *daemon, const char *chain, const char *key)
{
    bool used = true;

    pthread_rwlock_rdlock(&daemon->server_lock);
    if (daemon->server)
        used = api_server_set_certificate(daemon->server, chain, key);
    pthread_rwlock_unlock(&daemon->server_lock);
    return used;
}
