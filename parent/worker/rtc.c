/* SPDX-License-Identifier: MIT */
#include "parent/worker/rtc.h"

#include <string.h>

enum {
    RTC_SECONDS = 0x00,
    RTC_MINUTES = 0x02,
    RTC_HOURS = 0x04,
    RTC_WEEKDAY = 0x06,
    RTC_DAY = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_C = 0x0c,
    RTC_D = 0x0d,
    RTC_CENTURY = 0x32,
};

#define RTC_A_DIVIDER 0x26u /* 32,768 Hz; never "update in progress" */
#define RTC_B_SET     0x80u
#define RTC_B_BINARY  0x04u
#define RTC_B_24H     0x02u
#define RTC_D_VALID   0x80u
#define RTC_PM        0x80u

void bh_rtc_init(struct bh_rtc *rtc, int64_t (*now)(void *context), void *context)
{
    memset(rtc, 0, sizeof(*rtc));
    rtc->now = now;
    rtc->context = context;
    rtc->cmos[RTC_B] = RTC_B_24H;
}

static bool is_set_by(const struct bh_rtc *rtc, unsigned bit)
{
    return (rtc->cmos[RTC_B] & bit) != 0;
}

static struct tm current_time(const struct bh_rtc *rtc)
{
    time_t seconds = (time_t)(rtc->now(rtc->context) + rtc->offset);
    struct tm time;

    if (is_set_by(rtc, RTC_B_SET))
        return rtc->held;
    (void)gmtime_r(&seconds, &time);
    return time;
}

static uint8_t encode(const struct bh_rtc *rtc, int value)
{
    return (uint8_t)(is_set_by(rtc, RTC_B_BINARY) ? value : value / 10 * 16 + value % 10);
}

static int decode(const struct bh_rtc *rtc, uint8_t value)
{
    return is_set_by(rtc, RTC_B_BINARY) ? value : (value >> 4) * 10 + (value & 0xf);
}

static uint8_t encode_hour(const struct bh_rtc *rtc, int hour)
{
    int twelve = hour % 12 == 0 ? 12 : hour % 12;

    if (is_set_by(rtc, RTC_B_24H))
        return encode(rtc, hour);
    return encode(rtc, twelve) | (hour >= 12 ? RTC_PM : 0);
}

static int decode_hour(const struct bh_rtc *rtc, uint8_t value)
{
    if (is_set_by(rtc, RTC_B_24H))
        return decode(rtc, value);
    return decode(rtc, value & (uint8_t)~RTC_PM) % 12 + ((value & RTC_PM) != 0 ? 12 : 0);
}

static uint8_t read_cmos(const struct bh_rtc *rtc)
{
    struct tm time = current_time(rtc);

    switch (rtc->index) {
    case RTC_SECONDS:
        return encode(rtc, time.tm_sec);
    case RTC_MINUTES:
        return encode(rtc, time.tm_min);
    case RTC_HOURS:
        return encode_hour(rtc, time.tm_hour);
    case RTC_WEEKDAY:
        return encode(rtc, time.tm_wday + 1);
    case RTC_DAY:
        return encode(rtc, time.tm_mday);
    case RTC_MONTH:
        return encode(rtc, time.tm_mon + 1);
    case RTC_YEAR:
        return encode(rtc, time.tm_year % 100);
    case RTC_CENTURY:
        return encode(rtc, (time.tm_year + 1900) / 100);
    case RTC_A:
        return RTC_A_DIVIDER;
    case RTC_C:
        return 0;
    case RTC_D:
        return RTC_D_VALID;
    default:
        return rtc->cmos[rtc->index];
    }
}

/* Changes one field; false for a register that is none. */
static bool set_field(const struct bh_rtc *rtc, struct tm *time, uint8_t value)
{
    switch (rtc->index) {
    case RTC_SECONDS:
        time->tm_sec = decode(rtc, value);
        return true;
    case RTC_MINUTES:
        time->tm_min = decode(rtc, value);
        return true;
    case RTC_HOURS:
        time->tm_hour = decode_hour(rtc, value);
        return true;
    case RTC_DAY:
        time->tm_mday = decode(rtc, value);
        return true;
    case RTC_MONTH:
        time->tm_mon = decode(rtc, value) - 1;
        return true;
    case RTC_YEAR:
        time->tm_year = time->tm_year / 100 * 100 + decode(rtc, value) % 100;
        return true;
    case RTC_CENTURY:
        time->tm_year = decode(rtc, value) * 100 - 1900 + time->tm_year % 100;
        return true;
    default:
        return rtc->index == RTC_WEEKDAY;
    }
}

/* From now on the guest's time is `time`. */
static void set_clock(struct bh_rtc *rtc, struct tm time)
{
    rtc->offset = (int64_t)timegm(&time) - rtc->now(rtc->context);
}

static void write_b(struct bh_rtc *rtc, uint8_t value)
{
    struct tm time = current_time(rtc);
    bool was_set = is_set_by(rtc, RTC_B_SET);

    rtc->cmos[RTC_B] = value;
    if (!was_set)
        rtc->held = time;
    else if (!is_set_by(rtc, RTC_B_SET))
        set_clock(rtc, time);
}

static void write_cmos(struct bh_rtc *rtc, uint8_t value)
{
    struct tm time = current_time(rtc);

    if (rtc->index == RTC_B)
        write_b(rtc, value);
    else if (!set_field(rtc, &time, value))
        rtc->cmos[rtc->index] = value;
    else if (is_set_by(rtc, RTC_B_SET))
        rtc->held = time;
    else
        set_clock(rtc, time);
}

static uint64_t rtc_read(void *context, uint64_t offset, unsigned size)
{
    struct bh_rtc *rtc = context;

    (void)size;
    return offset == 0 ? 0xff : read_cmos(rtc); /* the index can not be read back */
}

static void rtc_write(void *context, uint64_t offset, unsigned size, uint64_t value)
{
    struct bh_rtc *rtc = context;

    if (offset == 0)
        rtc->index = (uint8_t)(value & 0x7f); /* bit 7 disables NMIs */
    if (offset == 1 || size == 2)
        write_cmos(rtc, (uint8_t)(offset == 1 ? value : value >> 8));
}

struct bh_bus_device bh_rtc_device(struct bh_rtc *rtc)
{
    return (struct bh_bus_device){.read = rtc_read, .write = rtc_write, .context = rtc};
}
