/* SPDX-License-Identifier: MIT */
/* Images as objects: announced, finished after their upload, deleted. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/upload.h"
#include "mgmtd/image.h"
#include "mgmtd/storage.h"

#define HASH_CHUNK ((size_t)1 << 20)

static void part_path(const struct daemon *daemon, const char *id, char path[PATH_SIZE])
{
    if (!path_join(path, daemon->options.state, "images/%s.upload", id))
        path[0] = '\0';
}

bool image_plan_create(struct change *change)
{
    struct object *object = &change->object;
    enum db_result result;

    if (!json_object_get(change->body, "format"))
        json_object_set_new(change->body, "format", json_string("raw"));
    if (strcmp(json_text(change->body, "kind"), "disk") != 0 &&
        strcmp(json_text(change->body, "format"), "raw") != 0) {
        api_problem_set(&change->problem, API_PROBLEM_INVALID_FIELDS,
                        "Only images of kind disk have a format.");
        api_problem_point(&change->problem, "/format", "must be raw for this kind");
        return false;
    }
    object_set_status(object, "waiting", ",\"received\":0");
    if (!change_insert(change))
        return false;
    if (!object_write_tags(change->db, object))
        return change_refuse(change, DB_FAILED);
    result = db_label_add(change->db, object->id, "kind", json_text(change->body, "kind"));
    return result == DB_OK || change_refuse(change, result);
}

bool image_plan_update(struct change *change)
{
    json_merge(change->object.document, change->body);
    return change_update(change) &&
           (object_write_tags(change->db, &change->object) || change_refuse(change, DB_FAILED));
}

bool image_plan_delete(struct change *change)
{
    return storage_unused(change);
}

bool image_run_delete(struct operation *operation)
{
    char path[PATH_SIZE];
    char part[PATH_SIZE];

    part_path(operation->daemon, operation->object_id, part);
    if (!image_path(operation->daemon, operation->object_id, path))
        return false;
    if ((unlink(path) == 0 || errno == ENOENT) && (unlink(part) == 0 || errno == ENOENT))
        return true;
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "cannot remove %s: %s", path,
                          strerror(errno));
}

/* --- After the upload of the whole, or of a piece --- */

bool image_plan_upload(struct change *change)
{
    struct object *object = &change->object;
    int64_t announced = json_number(object->document, "size", 0);
    char part[PATH_SIZE];
    int64_t received;
    char more[64];
    enum db_result result;
    bool whole;

    part_path(change->daemon, object->id, part);
    received = storage_length(part);
    whole = announced == 0 || received >= announced;
    change->arguments = json_pack("{s:b}", "whole", whole);
    snprintf(more, sizeof(more), ",\"received\":%lld", (long long)received);
    object_set_status(object, whole ? "converting" : "uploading", more);
    result = object_update(object, change->db);
    if (result == DB_OK)
        result = db_upload_set(change->db, object->id, received, change->now);
    return result == DB_OK || change_refuse(change, result);
}

static bool hash_file(struct operation *operation, const char *path, char hex[SHA256_TEXT])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char *chunk = malloc(HASH_CHUNK);
    FILE *file = fopen(path, "re");
    uint8_t hash[SHA256_SIZE];
    bool done = context && chunk && file && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    size_t got = 1;

    while (done && got > 0 && !operation_cancelled(operation)) {
        got = fread(chunk, 1, HASH_CHUNK, file);
        done = !ferror(file) && EVP_DigestUpdate(context, chunk, got) == 1;
    }
    done = done && fsync(fileno(file)) == 0 && EVP_DigestFinal_ex(context, hash, NULL) == 1;
    if (done)
        hex_format(hash, sizeof(hash), hex);
    if (file)
        fclose(file);
    free(chunk);
    EVP_MD_CTX_free(context);
    return done || operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                  "cannot read the upload: %s", strerror(errno));
}

static bool check_hash(struct operation *operation, const struct object *image, const char *hex)
{
    const char *wanted = json_text(image->document, "sha256");

    if (!wanted[0] || strcmp(wanted, hex) == 0)
        return true;
    return operation_fail(operation, API_PROBLEM_DIGEST_MISMATCH,
                          "The upload has the SHA-256 %s, and %s was announced. Upload it again.",
                          hex, wanted);
}

static bool place(struct operation *operation, const struct object *image, const char *part)
{
    const char *format = json_text(image->document, "format");
    char path[PATH_SIZE];

    if (!image_path(operation->daemon, image->id, path))
        return false;
    if (strcmp(format, "raw") != 0) {
        operation_report(operation, 0.5, "Converting from %s.", format);
        return storage_convert(operation, format, part, "raw", path);
    }
    if (rename(part, path) == 0)
        return true;
    return operation_fail(operation, API_PROBLEM_OPERATION_FAILED, "cannot make %s: %s", path,
                          strerror(errno));
}

static bool is_whole(const struct operation *operation)
{
    return !json_is_false(json_object_get(operation->arguments, "whole"));
}

/* It is answered once a power cut can no longer take it. */
static bool keep_piece(struct operation *operation)
{
    char part[PATH_SIZE];

    operation->event = "image.received";
    part_path(operation->daemon, operation->object_id, part);
    return storage_sync(part) || operation_fail(operation, API_PROBLEM_OPERATION_FAILED,
                                                "cannot write %s: %s", part, strerror(errno));
}

static bool make_image(struct operation *operation)
{
    struct db *db = store_reader(operation->daemon->store);
    char hex[SHA256_TEXT];
    char path[PATH_SIZE];
    char part[PATH_SIZE];
    struct object image;
    bool done;

    if (!db || object_load(&image, db, DB_IMAGE, "", operation->object_id) != DB_OK)
        return operation_fail(operation, API_PROBLEM_NOT_FOUND, "The image is gone.");
    part_path(operation->daemon, image.id, part);
    /* After a restart the file may be in its place already. */
    done = image_path(operation->daemon, image.id, path);
    if (done && access(part, F_OK) != 0 && access(path, F_OK) == 0)
        done = hash_file(operation, path, hex);
    else
        done = done && hash_file(operation, part, hex) && check_hash(operation, &image, hex) &&
               place(operation, &image, part);
    if (done)
        snprintf(operation->event_data, sizeof(operation->event_data), "{\"sha256\":\"%s\"}", hex);
    unlink(part);
    object_release(&image);
    return done;
}

bool image_run_upload(struct operation *operation)
{
    return is_whole(operation) ? make_image(operation) : keep_piece(operation);
}

bool image_finish_upload(struct operation *operation, struct db *db, struct journal *journal,
                         bool succeeded)
{
    struct text more = {0};
    char path[PATH_SIZE];
    json_t *data;
    bool done;

    if (!is_whole(operation))
        return true;
    if (!image_path(operation->daemon, operation->object_id, path))
        return false;
    data = json_loads(operation->event_data, 0, NULL);
    if (succeeded) {
        int64_t size = storage_length(path);

        text_member_integer(&more, "received", size);
        text_member_integer(&more, "size", size);
        text_member(&more, "sha256", json_text(data, "sha256"));
    } else {
        text_member_integer(&more, "received", 0);
        text_member(&more, "reason", operation->problem.detail);
    }
    db_upload_end(db, operation->object_id);
    done =
        !more.failed && storage_set_status(operation, db, journal, DB_IMAGE, operation->object_id,
                                           succeeded ? "ready" : "failed", more.bytes);
    text_free(&more);
    json_decref(data);
    return done;
}
