/* SPDX-License-Identifier: MIT */
/* Can this processor's SVM be used? Compiled for the host too, for its tests. */
#include "hv/x86/svm/svm.h"

#define VM_CR_SVMDIS (1ull << 4)

const char *svm_check(const struct svm_facts *facts)
{
    if (!facts->has_svm)
        return "this processor has no hardware virtualization that Bulkhead knows (AMD SVM)";
    if (facts->vm_cr & VM_CR_SVMDIS)
        return "SVM is turned off by the firmware: enable virtualization in the firmware's setup";
    if (!facts->has_nested_paging)
        return "this processor has SVM but no nested paging, which Bulkhead needs";
    if (facts->asid_count < 3)
        return "this processor has no address-space identifiers for guests";
    return NULL;
}
