/* SPDX-License-Identifier: MIT */
/*
 * The routes about the service itself: root, health, contract, documentation.
 */
#include "api/exchange.h"

#include <string.h>

extern const unsigned char contract_html[];
extern const size_t contract_html_size;

enum MHD_Result root_reply(struct exchange *exchange)
{
    static const char *const roles[] = {"none",   "admin",   "operator",
                                        "viewer", "metrics", "console"};
    static const char *const via[] = {"token", "certificate", "socket"};
    const struct api_caller *caller = &exchange->request.caller;
    struct text text = {0};
    text_puts(&text, "{\"version\":");
    text_json(&text, exchange->server->backend.version);
    text_puts(&text, ",\"caller\":{\"name\":");
    text_json(&text, caller->name);
    text_printf(&text, ",\"role\":\"%s\",\"via\":\"%s\",\"vm\":", roles[caller->role],
                via[caller->via]);
    if (*caller->vm)
        text_json(&text, caller->vm);
    else
        text_puts(&text, "null");
    text_puts(&text, "},\"paths\":[\"/v1/openapi.json\",\"/docs\",\"/metrics\"");
    for (size_t i = 1; i < API_COLLECTION_COUNT; i++)
        text_printf(&text, ",\"/v1/%s\"", contract_collections[i]);
    text_puts(&text, "]}\n");
    return reply_text(exchange, MHD_HTTP_OK, "application/json", &text);
}

struct health {
    struct text checks;
    bool failing;
};

static void add_check(void *context, const char *name, bool ok, const char *detail)
{
    struct health *health = context;
    text_puts(&health->checks, health->checks.size ? ",{\"name\":" : "{\"name\":");
    text_json(&health->checks, name);
    text_printf(&health->checks, ",\"ok\":%s,\"detail\":", ok ? "true" : "false");
    text_json(&health->checks, detail ? detail : "");
    text_puts(&health->checks, "}");
    health->failing |= !ok;
}

enum MHD_Result health_reply(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    struct health health = {0};
    struct text text = {0};
    if (exchange->request.route == API_READYZ_GET)
        backend->health(backend->context, add_check, &health);
    text_printf(&text, "{\"status\":\"%s\"", health.failing ? "failing" : "ok");
    if (exchange->query.verbose) {
        text_puts(&text, ",\"checks\":[");
        text_append(&text, health.checks.bytes, health.checks.size);
        text_puts(&text, "]");
    }
    text_puts(&text, "}\n");
    text_free(&health.checks);
    return reply_text(exchange, health.failing ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                      "application/json", &text);
}

enum MHD_Result contract_reply(struct exchange *exchange)
{
    return reply_static(exchange, MHD_HTTP_OK, "application/json", contract_json,
                        contract_json_size);
}

enum MHD_Result docs_reply(struct exchange *exchange)
{
    exchange->sent = contract_html_size;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        contract_html_size, (void *)(uintptr_t)contract_html, MHD_RESPMEM_PERSISTENT);
    if (response)
        reply_header(response, "Content-Security-Policy",
                     "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
                     "base-uri 'none'; form-action 'none'");
    return reply_response(exchange, MHD_HTTP_OK, "text/html; charset=utf-8", response);
}
