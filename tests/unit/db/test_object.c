/* SPDX-License-Identifier: MIT */
/* Objects: names and ids, lists with filters and pages, references, tombstones. */
#include "tests/unit/db/common.h"

#include "db/list.h"
#include "db/upload.h"

static enum db_result insert(struct db *db, enum db_kind kind, const char *scope, const char *id,
                             const char *name, const char *state, int64_t sequence)
{
    char head[128];
    struct db_object object = {.kind = kind,
                               .id = id,
                               .scope = scope,
                               .name = name,
                               .state = state,
                               .revision = 1,
                               .sequence = sequence,
                               .head = head,
                               .tail = ",\"t\":1"};

    snprintf(head, sizeof(head), "{\"uuid\":\"%s\"", id);
    return db_object_insert(db, &object);
}

struct seen {
    char names[512];
    int count;
};

static bool see(void *context, const struct db_object *object)
{
    struct seen *seen = context;
    size_t used = strlen(seen->names);

    assert_int_equal(strlen(object->head), object->head_size);
    assert_int_equal(strlen(object->tail), object->tail_size);
    snprintf(seen->names + used, sizeof(seen->names) - used, "%s ", object->name);
    seen->count++;
    return true;
}

static void check_list(struct db *db, const struct db_list *list, const char *names)
{
    struct seen seen = {.count = 0};

    assert_int_equal(db_list(db, list, see, &seen), DB_OK);
    assert_string_equal(seen.names, names);
}

static void names_are_unique_within_kind_and_scope(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct seen seen = {.count = 0};

    assert_int_equal(insert(db, DB_VM, "", "1", "web", "", 1), DB_OK);
    assert_int_equal(insert(db, DB_VM, "", "2", "web", "", 1), DB_EXISTS);
    assert_int_equal(insert(db, DB_DISK, "", "1", "other", "", 1), DB_EXISTS);
    assert_int_equal(insert(db, DB_DISK, "", "3", "web", "", 1), DB_OK);
    assert_int_equal(insert(db, DB_SNAPSHOT, "1", "4", "s", "", 1), DB_OK);
    assert_int_equal(insert(db, DB_SNAPSHOT, "1", "5", "s", "", 1), DB_EXISTS);
    assert_int_equal(insert(db, DB_SNAPSHOT, "2", "6", "s", "", 1), DB_OK);
    assert_int_equal(insert(db, DB_VM, "", "7", "", "", 1), DB_INVALID);
    assert_int_equal(db_object_get(db, DB_VM, "", "web", see, &seen), DB_OK);
    assert_int_equal(db_object_get(db, DB_VM, "", "1", see, &seen), DB_OK);
    assert_int_equal(seen.count, 2);
    assert_int_equal(db_object_get(db, DB_VM, "", "3", see, &seen), DB_NOT_FOUND);
    assert_int_equal(db_object_get(db, DB_SNAPSHOT, "1", "6", see, &seen), DB_NOT_FOUND);
}

static void fill(struct db *db)
{
    assert_int_equal(insert(db, DB_NETWORK, "", "n1", "lan", "ready", 1), DB_OK);
    assert_int_equal(insert(db, DB_DISK, "", "d1", "root", "ready", 2), DB_OK);
    assert_int_equal(insert(db, DB_VM, "", "v1", "db-1", "running", 3), DB_OK);
    assert_int_equal(insert(db, DB_VM, "", "v2", "web-1", "stopped", 4), DB_OK);
    assert_int_equal(insert(db, DB_VM, "", "v3", "web-2", "running", 5), DB_OK);
    assert_int_equal(insert(db, DB_VM, "", "v4", "web-3", "stopped", 6), DB_OK);
    assert_int_equal(db_label_add(db, "v2", "tag", "prod"), DB_OK);
    assert_int_equal(db_label_add(db, "v3", "tag", "prod"), DB_OK);
    assert_int_equal(db_label_add(db, "v3", "tag", "preview"), DB_OK);
    assert_int_equal(db_reference_add(db, "v2", "nics/a", "n1", false), DB_OK);
    assert_int_equal(db_reference_add(db, "v3", "nics/a", "n1", false), DB_OK);
    assert_int_equal(db_reference_add(db, "v3", "disks/root", "d1", true), DB_OK);
}

static struct db_list filtered(const char *column, enum db_match match, const char *value)
{
    struct db_list list = {.kind = DB_VM, .limit = -1, .filter_count = 1};

    list.filter[0] = (struct db_filter){column, match, value};
    return list;
}

static void lists_narrow_by_filters(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_list list;
    int64_t count = 0;

    fill(db);
    list = (struct db_list){.kind = DB_VM, .limit = -1};
    check_list(db, &list, "db-1 web-1 web-2 web-3 ");
    list = filtered("state", DB_MATCH_EQUAL, "running");
    check_list(db, &list, "db-1 web-2 ");
    list = filtered("state", DB_MATCH_DIFFERENT, "running");
    check_list(db, &list, "web-1 web-3 ");
    list = filtered("name", DB_MATCH_PREFIX, "web-");
    check_list(db, &list, "web-1 web-2 web-3 ");
    list = filtered("tag", DB_MATCH_PREFIX, "pr");
    check_list(db, &list, "web-1 web-2 ");
    list = filtered("tag", DB_MATCH_DIFFERENT, "prod");
    check_list(db, &list, "db-1 web-3 ");
    list = filtered("network", DB_MATCH_EQUAL, "lan");
    check_list(db, &list, "web-1 web-2 ");
    list = filtered("network", DB_MATCH_EQUAL, "n1");
    check_list(db, &list, "web-1 web-2 ");
    list = filtered("disk", DB_MATCH_EQUAL, "root");
    list.filter[list.filter_count++] = (struct db_filter){"state", DB_MATCH_EQUAL, "running"};
    check_list(db, &list, "web-2 ");
    assert_int_equal(db_list_count(db, &list, &count), DB_OK);
    assert_int_equal(count, 1);
    list = filtered("name", DB_MATCH_EQUAL, "x' OR '1'='1");
    check_list(db, &list, "");
    list = filtered("colour", DB_MATCH_EQUAL, "red");
    assert_int_equal(db_list(db, &list, see, NULL), DB_INVALID);
    list = filtered("mode", DB_MATCH_EQUAL, "nat"); /* a column of networks */
    assert_int_equal(db_list(db, &list, see, NULL), DB_INVALID);
}

static void every_column_of_every_kind_can_be_asked(void **state)
{
    static const enum db_match matches[] = {DB_MATCH_EQUAL, DB_MATCH_DIFFERENT, DB_MATCH_PREFIX};
    struct db *db = ((struct fixture *)*state)->db;
    struct seen seen;
    const char *column;

    for (int kind = 0; kind < DB_KIND_COUNT; kind++) {
        for (unsigned i = 0; (column = db_list_column((enum db_kind)kind, i)) != NULL; i++) {
            for (size_t m = 0; m < 3; m++) {
                struct db_list list = filtered(column, matches[m], "x");
                int64_t count;

                list.kind = (enum db_kind)kind;
                list.scope = "";
                list.after_name = "a";
                list.since = 1;
                seen = (struct seen){.count = 0};
                assert_int_equal(db_list(db, &list, see, &seen), DB_OK);
                assert_int_equal(db_list_count(db, &list, &count), DB_OK);
            }
        }
        assert_true(db_list_column((enum db_kind)kind, 0) != NULL);
    }
}

static void pages_go_on_behind_a_name(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_list list = {.kind = DB_VM, .limit = 2};

    fill(db);
    check_list(db, &list, "db-1 web-1 ");
    list.after_name = "web-1";
    check_list(db, &list, "web-2 web-3 ");
    list.after_name = "web-3";
    check_list(db, &list, "");
    list.after_name = "x"; /* the row it named may be gone */
    check_list(db, &list, "");
}

static bool see_tombstone(void *context, const char *id, const char *name, int64_t sequence)
{
    char *text = context;

    sprintf(text + strlen(text), "%s/%s/%d ", id, name, (int)sequence);
    return true;
}

static void changes_and_deletions_since_a_sequence(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_list list = {.kind = DB_VM, .limit = -1, .since = 4};
    char deleted[128] = "";
    int64_t newest = 0;
    bool used = false;

    fill(db);
    check_list(db, &list, "web-2 web-3 ");
    assert_int_equal(db_object_set_tail(db, "v1", "stopped", "", 7), DB_OK);
    check_list(db, &list, "db-1 web-2 web-3 ");
    assert_int_equal(db_object_delete(db, "v4", 8), DB_OK);
    check_list(db, &list, "db-1 web-2 ");
    assert_int_equal(db_tombstones(db, DB_VM, 4, see_tombstone, deleted), DB_OK);
    assert_string_equal(deleted, "v4/web-3/8 ");
    assert_int_equal(db_object_newest(db, DB_VM, &newest), DB_OK);
    assert_int_equal(newest, 8);
    assert_int_equal(db_object_delete(db, "v4", 9), DB_NOT_FOUND);
    assert_int_equal(db_object_was_used(db, "v4", &used), DB_OK);
    assert_true(used);
    assert_int_equal(db_object_was_used(db, "v9", &used), DB_OK);
    assert_false(used);
}

static bool see_user(void *context, const char *id, const char *kind, const char *name)
{
    char *text = context;

    sprintf(text + strlen(text), "%s/%s/%s ", id, kind, name);
    return true;
}

static void what_is_needed_cannot_be_deleted(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    char users[128] = "";
    char id[64];
    char name[64];

    fill(db);
    assert_int_equal(db_object_delete(db, "d1", 9), DB_IN_USE);
    assert_int_equal(db_reference_add(db, "v2", "disks/root", "d1", true), DB_EXISTS);
    assert_int_equal(db_reference_add(db, "v2", "disks/root", "gone", true), DB_IN_USE);
    assert_int_equal(db_reference_users(db, "d1", see_user, users), DB_OK);
    assert_string_equal(users, "v3/vm/web-2 ");
    assert_int_equal(db_reference_get(db, "v3", "disks/root", id, name), DB_OK);
    assert_string_equal(id, "d1");
    assert_string_equal(name, "root");
    assert_int_equal(db_reference_get(db, "v3", "disks/other", id, name), DB_NOT_FOUND);
    assert_int_equal(db_object_delete(db, "v3", 9), DB_OK); /* takes its references along */
    assert_int_equal(db_object_delete(db, "d1", 10), DB_OK);
}

static void a_mac_is_of_one_vm(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;

    fill(db);
    assert_int_equal(db_mac_add(db, "v1", "52:54:00:00:00:01"), DB_OK);
    assert_int_equal(db_mac_add(db, "v2", "52:54:00:00:00:01"), DB_EXISTS);
    assert_int_equal(db_mac_clear(db, "v1"), DB_OK);
    assert_int_equal(db_mac_clear(db, "v1"), DB_OK);
    assert_int_equal(db_mac_add(db, "v2", "52:54:00:00:00:01"), DB_OK);
}

static void uploads_are_remembered(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    int64_t received = 0;

    assert_int_equal(insert(db, DB_IMAGE, "", "i1", "img", "waiting", 1), DB_OK);
    assert_int_equal(db_upload_get(db, "i1", &received), DB_NOT_FOUND);
    assert_int_equal(db_upload_set(db, "i1", 10, 1), DB_OK);
    assert_int_equal(db_upload_set(db, "i1", 20, 2), DB_OK);
    assert_int_equal(db_upload_get(db, "i1", &received), DB_OK);
    assert_int_equal(received, 20);
    assert_int_equal(db_upload_end(db, "i1"), DB_OK);
    assert_int_equal(db_upload_set(db, "no", 1, 1), DB_IN_USE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(names_are_unique_within_kind_and_scope),
        DB_TEST(lists_narrow_by_filters),
        DB_TEST(every_column_of_every_kind_can_be_asked),
        DB_TEST(pages_go_on_behind_a_name),
        DB_TEST(changes_and_deletions_since_a_sequence),
        DB_TEST(what_is_needed_cannot_be_deleted),
        DB_TEST(a_mac_is_of_one_vm),
        DB_TEST(uploads_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
