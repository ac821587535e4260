# SPDX-License-Identifier: MIT
#
# Turns ctest's progress lines into ours and counts. Variables: log_name, counts (a file).
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
    name = $4
    seconds = $(NF - 1)
    if (/\*\*\*Skipped/) {
        skipped++
        printf "skipped %s: the test skipped itself\n", name
    } else if (/ Passed +[0-9.]+ sec/) {
        passed++
        printf "ok %s (%.0f s)\n", name, seconds
    } else {
        failed++
        reason = $0
        sub(/.*\*\*\*/, "", reason)
        sub(/ +[0-9.]+ sec.*/, "", reason)
        printf "FAILED %s: %s, log in %s\n", name, reason, log_name
    }
    fflush()
}
/^No tests were found/ {
    failed++
    print "FAILED: no test was found, see " log_name
}
END { print passed + 0, failed + 0, skipped + 0 > counts }
