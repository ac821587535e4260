/* SPDX-License-Identifier: MIT */
/* Backup, restore and check of the database. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mgmtd/backup.h"
#include "mgmtd/journal.h"
#include "mgmtd/object.h"

#define MESSAGE_SIZE 1024
#define LOCK_TRIES   200 /* two seconds */

/* A killed daemon's child holds its lock until it has become what it was to be. */
static bool lock_soon(int fd)
{
    for (int tries = LOCK_TRIES; tries > 0; tries--) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        usleep(10000);
    }
    return false;
}

bool state_lock(const struct options *options, char *message, size_t size)
{
    char path[PATH_SIZE];
    int fd = -1;

    if (path_join(path, options->state, "lock"))
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(message, size, "cannot use the state directory %s: %s", options->state,
                 strerror(errno));
        return false;
    }
    if (lock_soon(fd))
        return true; /* held until the process ends */
    snprintf(message, size, "another bulkheadd uses %s; stop it first", options->state);
    close(fd);
    return false;
}

static int fail(const char *message)
{
    fprintf(stderr, "bulkheadd: %s\n", message);
    return 1;
}

static bool open_reader(const struct options *options, struct db **db, char *message)
{
    char path[PATH_SIZE];

    return path_join(path, options->state, DATABASE_FILE) &&
           db_open(path, DB_READER, db, message, MESSAGE_SIZE) == DB_OK;
}

int backup_write(const struct options *options)
{
    char message[MESSAGE_SIZE] = "the path is too long";
    struct db *db;
    enum db_result result;

    if (!open_reader(options, &db, message))
        return fail(message);
    result = db_backup(db, options->argument);
    if (result != DB_OK)
        snprintf(message, sizeof(message), "cannot back up to %s: %s", options->argument,
                 db_message(db));
    db_close(db);
    return result == DB_OK ? 0 : fail(message);
}

static bool check_file(struct db *db, int64_t *events, char *message)
{
    int64_t broken = 0;
    enum db_result result = db_check(db);

    if (result == DB_OK)
        result = journal_verify(db, events, &broken);
    if (broken)
        snprintf(message, MESSAGE_SIZE, "the chain of events is broken at %lld", (long long)broken);
    else if (result != DB_OK)
        snprintf(message, MESSAGE_SIZE, "the database is damaged: %s", db_message(db));
    return result == DB_OK;
}

int backup_check(const struct options *options)
{
    char message[MESSAGE_SIZE] = "the path is too long";
    int64_t events = 0;
    struct db *db;
    bool good;

    if (!open_reader(options, &db, message))
        return fail(message);
    good = check_file(db, &events, message);
    db_close(db);
    if (!good)
        return fail(message);
    printf("good: %lld events\n", (long long)events);
    return 0;
}

struct host_row {
    char id[UUID_SIZE];
    char name[NAME_SIZE];
};

static bool take_host(void *context, const struct db_object *row)
{
    struct host_row *host = context;

    snprintf(host->id, sizeof(host->id), "%s", row->id);
    snprintf(host->name, sizeof(host->name), "%s", row->name);
    return false;
}

/* Clients that saw what came after the backup are told by the numbers that follow. */
static bool mark_restored(struct db *db, char *message)
{
    struct journal journal = {.sequence = 0};
    struct host_row host = {.id = ""};
    enum db_result result = db_begin(db);

    if (result == DB_OK)
        result = journal_load(&journal, db);
    if (result == DB_OK)
        result = db_object_each(db, DB_HOST, take_host, &host);
    if (result == DB_OK)
        result = journal_append_restored(&journal, db, host.id, host.name);
    if (result == DB_OK)
        result = db_commit(db);
    if (result != DB_OK)
        snprintf(message, MESSAGE_SIZE, "cannot write to the copy: %s", db_message(db));
    return result == DB_OK;
}

/* Opened for writing, an older backup is migrated on the way. */
static bool prepare_backup(const char *path, char *message)
{
    int64_t events;
    struct db *db;
    bool good;

    if (db_open(path, DB_WRITER, &db, message, MESSAGE_SIZE) != DB_OK)
        return false;
    good = check_file(db, &events, message) && mark_restored(db, message);
    db_close(db);
    return good;
}

/* Copies by SQLite, so that a backup with a log of its own is whole. */
static bool copy_database(const char *from, const char *to, char *message)
{
    struct db *db;
    enum db_result result = db_open(from, DB_READER, &db, message, MESSAGE_SIZE);

    if (result != DB_OK)
        return false;
    result = db_backup(db, to);
    if (result != DB_OK)
        snprintf(message, MESSAGE_SIZE, "cannot copy to %s: %s", to, db_message(db));
    db_close(db);
    return result == DB_OK;
}

static void remove_logs(const char *path)
{
    char log[PATH_SIZE + 8];

    snprintf(log, sizeof(log), "%s-wal", path);
    unlink(log);
    snprintf(log, sizeof(log), "%s-shm", path);
    unlink(log);
}

int backup_restore(const struct options *options)
{
    char message[MESSAGE_SIZE] = "the path is too long";
    char path[PATH_SIZE];
    char part[PATH_SIZE];
    struct stat file;

    if (!path_join(path, options->state, DATABASE_FILE) ||
        !path_join(part, options->state, DATABASE_FILE ".restore"))
        return fail(message);
    if (stat(options->argument, &file) != 0) {
        snprintf(message, sizeof(message), "cannot read %s: %s", options->argument,
                 strerror(errno));
        return fail(message);
    }
    mkdir(options->state, 0700);
    if (!state_lock(options, message, sizeof(message)))
        return fail(message);
    unlink(part);
    if (!copy_database(options->argument, part, message) || !prepare_backup(part, message)) {
        unlink(part);
        return fail(message);
    }
    remove_logs(part);
    remove_logs(path);
    if (rename(part, path) != 0) {
        snprintf(message, sizeof(message), "cannot replace %s: %s", path, strerror(errno));
        return fail(message);
    }
    return 0;
}
