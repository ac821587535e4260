/* SPDX-License-Identifier: MIT */
/* Cloud-init seeds, by xorriso. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmtd/command.h"
#include "mgmtd/seed.h"

#define TIMEOUT_MS 60000

static bool write_file(const char *directory, const char *name, const char *text)
{
    char path[PATH_SIZE];
    FILE *file = path_join(path, directory, "%s", name) ? fopen(path, "we") : NULL;
    bool written;

    if (!file)
        return false;
    written = fputs(text, file) >= 0;
    return fclose(file) == 0 && written;
}

static bool write_meta(const char *directory, const char *vm_id, const char *vm_name,
                       const json_t *cloud_init)
{
    const char *host = json_text(cloud_init, "hostname");
    json_t *meta =
        json_pack("{s:s, s:s}", "instance-id", vm_id, "local-hostname", host[0] ? host : vm_name);
    json_t *keys = json_object_get(cloud_init, "ssh_keys");
    char *text;
    bool written;

    if (keys)
        json_object_set(meta, "public-keys", keys);
    text = json_dumps(meta, JSON_INDENT(1)); /* JSON is YAML */
    json_decref(meta);
    written = text && write_file(directory, "meta-data", text);
    free(text);
    return written;
}

static bool write_files(const char *directory, const char *vm_id, const char *vm_name,
                        const json_t *cloud_init)
{
    const char *user = json_text(cloud_init, "user_data");
    const char *network = json_text(cloud_init, "network_config");

    return write_meta(directory, vm_id, vm_name, cloud_init) &&
           write_file(directory, "user-data", user[0] ? user : "#cloud-config\n") &&
           (!network[0] || write_file(directory, "network-config", network));
}

static void remove_files(const char *directory)
{
    static const char *const names[] = {"meta-data", "user-data", "network-config"};
    char path[PATH_SIZE];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (path_join(path, directory, "%s", names[i]))
            unlink(path);
    rmdir(directory);
}

bool seed_make(const char *path, const char *vm_id, const char *vm_name, const json_t *cloud_init,
               char *problem, size_t size)
{
    char directory[PATH_SIZE];
    const char *const arguments[] = {"xorriso", "-as",    "mkisofs", "-quiet", "-output", path,
                                     "-volid",  "cidata", "-joliet", "-rock",  directory, NULL};
    struct command command = {.arguments = arguments, .timeout_ms = TIMEOUT_MS};
    char parent[PATH_SIZE];
    bool made;

    snprintf(directory, sizeof(directory), "%s.d", path);
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    mkdir(parent, 0700);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        snprintf(problem, size, "cannot make %s: %s", directory, strerror(errno));
        return false;
    }
    made = write_files(directory, vm_id, vm_name, cloud_init);
    if (!made)
        snprintf(problem, size, "cannot write below %s: %s", directory, strerror(errno));
    unlink(path);
    made = made && command_run(&command, problem, size);
    remove_files(directory);
    return made;
}
