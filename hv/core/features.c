/* SPDX-License-Identifier: MIT */
/* A feature is a word of CPUID's answers and a bit in it. */
#include "hv/core/features.h"

#include "hv/core/vp.h"

#define ANY UINT32_MAX

/* In the order of the codes below; `reg` counts EAX, EBX, ECX, EDX. */
static const struct {
    uint32_t leaf, subleaf, reg;
} words[] = {{0, ANY, 0},
             {1, ANY, 2},
             {7, 0, 1},
             {7, 0, 2},
             {7, 0, 3},
             {0x80000001, ANY, 2},
             {0x80000001, ANY, 3},
             {0x80000008, ANY, 1},
             {0xd, 1, 0}};

/* 0: not a bit of CPUID, or one that no partition sees. */
#define C1(bit)  (32 + (bit))
#define B7(bit)  (64 + (bit))
#define C7(bit)  (96 + (bit))
#define D7(bit)  (128 + (bit))
#define C81(bit) (160 + (bit))
#define D81(bit) (192 + (bit))
#define B88(bit) (224 + (bit))
#define AD(bit)  (256 + (bit))

static const uint16_t code[FEATURE_BANKS][64] = {
    {C1(0),   C81(0),  C1(9),   C1(19),  C1(20),  C81(6),  C81(11), C1(23), C1(13),  C81(4), C81(5),
     C81(7),  D81(22), D81(31), D81(30), D81(26), C1(25),  C1(1),   C1(17), C81(16), C1(29), C1(30),
     B7(0),   B7(7),   B7(9),   B7(3),   B7(8),   0,       0,       C1(22), 0,       B7(13), B7(18),
     B7(19),  C81(8),  B7(20),  B7(4),   B7(11),  D81(27), B7(23),  B7(24), B7(29),  B88(2), B7(10),
     B88(14), B88(15), B88(12), 0,       B88(24), D7(4),   0,       0,      0,       0,      0,
     0,       0,       C7(22),  C7(2),   0,       D7(10)},
    {0, 0, B88(0), B88(4), C7(16), 0, 0, 0, 0, 0, 0, 0, 0, C7(27), C7(28), C7(25), D7(14), C1(24)},
    {C1(26), AD(0), C1(28), B7(5),  C1(12), B7(14), B7(16), B7(17), B7(28), B7(30), B7(31), AD(1),
     AD(3),  AD(2), C7(12), B7(21), C7(1),  C7(6),  C7(11), C7(8),  C7(9),  C7(14), C7(10)},
};

void features_hide(const uint64_t disabled[FEATURE_BANKS], uint32_t leaf, uint32_t subleaf,
                   struct cpuid_result *result)
{
    uint32_t *const reg[] = {&result->eax, &result->ebx, &result->ecx, &result->edx};
    for (unsigned bank = 0; bank < FEATURE_BANKS; bank++) {
        for (uint64_t left = disabled[bank]; left != 0; left &= left - 1) {
            const unsigned feature = code[bank][__builtin_ctzll(left)];
            const unsigned word = feature / 32;
            if (word != 0 && words[word].leaf == leaf &&
                (words[word].subleaf == ANY || words[word].subleaf == subleaf))
                *reg[words[word].reg] &= ~(1u << feature % 32);
        }
    }
}

uint64_t features_bank(struct vp *vp, unsigned bank)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < 64; i++) {
        const unsigned feature = code[bank][i];
        const unsigned word = feature / 32;
        struct cpuid_result r = {0};
        if (word != 0)
            cpuid_default(vp, words[word].leaf, words[word].subleaf == 1, &r);
        const uint32_t reg[] = {r.eax, r.ebx, r.ecx, r.edx};
        found |= (uint64_t)(reg[words[word].reg] >> feature % 32 & 1) << i;
    }
    return found;
}
