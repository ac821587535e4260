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

/* Kept where it outlives the process (vsp/bus/journal.h). */
struct bh_loan {
    uint64_t lent;     /* of the first of a chain: the round in which the client got it, or 0 */
    uint64_t returned; /* the round in which it came back, or 0 */
    uint16_t next;     /* in the chain */
    uint16_t free;     /* among the free ones */
};

struct bh_loans {
    struct bh_loan *loan;
    const uint64_t *round; /* the last that is whole */
    uint32_t count;
    uint32_t free_count;
    uint16_t free; /* the one that was free first */
    uint16_t last_free;
};

struct bh_loan_chain {
    uint16_t first; /* BH_LOAN_NONE: empty */
    uint16_t last;
};

#define BH_LOAN_CHAIN_EMPTY ((struct bh_loan_chain){BH_LOAN_NONE, BH_LOAN_NONE})

/* `count` allocations, at most BH_LOANS_MAX, all free; `space` has room for them. */
void bh_loans_open(struct bh_loans *loans, uint32_t count, struct bh_loan *space,
                   const uint64_t *round);

/*
 * The same as another process left them: what it had lent by the last whole round and did not get
 * back is lent; and an allocation of `kept` (BH_LOAN_NONE: none) is not free either.
 */
void bh_loans_resume(struct bh_loans *loans, uint32_t count, struct bh_loan *space,
                     const uint64_t *round, uint16_t kept);
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
