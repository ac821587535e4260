/* SPDX-License-Identifier: MIT */
/*
 * What can be seen of the server itself: one log line and one observation a request.
 */
#include "api/exchange.h"
#include "api/log.h"
#include "api/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Upper bounds of the latency buckets in microseconds; the last is without bound. */
static const int64_t bounds[LATENCY_BUCKETS - 1] = {
    100, 500, 1000, 5000, 10000, 50000, 100000, 500000, 1000000, 5000000, 30000000};

static void count(struct route_statistics *statistics, int status, int64_t microseconds)
{
    int class = status / 100;
    unsigned bucket = 0;
    if (class < 1 || class >= STATUS_CLASSES)
        class = 0;
    while (bucket < LATENCY_BUCKETS - 1 && microseconds > bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&statistics->count[class], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&statistics->bucket[class][bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&statistics->microseconds[class], (uint64_t)microseconds,
                              memory_order_relaxed);
}

static void write_access_line(const struct exchange *exchange, int64_t microseconds)
{
    static const char *const via[] = {"token", "certificate", "socket"};
    struct text line = {0};
    char now[32], path[160];
    const struct api_caller *caller = &exchange->request.caller;
    clock_text(now);
    snprintf(path, sizeof path, "%.*s", (int)exchange->path_size, exchange->target);
    text_printf(
        &line,
        "{\"time\":\"%s\",\"level\":\"info\",\"msg\":\"request\",\"request_id\":\"%s\",\"method\":",
        now, exchange->request_id);
    text_json(&line, *exchange->method ? exchange->method : "-");
    text_puts(&line, ",\"path\":");
    text_json(&line, path);
    text_printf(&line,
                ",\"status\":%d,\"bytes\":%" PRIu64 ",\"duration_seconds\":%.6f,\"address\":\"%s\"",
                exchange->status, exchange->sent, (double)microseconds / 1e6,
                exchange->connection->address);
    if (*caller->name) {
        text_puts(&line, ",\"actor\":");
        text_json(&line, caller->name);
        text_printf(&line, ",\"via\":\"%s\"", via[caller->via]);
    }
    if (*exchange->answer.operation)
        text_printf(&line, ",\"operation\":\"%s\"", exchange->answer.operation);
    if (exchange->request.traceparent)
        text_printf(&line, ",\"trace_id\":\"%.32s\"", exchange->traceparent + 3);
    text_append(&line, "}", 1);
    if (!line.failed)
        log_line(line.bytes, line.size);
    text_free(&line);
}

void observe_exchange(struct exchange *exchange)
{
    int64_t microseconds = clock_microseconds() - exchange->started;
    size_t route =
        exchange->match.route ? (size_t)route_id(exchange->match.route) : API_ROUTE_COUNT;
    count(&exchange->server->statistics[route], exchange->status, microseconds);
    write_access_line(exchange, microseconds);
}

static void render_histogram(struct api_metrics *metrics, struct route_statistics *statistics,
                             const struct contract_route *route)
{
    static const char *const codes[STATUS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *path = route ? route->path : "none";
    const char *method = route ? route->method : "none";
    for (unsigned class = 0; class < STATUS_CLASSES; class ++) {
        uint64_t sum = 0;
        if (!atomic_load(&statistics->count[class]))
            continue;
        for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
            char le[24] = "+Inf";
            if (i < LATENCY_BUCKETS - 1)
                snprintf(le, sizeof le, "%.9g", (double)bounds[i] / 1e6);
            sum += atomic_load_explicit(&statistics->bucket[class][i], memory_order_relaxed);
            api_metrics_integer(
                metrics, "_bucket",
                (struct api_label[]){
                    {"route", path}, {"method", method}, {"code", codes[class]}, {"le", le}, {0}},
                sum);
        }
        const struct api_label labels[] = {
            {"route", path}, {"method", method}, {"code", codes[class]}, {0}};
        api_metrics_integer(metrics, "_count", labels, sum);
        api_metrics_real(metrics, "_sum", labels,
                         (double)atomic_load(&statistics->microseconds[class]) / 1e6);
    }
}

void observe_render(struct api_server *server, struct api_metrics *metrics)
{
    api_metrics_family(
        metrics, "bulkhead_api_request_duration_seconds", "histogram", "seconds",
        "Time from a request's first line to its end, by route, method and kind of status");
    for (size_t i = 0; i <= API_ROUTE_COUNT; i++)
        render_histogram(metrics, &server->statistics[i],
                         i < API_ROUTE_COUNT ? &contract_routes[i] : NULL);
    api_metrics_family(metrics, "bulkhead_api_connections", "gauge", "", "Open connections");
    api_metrics_integer(metrics, "", NULL, atomic_load(&server->connection_count));
    api_metrics_family(metrics, "bulkhead_api_requests_waiting", "gauge", "",
                       "Requests that wait for an operation or a commit");
    api_metrics_integer(metrics, "", NULL, atomic_load(&server->outstanding));
    api_metrics_family(metrics, "bulkhead_event_subscribers", "gauge", "",
                       "Open event and console streams");
    api_metrics_integer(metrics, "", NULL,
                        stream_count(server->streams) + socket_count(server->sockets));
    api_metrics_family(metrics, "bulkhead_event_subscribers_refused", "counter", "",
                       "Streams refused because too many were open");
    api_metrics_integer(metrics, "_total", NULL, stream_dropped(server->streams));
}
