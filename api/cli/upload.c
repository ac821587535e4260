/* SPDX-License-Identifier: MIT */
/*
 * bh image upload NAME FILE: sends the file, goes on where an earlier upload stopped.
 */
#include "api/cli/command.h"
#include "api/cli/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct upload {
    const char *name;
    int fd;
    curl_off_t offset, size;
    struct response response;
};

static size_t give_bytes(char *buffer, size_t one, size_t count, void *context)
{
    struct upload *upload = context;
    ssize_t got = read(upload->fd, buffer, one * count);
    return got < 0 ? CURL_READFUNC_ABORT : (size_t)got;
}

static int show_progress(void *context, curl_off_t down, curl_off_t down_now, curl_off_t up,
                         curl_off_t up_now)
{
    struct upload *upload = context;
    (void)down, (void)down_now, (void)up;
    if (upload->size)
        work_progress(upload->name, (double)(upload->offset + up_now) / (double)upload->size,
                      "sent");
    return 0;
}

/* Where to go on: what the server has already, when it waits for more. */
static bool find_offset(const struct command *command, struct upload *upload)
{
    char path[256];
    snprintf(path, sizeof path, "/v1/images/%s", upload->name);
    struct response response;
    if (!client_call(command->client, "GET", path, NULL, &response))
        return false;
    bool good = response.status == 200;
    if (!good)
        client_complain(&response);
    const char *state = json_string_value(table_value(response.json, "status.state"));
    if (state && strcmp(state, "uploading") == 0)
        upload->offset = json_integer_value(table_value(response.json, "status.received"));
    response_free(&response);
    if (upload->offset > upload->size)
        upload->offset = 0;
    return good && lseek(upload->fd, upload->offset, SEEK_SET) == upload->offset;
}

static int send_file(const struct command *command, struct upload *upload)
{
    CURL *curl = command->client->curl;
    char path[256], range[128];
    struct curl_slist *headers = client_headers(command->client, "application/octet-stream");
    if (upload->offset) {
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%lld",
                 (long long)upload->offset, (long long)upload->size - 1, (long long)upload->size);
        headers = curl_slist_append(headers, range);
    }
    snprintf(path, sizeof path, "/v1/images/%s/content?wait=1", upload->name);
    curl_easy_reset(curl);
    client_prepare(command->client, curl, path);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, upload->size - upload->offset);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_bytes);
    curl_easy_setopt(curl, CURLOPT_READDATA, upload);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, response_take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &upload->response);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, show_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, upload);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    CURLcode code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    work_progress_end();
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &upload->response.status);
    if (code == CURLE_OK || upload->response.status >= 400)
        return 0;
    fprintf(stderr, "bh: the upload broke off: %s. Run the command again to go on.\n",
            curl_easy_strerror(code));
    return 3;
}

static int conclude(const struct command *command, struct upload *upload)
{
    struct response *response = &upload->response;
    int status = 0;
    response->json = response->body ? json_loadb(response->body, response->size, 0, NULL) : NULL;
    if (response->status >= 400)
        status = client_complain(response);
    if (response->status == 202) {
        char path[128];
        const char *uuid = json_string_value(json_object_get(response->json, "uuid"));
        snprintf(path, sizeof path, "/v1/operations/%s", uuid ? uuid : "");
        status = work_wait(command, path, upload->name);
    }
    return status;
}

int upload_command(const struct command *command)
{
    struct stat file;
    if (command->count != 2) {
        fprintf(stderr, "usage: bh image upload NAME FILE\n");
        return 2;
    }
    struct upload upload = {.name = command->words[0]};
    upload.fd = open(command->words[1], O_RDONLY | O_CLOEXEC);
    if (upload.fd < 0 || fstat(upload.fd, &file) != 0) {
        fprintf(stderr, "bh: cannot read %s: %s\n", command->words[1], strerror(errno));
        return 1;
    }
    upload.size = file.st_size;
    int status = find_offset(command, &upload) ? send_file(command, &upload) : 1;
    if (!status)
        status = conclude(command, &upload);
    response_free(&upload.response);
    close(upload.fd);
    return status;
}
