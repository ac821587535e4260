/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include "api/metrics.h"
#include "fake_certificate.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { FAKE_EVENTS = 64, FAKE_VMS = 3 };

char fake_typed[256];
char fake_uploaded[1024];
int64_t fake_upload_offset, fake_upload_total;
_Atomic bool fake_revoked, fake_trusts_certificates;
_Atomic unsigned fake_delay_ms, fake_lists, fake_scrapes, fake_scrape_ms;
json_t *fake_body;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t vms_version = 1;
static char events[FAKE_EVENTS][32];
static uint64_t event_count, event_oldest = 1;
static char console[4096];
static size_t console_size;

void fake_change(void)
{
    atomic_fetch_add(&vms_version, 1);
}

void fake_event(struct fake *fake, const char *type)
{
    pthread_mutex_lock(&lock);
    snprintf(events[event_count++ % FAKE_EVENTS], 32, "%s", type);
    pthread_mutex_unlock(&lock);
    if (fake->server)
        api_server_events_advanced(fake->server);
}

void fake_trim(uint64_t oldest)
{
    pthread_mutex_lock(&lock);
    event_oldest = oldest;
    pthread_mutex_unlock(&lock);
}

void fake_print(struct fake *fake, const char *text)
{
    pthread_mutex_lock(&lock);
    for (; *text && console_size < sizeof console; text++)
        console[console_size++] = *text;
    pthread_mutex_unlock(&lock);
    api_server_console_advanced(fake->server, FAKE_VM);
}

/* --- Callers --- */

static bool authenticate_token(void *context, const char *token, struct api_caller *caller)
{
    static const char *const names[] = {"admin", "operator", "viewer", "metrics", "console"};
    (void)context;
    for (int i = 0; i < 5; i++) {
        if (strcmp(token, names[i]) != 0)
            continue;
        *caller = (struct api_caller){.role = (enum api_role)(i + 1), .via = API_VIA_TOKEN};
        snprintf(caller->name, sizeof caller->name, "user:%s", token);
        if (i == 4)
            strcpy(caller->vm, FAKE_VM);
        return true;
    }
    return false;
}

static bool authenticate_certificate(void *context, const unsigned char *der, size_t size,
                                     struct api_caller *caller)
{
    (void)context;
    *caller = (struct api_caller){.role = API_ROLE_VIEWER, .via = API_VIA_CERTIFICATE};
    strcpy(caller->name, "user:certificate");
    return atomic_load(&fake_trusts_certificates) && der && size > 100;
}

static bool authenticate_peer(void *context, uid_t uid, gid_t gid, struct api_caller *caller)
{
    (void)context, (void)gid;
    *caller = (struct api_caller){.role = API_ROLE_ADMIN, .via = API_VIA_SOCKET};
    snprintf(caller->name, sizeof caller->name, "socket:%u", uid);
    return uid == getuid();
}

static bool caller_valid(void *context, const struct api_caller *caller)
{
    (void)context, (void)caller;
    return !atomic_load(&fake_revoked);
}

/* --- Reads --- */

static uint64_t collection_version(void *context, enum api_collection collection)
{
    (void)context;
    return collection == API_COLLECTION_EVENTS ? event_count : atomic_load(&vms_version);
}

static size_t vm_document(char *out, size_t size, const char *name)
{
    return (size_t)snprintf(
        out, size,
        "{\"uuid\":\"%s\",\"name\":\"%s\",\"memory\":{\"size\":1048576},"
        "\"status\":{\"state\":\"stopped\",\"observed_at\":\"2026-11-21T08:00:00.000Z\"}}",
        FAKE_VM, name);
}

static bool list(void *context, const struct api_request *request,
                 const struct api_list_query *query, api_row_function *row, void *sink,
                 struct api_page *page, struct api_problem *problem)
{
    static const char *const names[FAKE_VMS] = {"db", "mail", "web"};
    char document[512];
    (void)context, (void)request;
    atomic_fetch_add(&fake_lists, 1);
    if (query->page_token && strcmp(query->page_token, "bad") == 0) {
        api_problem_set(problem, API_PROBLEM_INVALID_PARAMETER, "The page_token is not ours");
        return false;
    }
    for (unsigned i = 0; i < FAKE_VMS && i < query->limit; i++) {
        if (query->condition_count && strcmp(query->conditions[0].value, names[i]) != 0)
            continue;
        row(sink, API_ROW_ITEM, document, vm_document(document, sizeof document, names[i]));
    }
    if (query->has_since)
        row(sink, API_ROW_DELETED, "{\"name\":\"old\"}", 14);
    page->sequence = 42;
    page->total = FAKE_VMS;
    if (query->limit < FAKE_VMS)
        strcpy(page->next, "more");
    return true;
}

static bool events_read(void *context, const struct api_list_query *query, api_row_function *row,
                        void *sink, struct api_events_page *page, struct api_problem *problem)
{
    char document[256];
    (void)context, (void)problem;
    pthread_mutex_lock(&lock);
    uint64_t at = query->since;
    page->oldest = event_oldest;
    page->trimmed = at + 1 < event_oldest;
    page->unknown = at > event_count;
    if (page->trimmed)
        at = event_oldest - 1;
    for (unsigned i = 0; i < query->limit && at < event_count; i++) {
        at++;
        int size = snprintf(document, sizeof document, "{\"sequence\":%" PRIu64 ",\"type\":\"%s\"}",
                            at, events[(at - 1) % FAKE_EVENTS]);
        row(sink, API_ROW_ITEM, document, (size_t)size);
    }
    page->last = page->unknown ? event_count : at;
    pthread_mutex_unlock(&lock);
    return true;
}

/* --- Changes --- */

static void answer(struct api_request *request)
{
    struct api_answer good = {.status = request->route == API_VM_CREATE ? 201 : 200, .sequence = 7};
    struct api_problem bad = {0};
    if (request->object && strcmp(request->object, "missing") == 0) {
        api_problem_set(&bad, API_PROBLEM_NOT_FOUND, "There is no VM named missing");
        api_refuse(request, &bad);
        return;
    }
    if (request->if_match && strcmp(request->if_match, "spec-1") != 0) {
        api_problem_set(&bad, API_PROBLEM_PRECONDITION_FAILED, "It changed");
        api_refuse(request, &bad);
        return;
    }
    if (request->route == API_VM_DELETE) {
        good.status = 204;
        api_answer(request, &good);
        return;
    }
    char document[512];
    good.size = vm_document(document, sizeof document, request->object ? request->object : "web");
    good.bytes = strdup(document);
    strcpy(good.etag, "spec-1");
    if (good.status == 201)
        strcpy(good.location, "/v1/vms/" FAKE_VM);
    api_answer(request, &good); /* NOLINT(clang-analyzer-unix.Malloc): takes the bytes over */
}

static void *answer_later(void *context)
{
    unsigned delay = atomic_load(&fake_delay_ms);
    const struct timespec pause = {delay / 1000, (long)(delay % 1000) * 1000000};
    nanosleep(&pause, NULL);
    answer(context);
    return NULL;
}

static void handle(void *context, struct api_request *request)
{
    pthread_t thread;
    (void)context;
    pthread_mutex_lock(&lock);
    json_decref(fake_body);
    fake_body = request->body ? json_deep_copy(request->body) : NULL;
    pthread_mutex_unlock(&lock);
    if (!atomic_load(&fake_delay_ms))
        answer(request);
    else if (pthread_create(&thread, NULL, answer_later, request) == 0)
        pthread_detach(thread);
    else
        abort();
}

/* --- Uploads --- */

static bool upload_begin(void *context, const struct api_request *request, int64_t offset,
                         int64_t total, void **upload, struct api_problem *problem)
{
    (void)context, (void)request;
    fake_upload_offset = offset;
    fake_upload_total = total;
    memset(fake_uploaded, 0, sizeof fake_uploaded);
    *upload = fake_uploaded;
    if (offset > 100)
        api_problem_set(problem, API_PROBLEM_RANGE_NOT_SATISFIABLE, "The upload stopped at 100");
    if (offset > 100)
        *upload = NULL;
    return offset <= 100;
}

static bool upload_write(void *context, void *upload, const char *bytes, size_t size,
                         struct api_problem *problem)
{
    (void)context, (void)upload;
    if (strlen(fake_uploaded) + size < sizeof fake_uploaded) {
        strncat(fake_uploaded, bytes, size);
        return true;
    }
    api_problem_set(problem, API_PROBLEM_STORAGE_FULL, "No room");
    return false;
}

static void upload_finish(void *context, void *upload, struct api_request *request)
{
    (void)context, (void)upload;
    answer(request);
}

static void upload_abort(void *context, void *upload)
{
    (void)context, (void)upload;
    strcpy(fake_uploaded, "aborted");
}

/* --- Console --- */

static bool console_find(void *context, const struct api_request *request, char uuid[API_UUID_SIZE],
                         struct api_problem *problem)
{
    (void)context;
    memcpy(uuid, FAKE_VM, API_UUID_SIZE);
    if (strcmp(request->object, "web") == 0)
        return true;
    api_problem_set(problem, API_PROBLEM_NOT_FOUND, "There is no VM named %s", request->object);
    return false;
}

static ssize_t console_read(void *context, const char *uuid, uint64_t offset, char *buffer,
                            size_t size, struct api_console_span *span)
{
    (void)context, (void)uuid;
    pthread_mutex_lock(&lock);
    size_t left = offset < console_size ? console_size - (size_t)offset : 0;
    size_t part = left < size ? left : size;
    memcpy(buffer, console + offset, part);
    *span = (struct api_console_span){0, console_size, offset};
    pthread_mutex_unlock(&lock);
    return (ssize_t)part;
}

static bool console_write(void *context, const char *uuid, const char *bytes, size_t size,
                          struct api_problem *problem)
{
    (void)context, (void)uuid, (void)problem;
    pthread_mutex_lock(&lock);
    if (strlen(fake_typed) + size < sizeof fake_typed)
        strncat(fake_typed, bytes, size);
    pthread_mutex_unlock(&lock);
    return true;
}

static void metrics(void *context, struct api_metrics *out)
{
    (void)context;
    atomic_fetch_add(&fake_scrapes, 1);
    usleep(atomic_load(&fake_scrape_ms) * 1000);
    api_metrics_family(out, "bulkhead_vm_info", "info", "", "A VM");
    api_metrics_integer(out, "_info", (struct api_label[]){{"name", "we\"b\n"}, {0}}, 1);
}

static void health(void *context, api_check_function *check, void *sink)
{
    (void)context;
    check(sink, "database", !atomic_load(&fake_revoked), "writable");
}

/* --- Server --- */

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 64) != 0)
        abort();
    return fd;
}

void fake_start(struct fake *fake, const struct api_limits *limits)
{
    char error[256] = "";
    *fake = (struct fake){.backend = {.version = "0.1.0",
                                      .authenticate_token = authenticate_token,
                                      .authenticate_certificate = authenticate_certificate,
                                      .authenticate_peer = authenticate_peer,
                                      .caller_valid = caller_valid,
                                      .collection_version = collection_version,
                                      .list = list,
                                      .events_read = events_read,
                                      .handle = handle,
                                      .upload_begin = upload_begin,
                                      .upload_write = upload_write,
                                      .upload_finish = upload_finish,
                                      .upload_abort = upload_abort,
                                      .console_find = console_find,
                                      .console_read = console_read,
                                      .console_write = console_write,
                                      .metrics = metrics,
                                      .health = health}};
    strcpy(fake->directory, "/tmp/bulkhead-api-XXXXXX");
    if (!mkdtemp(fake->directory))
        abort();
    snprintf(fake->path, sizeof fake->path, "%s/socket", fake->directory);
    const struct api_options options = {.address = "127.0.0.1",
                                        .certificate = fake_certificate,
                                        .key = fake_key,
                                        .unix_socket = listen_on(fake->path),
                                        .limits = limits ? *limits : (struct api_limits){0}};
    event_count = console_size = 0;
    event_oldest = 1;
    atomic_store(&fake_revoked, false);
    atomic_store(&fake_delay_ms, 0);
    memset(fake_typed, 0, sizeof fake_typed);
    fake->server = api_server_start(&fake->backend, &options, error, sizeof error);
    if (!fake->server) {
        fprintf(stderr, "%s\n", error);
        abort();
    }
}

void fake_stop(struct fake *fake)
{
    api_server_stop(fake->server);
    unlink(fake->path);
    rmdir(fake->directory);
    json_decref(fake_body);
    fake_body = NULL;
}

/* --- Client --- */

int fake_connect(const struct fake *fake)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval limit = {.tv_sec = 5};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", fake->path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

void fake_send(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left) {
        ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server closed: what it answered tells */
        text += sent;
        left -= (size_t)sent;
    }
}

bool fake_read_until(int fd, char *answer, size_t size, const char *text)
{
    size_t used = strlen(answer);
    while (!text || !strstr(answer, text)) {
        ssize_t got = used + 1 < size ? recv(fd, answer + used, size - used - 1, 0) : 0;
        if (got <= 0)
            return false;
        used += (size_t)got;
        answer[used] = '\0';
    }
    return true;
}

/* Is the answer in the buffer whole? */
static bool is_whole(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length:");
    if (!body)
        return false;
    if (!length || length > body)
        return strncmp(answer + 9, "204", 3) == 0 || strncmp(answer + 9, "304", 3) == 0;
    return strlen(body + 4) >= strtoul(length + 17, NULL, 10);
}

size_t fake_exchange(const struct fake *fake, const char *request, char *answer, size_t size)
{
    int fd = fake_connect(fake);
    size_t used = 0;
    answer[0] = '\0';
    fake_send(fd, request);
    while (!is_whole(answer) && used + 1 < size) {
        ssize_t got = recv(fd, answer + used, size - used - 1, 0);
        if (got <= 0)
            break;
        used += (size_t)got;
        answer[used] = '\0';
    }
    close(fd);
    return used;
}
