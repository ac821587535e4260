/* SPDX-License-Identifier: MIT */
/*
 * bhstat: shows what the hypervisor does. Exit status: 0 done, 1 the hypervisor
 * or the driver does not answer, 2 wrong options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "parent/tools/bhstat/json.h"
#include "parent/tools/bhstat/log.h"
#include "parent/tools/bhstat/options.h"
#include "parent/tools/bhstat/snapshot.h"
#include "parent/tools/bhstat/table.h"

static void wait_ms(uint32_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};

    (void)nanosleep(&time, NULL);
}

static int fail(const struct bh_error *error)
{
    fprintf(stderr, "bhstat: %s\n", error->text);
    return 1;
}

static bool print_json(const struct bhstat_snapshot *snapshot, bool lines, struct bh_error *error)
{
    json_t *document = bhstat_json(snapshot);
    int failed;

    if (document == NULL)
        return bh_error_set(error, 0, "Out of memory.");
    failed = json_dumpf(document, stdout, lines ? JSON_COMPACT : JSON_INDENT(2));
    json_decref(document);
    if (failed != 0 || putchar('\n') == EOF)
        return bh_error_set(error, 0, "Cannot write to the standard output.");
    return true;
}

static bool print_table(const struct bhstat_snapshot *before, const struct bhstat_snapshot *now,
                        bool live)
{
    if (live && isatty(STDOUT_FILENO))
        fputs("\033[H\033[J", stdout);
    else if (before != NULL)
        putchar('\n');
    bhstat_table(stdout, before, now);
    return true;
}

static int show(struct bh_host *host, const struct bhstat_options *options)
{
    struct bhstat_snapshot before = {0};
    struct bhstat_snapshot now;
    struct bh_error error;

    for (uint64_t n = 0; options->count == 0 || n < options->count; n++) {
        bool good;

        if (n > 0)
            wait_ms(options->interval_ms);
        good = bhstat_snapshot_take(host, &now, &error);
        if (good && options->json)
            good = print_json(&now, options->count != 1, &error);
        else if (good)
            good = print_table(n > 0 ? &before : NULL, &now, options->count != 1);
        bhstat_snapshot_release(&before);
        if (!good)
            return fail(&error);
        before = now;
        if (fflush(stdout) != 0)
            break;
    }
    bhstat_snapshot_release(&before);
    return ferror(stdout) ? 1 : 0;
}

static int show_log(struct bh_host *host, const struct bhstat_options *options)
{
    uint64_t position = 0;
    struct bh_error error;

    for (;;) {
        uint64_t lost = 0;

        if (!bhstat_log_copy(host, stdout, &position, &lost, &error))
            return fail(&error);
        if (lost > 0)
            fprintf(stderr, "bhstat: %llu bytes of the log are no longer there\n",
                    (unsigned long long)lost);
        if (!options->follow)
            return 0;
        wait_ms(options->interval_ms);
    }
}

static int run(const struct bhstat_options *options)
{
    struct bh_error error;
    struct bh_host *host = bh_host_open(NULL, &error);
    int status;

    if (host == NULL)
        return fail(&error);
    status = options->mode == BHSTAT_LOG ? show_log(host, options) : show(host, options);
    bh_host_close(host);
    return status;
}

int main(int argc, char **argv)
{
    struct bhstat_options options;
    char error[256];

    if (!bhstat_options_parse(argc, argv, &options, error)) {
        fprintf(stderr, "bhstat: %s; see bhstat --help\n", error);
        return 2;
    }
    if (options.mode == BHSTAT_HELP) {
        fputs(bhstat_usage, stdout);
        return 0;
    }
    if (options.mode == BHSTAT_VERSION) {
        puts("bhstat " BULKHEAD_VERSION);
        return 0;
    }
    return run(&options);
}
