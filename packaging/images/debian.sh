# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Debian's packages as one root file system, for scripts that make images; sourced by them.

# debian_fetch WORK SECONDS OUTPUT OPTION...: mmdebstrap to a tar file, from where this machine gets
# its packages: its own list, its own proxy. What it says goes to WORK/mmdebstrap.log.
debian_fetch() {
    local work=$1 limit=$2 output=$3 sources=() file
    shift 3
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
        [ -s "$file" ] && sources+=("$file")
    done
    apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$work/apt.conf" || true
    timeout --kill-after=5 "$limit" mmdebstrap --quiet --format=tar --aptopt="$work/apt.conf" "$@" \
        bookworm "$output" "${sources[@]}" >"$work/mmdebstrap.log" 2>&1
}
