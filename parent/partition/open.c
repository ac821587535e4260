/* SPDX-License-Identifier: MIT */
#include "parent/partition/open.h"

#include <errno.h>
#include <string.h>

bool bh_open_explain(const struct bh_device_layer *layer, const char *node, int number,
                     struct bh_error *error)
{
    if (number == EACCES || number == EPERM)
        return bh_error_set(error, number, "No permission to open %s. Run this as root.", node);
    if (number != ENOENT && number != ENODEV && number != ENXIO)
        return bh_error_set(error, number, "Cannot open %s: %s.", node, strerror(number));
    if (!layer->on_bulkhead())
        return bh_error_set(error, number,
                            "This machine does not run on the Bulkhead hypervisor. Start it from "
                            "Bulkhead's boot entry.");
    return bh_error_set(error, number,
                        "%s is missing: the driver is not loaded. Load it with: modprobe bulkhead",
                        node);
}
