/* SPDX-License-Identifier: MIT */
#include "parent/worker/mmio.h"

#include <Zydis/Zydis.h>

#define FLAG_CF          0x001ull
#define FLAG_PF          0x004ull
#define FLAG_AF          0x010ull
#define FLAG_ZF          0x040ull
#define FLAG_SF          0x080ull
#define FLAG_DF          0x400ull
#define FLAG_OF          0x800ull
#define FLAGS_ARITHMETIC (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define RCX 1u
#define RDI 7u
#define RAX 0u

/* One instruction under way. Operand 0 is the destination, 1 the source. */
struct context {
    struct bh_mmio_cpu *cpu;
    const struct bh_bus *bus;
    uint64_t gpa;
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operand[ZYDIS_MAX_OPERAND_COUNT];
    uint64_t flags; /* RFLAGS as they will be */
};

static uint64_t mask_of(unsigned bytes)
{
    return bytes >= 8 ? UINT64_MAX : (UINT64_C(1) << 8 * bytes) - 1;
}

static unsigned bytes_of(const ZydisDecodedOperand *operand)
{
    return operand->size / 8u;
}

static bool is_memory(const ZydisDecodedOperand *operand)
{
    return operand->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

/* AH, CH, DH and BH are the second bytes of the first four registers. */
static bool is_high_byte(ZydisRegister reg)
{
    return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH;
}

/* The index in `general`, or 16 for a register that is none. */
static unsigned register_index(ZydisRegister reg)
{
    ZyanI8 id;

    if (is_high_byte(reg))
        return (unsigned)(reg - ZYDIS_REGISTER_AH);
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
        /* Zydis counts AH..BH in the middle: SPL follows them. */
        if (reg <= ZYDIS_REGISTER_BL)
            return (unsigned)(reg - ZYDIS_REGISTER_AL);
        return (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4u;
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        id = ZydisRegisterGetId(reg);
        return id >= 0 && id < 16 ? (unsigned)id : 16u;
    default:
        return 16u;
    }
}

static bool is_operand_known(const ZydisDecodedOperand *operand)
{
    return is_memory(operand) || operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE ||
           (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            register_index(operand->reg.value) < 16);
}

static uint64_t read_operand(const struct context *context, const ZydisDecodedOperand *operand)
{
    unsigned bytes = bytes_of(operand);
    uint64_t value;

    if (is_memory(operand))
        return bh_bus_read(context->bus, context->gpa, bytes);
    if (operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        return operand->imm.value.u;
    value = context->cpu->general[register_index(operand->reg.value)];
    return (is_high_byte(operand->reg.value) ? value >> 8 : value) & mask_of(bytes);
}

/* A 32-bit result clears the upper half; 8 and 16 bits keep the rest. */
static void write_register(struct bh_mmio_cpu *cpu, ZydisRegister reg, unsigned bytes,
                           uint64_t value)
{
    uint64_t *to = &cpu->general[register_index(reg)];
    unsigned shift = is_high_byte(reg) ? 8 : 0;
    uint64_t mask = bytes >= 4 ? UINT64_MAX : mask_of(bytes) << shift;

    *to = (*to & ~mask) | ((value & mask_of(bytes)) << shift & mask);
}

static void write_operand(struct context *context, const ZydisDecodedOperand *operand,
                          uint64_t value)
{
    unsigned bytes = bytes_of(operand);

    if (is_memory(operand))
        bh_bus_write(context->bus, context->gpa, bytes, value & mask_of(bytes));
    else
        write_register(context->cpu, operand->reg.value, bytes, value);
}

static uint64_t sign_extend(uint64_t value, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;

    return bytes >= 8 ? value : (uint64_t)((int64_t)(value << shift) >> shift);
}

static bool parity_even(uint64_t value)
{
    return __builtin_parity((unsigned)value & 0xffu) == 0;
}

static uint64_t flags_of_result(uint64_t result, unsigned bytes)
{
    uint64_t sign = UINT64_C(1) << (8 * bytes - 1);

    return ((result & mask_of(bytes)) == 0 ? FLAG_ZF : 0) | ((result & sign) != 0 ? FLAG_SF : 0) |
           (parity_even(result) ? FLAG_PF : 0);
}

static void set_flags(struct context *context, uint64_t flags)
{
    context->flags = (context->flags & ~FLAGS_ARITHMETIC) | flags;
}

/* a + b or a - b with the flags of the processor's manual. */
static uint64_t add_or_subtract(struct context *context, uint64_t a, uint64_t b, unsigned bytes,
                                bool subtract)
{
    uint64_t mask = mask_of(bytes);
    uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
    uint64_t left = a & mask;
    uint64_t right = b & mask;
    uint64_t result = (subtract ? left - right : left + right) & mask;
    uint64_t overflow =
        subtract ? (left ^ right) & (left ^ result) : (left ^ result) & (right ^ result);
    bool carry = subtract ? left < right : result < left;

    set_flags(context, flags_of_result(result, bytes) | (carry ? FLAG_CF : 0) |
                           ((overflow & sign) != 0 ? FLAG_OF : 0) |
                           ((left ^ right ^ result) & FLAG_AF));
    return result;
}

static uint64_t logic(struct context *context, uint64_t result, unsigned bytes)
{
    set_flags(context, flags_of_result(result, bytes));
    return result;
}

/* The result of a two-operand instruction, with its flags. */
static uint64_t compute(struct context *context, uint64_t a, uint64_t b, unsigned bytes)
{
    switch (context->instruction.mnemonic) {
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_TEST:
        return logic(context, a & b, bytes);
    case ZYDIS_MNEMONIC_OR:
        return logic(context, a | b, bytes);
    case ZYDIS_MNEMONIC_XOR:
        return logic(context, a ^ b, bytes);
    case ZYDIS_MNEMONIC_ADD:
        return add_or_subtract(context, a, b, bytes, false);
    default: /* SUB, CMP */
        return add_or_subtract(context, a, b, bytes, true);
    }
}

static void do_move(struct context *context)
{
    const ZydisDecodedOperand *source = &context->operand[1];
    uint64_t value = read_operand(context, source);

    if (context->instruction.mnemonic == ZYDIS_MNEMONIC_MOVSX ||
        context->instruction.mnemonic == ZYDIS_MNEMONIC_MOVSXD)
        value = sign_extend(value, bytes_of(source));
    write_operand(context, &context->operand[0], value);
}

static void do_arithmetic(struct context *context, bool keep_result)
{
    const ZydisDecodedOperand *target = &context->operand[0];
    uint64_t a = read_operand(context, target);
    uint64_t b = read_operand(context, &context->operand[1]);
    uint64_t result = compute(context, a, b, bytes_of(target));

    if (keep_result)
        write_operand(context, target, result);
}

static void do_exchange(struct context *context)
{
    const ZydisDecodedOperand *a = &context->operand[0];
    const ZydisDecodedOperand *b = &context->operand[1];
    uint64_t first = read_operand(context, a);
    uint64_t second = read_operand(context, b);

    write_operand(context, a, second);
    write_operand(context, b, first);
}

static uint64_t advance(uint64_t value, uint64_t step, unsigned address_bytes)
{
    if (address_bytes == 4)
        return (value + step) & UINT32_MAX;
    if (address_bytes == 2)
        return (value & ~0xffffull) | ((value + step) & 0xffff);
    return value + step;
}

static unsigned store_string_bytes(ZydisMnemonic mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_STOSB:
        return 1;
    case ZYDIS_MNEMONIC_STOSW:
        return 2;
    case ZYDIS_MNEMONIC_STOSD:
        return 4;
    case ZYDIS_MNEMONIC_STOSQ:
        return 8;
    default:
        return 0;
    }
}

/* One element of STOS. With a REP prefix RIP stays while elements are left: false. */
static bool do_store_string(struct context *context, unsigned bytes)
{
    struct bh_mmio_cpu *cpu = context->cpu;
    unsigned address_bytes = context->instruction.address_width / 8u;
    bool repeated = (context->instruction.attributes & ZYDIS_ATTRIB_HAS_REP) != 0;
    uint64_t step = (cpu->rflags & FLAG_DF) != 0 ? 0 - (uint64_t)bytes : bytes;

    if (repeated && (cpu->general[RCX] & mask_of(address_bytes)) == 0)
        return true;
    bh_bus_write(context->bus, context->gpa, bytes, cpu->general[RAX] & mask_of(bytes));
    cpu->general[RDI] = advance(cpu->general[RDI], step, address_bytes);
    if (!repeated)
        return true;
    cpu->general[RCX] = advance(cpu->general[RCX], UINT64_MAX, address_bytes);
    return (cpu->general[RCX] & mask_of(address_bytes)) == 0;
}

static bool are_operands_known(const struct context *context)
{
    const ZydisDecodedOperand *operand = context->operand;

    return context->instruction.operand_count_visible == 2 && is_operand_known(&operand[0]) &&
           is_operand_known(&operand[1]) && is_memory(&operand[0]) != is_memory(&operand[1]);
}

/* Does the instruction. *finished is false when it is to be executed again. */
static bool execute(struct context *context, bool *finished)
{
    ZydisMnemonic mnemonic = context->instruction.mnemonic;
    unsigned string_bytes = store_string_bytes(mnemonic);

    *finished = true;
    if (string_bytes != 0) {
        *finished = do_store_string(context, string_bytes);
        return true;
    }
    if (!are_operands_known(context))
        return false;
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
        do_move(context);
        return true;
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_SUB:
        do_arithmetic(context, true);
        return true;
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_CMP:
        do_arithmetic(context, false);
        return true;
    case ZYDIS_MNEMONIC_XCHG:
        do_exchange(context);
        return true;
    default:
        return false;
    }
}

static void init_decoder(ZydisDecoder *decoder, const struct bh_mmio_cpu *cpu)
{
    if (cpu->long_mode)
        (void)ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else if (cpu->code_32)
        (void)ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
    else
        (void)ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_STACK_WIDTH_16);
}

enum bh_mmio_status bh_mmio_emulate(struct bh_mmio_cpu *cpu, const uint8_t *instruction,
                                    size_t length, uint64_t gpa, const struct bh_bus *bus)
{
    struct context context = {.cpu = cpu, .bus = bus, .gpa = gpa, .flags = cpu->rflags};
    ZydisDecoder decoder;
    ZyanStatus status;
    bool finished;

    init_decoder(&decoder, cpu);
    status = ZydisDecoderDecodeFull(&decoder, instruction, length, &context.instruction,
                                    context.operand);
    if (status == ZYDIS_STATUS_NO_MORE_DATA)
        return BH_MMIO_INCOMPLETE;
    if (!ZYAN_SUCCESS(status) || !execute(&context, &finished))
        return BH_MMIO_UNSUPPORTED;
    cpu->rflags = context.flags;
    if (finished)
        cpu->rip += context.instruction.length;
    return BH_MMIO_DONE;
}
