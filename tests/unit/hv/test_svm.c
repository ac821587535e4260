/* SPDX-License-Identifier: MIT */
/* Each reason why a processor can not run the hypervisor, by its facts. */
#include <string.h>

#include "hv/x86/svm/svm.h"
#include "tests/unit/hv/unit.h"

#define VM_CR_LOCK   (1ull << 3)
#define VM_CR_SVMDIS (1ull << 4)

static const struct svm_facts good = {
    .has_svm = true, .has_nested_paging = true, .asid_count = 16, .has_next_rip = true};

static void refused(struct svm_facts facts, const char *word)
{
    const char *sentence = svm_check(&facts);

    assert_non_null(sentence);
    if (strstr(sentence, word) == NULL) {
        fail_msg("\"%s\" does not say '%s'", sentence, word);
    }
}

static void test_good(void **state)
{
    (void)state;
    struct svm_facts facts = good;

    assert_null(svm_check(&facts));
    facts.has_next_rip = false; /* the hypervisor knows the lengths itself */
    facts.vm_cr = VM_CR_LOCK;   /* locked, but on */
    assert_null(svm_check(&facts));
    facts.asid_count = 3;
    assert_null(svm_check(&facts));
}

static void test_no_svm(void **state)
{
    (void)state;
    const struct svm_facts nothing = {0};
    struct svm_facts facts = good;

    facts.has_svm = false;
    refused(facts, "no hardware virtualization");
    refused(nothing, "no hardware virtualization");
}

static void test_turned_off_by_firmware(void **state)
{
    (void)state;
    struct svm_facts facts = good;

    facts.vm_cr = VM_CR_SVMDIS;
    refused(facts, "firmware");
    facts.vm_cr = VM_CR_SVMDIS | VM_CR_LOCK;
    refused(facts, "firmware");
    facts.has_nested_paging = false; /* what can be changed is said first */
    refused(facts, "firmware");
}

static void test_no_nested_paging(void **state)
{
    (void)state;
    struct svm_facts facts = good;

    facts.has_nested_paging = false;
    refused(facts, "nested paging");
}

static void test_no_asids(void **state)
{
    (void)state;
    struct svm_facts facts = good;

    facts.asid_count = 0;
    refused(facts, "identifiers");
    facts.asid_count = 2; /* the host's own and the parent's */
    refused(facts, "identifiers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_no_svm),
        cmocka_unit_test(test_turned_off_by_firmware),
        cmocka_unit_test(test_no_nested_paging),
        cmocka_unit_test(test_no_asids),
    };

    return cmocka_run_group_tests_name("svm", tests, NULL, NULL);
}
