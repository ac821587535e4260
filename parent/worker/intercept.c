/* SPDX-License-Identifier: MIT */
#include "parent/worker/intercept.h"

#include <errno.h>
#include <string.h>

#include "hv/abi/intercept.h"
#include "parent/worker/lapic.h"
#include "parent/worker/mmio.h"

#define RAX 0u
#define RCX 1u
#define RSI 6u
#define RDI 7u

#define FLAG_DF 0x400ull

#define SEGMENT_LONG (1u << 13)
#define SEGMENT_32   (1u << 14)

#define GENERAL_COUNT 16u

/* --- registers: by the register page, or by hypercalls where there is none ---------------- */

static bool load_cpu(const struct bh_intercept_server *server,
                     const struct hv_intercept_header *header, struct bh_mmio_cpu *cpu,
                     struct bh_error *error)
{
    const struct hv_register_page *page = bh_vp_register_page(server->vp);
    struct bh_register registers[GENERAL_COUNT];

    memset(cpu, 0, sizeof(*cpu));
    cpu->rip = header->rip;
    cpu->rflags = header->rflags;
    cpu->long_mode = (header->execution_state & HV_EXECUTION_EFER_LMA) != 0 &&
                     (header->cs.attributes & SEGMENT_LONG) != 0;
    cpu->code_32 = (header->cs.attributes & SEGMENT_32) != 0;
    if (page != NULL && page->is_valid != 0) {
        memcpy(cpu->general, page->general, sizeof(cpu->general));
        return true;
    }
    for (unsigned i = 0; i < GENERAL_COUNT; i++)
        registers[i].name = HV_REGISTER_RAX + i;
    if (!bh_vp_get_registers(server->vp, registers, GENERAL_COUNT, error))
        return false;
    for (unsigned i = 0; i < GENERAL_COUNT; i++)
        cpu->general[i] = registers[i].value.u64;
    return true;
}

static bool store_cpu(const struct bh_intercept_server *server, const struct bh_mmio_cpu *cpu,
                      struct bh_error *error)
{
    struct hv_register_page *page = bh_vp_register_page(server->vp);
    struct bh_register registers[GENERAL_COUNT + 2];

    if (page != NULL && page->is_valid != 0) {
        memcpy(page->general, cpu->general, sizeof(cpu->general));
        page->rip = cpu->rip;
        page->rflags = cpu->rflags;
        page->dirty |= HV_REGISTER_PAGE_DIRTY_GENERAL | HV_REGISTER_PAGE_DIRTY_RIP |
                       HV_REGISTER_PAGE_DIRTY_RFLAGS;
        return true;
    }
    memset(registers, 0, sizeof(registers));
    for (unsigned i = 0; i < GENERAL_COUNT; i++) {
        registers[i].name = HV_REGISTER_RAX + i;
        registers[i].value.u64 = cpu->general[i];
    }
    registers[GENERAL_COUNT].name = HV_REGISTER_RIP;
    registers[GENERAL_COUNT].value.u64 = cpu->rip;
    registers[GENERAL_COUNT + 1].name = HV_REGISTER_RFLAGS;
    registers[GENERAL_COUNT + 1].value.u64 = cpu->rflags;
    return bh_vp_set_registers(server->vp, registers, GENERAL_COUNT + 2, error);
}

/* What most port accesses change: RAX and RIP. */
static bool store_rax_and_rip(const struct bh_intercept_server *server, uint64_t rax, uint64_t rip,
                              struct bh_error *error)
{
    struct hv_register_page *page = bh_vp_register_page(server->vp);
    struct bh_register registers[2] = {
        {.name = HV_REGISTER_RAX, .value = {.u64 = rax}},
        {.name = HV_REGISTER_RIP, .value = {.u64 = rip}},
    };

    if (page == NULL || page->is_valid == 0)
        return bh_vp_set_registers(server->vp, registers, 2, error);
    page->general[RAX] = rax;
    page->rip = rip;
    page->dirty |= HV_REGISTER_PAGE_DIRTY_GENERAL | HV_REGISTER_PAGE_DIRTY_RIP;
    return true;
}

/* --- ports -------------------------------------------------------------------------------- */

static uint64_t next_rip(const struct hv_intercept_header *header)
{
    return header->rip + (header->length_and_cr8 & HV_INTERCEPT_LENGTH_MASK);
}

/* IN replaces as many bytes of RAX as it has; 32 bits clear the upper half. */
static uint64_t merge_rax(uint64_t rax, uint64_t value, unsigned size)
{
    uint64_t mask = size == 4 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;

    return (rax & ~mask) | value;
}

/* The registers are put together only where they are written down: ports are used often. */
static void end_plain(const struct bh_intercept_server *server, uint64_t rax, uint64_t rip)
{
    struct bh_mmio_cpu cpu;

    if (server->chipset->journal == NULL) {
        bh_chipset_end(server->chipset, 0, NULL, true);
        return;
    }
    cpu = (struct bh_mmio_cpu){.general = {[RAX] = rax}, .rip = rip};
    bh_chipset_end(server->chipset, bh_vp_index(server->vp), &cpu, true);
}

static void was_stored(const struct bh_intercept_server *server)
{
    if (server->chipset->journal != NULL)
        bh_chipset_stored(server->chipset, bh_vp_index(server->vp));
}

static bool serve_plain_port(const struct bh_intercept_server *server,
                             const struct hv_io_port_intercept *io, unsigned size,
                             struct bh_error *error)
{
    struct bh_chipset *chipset = server->chipset;
    uint64_t rip = next_rip(&io->header);
    uint64_t rax = io->rax;
    bool stored;

    bh_chipset_begin(chipset);
    if (io->header.access == HV_ACCESS_WRITE)
        bh_bus_write(&chipset->ports, io->port, size, rax & ((UINT64_C(1) << 8 * size) - 1));
    else
        rax = merge_rax(rax, bh_bus_read(&chipset->ports, io->port, size), size);
    end_plain(server, rax, rip);
    stored = store_rax_and_rip(server, rax, rip, error);
    was_stored(server);
    return stored;
}

/* The bytes of a string element; elements that cross a page are split by their bytes. */
static uint8_t *element_byte(const struct bh_intercept_server *server, uint64_t gva, bool write,
                             struct bh_error *error)
{
    uint64_t flags = write ? HV_TRANSLATE_WRITE : HV_TRANSLATE_READ;
    uint64_t gpa;
    uint8_t *byte;

    if (!bh_vp_translate(server->vp, gva, flags | HV_TRANSLATE_SET_TABLE_BITS, &gpa, error))
        return NULL;
    byte = bh_guest_memory_at(server->memory, gpa, 1);
    if (byte == NULL)
        bh_error_set(error, EFAULT, "A string instruction names 0x%llx, which is not memory.",
                     (unsigned long long)gpa);
    return byte;
}

static bool move_element(const struct bh_intercept_server *server,
                         const struct hv_io_port_intercept *io, uint64_t gva, unsigned size,
                         struct bh_error *error)
{
    bool out = io->header.access == HV_ACCESS_WRITE;
    uint8_t *byte[4];
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        byte[i] = element_byte(server, gva + i, !out, error);
        if (byte[i] == NULL)
            return false;
        value |= (uint64_t)*byte[i] << 8 * i;
    }
    if (out) {
        bh_bus_write(&server->chipset->ports, io->port, size, value);
        return true;
    }
    value = bh_bus_read(&server->chipset->ports, io->port, size);
    for (unsigned i = 0; i < size; i++)
        *byte[i] = (uint8_t)(value >> 8 * i);
    return true;
}

/* One element of INS or OUTS an intercept; with REP the instruction comes again until RCX is 0. */
static bool do_string(const struct bh_intercept_server *server,
                      const struct hv_io_port_intercept *io, unsigned size, struct bh_mmio_cpu *cpu,
                      struct bh_error *error)
{
    bool out = io->header.access == HV_ACCESS_WRITE;
    unsigned index = out ? RSI : RDI;
    uint64_t step = (io->header.rflags & FLAG_DF) != 0 ? 0 - (uint64_t)size : size;
    bool repeated = (io->access_info & HV_IO_REP) != 0;
    uint64_t mask = cpu->long_mode ? UINT64_MAX : cpu->code_32 ? UINT32_MAX : UINT16_MAX;

    if (!repeated || (cpu->general[RCX] & mask) != 0) {
        uint64_t base = cpu->long_mode ? 0 : out ? io->ds.base : io->es.base;

        if (!move_element(server, io, base + (cpu->general[index] & mask), size, error))
            return false;
        cpu->general[index] = (cpu->general[index] & ~mask) | ((cpu->general[index] + step) & mask);
    }
    if (repeated && (cpu->general[RCX] & mask) != 0)
        cpu->general[RCX] = (cpu->general[RCX] & ~mask) | ((cpu->general[RCX] - 1) & mask);
    if (!repeated || (cpu->general[RCX] & mask) == 0)
        cpu->rip = next_rip(&io->header);
    return true;
}

/* The VP gets the registers that were written down with what the devices did. */
static bool finish(const struct bh_intercept_server *server, const struct bh_mmio_cpu *cpu,
                   struct bh_error *error)
{
    bool stored = store_cpu(server, cpu, error);

    was_stored(server);
    return stored;
}

static bool serve_string_port(const struct bh_intercept_server *server,
                              const struct hv_io_port_intercept *io, unsigned size,
                              struct bh_error *error)
{
    struct bh_mmio_cpu cpu;
    bool done;

    if (!load_cpu(server, &io->header, &cpu, error))
        return false;
    bh_chipset_begin(server->chipset);
    done = do_string(server, io, size, &cpu, error);
    bh_chipset_end(server->chipset, bh_vp_index(server->vp), &cpu, false);
    return done && finish(server, &cpu, error);
}

/* EFAULT is the guest's: an address of its own that leads nowhere. */
static enum bh_intercept_result result_of(bool served, const struct bh_error *error)
{
    if (served)
        return BH_INTERCEPT_RESUME;
    return error->number == EFAULT ? BH_INTERCEPT_GUEST_FAULT : BH_INTERCEPT_FAILED;
}

static enum bh_intercept_result serve_port(const struct bh_intercept_server *server,
                                           const struct hv_message *message, struct bh_error *error)
{
    struct hv_io_port_intercept io;
    unsigned size;
    bool served;

    memcpy(&io, message->payload, sizeof(io));
    size = io.access_info & HV_IO_SIZE_MASK;
    if (size != 1 && size != 2 && size != 4) {
        bh_error_set(error, EIO, "The hypervisor reports a port access of %u bytes.", size);
        return BH_INTERCEPT_FAILED;
    }
    if ((io.access_info & HV_IO_STRING) != 0)
        served = serve_string_port(server, &io, size, error);
    else
        served = serve_plain_port(server, &io, size, error);
    return result_of(served, error);
}

/* --- MMIO --------------------------------------------------------------------------------- */

static enum bh_mmio_status emulate(const struct bh_intercept_server *server,
                                   const struct hv_gpa_intercept *gpa, struct bh_mmio_cpu *cpu)
{
    size_t length = gpa->instruction_byte_count;
    enum bh_mmio_status status;

    if (length > sizeof(gpa->instruction))
        length = sizeof(gpa->instruction);
    if (bh_lapic_has(gpa->gpa)) {
        const struct bh_bus lapic = bh_lapic_bus(server->vp);

        return bh_mmio_emulate(cpu, gpa->instruction, length, gpa->gpa, &lapic);
    }
    bh_chipset_begin(server->chipset);
    status = bh_mmio_emulate(cpu, gpa->instruction, length, gpa->gpa, &server->chipset->mmio);
    bh_chipset_end(server->chipset, bh_vp_index(server->vp), cpu, false);
    return status;
}

static enum bh_intercept_result serve_gpa(const struct bh_intercept_server *server,
                                          const struct hv_message *message, struct bh_error *error)
{
    struct hv_gpa_intercept gpa;
    struct bh_mmio_cpu cpu;

    memcpy(&gpa, message->payload, sizeof(gpa));
    if (gpa.header.access == HV_ACCESS_EXECUTE) {
        bh_error_set(error, EFAULT, "The guest executes at 0x%llx, where it has no memory.",
                     (unsigned long long)gpa.gpa);
        return BH_INTERCEPT_GUEST_FAULT;
    }
    if (!load_cpu(server, &gpa.header, &cpu, error))
        return BH_INTERCEPT_FAILED;
    if (emulate(server, &gpa, &cpu) != BH_MMIO_DONE) {
        bh_error_set(
            error, ENOSYS,
            "The guest's instruction at 0x%llx (first bytes %02x %02x %02x) touches 0x%llx "
            "in a way that is not emulated.",
            (unsigned long long)gpa.header.rip, gpa.instruction[0], gpa.instruction[1],
            gpa.instruction[2], (unsigned long long)gpa.gpa);
        return BH_INTERCEPT_GUEST_FAULT;
    }
    return result_of(finish(server, &cpu, error), error);
}

/* For the log: what to do about it is not decided here. */
static void describe_triple_fault(const struct hv_message *message, struct bh_error *error)
{
    struct hv_intercept_header header;

    memcpy(&header, message->payload, sizeof(header));
    bh_error_set(error, EFAULT,
                 "Virtual processor %u shut down (triple fault) at %04x:%llx, flags %llx.",
                 header.vp_index, header.cs.selector, (unsigned long long)header.rip,
                 (unsigned long long)header.rflags);
}

static void serve_end_of_interrupt(const struct bh_intercept_server *server,
                                   const struct hv_message *message)
{
    struct hv_apic_eoi_message end;

    memcpy(&end, message->payload, sizeof(end));
    bh_chipset_end_of_interrupt(server->chipset, (uint8_t)end.vector);
}

bool bh_intercept_resume(const struct bh_intercept_server *server, struct bh_error *error)
{
    const struct bh_chipset_result *result =
        bh_chipset_result_of(server->chipset, bh_vp_index(server->vp));

    if (result == NULL)
        return true;
    if (!result->rax_only)
        return finish(server, &result->cpu, error);
    if (!store_rax_and_rip(server, result->cpu.general[RAX], result->cpu.rip, error))
        return false;
    was_stored(server);
    return true;
}

enum bh_intercept_result bh_intercept_serve(const struct bh_intercept_server *server,
                                            const struct hv_message *message,
                                            struct bh_error *error)
{
    switch (message->type) {
    case HV_MESSAGE_IO_PORT:
        return serve_port(server, message, error);
    case HV_MESSAGE_UNMAPPED_GPA:
    case HV_MESSAGE_GPA_INTERCEPT:
        return serve_gpa(server, message, error);
    case HV_MESSAGE_UNRECOVERABLE_EXCEPTION:
        describe_triple_fault(message, error);
        return BH_INTERCEPT_TRIPLE_FAULT;
    case HV_MESSAGE_APIC_EOI:
        serve_end_of_interrupt(server, message);
        return BH_INTERCEPT_RESUME;
    case HV_MESSAGE_HALT:
        return BH_INTERCEPT_RESUME;
    default:
        bh_error_set(error, EIO, "The hypervisor sends message 0x%x, which is not served.",
                     message->type);
        return BH_INTERCEPT_FAILED;
    }
}
