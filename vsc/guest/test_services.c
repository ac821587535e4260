/* SPDX-License-Identifier: MIT */
/* Heartbeat, time, key-value exchange; and the parent's request to shut down. */
#include "vsc/guest/tests.h"
#include "vsc/services/services.h"

#define BEATS 2u
#define LATEST                                                                        \
    (120 * VSC_SECOND) /* the parent asks for pairs every 15 s, for the first at once \
                        */
#define FOREVER (600 * VSC_SECOND)
#define YEAR    (365ull * 24 * 3600 * VSC_SECOND)
#define YEARS   (2020ull - 1601) /* the protocol's time begins in 1601 */
#define AGE_MAX (60 * VSC_SECOND)

static struct vsc_service heartbeat, time, kvp, shutdown;
static struct vsc_time clock;
static struct vsc_shutdown wanted;

static const struct vsc_pair said[] = {{"FullyQualifiedDomainName", "guest.vsc"},
                                       {"OSName", "small guest"},
                                       {"OSVersion", "1"},
                                       {"NetworkAddressIPv4", "10.1.0.2"}};
static struct vsc_pairs pairs = {said, sizeof(said) / sizeof(said[0])};

static void check(bool holds, const char *why)
{
    check_that(holds, "services", why);
}

static void open_service(struct vsc_service *service, const struct vsc_service_kind *kind,
                         void *state)
{
    check(vsc_service_open(service, kind, state, synic_bus(), memory_pages(2 * VSC_SERVICE_PAGES)),
          kind->name);
}

static void check_time(void)
{
    uint64_t now = synic_clock();

    check(time.version.major == 4, "the time service has not agreed on version 4");
    check(clock.settings != 0, "the clock was not set");
    check(clock.reference_time <= now && now - clock.reference_time < AGE_MAX,
          "the time of a sample is not ours");
    check(clock.parent_time > YEARS * YEAR, "the parent's time is before 2020");
    say_figure("services", "time", (clock.parent_time - IC_TIME_1970) / VSC_SECOND, "s");
    say_figure("services", "age", (now - clock.reference_time) / 10, "us");
}

void test_services(const struct options *options)
{
    uint64_t mark = memory_mark();
    uint64_t deadline;

    (void)options;
    connect("services");
    open_service(&heartbeat, &vsc_heartbeat_kind, NULL);
    open_service(&time, &vsc_time_kind, &clock);
    open_service(&kvp, &vsc_kvp_kind, &pairs);
    deadline = vsc_bus_deadline(synic_bus(), LATEST);
    while (heartbeat.requests < BEATS || clock.samples == 0 || kvp.requests <= pairs.count)
        check(vsc_bus_wait(synic_bus(), deadline), "the parent has not asked in time");
    check_time();
    say_figure("services", "beats", heartbeat.requests, "requests");
    say_figure("services", "pairs", kvp.requests, "requests");
    check(vsc_service_close(&heartbeat) && vsc_service_close(&time) && vsc_service_close(&kvp),
          "a service can not be closed");
    memory_release(mark);
    say("ok services\n");
}

/* All services stay open meanwhile, so that the parent can see what the guest says of itself. */
void test_shutdown(const struct options *options)
{
    uint64_t deadline;

    (void)options;
    connect("shutdown");
    open_service(&heartbeat, &vsc_heartbeat_kind, NULL);
    open_service(&kvp, &vsc_kvp_kind, &pairs);
    open_service(&shutdown, &vsc_shutdown_kind, &wanted);
    say("waiting for shutdown\n");
    deadline = vsc_bus_deadline(synic_bus(), FOREVER);
    while (!wanted.wanted)
        check(vsc_bus_wait(synic_bus(), deadline), "nobody has asked for a shutdown");
    check((wanted.flags & IC_SHUTDOWN_REBOOT) == 0, "a reboot was asked for");
    check(vsc_bus_unload(synic_bus()), "the last unload was not answered");
    say("ok shutdown\n");
}
