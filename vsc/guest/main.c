/* SPDX-License-Identifier: MIT */
/*
 * The small guest: a self-test of each provider of VMBus, chosen by its command
 * line (options.h), and figures of them on the serial console, one a line:
 *
 *   NAME VALUE UNIT
 *
 * It ends with "self-test: ok", or with "failed: TEST: why".
 */
#include "vsc/guest/interrupts.h"
#include "vsc/guest/processor.h"
#include "vsc/guest/tests.h"

#define LOADER_MAGIC_LINE 4u /* words of the Multiboot information: the command line */
#define MEMORY_UPPER      2u /* KiB above 1 MiB */

extern uint64_t first_tsc, multiboot_info;
_Noreturn void guest_main(void);

static const struct {
    const char *name;
    void (*run)(const struct options *options);
} tests[] = {
    {"bus", test_bus},
    {"storage", test_storage},
    {"network", test_network},
    {"services", test_services},
};

static void wait_for_byte(void)
{
    while (!console_heard())
        spin(1000000);
}

static void run_tests(const struct options *options)
{
    for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        if (options_wants(options, tests[i].name))
            tests[i].run(options);
}

_Noreturn void guest_main(void)
{
    const uint32_t *info = (const uint32_t *)multiboot_info;
    struct options options;

    interrupts_begin();
    memory_begin((1ull << 20) + ((uint64_t)info[MEMORY_UPPER] << 10));
    options_read(&options, (const char *)(uint64_t)info[LOADER_MAGIC_LINE]);
    if (!synic_begin())
        guest_fail("guest", "there is no hypervisor with the interface of the TLFS");
    say_figure("boot", "ticks", read_tsc() - first_tsc, "ticks");
    if (options.wait != 0)
        wait_for_byte();
    measure_nothing(&options);
    run_tests(&options);
    if (synic_bus()->version != 0)
        check_that(vsc_bus_unload(synic_bus()), "bus", "an unload was not answered");
    if (options_wants(&options, "shutdown")) {
        test_shutdown(&options);
        say("self-test: ok\n");
        power_off();
    }
    say("self-test: ok\n");
    end_well();
}
