/* SPDX-License-Identifier: MIT */
/*
 * Finds the contract's route of a method and a path.
 */
#ifndef BULKHEAD_API_ROUTE_H
#define BULKHEAD_API_ROUTE_H

#include "api/contract.h"

enum { ROUTE_MAX_NAMES = 2, ROUTE_NAME_SIZE = 64 };

struct route_match {
    const struct contract_route *route;
    char name[ROUTE_MAX_NAMES][ROUTE_NAME_SIZE]; /* the variable segments, empty when none */
};

enum route_result { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD };

/* path: as sent, without the query. HEAD finds GET. Names hold only what a name or uuid may; a
 * path with anything else, percent signs included, is none of ours. */
enum route_result route_find(const char *method, const char *path, size_t size,
                             struct route_match *match);
/* The methods of a path by comma, for the header Allow. */
void route_allow(const char *path, size_t size, char *allow, size_t room);
static inline enum api_route route_id(const struct contract_route *route)
{
    return (enum api_route)(route - contract_routes);
}

#endif
