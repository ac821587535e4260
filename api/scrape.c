/* SPDX-License-Identifier: MIT */
/*
 * Metrics for whoever scrapes. A scrape that comes no longer after the last text was written than
 * writing it took gets the same text: so however many scrape at once, at most half of a processor
 * writes, and the text is in memory once. With few VMs that time is nothing, and each text is new.
 */
#include "api/exchange.h"
#include "api/metrics_text.h"

#include <stdlib.h>

struct scrape {
    _Atomic unsigned references; /* the cache's, and one of each answer under way */
    struct text text;
};

struct scrape_cache {
    pthread_mutex_t lock;
    struct scrape *last;
    int64_t good_until; /* microseconds */
};

static void scrape_release(void *context)
{
    struct scrape *scrape = context;
    if (scrape && atomic_fetch_sub(&scrape->references, 1) == 1) {
        text_free(&scrape->text);
        free(scrape);
    }
}

struct scrape_cache *scrape_cache_create(void)
{
    struct scrape_cache *cache = calloc(1, sizeof *cache);
    if (cache)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void scrape_cache_free(struct scrape_cache *cache)
{
    if (!cache)
        return;
    scrape_release(cache->last);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* The last text with a reference for the caller, or NULL when it is too old. */
static struct scrape *scrape_find(struct scrape_cache *cache)
{
    struct scrape *found = NULL;
    pthread_mutex_lock(&cache->lock);
    if (cache->last && clock_microseconds() < cache->good_until) {
        found = cache->last;
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static void scrape_keep(struct scrape_cache *cache, struct scrape *scrape, int64_t began)
{
    int64_t now = clock_microseconds();
    pthread_mutex_lock(&cache->lock);
    scrape_release(cache->last);
    atomic_fetch_add(&scrape->references, 1);
    cache->last = scrape;
    cache->good_until = now + (now - began);
    pthread_mutex_unlock(&cache->lock);
}

static struct scrape *scrape_write(struct api_server *server)
{
    struct scrape *scrape = calloc(1, sizeof *scrape);
    struct api_metrics metrics = {0};
    if (!scrape)
        return NULL;
    atomic_store(&scrape->references, 1);
    server->backend.metrics(server->backend.context, &metrics);
    observe_render(server, &metrics);
    text_puts(&metrics.text, "# EOF\n");
    scrape->text = metrics.text;
    if (!scrape->text.failed)
        return scrape;
    scrape_release(scrape);
    return NULL;
}

enum MHD_Result metrics_reply(struct exchange *exchange)
{
    struct scrape_cache *cache = exchange->server->scrapes;
    struct scrape *scrape = scrape_find(cache);
    if (!scrape) {
        int64_t began = clock_microseconds();
        scrape = scrape_write(exchange->server);
        if (!scrape)
            return MHD_NO;
        scrape_keep(cache, scrape, began);
    }
    exchange->sent = scrape->text.size;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        scrape->text.size, scrape->text.bytes, scrape_release, scrape);
    if (!response) {
        scrape_release(scrape);
        return MHD_NO;
    }
    return reply_response(exchange, MHD_HTTP_OK,
                          "application/openmetrics-text; version=1.0.0; charset=utf-8", response);
}
