/* SPDX-License-Identifier: MIT */
/* Operations with their queues, idempotency keys, events and trimming, tokens. */
#include "tests/unit/db/common.h"

#include "db/object.h"
#include "db/operation.h"
#include "db/token.h"

static const uint8_t hash[DB_HASH_SIZE] = {1, 2, 3};

static void insert_operation(struct db *db, const char *id, const char *object, const char *state,
                             int64_t finished_at)
{
    struct db_operation operation = {.id = id,
                                     .action = "vm.start",
                                     .object_kind = "vm",
                                     .object_id = object,
                                     .state = state,
                                     .actor = "user:a",
                                     .arguments = "{}",
                                     .sequence = 1,
                                     .created_at = 1,
                                     .finished_at = finished_at,
                                     .head = "{",
                                     .tail = ""};

    assert_int_equal(db_operation_insert(db, &operation), DB_OK);
    assert_true(operation.number > 0);
}

struct seen {
    char text[512];
};

static bool see(void *context, const struct db_operation *operation)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);

    snprintf(seen->text + used, sizeof(seen->text) - used, "%s:%d:%s ", operation->id,
             (int)operation->position, operation->holder_id);
    return true;
}

static void a_queue_tells_position_and_holder(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_operation end = {
        .id = "a", .state = "succeeded", .sequence = 5, .finished_at = 9, .tail = ",\"x\":1"};
    struct seen seen = {.text = ""};
    int64_t count = 0;

    insert_operation(db, "a", "v1", "running", 0);
    insert_operation(db, "b", "v1", "queued", 0);
    insert_operation(db, "c", "v2", "queued", 0);
    insert_operation(db, "d", "v1", "queued", 0);
    assert_int_equal(db_operation_unfinished(db, see, &seen), DB_OK);
    assert_string_equal(seen.text, "a:0: b:1:a c:0: d:2:a ");
    assert_int_equal(db_operation_count_unfinished(db, &count), DB_OK);
    assert_int_equal(count, 4);
    assert_int_equal(db_operation_update(db, &end), DB_OK);
    seen.text[0] = '\0';
    assert_int_equal(db_operation_get(db, "d", see, &seen), DB_OK);
    assert_string_equal(seen.text, "d:1:b ");
    assert_int_equal(db_operation_get(db, "x", see, &seen), DB_NOT_FOUND);
    assert_int_equal(db_operation_newest(db, &count), DB_OK);
    assert_int_equal(count, 5);
}

static void check_list(struct db *db, const struct db_operation_list *list, const char *text,
                       int64_t total)
{
    struct seen seen = {.text = ""};
    int64_t count = -1;

    assert_int_equal(db_operation_each(db, list, see, &seen), DB_OK);
    assert_string_equal(seen.text, text);
    assert_int_equal(db_operation_count(db, list, &count), DB_OK);
    assert_int_equal(count, total);
}

static void operations_are_listed_newest_first(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_operation_list list = {.limit = 2};

    insert_operation(db, "a", "v1", "succeeded", 5);
    insert_operation(db, "b", "v1", "failed", 6);
    insert_operation(db, "c", "v2", "succeeded", 7);
    check_list(db, &list, "c:0: b:0: ", 3);
    list.before = 2;
    check_list(db, &list, "a:0: ", 3);
    list = (struct db_operation_list){.limit = -1, .state = "succeeded"};
    check_list(db, &list, "c:0: a:0: ", 2);
    list.object_id = "v1";
    check_list(db, &list, "a:0: ", 1);
    list = (struct db_operation_list){.limit = -1, .actor = "user:b"};
    check_list(db, &list, "", 0);
}

static void old_operations_go_with_their_keys(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_idempotency record = {.operation_id = "a", .created_at = 5};
    struct db_idempotency found;
    int64_t trimmed = 0;

    insert_operation(db, "a", "v1", "succeeded", 5);
    insert_operation(db, "b", "v1", "running", 0);
    memcpy(record.fingerprint, hash, sizeof(hash));
    assert_int_equal(db_idempotency_insert(db, "user:a", "key", &record), DB_OK);
    assert_int_equal(db_idempotency_insert(db, "user:a", "key", &record), DB_EXISTS);
    assert_int_equal(db_idempotency_insert(db, "user:b", "key", &record), DB_OK);
    assert_int_equal(db_idempotency_get(db, "user:a", "key", &found), DB_OK);
    assert_string_equal(found.operation_id, "a");
    assert_memory_equal(found.fingerprint, hash, sizeof(hash));
    assert_int_equal(db_operation_trim(db, 5, 10, &trimmed), DB_OK);
    assert_int_equal(trimmed, 0);
    assert_int_equal(db_operation_trim(db, 6, 10, &trimmed), DB_OK);
    assert_int_equal(trimmed, 1);
    assert_int_equal(db_idempotency_get(db, "user:a", "key", &found), DB_NOT_FOUND);
}

static void insert_event(struct db *db, int64_t sequence, int64_t at, const char *type,
                         const char *object)
{
    uint8_t own[DB_HASH_SIZE] = {(uint8_t)sequence};
    struct db_event event = {.sequence = sequence,
                             .at = at,
                             .class = "audit",
                             .type = type,
                             .object_kind = "vm",
                             .object_id = object,
                             .document = "{}",
                             .hash = own};

    assert_int_equal(db_event_insert(db, &event), DB_OK);
}

static bool see_event(void *context, const struct db_event *event)
{
    char *text = context;

    sprintf(text + strlen(text), "%d ", (int)event->sequence);
    return true;
}

static void check_events(struct db *db, struct db_event_query query, const char *sequences)
{
    char text[128] = "";

    assert_int_equal(db_event_each(db, &query, see_event, text), DB_OK);
    assert_string_equal(text, sequences);
}

static void events_are_read_and_trimmed_from_the_old_end(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    uint8_t last[DB_HASH_SIZE];
    int64_t sequence = -1;
    int64_t trimmed = 0;
    bool known = false;

    assert_int_equal(db_event_last(db, &sequence, last), DB_OK);
    assert_int_equal(sequence, 0);
    for (int i = 1; i <= 6; i++)
        insert_event(db, i, (int64_t)i * 10, i % 2 ? "vm.a" : "vm.b", i < 4 ? "v1" : "v2");
    check_events(db, (struct db_event_query){.since = 2, .limit = 3}, "3 4 5 ");
    check_events(db, (struct db_event_query){.limit = -1, .object_id = "v1"}, "1 2 3 ");
    check_events(db, (struct db_event_query){.limit = -1, .type = "vm.b"}, "2 4 6 ");
    check_events(db, (struct db_event_query){.limit = -1, .class = "operation"}, "");
    assert_int_equal(db_event_trim(db, 35, 2, &trimmed), DB_OK);
    assert_int_equal(trimmed, 2);
    assert_int_equal(db_event_known(db, 1, &known), DB_OK);
    assert_true(known); /* trimmed, but it was there */
    assert_int_equal(db_event_known(db, 1000, &known), DB_OK);
    assert_false(known);
    assert_int_equal(db_event_trim(db, 35, 10, &trimmed), DB_OK);
    assert_int_equal(trimmed, 1);
    assert_int_equal(db_event_trim(db, 35, 10, &trimmed), DB_OK);
    assert_int_equal(trimmed, 0);
    assert_int_equal(db_event_anchor(db, &sequence, last), DB_OK);
    assert_int_equal(sequence, 3);
    assert_int_equal(last[0], 3);
    assert_int_equal(db_event_trim(db, 1000, 10, &trimmed), DB_OK);
    assert_int_equal(db_event_last(db, &sequence, last), DB_OK);
    assert_int_equal(sequence, 6); /* the sequence goes on where it was */
    assert_int_equal(last[0], 6);
}

static bool see_token(void *context, const struct db_token *token)
{
    assert_memory_equal(token->hash, hash, sizeof(hash));
    assert_string_equal(token->user_id, "u1");
    assert_int_equal(token->expires_at, 77);
    ++*(int *)context;
    return true;
}

static void tokens_go_with_their_user(void **state)
{
    struct db *db = ((struct fixture *)*state)->db;
    struct db_object user = {.kind = DB_USER,
                             .id = "u1",
                             .scope = "",
                             .name = "bob",
                             .state = "",
                             .revision = 1,
                             .sequence = 1,
                             .head = "{",
                             .tail = ""};
    struct db_object object = user;
    struct db_token token = {
        .id = "t1", .hash = hash, .role = "viewer", .user_id = "u1", .expires_at = 77};
    struct db_certificate certificate = {"abc", "u1", 5};
    int count = 0;

    object.kind = DB_TOKEN;
    object.id = "t1";
    assert_int_equal(db_object_insert(db, &user), DB_OK);
    assert_int_equal(db_object_insert(db, &object), DB_OK);
    assert_int_equal(db_token_insert(db, &token), DB_OK);
    assert_int_equal(db_token_each(db, see_token, &count), DB_OK);
    assert_int_equal(count, 1);
    assert_int_equal(db_token_used(db, "t1", 60, ",\"last_used_at\":1"), DB_OK);
    assert_int_equal(db_certificate_insert(db, &certificate), DB_OK);
    assert_int_equal(db_object_delete(db, "u1", 2), DB_OK);
    assert_int_equal(db_token_each(db, see_token, &count), DB_OK);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(a_queue_tells_position_and_holder),
        DB_TEST(operations_are_listed_newest_first),
        DB_TEST(old_operations_go_with_their_keys),
        DB_TEST(events_are_read_and_trimmed_from_the_old_end),
        DB_TEST(tokens_go_with_their_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
