#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs one module of the end-to-end tests: run.sh MODULE. In a network namespace of its own, since the daemon
# makes bridges and firewall rules; without the right to make one it says so and is skipped.
folder=$(dirname "$0")
if ! unshare --net true 2>/dev/null; then
    echo "SKIPPED: making a network namespace needs root"
    exit 77
fi
# shellcheck disable=SC2016
exec unshare --net sh -c 'ip link set lo up && cd "$1" && exec /usr/bin/python3 -B -m unittest -v "$2"' sh "$folder" "$1"
