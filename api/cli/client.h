/* SPDX-License-Identifier: MIT */
/*
 * Calls of the API by libcurl, one at a time over one kept connection.
 */
#ifndef BULKHEAD_CLI_CLIENT_H
#define BULKHEAD_CLI_CLIENT_H

#include "api/cli/context.h"
#include <curl/curl.h>
#include <stdint.h>

struct client {
    CURL *curl;
    struct context *context;
    bool verbose;
};

struct response {
    long status; /* 0: no answer */
    char *body;  /* ends with NUL */
    size_t size;
    char location[256]; /* of the header Location, or empty */
    json_t *json;       /* of a JSON body, or NULL */
};

bool client_open(struct client *client, struct context *context);
void client_close(struct client *client);

/* Call. body: JSON to send, or NULL. False: said on standard error that there was no answer. */
bool client_call(struct client *client, const char *method, const char *path, const json_t *body,
                 struct response *response);
/* The same with raw bytes. */
bool client_send(struct client *client, const char *method, const char *path, const char *type,
                 const char *bytes, size_t size, struct response *response);
void response_free(struct response *response);
/* Adds bytes to the body: curl's CURLOPT_WRITEFUNCTION, with a struct response as its data. */
size_t response_take(char *bytes, size_t one, size_t size, void *response);

/* Say a refusal on standard error, each field with its pointer. Returns the exit status, 1. */
int client_complain(const struct response *response);

/* Set up a handle of one's own for this context: address, identity, trust. */
void client_prepare(const struct client *client, CURL *curl, const char *path);
/* The headers for such a handle; free with curl_slist_free_all(). */
struct curl_slist *client_headers(const struct client *client, const char *type);

#endif
