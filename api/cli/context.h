/* SPDX-License-Identifier: MIT */
/*
 * Where the server is and how to show who one is.
 *
 * In this order: the environment (BULKHEAD_URL or BULKHEAD_SOCKET, with BULKHEAD_TOKEN,
 * BULKHEAD_CA, BULKHEAD_CERTIFICATE, BULKHEAD_KEY), the context chosen with --context or
 * BULKHEAD_CONTEXT, the file's current context, and at last the local UNIX socket. The file holds
 * secrets: one that others may read is refused.
 */
#ifndef BULKHEAD_CLI_CONTEXT_H
#define BULKHEAD_CLI_CONTEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTEXT_LOCAL_SOCKET "/run/bulkhead/api.sock"

struct context {
    char *url;         /* https://host:port, or NULL with a socket */
    char *socket;      /* path of the UNIX socket, or NULL */
    char *token;       /* or NULL */
    char *ca;          /* path of the authorities in PEM, or NULL */
    char *certificate; /* path of the client certificate in PEM, or NULL */
    char *key;         /* path of its key, or NULL */
};

/* Find the context. name: from --context, or NULL. False: said why on standard error. */
bool context_find(const char *name, struct context *context);
void context_free(struct context *context);

/* The context commands: list; add NAME key=value...; use NAME; remove NAME. Returns the exit
 * status. */
int context_command(int count, char **words);

#endif
