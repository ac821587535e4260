/* SPDX-License-Identifier: MIT */
/*
 * A writer of OpenMetrics text. Name a family once, then write its samples; never come back to
 * an earlier family. Names carry the prefix bulkhead_ and the unit, without _total.
 *
 *   api_metrics_family(m, "bulkhead_vm_memory_assigned_bytes", "gauge", "bytes", "Memory given to
 * the VM"); api_metrics_integer(m, "", (struct api_label[]){{"uuid", uuid}, {0}}, 4096);
 */
#ifndef BULKHEAD_API_METRICS_H
#define BULKHEAD_API_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct api_metrics;

/* One label; an array of them ends with a NULL name. */
struct api_label {
    const char *name;
    const char *value;
};

/* Begin a family. type: gauge, counter, info, stateset, histogram, unknown. unit: the last word of
 * the name, or "" for none. */
void api_metrics_family(struct api_metrics *metrics, const char *name, const char *type,
                        const char *unit, const char *help);
/* One sample of the family begun last. suffix: "" for a gauge, "_total" for a counter, "_info",
 * "_bucket", "_sum", "_count". labels may be NULL. Values are escaped. */
void api_metrics_integer(struct api_metrics *metrics, const char *suffix,
                         const struct api_label *labels, uint64_t value);
void api_metrics_real(struct api_metrics *metrics, const char *suffix,
                      const struct api_label *labels, double value);
/* Samples that the caller rendered itself, whole lines. */
void api_metrics_text(struct api_metrics *metrics, const char *text, size_t size);

#endif
