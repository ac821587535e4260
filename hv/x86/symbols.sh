#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Turns the function symbols of an image into an assembly file for its second link.
# Usage: symbols.sh NM IMAGE > symbols.S
set -eu
"$1" --defined-only "$2" | sort | awk '
    $3 == "image_text_start" { start = $1; next }
    ($2 == "t" || $2 == "T") && start != "" && $3 != "image_text_end" && $3 !~ /^[.]L/ {
        n++; address[n] = $1; name[n] = $3
    }
    END {
        print ".section .symbols, \"a\""
        print ".balign 8\n.globl symbol_table\nsymbol_table:"
        at = 0
        for (i = 1; i <= n; i++) {
            printf ".long 0x%s - 0x%s, %d\n", address[i], start, at
            at += length(name[i]) + 1
        }
        printf ".globl symbol_count\nsymbol_count: .long %d\n", n
        print ".globl symbol_names\nsymbol_names:"
        for (i = 1; i <= n; i++) printf ".asciz \"%s\"\n", name[i]
        print ".section .note.GNU-stack, \"\", @progbits"
    }'
