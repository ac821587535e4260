/* SPDX-License-Identifier: MIT */
/*
 * Where the metrics writer keeps its text.
 */
#ifndef BULKHEAD_API_METRICS_TEXT_H
#define BULKHEAD_API_METRICS_TEXT_H

#include "api/metrics.h"
#include "api/text.h"

struct api_metrics {
    struct text text;
    char name[96]; /* of the family begun last */
    size_t name_size;
};

#endif
