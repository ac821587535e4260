/* SPDX-License-Identifier: MIT */
/*
 * Registers of a child's VP, set and read by the parent's calls down to the control block that
 * VMRUN takes: hv/core/vp_register.c, xsave.c, hv/x86/arch.c, extended.c and hv/x86/svm, with a
 * processor of the model's own (svm_entry.h).
 *
 *   names    every name there is, and each that is none: read, and set to zero and to all ones
 *   values   each register to each value of a list that has every bit alone, every bit beside all
 *            others, and all forms of a pending event
 *   modes    all combinations of what modes are made of, an entry with each
 *   orders   three sets of a list, in every order, an entry after each three
 *
 * What the description (registers_rule.h) allows is taken and reads back as it says, and no other
 * register with it has changed. A refusal changes nothing, which is said of the child and of all
 * memory. At each entry, all that is the hypervisor's own is as it must be. Modes that do not go
 * together are the parent's affair: it is told that the VP can not run, no other VP notices, and
 * once the parent has set other modes the VP runs.
 *
 *   registers            exit status 0: nothing violated
 *   registers --mutant   exit status 0: something was violated, as it must be
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/abi/intercept.h"
#include "tests/model/registers_rule.h"
#include "tests/model/svm_entry.h"
#include "tests/model/svm_machine.h"

#define NAMES_END           0xc0000u
#define NAMES_MAX           HV_GET_VP_REGISTERS_MAX
#define INVALID             UINT64_MAX /* VMEXIT_INVALID */
#define LONG_MODES          (1ull << 8 | 1ull << 10)
#define EVENT(type, vector) (1ull | (uint64_t)(type) << 1 | (uint64_t)(vector) << 16)
#define EVENT_ERROR         0x1800000010ull

static struct svm_machine_state start;
static const char *broken;
static uint32_t broken_name;
static union hv_register_value broken_value;
static uint64_t sets, entries, refused_entries;

static bool require(bool ok, const char *rule)
{
    if (!ok && broken == NULL) {
        broken = rule;
    }
    return broken == NULL;
}

/* What is tried now. */
static void note(uint32_t name, const union hv_register_value *value)
{
    if (broken == NULL) {
        broken_name = name;
        broken_value = *value;
    }
    sets++;
}

/* ---- the processor ---- */

static const char *refusal;

static void processor(struct vmcb *vmcb)
{
    const struct svm_entry_maps maps = {SVM_MSR_MAP, SVM_IO_MAP, SVM_NPT_ROOT(&start.machine)};
    const char *host_broken = svm_entry_breaks_host(vmcb, &maps);

    require(host_broken == NULL, host_broken);
    refusal = svm_entry_is_refused(vmcb);
    vmcb->exit_code = refusal == NULL ? VMEXIT_NMI : INVALID;
    vmcb->exit_interrupt = 0;
}

static void enter(void)
{
    const struct vp *vp = &svm_machine.child[0].vp;

    svm_machine.lp.reschedule = false;
    svm_machine_run(0);
    entries++;
    if (refusal == NULL) {
        require(!vp->intercept_suspend, "a VP that ran is stopped");
        return;
    }
    const struct hv_message message = svm_machine_take_message(0);

    refused_entries++;
    require(vp->intercept_suspend && svm_machine.lp.reschedule,
            "a VP that can not run is not stopped");
    require(message.type == HV_MESSAGE_UNRECOVERABLE_EXCEPTION && message.sender == SVM_CHILD,
            "the parent is not told of a VP that can not run");
    require(svm_machine_has_sibling(&start), "another VP has changed");
}

/* ---- reading ---- */

static uint32_t names[NAMES_MAX]; /* whose values the description knows */
static unsigned name_count;
static union hv_register_value expected[NAMES_MAX], got[NAMES_MAX];

static void list_names(void)
{
    for (uint32_t name = 0; name < NAMES_END; name++) {
        const struct register_rule *rule = register_rule_find(name);

        if (rule != NULL && rule->kind != REGISTER_ELSEWHERE && name_count < NAMES_MAX) {
            names[name_count++] = name;
        }
    }
}

static unsigned place_of(uint32_t name)
{
    unsigned i = 0;

    while (i < name_count && names[i] != name) {
        i++;
    }
    return i;
}

static void read_all(union hv_register_value *values)
{
    require(svm_machine_get(0, names, name_count, values) == HV_STATUS_SUCCESS,
            "a register can not be read");
}

/* ---- one set ---- */

/* Of a register that the description knows: what is expected of all of them follows. */
static void set(uint32_t name, const union hv_register_value *value)
{
    const struct register_rule *rule = register_rule_find(name);
    const bool taken = register_rule_takes(rule, value);
    const enum hv_status status = svm_machine_set(0, name, value);

    note(name, value);
    require(status == (taken ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_REGISTER_VALUE),
            taken ? "a right value is refused" : "a wrong value is taken");
    if (taken && rule->kind != REGISTER_CONSTANT) {
        expected[place_of(name)] = register_rule_settle(rule, value);
    }
}

static void check_all(void)
{
    read_all(got);
    require(memcmp(got, expected, name_count * sizeof *got) == 0,
            "registers do not read as they were set");
}

static void begin(union hv_register_value *values)
{
    svm_machine_load(&start);
    memcpy(expected, values, name_count * sizeof *expected);
}

/* ---- names ---- */

static void try_unknown(uint32_t name)
{
    const union hv_register_value value = {.u128 = {UINT64_MAX, UINT64_MAX}};
    union hv_register_value read;

    note(name, &value);
    require(svm_machine_get(0, &name, 1, &read) == HV_STATUS_INVALID_PARAMETER &&
                svm_machine_set(0, name, &value) == HV_STATUS_INVALID_PARAMETER,
            "a register that does not exist is there");
}

/* Its own tests say what it takes: here, that no mode of the guest changes with it. */
static void try_elsewhere(uint32_t name, uint64_t scalar)
{
    const union hv_register_value value = {.u128 = {scalar, 0}};
    const enum hv_status status = svm_machine_set(0, name, &value);

    note(name, &value);
    if (status != HV_STATUS_SUCCESS) {
        require(svm_machine_is(&start), "a refusal changed something");
        return;
    }
    require(memcmp(&svm_machine.child[0].vmcb, &start.machine.child[0].vmcb, sizeof(struct vmcb)) ==
                0,
            "a register of the hypervisor's changed one of the processor's");
    enter();
    svm_machine_load(&start);
}

static void try_names(void)
{
    svm_machine_load(&start);
    for (uint32_t name = 0; name < NAMES_END && broken == NULL; name++) {
        if (register_rule_find(name) == NULL) {
            try_unknown(name);
        }
    }
    try_unknown(NAMES_END);
    try_unknown(UINT32_MAX);
    require(svm_machine_is(&start), "a register that does not exist changed something");
}

/* ---- values ---- */

static union hv_register_value base[NAMES_MAX];

static void try_value(uint32_t name, uint64_t low, uint64_t high)
{
    const struct register_rule *rule = register_rule_find(name);
    const union hv_register_value value = {.u128 = {low, high}};

    if (broken != NULL) {
        return;
    }
    if (rule->kind == REGISTER_ELSEWHERE) {
        try_elsewhere(name, low);
        return;
    }
    set(name, &value);
    if (!register_rule_takes(rule, &value)) {
        require(svm_machine_is(&start), "a refusal changed something");
        return;
    }
    require(svm_machine_has_sibling(&start), "another VP has changed");
    check_all();
    enter();
    begin(base);
}

static void try_bits(uint32_t name, uint64_t may, bool wide)
{
    static const uint64_t addresses[] = {0x00007fffffffffff, 0x0000800000000000, 0xffff7fffffffffff,
                                         0xffff800000000000};

    try_value(name, 0, 0);
    try_value(name, may, wide ? UINT64_MAX : 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        try_value(name, 1ull << bit, 0);
        try_value(name, may | 1ull << bit, 0);
        try_value(name, may & ~(1ull << bit), wide ? UINT64_MAX : 0);
        if (wide) {
            try_value(name, 0, 1ull << bit);
            try_value(name, UINT64_MAX, ~(1ull << bit));
        }
    }
    for (unsigned i = 0; i < ARRAY_COUNT(addresses); i++) {
        try_value(name, addresses[i], 0);
    }
}

static void try_events(void)
{
    static const uint64_t rest[] = {0, 0x10, 0xffffffff00000010, 0xffffffffffffffff,
                                    0xffffffff0000ffe0};

    for (uint64_t vector = 0; vector <= 0x200; vector++) {
        for (uint64_t type = 0; type < 8; type++) {
            for (unsigned i = 0; i < ARRAY_COUNT(rest); i++) {
                const uint64_t kept = rest[i] & ~0xffff000full;

                try_value(HV_REGISTER_PENDING_INTERRUPTION, kept | EVENT(type, vector), 0);
            }
        }
    }
}

static void try_products(void)
{
    for (uint64_t low = 0; low < 1ull << 10; low++) {
        for (uint64_t amx = 0; amx < 4; amx++) {
            try_value(HV_REGISTER_XFEM, low | amx << 17, 0);
        }
    }
    for (uint64_t types = 0; types < 256; types++) {
        try_value(HV_REGISTER_PAT, types, 0);
        try_value(HV_REGISTER_PAT, types << 56 | 0x00070406000704, 0);
    }
}

static void try_values(void)
{
    begin(base);
    for (uint32_t name = 0; name < NAMES_END; name++) {
        const struct register_rule *rule = register_rule_find(name);

        if (rule != NULL) {
            const bool scalar = rule->kind == REGISTER_SCALAR;

            try_bits(name, scalar ? rule->may : UINT64_MAX, rule->kind == REGISTER_WIDE);
        }
    }
    try_events();
    try_products();
}

/* ---- modes ---- */

struct step {
    uint32_t name;
    union hv_register_value value;
};

#define SCALAR(name, x)      \
    {                        \
        name,                \
        {                    \
            .u128 = { x, 0 } \
        }                    \
    }
#define SEGMENT(name, at)                                                     \
    {                                                                         \
        name,                                                                 \
        {                                                                     \
            .segment = {.limit = 0xfffff, .selector = 8, .attributes = (at) } \
        }                                                                     \
    }

/* Modes with which a VP runs, whatever was before. */
static void mend(void)
{
    static const struct step good[] = {
        SCALAR(HV_REGISTER_CR0, 0x11),
        SCALAR(HV_REGISTER_CR4, 0),
        SCALAR(HV_REGISTER_EFER, 0),
        SEGMENT(HV_REGISTER_CS, 0xc09b),
        SCALAR(HV_REGISTER_PENDING_INTERRUPTION, 0),
        SCALAR(HV_REGISTER_INTERCEPT_SUSPEND, 0),
    };

    for (unsigned i = 0; i < ARRAY_COUNT(good); i++) {
        require(svm_machine_set(0, good[i].name, &good[i].value) == HV_STATUS_SUCCESS,
                "a VP that could not run can not be mended");
    }
    enter();
    require(refusal == NULL, "a VP that could not run does not run any more");
}

/* An entry from here, and back. */
static void enter_and_return(void)
{
    static struct svm_machine machine;
    static struct host_machine parent;

    machine = svm_machine;
    parent = host;
    enter();
    if (refusal != NULL) {
        mend();
    }
    svm_machine = machine;
    host = parent;
}

/* The registers that modes are made of, and what they are set to. */
static const struct {
    uint32_t name;
    uint16_t count;
    uint64_t value[16];
} modes[] = {
    {HV_REGISTER_EFER, 5, {0, 1 << 8, 1 << 10, LONG_MODES, 0x4d01}},
    {HV_REGISTER_CR0,
     16,
     {0x10, 0x11, 0x20000010, 0x20000011, 0x40000010, 0x40000011, 0x60000010, 0x60000011,
      0x80000010, 0x80000011, 0xa0000010, 0xa0000011, 0xc0000010, 0xc0000011, 0xe0000010,
      0xe005003f}},
    {HV_REGISTER_CR4, 4, {0, 0x20, 0x1020, 0xff1fff}},
    {HV_REGISTER_CS, 4, {0x9b, 0x209b, 0x409b, 0x609b}},
    {HV_REGISTER_SS, 2, {0x93, 0xc0f3}},
    {HV_REGISTER_RFLAGS, 3, {2, 0x202, 0x3f7fd7}},
    {HV_REGISTER_INTERRUPT_STATE, 4, {0, 1, 2, 3}},
    {HV_REGISTER_PENDING_INTERRUPTION,
     6,
     {0, EVENT(HV_INTERRUPTION_EXTERNAL, 0x41), EVENT(HV_INTERRUPTION_NMI, 2),
      EVENT(HV_INTERRUPTION_EXCEPTION, 13) | EVENT_ERROR, EVENT(HV_INTERRUPTION_EXCEPTION, 15),
      EVENT(HV_INTERRUPTION_EXCEPTION, 3)}},
};

static void combine(unsigned level)
{
    if (level == ARRAY_COUNT(modes)) {
        enter_and_return();
        return;
    }
    const bool segment = modes[level].name == HV_REGISTER_CS || modes[level].name == HV_REGISTER_SS;

    for (unsigned i = 0; i < modes[level].count && broken == NULL; i++) {
        const uint64_t x = modes[level].value[i];
        const union hv_register_value value = {.u128 = {segment ? 0 : x, segment ? x << 48 : 0}};

        set(modes[level].name, &value);
        if (register_rule_takes(register_rule_find(modes[level].name), &value)) {
            combine(level + 1);
        }
    }
    if (level == 0) {
        check_all();
    }
}

/* ---- orders ---- */

static const struct step steps[] = {
    SCALAR(HV_REGISTER_EFER, 0),
    SCALAR(HV_REGISTER_EFER, LONG_MODES),
    SCALAR(HV_REGISTER_EFER, 0x1d01), /* with SVME: refused */
    SCALAR(HV_REGISTER_CR0, 0x11),
    SCALAR(HV_REGISTER_CR0, 0x80000011),
    SCALAR(HV_REGISTER_CR0, 0x20000011),
    SCALAR(HV_REGISTER_CR0, 0x80000010), /* refused */
    SCALAR(HV_REGISTER_CR3, 0x1000),
    SCALAR(HV_REGISTER_CR3, 1ull << 63), /* refused */
    SCALAR(HV_REGISTER_CR4, 0x20),
    SCALAR(HV_REGISTER_CR4, 1 << 13), /* refused */
    SCALAR(HV_REGISTER_CR8, 15),
    SCALAR(HV_REGISTER_RFLAGS, 0x202),
    SCALAR(HV_REGISTER_DR6, 0xffff0ff0),
    SCALAR(HV_REGISTER_DR7, 1ull << 32), /* refused */
    SCALAR(HV_REGISTER_PAT, 0x0007040600070406),
    SEGMENT(HV_REGISTER_CS, 0xa09b),
    SEGMENT(HV_REGISTER_CS, 0xe09b),
    SEGMENT(HV_REGISTER_SS, 0xc0f3),
    SEGMENT(HV_REGISTER_SS, 0xff93),
    SEGMENT(HV_REGISTER_TR, 0x8b),
    SCALAR(HV_REGISTER_PENDING_INTERRUPTION, EVENT(HV_INTERRUPTION_EXTERNAL, 0x41)),
    SCALAR(HV_REGISTER_PENDING_INTERRUPTION, EVENT(HV_INTERRUPTION_NMI, 2)),
    SCALAR(HV_REGISTER_PENDING_INTERRUPTION, EVENT(HV_INTERRUPTION_EXCEPTION, 14) | EVENT_ERROR),
    SCALAR(HV_REGISTER_PENDING_INTERRUPTION, EVENT(HV_INTERRUPTION_SOFTWARE, 0x80)), /* refused */
    SCALAR(HV_REGISTER_PENDING_INTERRUPTION, 0),
    SCALAR(HV_REGISTER_INTERRUPT_STATE, 0),
    SCALAR(HV_REGISTER_INTERRUPT_STATE, 3),
    SCALAR(HV_REGISTER_INTERNAL_ACTIVITY_STATE, VP_HALTED),
    SCALAR(HV_REGISTER_INTERNAL_ACTIVITY_STATE, VP_WAIT_STARTUP),
    SCALAR(HV_REGISTER_EXPLICIT_SUSPEND, 0),
    SCALAR(HV_REGISTER_INTERCEPT_SUSPEND, 0),
    SCALAR(HV_REGISTER_INTERCEPT_SUSPEND, 1), /* refused */
    SCALAR(HV_REGISTER_XFEM, 7),
    SCALAR(HV_REGISTER_RSP, 0x8000000000000000),
};

static void order(unsigned depth)
{
    static struct svm_machine machine[3];
    static union hv_register_value values[3][NAMES_MAX];

    if (depth == ARRAY_COUNT(machine)) {
        enter_and_return();
        return;
    }
    machine[depth] = svm_machine;
    memcpy(values[depth], expected, sizeof expected);
    for (unsigned i = 0; i < ARRAY_COUNT(steps) && broken == NULL; i++) {
        set(steps[i].name, &steps[i].value);
        check_all();
        order(depth + 1);
        svm_machine = machine[depth];
        memcpy(expected, values[depth], sizeof expected);
    }
}

/* ---- all of it ---- */

static void run_all(void)
{
    svm_processor = processor;
    svm_machine_begin();
    svm_machine_save(&start);
    list_names();
    read_all(base);
    require(svm_machine_is(&start), "reading registers changed something");
    try_values();
    begin(base);
    combine(0);
    begin(base);
    order(0);
    try_names();
}

int main(int argc, char **argv)
{
    const bool mutant = argc > 1 && strcmp(argv[1], "--mutant") == 0;

    run_all();
    printf("registers: %u names, %llu sets, %llu entries, of which %llu refused: ", name_count,
           (unsigned long long)sets, (unsigned long long)entries,
           (unsigned long long)refused_entries);
    if (broken != NULL) {
        printf("%s (register %x, value %llx %llx)\n", broken, broken_name,
               (unsigned long long)broken_value.u128[1], (unsigned long long)broken_value.u128[0]);
    } else {
        puts("no violation");
    }
    return (broken != NULL) == mutant ? EXIT_SUCCESS : EXIT_FAILURE;
}
