/* SPDX-License-Identifier: MIT */
/* First process of the bench's Linux guest: says what the time-stamp counter was when it began. */
#include <stdio.h>
#include <unistd.h>
#include <x86intrin.h>

int main(void)
{
    printf("first %llu\ndone\n", __rdtsc());
    (void)fflush(stdout);
    for (;;)
        (void)pause();
}
