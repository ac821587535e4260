/* SPDX-License-Identifier: MIT */
/* What the database tests share: cmocka, and a directory of its own for each test. */
#ifndef TESTS_UNIT_DB_COMMON_H
#define TESTS_UNIT_DB_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/db.h"

struct fixture {
    char directory[64];
    char path[96];
    struct db *db;
};

static inline void open_db(struct fixture *fixture)
{
    char message[512] = "";

    if (db_open(fixture->path, DB_WRITER, &fixture->db, message, sizeof(message)) != DB_OK)
        fail_msg("%s", message);
}

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/bulkhead-db-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof(fixture->path), "%s/test.db", fixture->directory);
    open_db(fixture);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".copy", ".copy-wal", ".copy-shm"};
    struct fixture *fixture = *state;
    char path[128];

    db_close(fixture->db);
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
