/* SPDX-License-Identifier: MIT */
/* The store's group commit, and the journal's chain. */
#include "tests/unit/mgmtd/common.h"

#include <pthread.h>
#include <stdatomic.h>

#include "mgmtd/ident.h"
#include "mgmtd/store.h"

#define THREADS 8
#define JOBS    50

static struct store *open_store(const char *directory)
{
    char message[512] = "";
    char path[256];
    struct store *store;

    snprintf(path, sizeof(path), "%s/test.db", directory);
    store = store_open(path, message, sizeof(message));
    if (!store)
        fail_msg("%s", message);
    return store;
}

struct insertion {
    char name[32];
    bool refuse; /* after having written */
};

static bool insert_job(void *context, struct db *db, struct journal *journal)
{
    struct insertion *insertion = context;
    char id[UUID_SIZE];
    struct db_object object = {.kind = DB_VM,
                               .id = id,
                               .scope = "",
                               .name = insertion->name,
                               .state = "",
                               .revision = 1,
                               .head = "{",
                               .tail = ""};
    struct journal_event event = {.class = "audit",
                                  .type = "vm.created",
                                  .kind = DB_VM,
                                  .id = id,
                                  .name = insertion->name,
                                  .actor = "user:\"x\""};

    uuid_make(id);
    assert_int_equal(journal_append(journal, db, &event), DB_OK);
    object.sequence = journal->sequence;
    assert_int_equal(db_object_insert(db, &object), DB_OK);
    return !insertion->refuse;
}

struct writer {
    struct store *store;
    int number;
};

/* Every third change is refused; the others must be there. */
static void *write_many(void *context)
{
    struct writer *writer = context;

    for (int i = 0; i < JOBS; i++) {
        struct insertion insertion = {.refuse = i % 3 == 0};
        char message[256];

        snprintf(insertion.name, sizeof(insertion.name), "vm-%d-%d", writer->number, i);
        assert_int_equal(
            store_call(writer->store, insert_job, &insertion, message, sizeof(message)), DB_OK);
    }
    return NULL;
}

static void check(struct store *store, int64_t wanted)
{
    struct db *reader = store_reader(store);
    int64_t events = 0;
    int64_t broken = 0;
    int64_t count = 0;

    assert_non_null(reader);
    assert_int_equal(db_object_count(reader, DB_VM, &count), DB_OK);
    assert_int_equal(count, wanted);
    assert_int_equal(journal_verify(reader, &events, &broken), DB_OK);
    assert_int_equal(events, wanted);
    assert_int_equal(store_sequence(store), wanted);
    assert_int_equal(store_kind_sequence(store, (enum journal_mark)DB_VM), wanted);
}

static void many_writers_share_commits(void **state)
{
    struct store *store = open_store(*state);
    struct store_statistics statistics;
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    int64_t wanted = (int64_t)THREADS * (JOBS - (JOBS + 2) / 3);

    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){store, i};
        pthread_create(&threads[i], NULL, write_many, &writers[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check(store, wanted);
    store_statistics(store, &statistics);
    assert_int_equal(statistics.jobs, THREADS * JOBS);
    assert_true(statistics.commits < statistics.jobs);
    store_close(store);
    store = open_store(*state); /* what was acknowledged is there again */
    check(store, wanted);
    store_close(store);
}

static void a_second_thread_reads_the_last_commit(void **state)
{
    struct store *store = open_store(*state);
    struct insertion insertion = {.name = "one"};
    char message[256];

    check(store, 0);
    assert_int_equal(store_call(store, insert_job, &insertion, message, sizeof(message)), DB_OK);
    check(store, 1);
    assert_true(store_healthy(store, message, sizeof(message)));
    store_close(store);
}

static bool tamper_job(void *context, struct db *db, struct journal *journal)
{
    uint8_t hash[DB_HASH_SIZE] = {0};
    struct db_event forged = {.sequence = 4,
                              .at = 1,
                              .class = "audit",
                              .type = "vm.deleted",
                              .object_kind = "vm",
                              .object_id = "x",
                              .document =
                                  "{\"sequence\":4,\"forged\":\"by hand, and long enough to be "
                                  "taken for an event with a hash at its end\",\"hash\":\"00\"}",
                              .hash = hash};

    (void)context;
    (void)journal;
    return db_event_insert(db, &forged) == DB_OK;
}

static void a_forged_event_breaks_the_chain(void **state)
{
    struct store *store = open_store(*state);
    char message[256];
    int64_t events = 0;
    int64_t broken = 0;

    for (int i = 0; i < 3; i++) {
        struct insertion insertion = {.refuse = false};

        snprintf(insertion.name, sizeof(insertion.name), "vm-%d", i);
        store_call(store, insert_job, &insertion, message, sizeof(message));
    }
    check(store, 3);
    assert_int_equal(store_call(store, tamper_job, NULL, message, sizeof(message)), DB_OK);
    assert_int_equal(journal_verify(store_reader(store), &events, &broken), DB_CORRUPT);
    assert_int_equal(broken, 4);
    store_close(store);
}

static bool restore_job(void *context, struct db *db, struct journal *journal)
{
    (void)context;
    return journal_append_restored(journal, db, "host", "here") == DB_OK;
}

static bool skip_job(void *context, struct db *db, struct journal *journal)
{
    (void)context;
    (void)db;
    journal->sequence++;
    return true;
}

static void a_restored_chain_has_one_gap(void **state)
{
    struct store *store = open_store(*state);
    struct insertion insertion = {.name = "vm"};
    char message[256];
    int64_t events = 0;
    int64_t broken = 0;
    bool known = true;

    store_call(store, insert_job, &insertion, message, sizeof(message));
    assert_int_equal(store_call(store, restore_job, NULL, message, sizeof(message)), DB_OK);
    assert_true(store_sequence(store) > 1000000000);
    snprintf(insertion.name, sizeof(insertion.name), "vm-2");
    store_call(store, insert_job, &insertion, message, sizeof(message));
    assert_int_equal(journal_verify(store_reader(store), &events, &broken), DB_OK);
    assert_int_equal(events, 3);
    assert_int_equal(db_event_known(store_reader(store), 1, &known), DB_OK);
    assert_true(known);
    assert_int_equal(db_event_known(store_reader(store), 2, &known), DB_OK);
    assert_false(known);
    assert_int_equal(db_event_known(store_reader(store), store_sequence(store), &known), DB_OK);
    assert_true(known);
    /* A gap before any other event is a break. */
    store_call(store, skip_job, NULL, message, sizeof(message));
    snprintf(insertion.name, sizeof(insertion.name), "vm-3");
    store_call(store, insert_job, &insertion, message, sizeof(message));
    assert_int_equal(journal_verify(store_reader(store), &events, &broken), DB_CORRUPT);
    assert_int_equal(broken, store_sequence(store));
    store_close(store);
}

static bool trim_job(void *context, struct db *db, struct journal *journal)
{
    int64_t trimmed = 0;

    (void)context;
    (void)journal;
    return db_event_trim(db, INT64_MAX, 2, &trimmed) == DB_OK && trimmed == 2;
}

static void the_rest_of_a_trimmed_chain_verifies(void **state)
{
    struct store *store = open_store(*state);
    char message[256];
    int64_t events = 0;
    int64_t broken = 0;

    for (int i = 0; i < 5; i++) {
        struct insertion insertion = {.refuse = false};

        snprintf(insertion.name, sizeof(insertion.name), "vm-%d", i);
        store_call(store, insert_job, &insertion, message, sizeof(message));
    }
    assert_int_equal(store_call(store, trim_job, NULL, message, sizeof(message)), DB_OK);
    assert_int_equal(journal_verify(store_reader(store), &events, &broken), DB_OK);
    assert_int_equal(events, 3);
    store_close(store);
}

static bool fill_job(void *context, struct db *db, struct journal *journal)
{
    struct insertion insertion = {.name = "fills"};

    (void)context;
    insert_job(&insertion, db, journal);
    /* What SQLite does by itself when the disk is full. */
    db_rollback(db);
    return true;
}

struct asking {
    struct store *store;
    atomic_bool stop;
};

static void *ask_for_health(void *context)
{
    struct asking *asking = context;
    char message[600];

    while (!atomic_load(&asking->stop))
        (void)store_healthy(asking->store, message, sizeof(message));
    return NULL;
}

static void a_lost_transaction_is_refused_and_the_next_works(void **state)
{
    struct store *store = open_store(*state);
    struct insertion insertion = {.name = "after"};
    struct asking asking = {.store = store};
    char message[256] = "";
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, ask_for_health, &asking), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(store_call(store, fill_job, NULL, message, sizeof(message)), DB_FULL);
    atomic_store(&asking.stop, true);
    pthread_join(thread, NULL);
    assert_false(store_healthy(store, message, sizeof(message)));
    assert_int_equal(store_call(store, insert_job, &insertion, message, sizeof(message)), DB_OK);
    check(store, 1);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIRECTORY_TEST(many_writers_share_commits),
        DIRECTORY_TEST(a_second_thread_reads_the_last_commit),
        DIRECTORY_TEST(a_forged_event_breaks_the_chain),
        DIRECTORY_TEST(the_rest_of_a_trimmed_chain_verifies),
        DIRECTORY_TEST(a_restored_chain_has_one_gap),
        DIRECTORY_TEST(a_lost_transaction_is_refused_and_the_next_works),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
