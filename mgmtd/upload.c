/* SPDX-License-Identifier: MIT */
/*
 * Uploads of image contents, as the API's server calls them. An upload is listed until its end is
 * committed, so that no other one writes to the file between its last byte and the new state. A
 * repeat, whose Idempotency-Key was used before, has no file: its bytes are dropped, and the change
 * at its end finds the first answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/upload.h"
#include "mgmtd/image.h"
#include "mgmtd/storage.h"

struct upload {
    struct upload *next;
    char image_id[UUID_SIZE];
    int fd; /* -1: a repeat */
    int64_t received;
    int64_t announced; /* 0: not known */
};

/* The uploads under way; an image has one at a time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct upload *uploads;

static bool enlist(struct upload *upload)
{
    bool alone = true;

    pthread_mutex_lock(&lock);
    for (struct upload *other = uploads; other; other = other->next)
        alone = alone && strcmp(other->image_id, upload->image_id) != 0;
    if (alone) {
        upload->next = uploads;
        uploads = upload;
    }
    pthread_mutex_unlock(&lock);
    return alone;
}

static void delist(struct upload *upload)
{
    struct upload **link = &uploads;

    pthread_mutex_lock(&lock);
    while (*link && *link != upload)
        link = &(*link)->next;
    if (*link)
        *link = upload->next;
    pthread_mutex_unlock(&lock);
}

static bool refuse_error(struct api_problem *problem)
{
    api_problem_set(problem, errno == ENOSPC ? API_PROBLEM_STORAGE_FULL : API_PROBLEM_UNAVAILABLE,
                    "The upload cannot be written: %s.", strerror(errno));
    return false;
}

static bool check_image(const struct object *image, int64_t offset, int64_t total, int64_t received,
                        struct api_problem *problem)
{
    int64_t announced = json_number(image->document, "size", 0);

    if (strcmp(image->state, "waiting") != 0 && strcmp(image->state, "uploading") != 0 &&
        strcmp(image->state, "failed") != 0) {
        api_problem_set(problem, API_PROBLEM_WRONG_STATE,
                        "The image %s is %s. Make another image for other content.", image->name,
                        image->state);
        return false;
    }
    if (offset != received && offset != 0) {
        api_problem_set(problem, API_PROBLEM_RANGE_NOT_SATISFIABLE,
                        "%lld bytes were received; go on there, or begin at 0.",
                        (long long)received);
        return false;
    }
    if (announced > 0 && total > announced) {
        api_problem_set(problem, API_PROBLEM_INVALID_REQUEST,
                        "The upload has %lld bytes, and %lld were announced.", (long long)total,
                        (long long)announced);
        return false;
    }
    return true;
}

static bool open_file(struct daemon *daemon, struct upload *upload, int64_t offset,
                      struct api_problem *problem)
{
    char path[PATH_SIZE];

    if (!path_join(path, daemon->options.state, "images/%s.upload", upload->image_id))
        return refuse_error(problem);
    upload->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (upload->fd < 0 || ftruncate(upload->fd, offset) != 0 ||
        lseek(upload->fd, offset, SEEK_SET) != offset)
        return refuse_error(problem);
    upload->received = offset;
    return true;
}

/*
 * What was said to be received, which is what its status says. The file has more after a daemon's
 * end in the middle of an upload, and may have less after a power cut.
 */
static int64_t received_of(const struct daemon *daemon, struct db *db, const char *image_id)
{
    char path[PATH_SIZE];
    int64_t received = 0;
    int64_t length;

    if (db_upload_get(db, image_id, &received) != DB_OK ||
        !path_join(path, daemon->options.state, "images/%s.upload", image_id))
        return 0;
    length = storage_length(path);
    return received < length ? received : length;
}

/* Loads the image and says how much of it is there. */
static bool find_image(struct daemon *daemon, const char *reference, struct object *image,
                       int64_t *received, struct api_problem *problem)
{
    struct db *db = store_reader(daemon->store);
    enum db_result result = DB_FAILED;

    *image = (struct object){.kind = DB_IMAGE};
    if (db)
        result = object_load(image, db, DB_IMAGE, "", reference);
    if (result != DB_OK) {
        object_problem(problem, result, DB_IMAGE, reference, db ? db_message(db) : "");
        return false;
    }
    *received = received_of(daemon, db, image->id);
    return true;
}

static bool is_repeat(struct daemon *daemon, const struct api_request *request)
{
    struct db *db = store_reader(daemon->store);
    struct db_idempotency found;

    return request->idempotency_key && db &&
           db_idempotency_get(db, request->caller.name, request->idempotency_key, &found) == DB_OK;
}

/* Of an upload that is listed: looks at the image again, since another one may just have ended. */
static bool open_upload(struct daemon *daemon, const struct api_request *request,
                        struct upload *upload, int64_t offset, int64_t total,
                        struct api_problem *problem)
{
    struct object image;
    int64_t received = 0;
    bool good = find_image(daemon, upload->image_id, &image, &received, problem) &&
                object_unchanged(&image, request->if_match, problem) &&
                check_image(&image, offset, total, received, problem);

    upload->announced = good ? json_number(image.document, "size", 0) : 0;
    object_release(&image);
    return good && open_file(daemon, upload, offset, problem);
}

static bool begin(struct daemon *daemon, const struct api_request *request, struct upload *upload,
                  int64_t offset, int64_t total, struct api_problem *problem)
{
    struct object image;
    int64_t received;

    upload->fd = -1;
    if (is_repeat(daemon, request))
        return true;
    if (!find_image(daemon, request->object, &image, &received, problem))
        return false;
    memcpy(upload->image_id, image.id, sizeof(upload->image_id));
    object_release(&image);
    if (!enlist(upload)) {
        api_problem_set(problem, API_PROBLEM_IN_USE, "Another upload to this image goes on.");
        return false;
    }
    if (open_upload(daemon, request, upload, offset, total, problem))
        return true;
    delist(upload);
    return false;
}

bool image_upload_begin(void *context, const struct api_request *request, int64_t offset,
                        int64_t total, void **handle, struct api_problem *problem)
{
    struct upload *upload = calloc(1, sizeof(*upload));

    if (!upload) {
        api_problem_set(problem, API_PROBLEM_UNAVAILABLE, "The host has no memory left.");
        return false;
    }
    if (begin(context, request, upload, offset, total, problem)) {
        *handle = upload;
        return true;
    }
    if (upload->fd >= 0)
        close(upload->fd);
    free(upload);
    return false;
}

bool image_upload_write(void *context, void *handle, const char *bytes, size_t size,
                        struct api_problem *problem)
{
    struct upload *upload = handle;

    (void)context;
    if (upload->fd < 0)
        return true;
    if (upload->announced > 0 && upload->received + (int64_t)size > upload->announced) {
        api_problem_set(problem, API_PROBLEM_INVALID_REQUEST,
                        "More than the announced %lld bytes came.", (long long)upload->announced);
        return false;
    }
    while (size > 0) {
        ssize_t written = write(upload->fd, bytes, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return refuse_error(problem);
        bytes += written;
        size -= (size_t)written;
        upload->received += written;
    }
    return true;
}

static void forget(void *context)
{
    struct upload *upload = context;

    delist(upload);
    free(upload);
}

void image_upload_finish(void *context, void *handle, struct api_request *request)
{
    struct upload *upload = handle;

    if (upload->fd >= 0)
        close(upload->fd);
    change_submit_with(context, mutation_of_route(API_IMAGE_UPLOAD), request, forget, upload);
}

/* --- A break: what came is kept, and said in the image's status. --- */

static bool break_job(void *context, struct db *db, struct journal *journal)
{
    const struct upload *upload = context;
    struct object image;
    struct journal_event event = {.class = "lifecycle",
                                  .type = "image.received",
                                  .kind = DB_IMAGE,
                                  .id = upload->image_id,
                                  .actor = "system"};
    char more[64];
    bool done = object_load(&image, db, DB_IMAGE, "", upload->image_id) == DB_OK;

    event.name = image.name;
    snprintf(more, sizeof(more), ",\"received\":%lld", (long long)upload->received);
    if (done) {
        object_set_status(&image, "uploading", more);
        done = journal_append(journal, db, &event) == DB_OK;
        image.sequence = journal->sequence;
        done = done && object_update(&image, db) == DB_OK &&
               db_upload_set(db, image.id, upload->received, time_now()) == DB_OK;
    }
    object_release(&image);
    return done;
}

static void break_done(void *context, enum db_result result, const char *message)
{
    (void)result;
    (void)message;
    forget(context);
}

void image_upload_abort(void *context, void *handle)
{
    struct daemon *daemon = context;
    struct upload *upload = handle;

    if (upload->fd < 0) {
        forget(upload);
        return;
    }
    close(upload->fd);
    store_submit(daemon->store, break_job, break_done, upload);
}
