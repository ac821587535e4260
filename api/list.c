/* SPDX-License-Identifier: MIT */
/*
 * Lists: stored documents put one after another, never parsed. The collection's version is the
 * ETag.
 *
 * The last pages rendered are kept for a moment, so that many clients polling one list cost one
 * rendering a change. A page is shared by reference count: the cache holds one, each answer under
 * way another.
 */
#include "api/accept.h"
#include "api/exchange.h"
#include "api/json_scan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_PAGES = 32, CACHE_BYTES = 12 << 20, CACHE_PAGE_BYTES = 4 << 20, CACHE_MS = 1000 };

struct page {
    _Atomic unsigned references;
    struct text text;
    uint64_t sequence;
    char next[API_PAGE_SIZE];
};

struct cache_entry {
    struct page *page;
    char *key;
    uint64_t version;
    int64_t made_at;
};

struct list_cache {
    pthread_mutex_t lock;
    struct cache_entry entry[CACHE_PAGES];
    size_t bytes;
};

static void page_release(struct page *page)
{
    if (page && atomic_fetch_sub(&page->references, 1) == 1) {
        text_free(&page->text);
        free(page);
    }
}

static void page_release_callback(void *page)
{
    page_release(page);
}

struct list_cache *list_cache_create(void)
{
    struct list_cache *cache = calloc(1, sizeof *cache);
    if (cache)
        pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

static void cache_drop(struct list_cache *cache, struct cache_entry *entry)
{
    if (!entry->page)
        return;
    cache->bytes -= entry->page->text.room;
    page_release(entry->page);
    free(entry->key);
    *entry = (struct cache_entry){0};
}

void list_cache_free(struct list_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < CACHE_PAGES; i++)
        cache_drop(cache, &cache->entry[i]);
    free(cache);
}

/* A fresh page of this key and version, with a reference for the caller, or NULL. */
static struct page *cache_find(struct list_cache *cache, const char *key, uint64_t version)
{
    struct page *found = NULL;
    int64_t now = clock_milliseconds();
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < CACHE_PAGES && !found; i++) {
        struct cache_entry *entry = &cache->entry[i];
        if (!entry->page || strcmp(entry->key, key) != 0)
            continue;
        if (entry->version == version && now - entry->made_at < CACHE_MS) {
            found = entry->page;
            atomic_fetch_add(&found->references, 1);
        } else {
            cache_drop(cache, entry);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

static struct cache_entry *cache_oldest(struct list_cache *cache)
{
    struct cache_entry *oldest = &cache->entry[0];
    for (size_t i = 0; i < CACHE_PAGES; i++) {
        if (!cache->entry[i].page)
            return &cache->entry[i];
        if (cache->entry[i].made_at < oldest->made_at)
            oldest = &cache->entry[i];
    }
    return oldest;
}

static void cache_store(struct list_cache *cache, const char *key, uint64_t version,
                        struct page *page)
{
    if (page->text.room > CACHE_PAGE_BYTES)
        return;
    char *copy = strdup(key);
    if (!copy)
        return;
    pthread_mutex_lock(&cache->lock);
    struct cache_entry *entry = cache_oldest(cache);
    cache_drop(cache, entry);
    for (size_t i = 0; i < CACHE_PAGES && cache->bytes + page->text.room > CACHE_BYTES; i++)
        cache_drop(cache, &cache->entry[i]);
    atomic_fetch_add(&page->references, 1);
    *entry = (struct cache_entry){page, copy, version, clock_milliseconds()};
    cache->bytes += page->text.room;
    pthread_mutex_unlock(&cache->lock);
}

/* --- Rendering --- */

struct rendering {
    struct text *out;
    struct text deleted;
    const struct json_fields *fields;
    bool lines; /* NDJSON */
    size_t items;
};

static void render_row(void *context, enum api_row_kind kind, const char *bytes, size_t size)
{
    struct rendering *rendering = context;
    struct text *out = rendering->out;
    if (kind == API_ROW_DELETED && !rendering->lines) {
        text_append(&rendering->deleted, ",", rendering->deleted.size ? 1 : 0);
        text_append(&rendering->deleted, bytes, size);
        return;
    }
    if (!rendering->lines && rendering->items)
        text_append(out, ",", 1);
    if (kind == API_ROW_DELETED)
        text_puts(out, "{\"deleted\":");
    if (kind == API_ROW_ITEM && rendering->fields)
        json_fields_pick(rendering->fields, bytes, size, out);
    else
        text_append(out, bytes, size);
    if (kind == API_ROW_DELETED)
        text_append(out, "}", 1);
    if (rendering->lines)
        text_append(out, "\n", 1);
    rendering->items++;
}

static void render_end(struct rendering *rendering, const struct api_page *page, bool has_since)
{
    struct text *out = rendering->out;
    if (rendering->lines)
        return;
    text_puts(out, "],\"next\":");
    if (*page->next)
        text_json(out, page->next);
    else
        text_puts(out, "null");
    text_printf(out, ",\"total_estimate\":%" PRIu64 ",\"sequence\":%" PRIu64, page->total,
                page->sequence);
    if (has_since) {
        text_puts(out, ",\"deleted\":[");
        text_append(out, rendering->deleted.bytes, rendering->deleted.size);
        text_append(out, "]", 1);
    }
    text_puts(out, "}\n");
}

static struct api_list_query list_query(const struct exchange *exchange)
{
    const struct query *query = &exchange->query;
    return (struct api_list_query){.collection = exchange->match.route->collection,
                                   .limit = query->limit,
                                   .page_token = query->page_token,
                                   .has_since = query->has_since,
                                   .since = query->since,
                                   .condition_count = query->condition_count,
                                   .conditions = query->condition};
}

/* Ask the backend for the rows. NULL: the problem says why, or there is no memory. */
static struct page *render(struct exchange *exchange, bool lines)
{
    struct api_backend *backend = &exchange->server->backend;
    struct api_list_query query = list_query(exchange);
    struct api_page end = {0};
    struct json_fields fields = {0};
    struct page *page = calloc(1, sizeof *page);
    if (!page)
        return NULL;
    struct rendering rendering = {.out = &page->text, .lines = lines};
    if (exchange->query.fields && json_fields_parse(&fields, exchange->query.fields))
        rendering.fields = &fields;
    atomic_store(&page->references, 1);
    text_puts(&page->text, lines ? "" : "{\"items\":[");
    bool good = backend->list(backend->context, &exchange->request, &query, render_row, &rendering,
                              &end, &exchange->problem);
    if (good)
        render_end(&rendering, &end, query.has_since);
    page->sequence = end.sequence;
    memcpy(page->next, end.next, sizeof page->next);
    text_free(&rendering.deleted);
    json_fields_free(&fields);
    if (good && !page->text.failed)
        return page;
    page_release(page);
    return NULL;
}

/* --- Answering --- */

static enum MHD_Result reply_page(struct exchange *exchange, struct page *page, const char *etag,
                                  bool lines)
{
    char text[API_ETAG_SIZE + 64];
    exchange->sent = page->text.size;
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        page->text.size, page->text.bytes, page_release_callback, page);
    if (!response) {
        page_release(page);
        return MHD_NO;
    }
    snprintf(text, sizeof text, "\"%s\"", etag);
    reply_header(response, "ETag", text);
    snprintf(text, sizeof text, "%" PRIu64, page->sequence);
    reply_header(response, "Sequence", text);
    reply_header(response, "Vary", "Accept");
    if (*page->next)
        reply_header(response, "Next-Page-Token", page->next);
    return reply_response(exchange, MHD_HTTP_OK,
                          lines ? "application/x-ndjson" : "application/json", response);
}

/* Which form does Accept want? False: neither. */
static bool negotiate(struct exchange *exchange, bool *lines)
{
    static const char *const forms[] = {"application/json", "application/x-ndjson"};
    const char *accept = MHD_lookup_connection_value(exchange->mhd, MHD_HEADER_KIND, "Accept");
    int form = accept_choose(accept, forms, 2);
    *lines = form == 1;
    if (form >= 0)
        return true;
    api_problem_set(&exchange->problem, API_PROBLEM_NOT_ACCEPTABLE,
                    "Lists come as application/json or application/x-ndjson");
    return false;
}

static uint64_t list_version(struct exchange *exchange)
{
    struct api_backend *backend = &exchange->server->backend;
    enum api_collection collection = exchange->match.route->collection;
    uint64_t version = backend->collection_version(backend->context, collection);
    if (exchange->request.route == API_VM_SNAPSHOT_LIST) /* its VM may be another by now */
        version += backend->collection_version(backend->context, API_COLLECTION_VMS);
    return version;
}

enum MHD_Result list_reply(struct exchange *exchange)
{
    struct list_cache *cache = exchange->server->cache;
    char etag[API_ETAG_SIZE];
    char key[MAX_TARGET_BYTES + 8];
    bool lines;
    if (!negotiate(exchange, &lines))
        return reply_problem(exchange);
    uint64_t version = list_version(exchange);
    snprintf(etag, sizeof etag, "%s-%" PRIu64 "%s",
             contract_collections[exchange->match.route->collection], version, lines ? "-nd" : "");
    if (reply_matches(exchange, etag))
        return reply_not_modified(exchange, etag);
    snprintf(key, sizeof key, "%s %s", lines ? "nd" : "js", exchange->target);
    struct page *page = cache_find(cache, key, version);
    if (!page) {
        page = render(exchange, lines);
        if (!page)
            return exchange->problem.type != API_PROBLEM_NONE ? reply_problem(exchange) : MHD_NO;
        cache_store(cache, key, version, page);
    }
    return reply_page(exchange, page, etag, lines);
}
