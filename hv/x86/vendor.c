/* SPDX-License-Identifier: MIT */
/* Which vendor's extension this machine has. */
#include "hv/x86/vendor.h"

#include "hv/x86/panic.h"
#include "hv/x86/svm/svm.h"

const struct vendor_ops *vendor;

void vendor_select(void)
{
    struct svm_facts facts;
    svm_read_facts(&facts);
    const char *error = svm_check(&facts);
    if (error != NULL)
        refuse("%s", error);
    vendor = &svm_ops;
}
