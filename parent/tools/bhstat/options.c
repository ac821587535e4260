/* SPDX-License-Identifier: MIT */
#include "parent/tools/bhstat/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char bhstat_usage[] =
    "Usage: bhstat [-i SECONDS] [-n COUNT] [--json]\n"
    "       bhstat --once [--json]\n"
    "       bhstat --log [--follow] [-i SECONDS]\n"
    "\n"
    "Shows what the Bulkhead hypervisor does: memory by owner, time of each logical\n"
    "processor and each virtual processor, exits by reason.\n"
    "\n"
    "  -i, --interval SECONDS  time between reports, 0.1 to 3600 (default 1)\n"
    "  -n, --count COUNT       stop after COUNT reports (default: go on)\n"
    "      --once              one report with averages since start\n"
    "      --json              counters as JSON: one document, or with -n one a line\n"
    "      --log               print the hypervisor's log\n"
    "      --follow            with --log: go on printing what is added\n"
    "  -h, --help              this text\n"
    "      --version           the tool's version\n"
    "\n"
    "The first report holds averages since start, each further one those of its interval.\n";

enum { OPTION_ONCE = 256, OPTION_JSON, OPTION_LOG, OPTION_FOLLOW, OPTION_VERSION };

static bool parse_interval(const char *text, uint32_t *interval_ms)
{
    char *end;
    double seconds;

    errno = 0;
    seconds = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= 3600.0))
        return false;
    *interval_ms = (uint32_t)lround(seconds * 1000.0);
    return true;
}

static bool parse_count(const char *text, uint64_t *count)
{
    char *end;

    errno = 0;
    *count = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] >= '0' && text[0] <= '9' &&
           *count > 0;
}

/* What was asked for, before it is known whether it fits together. */
struct asked {
    bool once, count, log;
};

static bool apply(int option, const char *value, struct bhstat_options *options,
                  struct asked *asked, char error[256])
{
    switch (option) {
    case 'i':
        if (parse_interval(value, &options->interval_ms))
            return true;
        (void)snprintf(error, 256, "interval '%.100s' is not a number of seconds from 0.1 to 3600",
                       value);
        return false;
    case 'n':
        asked->count = true;
        if (parse_count(value, &options->count))
            return true;
        (void)snprintf(error, 256, "count '%.100s' is not a whole number above 0", value);
        return false;
    case OPTION_ONCE:
        asked->once = true;
        return true;
    case OPTION_JSON:
        options->json = true;
        return true;
    case OPTION_LOG:
        asked->log = true;
        return true;
    case OPTION_FOLLOW:
        options->follow = true;
        return true;
    case 'h':
        options->mode = BHSTAT_HELP;
        return true;
    case OPTION_VERSION:
        options->mode = BHSTAT_VERSION;
        return true;
    default:
        return false;
    }
}

static const char *contradiction(const struct bhstat_options *options, const struct asked *asked)
{
    if (options->follow && !asked->log)
        return "--follow needs --log";
    if (asked->log && (asked->once || asked->count || options->json))
        return "--log takes none of --once, --count, --json";
    if (asked->once && asked->count)
        return "--once and --count contradict each other";
    return NULL;
}

static bool settle(struct bhstat_options *options, const struct asked *asked, char error[256])
{
    const char *wrong = contradiction(options, asked);

    if (wrong != NULL) {
        (void)snprintf(error, 256, "%s", wrong);
        return false;
    }
    if (options->mode == BHSTAT_LIVE && asked->log)
        options->mode = BHSTAT_LOG;
    if (asked->once || (options->json && !asked->count))
        options->count = 1;
    return true;
}

bool bhstat_options_parse(int argc, char *const argv[], struct bhstat_options *options,
                          char error[256])
{
    static const struct option names[] = {
        {"interval", required_argument, NULL, 'i'},
        {"count", required_argument, NULL, 'n'},
        {"once", no_argument, NULL, OPTION_ONCE},
        {"json", no_argument, NULL, OPTION_JSON},
        {"log", no_argument, NULL, OPTION_LOG},
        {"follow", no_argument, NULL, OPTION_FOLLOW},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, OPTION_VERSION},
        {NULL, 0, NULL, 0},
    };
    struct asked asked = {0};
    int option;

    *options = (struct bhstat_options){.interval_ms = 1000};
    (void)snprintf(error, 256, "unknown option, or one without its value");
    opterr = 0;
    optind = 0;
    while ((option = getopt_long(argc, argv, "i:n:h", names, NULL)) != -1) {
        if (!apply(option, optarg, options, &asked, error))
            return false;
    }
    if (optind < argc) {
        (void)snprintf(error, 256, "'%.100s' is not an option", argv[optind]);
        return false;
    }
    return settle(options, &asked, error);
}
