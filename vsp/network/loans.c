/* SPDX-License-Identifier: MIT */
#include "vsp/network/loans.h"

#include <stdlib.h>

bool bh_loans_open(struct bh_loans *loans, uint32_t count)
{
    *loans = (struct bh_loans){.count = count, .free_count = count, .free = BH_LOAN_NONE};
    loans->next = calloc(count, sizeof(*loans->next));
    loans->lent = calloc(count, sizeof(*loans->lent));
    if (loans->next == NULL || loans->lent == NULL) {
        bh_loans_close(loans);
        return false;
    }
    for (uint32_t i = count; i-- > 0;) {
        loans->next[i] = loans->free;
        loans->free = (uint16_t)i;
    }
    return true;
}

void bh_loans_close(struct bh_loans *loans)
{
    free(loans->next);
    free(loans->lent);
    *loans = (struct bh_loans){.free = BH_LOAN_NONE};
}

uint16_t bh_loans_take(struct bh_loans *loans, struct bh_loan_chain *chain)
{
    uint16_t taken = loans->free;

    loans->free = loans->next[taken];
    loans->free_count--;
    loans->next[taken] = BH_LOAN_NONE;
    if (chain->first == BH_LOAN_NONE)
        chain->first = taken;
    else
        loans->next[chain->last] = taken;
    chain->last = taken;
    return taken;
}

void bh_loans_lend(struct bh_loans *loans, struct bh_loan_chain *chain)
{
    loans->lent[chain->first] = true;
    *chain = BH_LOAN_CHAIN_EMPTY;
}

static void set_free(struct bh_loans *loans, uint16_t first)
{
    for (uint16_t i = first, next; i != BH_LOAN_NONE; i = next) {
        next = loans->next[i];
        loans->next[i] = loans->free;
        loans->free = i;
        loans->free_count++;
    }
}

bool bh_loans_return(struct bh_loans *loans, uint64_t first)
{
    if (first >= loans->count || !loans->lent[first])
        return false;
    loans->lent[first] = false;
    set_free(loans, (uint16_t)first);
    return true;
}

void bh_loans_drop(struct bh_loans *loans, struct bh_loan_chain *chain)
{
    set_free(loans, chain->first);
    *chain = BH_LOAN_CHAIN_EMPTY;
}
