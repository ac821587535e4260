/* SPDX-License-Identifier: MIT */
/* The hypervisor's command line: good ones, and a sentence for each kind of bad one. */
#include "hv/x86/boot/options.h"

#include <string.h>

#include "hv/x86/console.h"
#include "tests/unit/hv/unit.h"

static struct options options;
static char error[OPTIONS_ERROR_SIZE];

static void accept(const char *line)
{
    memset(&options, 0xff, sizeof options);
    error[0] = '\0';
    if (!options_parse(line, &options, error)) {
        fail_msg("\"%s\": %s", line, error);
    }
}

/* The sentence must name the option and say what would be right. */
static void refuse_line(const char *line, const char *named, const char *remedy)
{
    memset(error, 'z', sizeof error);
    if (options_parse(line, &options, error)) {
        fail_msg("\"%s\" was accepted", line);
    }
    assert_non_null(memchr(error, '\0', sizeof error));
    if (strstr(error, named) == NULL || strstr(error, remedy) == NULL) {
        fail_msg("\"%s\": \"%s\" does not name '%s' and '%s'", line, error, named, remedy);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    static const char *const lines[] = {"", " ", "      "};

    for (unsigned i = 0; i < ARRAY_COUNT(lines); i++) {
        accept(lines[i]);
        assert_int_equal(options.console_port, CONSOLE_PORT_COM1);
        assert_int_equal(options.log_level, LOG_INFO);
        assert_int_equal(options.lps, 0);
        assert_int_equal(options.parent_memory, 0);
    }
}

static void test_all_options(void **state)
{
    (void)state;
    accept("console=com2 loglevel=debug lps=4 parent_memory=3G");
    assert_int_equal(options.console_port, CONSOLE_PORT_COM2);
    assert_int_equal(options.log_level, LOG_DEBUG);
    assert_int_equal(options.lps, 4);
    assert_int_equal(options.parent_memory, 3ull << 30);
    accept("  parent_memory=0x20000000   lps=1024 ");
    assert_int_equal(options.parent_memory, 512ull << 20);
    assert_int_equal(options.lps, 1024);
    accept("lps=2 lps=3"); /* the last one counts, as with Linux */
    assert_int_equal(options.lps, 3);
}

static void test_consoles(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint16_t port;
    } good[] = {{"console=com1", 0x3f8},  {"console=com2", 0x2f8}, {"console=none", 0},
                {"console=0x3e8", 0x3e8}, {"console=1000", 1000},  {"console=0xfff8", 0xfff8}};
    static const char *const bad[] = {
        "console=",     "console=com3", "console=0",           "console=0xfff9",
        "console=COM1", "console=0x",   "console=com1,115200", "console=65536"};

    for (unsigned i = 0; i < ARRAY_COUNT(good); i++) {
        accept(good[i].line);
        assert_int_equal(options.console_port, good[i].port);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        refuse_line(bad[i], bad[i], "com1, com2, a port like 0x3f8, or none");
    }
}

static void test_log_levels(void **state)
{
    (void)state;
    static const char *const good[] = {"loglevel=error", "loglevel=warning", "loglevel=info",
                                       "loglevel=debug"};
    static const char *const bad[] = {"loglevel=", "loglevel=warn", "loglevel=7", "loglevel=Info",
                                      "loglevel=debugs"};

    for (unsigned i = 0; i < ARRAY_COUNT(good); i++) {
        accept(good[i]);
        assert_int_equal(options.log_level, i);
    }
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        refuse_line(bad[i], bad[i], "error, warning, info or debug");
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const lps[] = {
        "lps=0", "lps=", "lps=-1", "lps=1025", "lps=two", "lps=4x", "lps=18446744073709551617"};
    static const char *const memory[] = {"parent_memory=",    "parent_memory=0",
                                         "parent_memory=4T",  "parent_memory=4GB",
                                         "parent_memory=-4G", "parent_memory=17179869184G"};

    for (unsigned i = 0; i < ARRAY_COUNT(lps); i++) {
        refuse_line(lps[i], lps[i], "a number from 1");
    }
    for (unsigned i = 0; i < ARRAY_COUNT(memory); i++) {
        refuse_line(memory[i], memory[i], "a size like 4G");
    }
}

static void test_unknown(void **state)
{
    (void)state;
    static const char *const bad[] = {"lsp=4", "LPS=4", "lps", "=", "quiet", "lps\t=4", "console"};

    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        refuse_line(bad[i], bad[i], "known: console=, loglevel=, lps=, parent_memory=");
    }
    refuse_line("lps=2 oops lps=3", "oops", "unknown option");
    refuse_line("lps=2, loglevel=debug", "lps=2,", "a number from 1");
}

/* A word that is longer than any option is never cut to something that is one. */
static void test_long_words(void **state)
{
    (void)state;
    char line[3000] = "lps=";

    memset(line + 4, '0', sizeof line - 4);
    memcpy(line + 4 + 58, "1x", 3);
    refuse_line(line, "lps=0000", "too long");
    memset(line + 4, '0', sizeof line - 4);
    line[sizeof line - 1] = '\0';
    refuse_line(line, "lps=0000", "too long");
    memset(line, 'y', sizeof line - 1);
    refuse_line(line, "yyyyyyyy", "too long");
    memcpy(line, "lps=", 5);
    memset(line + 4, '0', 58);
    memcpy(line + 62, "7 loglevel=debug", 17);
    accept(line);
    assert_int_equal(options.lps, 7);
    assert_int_equal(options.log_level, LOG_DEBUG);
}

static void test_strange_bytes(void **state)
{
    (void)state;
    refuse_line("\xff\xfe%s%n", "\xff\xfe", "unknown option");
    refuse_line("lps=%n%s%x", "%n", "a number from 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_all_options),
        cmocka_unit_test(test_consoles),   cmocka_unit_test(test_log_levels),
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_long_words), cmocka_unit_test(test_strange_bytes),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
