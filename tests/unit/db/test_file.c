/* SPDX-License-Identifier: MIT */
/* The file: migrations from each older schema, damage, locks, full disks, backups, steps. */
#include "tests/unit/db/common.h"

#include <sqlite3.h>

#include "db/migrate.h"
#include "db/migrations.h"
#include "db/object.h"
#include "db/operation.h"
#include "db/statement.h"
#include "db/token.h"

/* Rows that a release with schema n could have written; each builds on those before. */
static const char *const rows_of_version[] = {
    "INSERT INTO object (id, kind, name, sequence, head, tail)"
    " VALUES ('vm-1', 'vm', 'web', 1, '{\"uuid\":\"vm-1\"', ',\"x\":1'),"
    "        ('disk-1', 'disk', 'root', 1, '{\"uuid\":\"disk-1\"', ''),"
    "        ('token-1', 'token', 'ci', 1, '{\"uuid\":\"token-1\"', '');"
    "INSERT INTO label VALUES ('vm-1', 'tag', 'prod');"
    "INSERT INTO reference VALUES ('vm-1', 'disks/root', 'disk-1', 1);"
    "INSERT INTO mac VALUES ('52:54:00:00:00:01', 'vm-1');"
    "INSERT INTO token (id, hash, role) VALUES ('token-1', zeroblob(32), 'viewer');",
    "INSERT INTO operation (id, action, object_kind, object_id, state, actor, arguments, sequence,"
    " created_at, head, tail) VALUES ('op-1', 'vm.start', 'vm', 'vm-1', 'queued', 'user:a', '{}',"
    " 2, 5, '{\"uuid\":\"op-1\"', '');"
    "INSERT INTO idempotency VALUES ('user:a', 'key', zeroblob(32), 'op-1', 5);"
    "INSERT INTO event VALUES (1, 5, 'audit', 'vm.created', 'vm', 'vm-1', '{}', zeroblob(32));",
    "",
};

/* A file as the release with this schema version left it. */
static void make_old_file(const char *path, int version)
{
    sqlite3 *handle = NULL;
    char pragma[64];

    unlink(path);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_exec(handle, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    for (int i = 0; i < version && i < (int)(sizeof rows_of_version / sizeof *rows_of_version);
         i++) {
        assert_int_equal(sqlite3_exec(handle, db_migrations[i], NULL, NULL, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_exec(handle, rows_of_version[i], NULL, NULL, NULL), SQLITE_OK);
    }
    snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", version);
    sqlite3_exec(handle, pragma, NULL, NULL, NULL);
    sqlite3_close(handle);
}

static bool see_token(void *context, const struct db_token *token)
{
    assert_string_equal(token->name, "ci");
    assert_string_equal(token->user_id, "");
    ++*(int *)context;
    return true;
}

static bool see_operation(void *context, const struct db_operation *operation)
{
    assert_string_equal(operation->id, "op-1");
    ++*(int *)context;
    return true;
}

static void migrates_from_each_older_schema(void **state)
{
    struct fixture *fixture = *state;

    for (int version = 1; version <= db_schema_latest(); version++) {
        int tokens = 0;
        int operations = 0;
        int found = 0;
        int64_t count = 0;

        db_close(fixture->db);
        make_old_file(fixture->path, version);
        open_db(fixture);
        assert_int_equal(db_schema_version(fixture->db, &found), DB_OK);
        assert_int_equal(found, db_schema_latest());
        assert_int_equal(db_check(fixture->db), DB_OK);
        assert_int_equal(db_object_count(fixture->db, DB_VM, &count), DB_OK);
        assert_int_equal(count, 1);
        assert_int_equal(db_token_each(fixture->db, see_token, &tokens), DB_OK);
        assert_int_equal(tokens, 1);
        assert_int_equal(db_operation_unfinished(fixture->db, see_operation, &operations), DB_OK);
        assert_int_equal(operations, version >= 2);
    }
}

static void every_version_has_rows_to_migrate(void **state)
{
    (void)state;
    assert_int_equal(sizeof(rows_of_version) / sizeof(rows_of_version[0]), db_schema_latest());
}

static enum db_result try_open(struct fixture *fixture, char *message, size_t size)
{
    struct db *db = NULL;
    enum db_result result = db_open(fixture->path, DB_WRITER, &db, message, size);

    assert_true((result == DB_OK) == (db != NULL));
    db_close(db);
    return result;
}

static void close_db(struct fixture *fixture)
{
    db_close(fixture->db);
    fixture->db = NULL;
}

static void refuses_a_newer_schema(void **state)
{
    struct fixture *fixture = *state;
    char message[512];

    sqlite3_exec(fixture->db->handle, "PRAGMA user_version = 99", NULL, NULL, NULL);
    close_db(fixture);
    assert_int_equal(try_open(fixture, message, sizeof(message)), DB_NEWER);
    assert_non_null(strstr(message, "install the release"));
}

static void refuses_what_is_no_database(void **state)
{
    struct fixture *fixture = *state;
    char message[512];
    FILE *file;

    close_db(fixture);
    file = fopen(fixture->path, "w");
    fputs("This is a letter, not a database. It is long enough to be read as a header, and it "
          "goes on for a while so that nobody takes it for an empty file.\n",
          file);
    fclose(file);
    assert_int_equal(try_open(fixture, message, sizeof(message)), DB_CORRUPT);
    assert_non_null(strstr(message, fixture->path));
    assert_non_null(strstr(message, "bulkheadd restore"));
}

static void insert_vm(struct db *db, int n)
{
    char id[40];
    char name[40];
    struct db_object object = {.kind = DB_VM,
                               .id = id,
                               .scope = "",
                               .name = name,
                               .state = "stopped",
                               .revision = 1,
                               .sequence = n,
                               .head = "{\"a\":1",
                               .tail = ""};

    snprintf(id, sizeof(id), "id-%d", n);
    snprintf(name, sizeof(name), "vm-%05d", n);
    assert_int_equal(db_object_insert(db, &object), DB_OK);
}

static void notices_damaged_pages(void **state)
{
    struct fixture *fixture = *state;
    char garbage[2048];
    char message[512];
    FILE *file;

    assert_int_equal(db_begin(fixture->db), DB_OK);
    for (int i = 1; i <= 2000; i++)
        insert_vm(fixture->db, i);
    assert_int_equal(db_commit(fixture->db), DB_OK);
    close_db(fixture); /* which also moves the log into the file */
    memset(garbage, 0xa5, sizeof(garbage));
    file = fopen(fixture->path, "r+");
    for (long page = 20; page < 60; page++) {
        fseek(file, page * 4096, SEEK_SET);
        fwrite(garbage, sizeof(garbage), 1, file);
    }
    fclose(file);
    assert_int_equal(try_open(fixture, message, sizeof(message)), DB_CORRUPT);
}

static void refuses_a_locked_file(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *other = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(db_begin(fixture->db), DB_BUSY);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    assert_int_equal(db_begin(fixture->db), DB_OK);
    assert_int_equal(db_commit(fixture->db), DB_OK);
}

static void a_full_disk_loses_nothing_that_was_committed(void **state)
{
    struct fixture *fixture = *state;
    struct db_object object = {.kind = DB_VM,
                               .id = "x",
                               .scope = "",
                               .name = "x",
                               .state = "",
                               .revision = 1,
                               .sequence = 1,
                               .head = "",
                               .tail = ""};
    char *large = malloc(1 << 20);
    int64_t count = 0;

    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    insert_vm(fixture->db, 1);
    sqlite3_exec(fixture->db->handle, "PRAGMA max_page_count = 60", NULL, NULL, NULL);
    assert_int_equal(db_begin(fixture->db), DB_OK);
    object.head = large;
    assert_int_equal(db_object_insert(fixture->db, &object), DB_FULL);
    db_rollback(fixture->db);
    assert_false(db_active(fixture->db));
    sqlite3_exec(fixture->db->handle, "PRAGMA max_page_count = 100000", NULL, NULL, NULL);
    assert_int_equal(db_object_insert(fixture->db, &object), DB_OK);
    assert_int_equal(db_object_count(fixture->db, DB_VM, &count), DB_OK);
    assert_int_equal(count, 2);
    assert_int_equal(db_check(fixture->db), DB_OK);
    free(large);
}

static void a_backup_is_whole_while_others_write(void **state)
{
    struct fixture *fixture = *state;
    char copy[128];
    char message[512];
    struct db *reader = NULL;
    struct db *backup = NULL;
    int64_t count = 0;

    snprintf(copy, sizeof(copy), "%s.copy", fixture->path);
    insert_vm(fixture->db, 1);
    assert_int_equal(db_open(fixture->path, DB_READER, &reader, message, sizeof(message)), DB_OK);
    assert_int_equal(db_begin(fixture->db), DB_OK);
    insert_vm(fixture->db, 2); /* not committed: not in the backup */
    assert_int_equal(db_backup(reader, copy), DB_OK);
    assert_int_equal(db_commit(fixture->db), DB_OK);
    assert_int_equal(db_backup(reader, copy), DB_EXISTS);
    db_close(reader);
    assert_int_equal(db_open(copy, DB_WRITER, &backup, message, sizeof(message)), DB_OK);
    assert_int_equal(db_object_count(backup, DB_VM, &count), DB_OK);
    assert_int_equal(count, 1);
    db_close(backup);
}

static void a_step_is_undone_alone(void **state)
{
    struct fixture *fixture = *state;
    int64_t count = 0;

    assert_int_equal(db_step_begin(fixture->db), DB_FAILED);
    assert_int_equal(db_begin(fixture->db), DB_OK);
    assert_int_equal(db_step_begin(fixture->db), DB_OK);
    insert_vm(fixture->db, 1);
    assert_int_equal(db_step_keep(fixture->db), DB_OK);
    assert_int_equal(db_step_begin(fixture->db), DB_OK);
    insert_vm(fixture->db, 2);
    db_step_undo(fixture->db);
    assert_int_equal(db_step_begin(fixture->db), DB_OK);
    insert_vm(fixture->db, 3);
    assert_int_equal(db_step_keep(fixture->db), DB_OK);
    assert_int_equal(db_commit(fixture->db), DB_OK);
    assert_int_equal(db_object_count(fixture->db, DB_VM, &count), DB_OK);
    assert_int_equal(count, 2);
}

static void a_reader_cannot_write(void **state)
{
    struct fixture *fixture = *state;
    struct db *reader = NULL;
    char message[512];

    assert_int_equal(db_open(fixture->path, DB_READER, &reader, message, sizeof(message)), DB_OK);
    assert_int_equal(db_run(reader, "DELETE FROM object", ""), DB_FAILED);
    assert_non_null(strstr(db_message(reader), "readonly"));
    db_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(migrates_from_each_older_schema),
        DB_TEST(every_version_has_rows_to_migrate),
        DB_TEST(refuses_a_newer_schema),
        DB_TEST(refuses_what_is_no_database),
        DB_TEST(notices_damaged_pages),
        DB_TEST(refuses_a_locked_file),
        DB_TEST(a_full_disk_loses_nothing_that_was_committed),
        DB_TEST(a_backup_is_whole_while_others_write),
        DB_TEST(a_step_is_undone_alone),
        DB_TEST(a_reader_cannot_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
