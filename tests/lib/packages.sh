# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced by tests/run and .ci/run. Installs what packages.txt names and this machine lacks.
# Works as root or through sudo; asks the network only when something is missing.

packages_wanted() {
    sed -e 's/#.*//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1"
}

packages_missing() {
    local name
    while read -r name; do
        dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || echo "$name"
    done < <(packages_wanted "$1")
}

# packages_install LIST: returns non-zero, with a sentence, when the packages can not be had.
packages_install() {
    local missing sudo=()
    mapfile -t missing < <(packages_missing "$1")
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "installing: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "error: not root and no sudo; install by hand: ${missing[*]}" >&2
            return 1
        }
        sudo=(sudo)
    fi
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive timeout 900
        apt-get -o DPkg::Lock::Timeout=600 -qq)
    "${apt[@]}" update || echo "warning: apt-get update failed; trying with the lists there are" >&2
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null || {
        echo "error: apt-get could not install: ${missing[*]}" >&2
        return 1
    }
}
