/* SPDX-License-Identifier: MIT */
#include "api/cli/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool client_open(struct client *client, struct context *context)
{
    client->context = context;
    client->curl = curl_easy_init();
    if (!client->curl)
        fprintf(stderr, "bh: libcurl does not start\n");
    return client->curl != NULL;
}

void client_close(struct client *client)
{
    curl_easy_cleanup(client->curl);
}

void client_prepare(const struct client *client, CURL *curl, const char *path)
{
    const struct context *context = client->context;
    char url[2048];
    snprintf(url, sizeof url, "%s%s", context->url ? context->url : "http://localhost", path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_VERBOSE, client->verbose ? 1L : 0L);
    if (context->socket)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, context->socket);
    if (context->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, context->ca);
    if (context->certificate)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, context->certificate);
    if (context->key)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, context->key);
}

struct curl_slist *client_headers(const struct client *client, const char *type)
{
    struct curl_slist *headers = NULL;
    char line[4096];
    if (client->context->token) {
        snprintf(line, sizeof line, "Authorization: Bearer %s", client->context->token);
        headers = curl_slist_append(headers, line);
    }
    if (type) {
        snprintf(line, sizeof line, "Content-Type: %s", type);
        headers = curl_slist_append(headers, line);
    }
    return curl_slist_append(headers, "Expect:");
}

size_t response_take(char *bytes, size_t one, size_t size, void *context)
{
    struct response *response = context;
    (void)one;
    char *grown = realloc(response->body, response->size + size + 1);
    if (!grown)
        return 0;
    memcpy(grown + response->size, bytes, size);
    response->body = grown;
    response->size += size;
    grown[response->size] = '\0';
    return size;
}

static size_t take_header(char *line, size_t one, size_t size, void *context)
{
    struct response *response = context;
    (void)one;
    if (size > 10 && strncasecmp(line, "Location: ", 10) == 0)
        snprintf(response->location, sizeof response->location, "%.*s",
                 (int)strcspn(line + 10, "\r\n"), line + 10);
    return size;
}

static int say_no_answer(const struct client *client, CURLcode code)
{
    const struct context *context = client->context;
    fprintf(stderr, "bh: no answer from %s: %s\n", context->url ? context->url : context->socket,
            curl_easy_strerror(code));
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        fprintf(stderr, "bh: give the host's authorities: bh context add NAME url=... ca=FILE\n");
    return 3;
}

bool client_send(struct client *client, const char *method, const char *path, const char *type,
                 const char *bytes, size_t size, struct response *response)
{
    CURL *curl = client->curl;
    struct curl_slist *headers = client_headers(client, type);
    *response = (struct response){0};
    curl_easy_reset(curl);
    client_prepare(client, curl, path);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, response_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, response);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, response);
    if (bytes || strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, bytes ? bytes : "");
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        say_no_answer(client, code);
        response_free(response);
        return false;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response->status);
    response->json = response->body ? json_loadb(response->body, response->size, 0, NULL) : NULL;
    return true;
}

bool client_call(struct client *client, const char *method, const char *path, const json_t *body,
                 struct response *response)
{
    char *bytes = body ? json_dumps(body, JSON_COMPACT) : NULL;
    bool good = client_send(client, method, path, body ? "application/json" : NULL, bytes,
                            bytes ? strlen(bytes) : 0, response);
    free(bytes);
    return good;
}

void response_free(struct response *response)
{
    free(response->body);
    json_decref(response->json);
    *response = (struct response){0};
}

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int client_complain(const struct response *response)
{
    const json_t *problem = response->json;
    const char *title = member(problem, "title"), *detail = member(problem, "detail");
    size_t i;
    json_t *fault;
    if (!title) {
        fprintf(stderr, "bh: the server answered %ld\n", response->status);
        return 1;
    }
    fprintf(stderr, "bh: %s: %s\n", title, detail ? detail : "");
    json_array_foreach(json_object_get(problem, "errors"), i, fault)
    {
        const char *place = member(fault, "pointer");
        const char *text = member(fault, "detail");
        if (!place)
            place = member(fault, "parameter");
        fprintf(stderr, "  %s: %s\n", place ? place : "", text ? text : "");
    }
    if (member(problem, "request_id"))
        fprintf(stderr, "  request %s\n", member(problem, "request_id"));
    return 1;
}
