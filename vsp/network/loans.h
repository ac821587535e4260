/* SPDX-License-Identifier: MIT */
/*
 * Which allocations of the receive buffer the client has. Those that one packet
 * of the bus hands out form a chain; its first one names the chain, and the
 * client gives the chain back as a whole.
 */
#ifndef VSP_NETWORK_LOANS_H
#define VSP_NETWORK_LOANS_H

#include <stdbool.h>
#include <stdint.h>

#define BH_LOANS_MAX 65535u
#define BH_LOAN_NONE 0xffffu

struct bh_loans {
    uint16_t *next; /* in a chain, or of the free ones */
    bool *lent;     /* by the first of a chain: the client has it */
    uint32_t count;
    uint32_t free_count;
    uint16_t free;
};

struct bh_loan_chain {
    uint16_t first; /* BH_LOAN_NONE: empty */
    uint16_t last;
};

#define BH_LOAN_CHAIN_EMPTY ((struct bh_loan_chain){BH_LOAN_NONE, BH_LOAN_NONE})

/* `count` allocations, at most BH_LOANS_MAX, all free. False when there is no memory. */
bool bh_loans_open(struct bh_loans *loans, uint32_t count);
void bh_loans_close(struct bh_loans *loans);

/* Adds a free allocation, of which there must be one, to the chain; its index. */
uint16_t bh_loans_take(struct bh_loans *loans, struct bh_loan_chain *chain);

/* The client has the chain now. */
void bh_loans_lend(struct bh_loans *loans, struct bh_loan_chain *chain);

/* The client gives a chain back; false when it has none of that name. */
bool bh_loans_return(struct bh_loans *loans, uint64_t first);

/* Frees a chain that was not lent. */
void bh_loans_drop(struct bh_loans *loans, struct bh_loan_chain *chain);

#endif
