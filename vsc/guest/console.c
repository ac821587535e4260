/* SPDX-License-Identifier: MIT */
#include "vsc/guest/console.h"

#include "vsc/guest/processor.h"

#define SERIAL        0x3f8
#define LINE_STATUS   0x3fd
#define LINE_RECEIVED 1u
#define DEBUG_EXIT    0xf4
#define SLEEP_CONTROL 0x600
#define SLEEP_S5      (5u << 2 | 0x20u)
#define EXIT_WELL     0u
#define EXIT_FAILED   1u

void say(const char *text)
{
    while (*text != '\0')
        write_port8(SERIAL, (uint8_t)*text++);
}

void say_number(uint64_t number)
{
    char digits[21];
    char *at = &digits[20];

    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    say(at);
}

void say_hex(uint64_t number)
{
    char digits[17] = {0};

    for (unsigned i = 0; i < 16; i++)
        digits[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
    say(digits);
}

static void say_name(const char *name, const char *what)
{
    say(name);
    say(".");
    say(what);
    say(" ");
}

static void say_unit(const char *unit)
{
    say(" ");
    say(unit);
    say("\n");
}

void say_figure(const char *name, const char *what, uint64_t value, const char *unit)
{
    say_name(name, what);
    say_number(value);
    say_unit(unit);
}

void say_ratio(const char *name, const char *what, uint64_t value, uint64_t by, const char *unit)
{
    uint64_t thousandths = value * 1000 / by;

    say_name(name, what);
    say_number(thousandths / 1000);
    say(".");
    say_number(thousandths / 100 % 10);
    say_number(thousandths / 10 % 10);
    say_number(thousandths % 10);
    say_unit(unit);
}

bool console_heard(void)
{
    if ((read_port8(LINE_STATUS) & LINE_RECEIVED) == 0)
        return false;
    (void)read_port8(SERIAL);
    return true;
}

static _Noreturn void leave(uint32_t code)
{
    write_port32(DEBUG_EXIT, code);
    interrupts_off();
    for (;;)
        __asm__ volatile("hlt");
}

void guest_fail(const char *test, const char *why)
{
    say("failed: ");
    say(test);
    say(": ");
    say(why);
    say("\n");
    leave(EXIT_FAILED);
}

void end_well(void)
{
    leave(EXIT_WELL);
}

void power_off(void)
{
    write_port8(SLEEP_CONTROL, SLEEP_S5);
    leave(EXIT_FAILED);
}
