#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The life of a VM with plain curl, against any daemon: life.sh URL CA TOKEN KERNEL [INITRD [CMDLINE [SAYS]]]
#
#   CA      file of the authority to trust        TOKEN   file with an administrator's token
#   KERNEL  file to upload and start from         SAYS    what the guest's console says when it is up
#   LACKS   (environment) what the worker has not: any of "disks shutdown"; then a clear refusal is wanted instead
#
# With a simulated worker it is the ctest api.life; with children it is run against the appliance.
set -uo pipefail
export LC_ALL=C
[ $# -ge 4 ] || { sed -n '4,9s/^# \{0,1\}//p' "$0"; exit 2; }
url=$1 ca=$2 token=$3 kernel=$4 initrd=${5:-} cmdline=${6:-} says=${7:-booted}
work=$(mktemp -d)
mark=life-$$ # so that it can be run again on the same daemon
passed=0

cleanup() {
    for path in "vms/$mark/poweroff" "vms/$mark-copy/poweroff"; do
        ask POST "/v1/$path?wait=20" || true
    done
    for path in "vms/$mark-copy" "vms/$mark" "disks/$mark-copy-root" "disks/$mark-root" "disks/$mark-more" "disks/$mark-cow" "images/$mark-kernel" "images/$mark-initrd" "tokens/$mark"; do
        ask DELETE "/v1/$path?wait=20" || true
    done
    rm -rf -- "$work"
}
trap 'cleanup >/dev/null 2>&1' EXIT

# ask METHOD PATH [CURL'S WORDS...]: status in $status, body in $work/body, header fields in $work/headers.
ask() {
    local method=$1 path=$2
    shift 2
    status=$(curl --silent --show-error --max-time 120 --cacert "$ca" --header "Authorization: Bearer $(cat "$token")" --request "$method" \
        --dump-header "$work/headers" --output "$work/body" --write-out '%{http_code}' "$@" "$url$path")
}

fail() {
    echo "FAILED $*" >&2
    echo "last answer: $status $(head -c 1000 "$work/body")" >&2
    exit 1
}

ok() {
    passed=$((passed + 1))
    echo "ok $*"
}

# want STATUS METHOD PATH [CURL'S WORDS...]
want() {
    local wanted=$1
    shift
    ask "$@" || fail "$1 $2: curl"
    [[ " $wanted " == *" $status "* ]] || fail "$1 $2: $status, not $wanted"
}

# value PATH: a member of the answer, such as status.state or items.0.name.
value() {
    python3 -c 'import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2].split("."):
    value = value[int(key)] if isinstance(value, list) else value.get(key)
print(json.dumps(value) if isinstance(value, (dict, list)) else value)' "$work/body" "$1"
}

# same PATH TEXT: the member is that.
same() {
    [ "$(value "$1")" = "$2" ] || fail "$1 is $(value "$1"), not $2"
}

field() {
    grep -i "^$1:" "$work/headers" | tail -n 1 | cut -d ' ' -f 2- | tr -d '\r'
}

lacks() {
    [[ " ${LACKS:-} " == *" $1 "* ]]
}

# soon SECONDS COMMAND...
soon() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || fail "waited too long for: $*"
        sleep 0.2
    done
}

console_says() {
    ask GET "/v1/vms/$mark/console?offset=0" && grep -qaE -- "$1" "$work/body"
}

# It was reset before, and is refused as long as the guest has not booted again.
shuts_down() {
    ask POST "/v1/vms/$mark/shutdown?wait=60" && [ "$status" = 200 ]
}

make_image() {
    want 201 POST /v1/images --json "{\"name\":\"$1\",\"kind\":\"$2\",\"sha256\":\"$(sha256sum <"$3" | cut -d ' ' -f 1)\"}"
    want 200 PUT "/v1/images/$1/content?wait=60" --upload-file "$3"
    same status.state ready
}

refusals() {
    status=$(curl --silent --cacert "$ca" --output "$work/body" --write-out '%{http_code}' "$url/v1/vms")
    [ "$status" = 401 ] || fail "no token: $status"
    ok "nobody gets nothing without a token"
    want 422 POST /v1/vms --json '{"name":"x","memory":{"size":"64MiB"},"colour":"red"}'
    same errors.0.pointer /colour
    [ "$(field content-type)" = application/problem+json ] || fail "an error is $(field content-type)"
    want 400 GET '/v1/vms?colour=red'
    ok "unknown fields and parameters are refused by name"
}

images() {
    make_image "$mark-kernel" kernel "$kernel"
    [ -z "$initrd" ] || make_image "$mark-initrd" initrd "$initrd"
    ok "images are uploaded and their digests checked"
}

creation() {
    local boot="{\"kernel\":\"$mark-kernel\",\"cmdline\":\"$cmdline\"${initrd:+,\"initrd\":\"$mark-initrd\"}}"
    local vm="{\"name\":\"$mark\",\"memory\":{\"size\":\"256MiB\"},\"boot\":$boot,\"tags\":[\"life\"]}" uuid
    want 200 POST "/v1/vms?dry_run=true" --json "$vm"
    want 404 GET "/v1/vms/$mark"
    want 201 POST /v1/vms --header "Idempotency-Key: $mark" --json "$vm"
    uuid=$(value uuid)
    want 201 POST /v1/vms --header "Idempotency-Key: $mark" --json "$vm"
    same uuid "$uuid"
    same status.state stopped
    ok "a VM is made once, and a dry run makes none"
    want 200 GET "/v1/vms/$mark"
    stale=$(field etag)
    want 200 PATCH "/v1/vms/$mark" --header "If-Match: $stale" --header 'Content-Type: application/merge-patch+json' --data '{"description":"first"}'
    want 412 PATCH "/v1/vms/$mark" --header "If-Match: $stale" --header 'Content-Type: application/merge-patch+json' --data '{"description":"second"}'
    want 200 GET /v1/vms
    want 304 GET /v1/vms --header "If-None-Match: $(field etag)"
    want 200 GET "/v1/vms?filter=tag=life,name=$mark&fields=name,status.state"
    same items.0.status.state stopped
    ok "preconditions, 304, filters and fields"
}

running() {
    want 200 POST "/v1/vms/$mark/start?wait=60"
    same status.state running
    want 200 GET "/v1/operations/$(field operation | sed 's#.*/##')"
    same state succeeded
    soon 180 console_says "$says"
    ok "it starts, and its console says so"
    ask GET "/v1/vms/$mark/console?offset=0&follow=true" --max-time 2
    grep -qaE -- "$says" "$work/body" || fail "following the console shows nothing"
    want 204 POST "/v1/vms/$mark/console" --header 'Content-Type: application/octet-stream' --data-binary $'echo life $((6 * 7))\n'
    soon 60 console_says 'life (42|\$\(\(6)'
    ok "the console is followed and typed into"
}

changes() {
    local patch=(--header 'Content-Type: application/merge-patch+json' --data)
    want 200 PATCH "/v1/vms/$mark?wait=20" "${patch[@]}" '{"processors":{"weight":300}}'
    same processors.weight 300
    want 409 PATCH "/v1/vms/$mark?wait=20" "${patch[@]}" '{"processors":{"count":2}}'
    same errors.0.pointer /processors/count
    ok "the weight changes live, the count is refused by name"
    want '201 200' POST "/v1/disks?wait=30" --json "{\"name\":\"$mark-more\",\"size\":\"4MiB\"}"
    if lacks disks; then
        want '409 500' PATCH "/v1/vms/$mark?wait=20" "${patch[@]}" "{\"disks\":{\"more\":{\"disk\":\"$mark-more\"}}}"
        same errors.0.pointer /disks/more
    else
        want 200 PATCH "/v1/vms/$mark?wait=20" "${patch[@]}" "{\"disks\":{\"more\":{\"disk\":\"$mark-more\"}}}"
        want 409 DELETE "/v1/disks/$mark-more?wait=20"
        want 200 PATCH "/v1/vms/$mark?wait=20" "${patch[@]}" '{"disks":{"more":null}}'
        want '201 200' POST "/v1/disks?wait=30" --json "{\"name\":\"$mark-cow\",\"size\":\"4MiB\",\"format\":\"qcow2\"}"
        want 200 PATCH "/v1/vms/$mark?wait=60" "${patch[@]}" "{\"disks\":{\"cow\":{\"disk\":\"$mark-cow\"}}}"
        want 200 PATCH "/v1/vms/$mark?wait=20" "${patch[@]}" '{"disks":{"cow":null}}'
    fi
    ok "disks, raw and qcow2, come and go while it runs"
    want 200 POST "/v1/vms/$mark/pause?wait=20"
    same status.state paused
    want 200 POST "/v1/vms/$mark/resume?wait=20"
    same status.state running
    want 202 POST "/v1/vms/$mark/reset"
    want 200 GET "$(field location)?wait=30"
    same state succeeded
    ok "pause, resume, reset; and 202 with a place to wait at"
}

watching() {
    ask GET "/v1/events?since=0" --no-buffer --max-time 3 --header 'Accept: text/event-stream'
    grep -q '^event: vm.started' "$work/body" || fail "the stream of events lacks the start"
    last=$(grep '^id: ' "$work/body" | tail -n 2 | head -n 1 | cut -d ' ' -f 2)
    ask GET "/v1/events" --no-buffer --max-time 3 --header 'Accept: text/event-stream' --header "Last-Event-ID: $last"
    [ "$(grep '^id: ' "$work/body" | head -n 1 | cut -d ' ' -f 2)" = $((last + 1)) ] || fail "the stream did not go on behind $last"
    want 200 GET "/v1/events?limit=1000&filter=object=$mark" --header 'Accept: application/x-ndjson'
    grep -q '"vm.paused"' "$work/body" || fail "the history lacks the pause"
    ok "events stream, resume and are kept"
    want 200 GET /metrics
    grep -q "name=\"$mark\"" "$work/body" || fail "the metrics lack the VM"
    [ "$(tail -n 1 "$work/body")" = '# EOF' ] || fail "the metrics are cut"
    ok "metrics name it"
    want 201 POST /v1/tokens --json "{\"name\":\"$mark\",\"role\":\"viewer\"}"
    value secret >"$work/viewer"
    token=$work/viewer want 200 GET "/v1/vms/$mark"
    token=$work/viewer want 403 POST "/v1/vms/$mark/poweroff"
    ok "a viewer looks and does not touch"
}

ending() {
    local patch=(--header 'Content-Type: application/merge-patch+json' --data)
    if lacks shutdown; then
        want '409 500' POST "/v1/vms/$mark/shutdown?wait=20"
        want 200 POST "/v1/vms/$mark/poweroff?wait=30"
    else
        soon 180 shuts_down
    fi
    same status.state stopped
    ok "it ends"
    want '201 200' POST "/v1/disks?wait=30" --json "{\"name\":\"$mark-root\",\"size\":\"4MiB\"}"
    want 200 PATCH "/v1/vms/$mark" "${patch[@]}" "{\"disks\":{\"root\":{\"disk\":\"$mark-root\"}}}"
    want 201 POST "/v1/vms/$mark/snapshots?wait=60" --json '{"name":"clean"}'
    want 200 POST "/v1/vms/$mark/snapshots/clean/revert?wait=60"
    want 201 POST "/v1/vms/$mark/clone?wait=60" --json "{\"name\":\"$mark-copy\"}"
    want 200 GET "/v1/vms/$mark-copy"
    want 204 DELETE "/v1/vms/$mark-copy?wait=20"
    want 204 DELETE "/v1/vms/$mark/snapshots/clean?wait=20"
    want 204 DELETE "/v1/vms/$mark?wait=20"
    want 404 GET "/v1/vms/$mark"
    ok "snapshot, revert, clone, delete"
}

refusals
images
creation
running
changes
watching
ending
echo "$passed passed, 0 failed"
