/* SPDX-License-Identifier: MIT */
/* What the daemon's tests share: cmocka, and a directory of its own for each test. */
#ifndef TESTS_UNIT_MGMTD_COMMON_H
#define TESTS_UNIT_MGMTD_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <ftw.h>

static inline int make_directory(void **state)
{
    char *path = strdup("/tmp/bulkhead-mgmtd-XXXXXX");

    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *file, int type, struct FTW *at)
{
    (void)file;
    (void)type;
    (void)at;
    return remove(path);
}

static inline int remove_directory(void **state)
{
    nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return 0;
}

#define DIRECTORY_TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

#endif
