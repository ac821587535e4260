/* SPDX-License-Identifier: MIT */
#include "vsp/network/loans.h"

#include <string.h>

static void set_free(struct bh_loans *loans, uint32_t index)
{
    loans->loan[index].free = BH_LOAN_NONE;
    if (loans->free == BH_LOAN_NONE)
        loans->free = (uint16_t)index;
    else
        loans->loan[loans->last_free].free = (uint16_t)index;
    loans->last_free = (uint16_t)index;
    loans->free_count++;
}

static void set_chain_free(struct bh_loans *loans, uint32_t first)
{
    for (uint32_t i = first, next; i != BH_LOAN_NONE; i = next) {
        next = loans->loan[i].next;
        set_free(loans, i);
    }
}

void bh_loans_open(struct bh_loans *loans, uint32_t count, struct bh_loan *space,
                   const uint64_t *round)
{
    *loans = (struct bh_loans){.loan = space,
                               .round = round,
                               .count = count,
                               .free = BH_LOAN_NONE,
                               .last_free = BH_LOAN_NONE};
    for (uint32_t i = 0; i < count; i++) {
        loans->loan[i] = (struct bh_loan){.next = BH_LOAN_NONE};
        set_free(loans, i);
    }
}

static bool is_lent(const struct bh_loan *loan, uint64_t round)
{
    return loan->lent != 0 && loan->lent <= round &&
           (loan->returned == 0 || loan->returned > round);
}

/* Marks what is not free by setting `lent` of all the others to 0. */
static void forget_others(struct bh_loans *loans, uint16_t kept)
{
    for (uint32_t i = 0; i < loans->count; i++)
        if (!is_lent(&loans->loan[i], *loans->round) || i == kept)
            loans->loan[i].lent = 0;
        else
            loans->loan[i].returned = 0;
}

/* A chain ends where it meets another: the round that was cut off had begun to use it anew. */
static void mark_chain(struct bh_loans *loans, uint32_t first, bool *taken)
{
    uint32_t next;

    taken[first] = true;
    for (uint32_t i = first; loans->loan[i].next != BH_LOAN_NONE; i = next) {
        next = loans->loan[i].next;
        if (next >= loans->count || taken[next] || loans->loan[next].lent != 0) {
            loans->loan[i].next = BH_LOAN_NONE;
            return;
        }
        taken[next] = true;
    }
}

void bh_loans_resume(struct bh_loans *loans, uint32_t count, struct bh_loan *space,
                     const uint64_t *round, uint16_t kept)
{
    static bool taken[BH_LOANS_MAX];

    *loans = (struct bh_loans){.loan = space,
                               .round = round,
                               .count = count,
                               .free = BH_LOAN_NONE,
                               .last_free = BH_LOAN_NONE};
    memset(taken, 0, sizeof(taken));
    forget_others(loans, kept);
    for (uint32_t i = 0; i < count; i++)
        if (loans->loan[i].lent != 0)
            mark_chain(loans, i, taken);
    for (uint32_t i = 0; i < count; i++)
        if (!taken[i] && i != kept)
            set_free(loans, i);
}

void bh_loans_close(struct bh_loans *loans)
{
    *loans = (struct bh_loans){.free = BH_LOAN_NONE, .last_free = BH_LOAN_NONE};
}

uint16_t bh_loans_take(struct bh_loans *loans, struct bh_loan_chain *chain)
{
    uint16_t taken = loans->free;

    loans->free = loans->loan[taken].free;
    loans->free_count--;
    loans->loan[taken].lent = 0;
    loans->loan[taken].next = BH_LOAN_NONE;
    if (chain->first == BH_LOAN_NONE)
        chain->first = taken;
    else
        loans->loan[chain->last].next = taken;
    chain->last = taken;
    return taken;
}

void bh_loans_lend(struct bh_loans *loans, struct bh_loan_chain *chain)
{
    struct bh_loan *loan = &loans->loan[chain->first];

    loan->returned = 0;
    loan->lent = *loans->round + 1;
    *chain = BH_LOAN_CHAIN_EMPTY;
}

bool bh_loans_return(struct bh_loans *loans, uint64_t first)
{
    struct bh_loan *loan;

    if (first >= loans->count)
        return false;
    loan = &loans->loan[first];
    if (loan->lent == 0 || loan->returned != 0)
        return false;
    loan->returned = *loans->round + 1;
    set_chain_free(loans, (uint32_t)first);
    return true;
}

void bh_loans_drop(struct bh_loans *loans, struct bh_loan_chain *chain)
{
    set_chain_free(loans, chain->first);
    *chain = BH_LOAN_CHAIN_EMPTY;
}
