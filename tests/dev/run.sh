#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Tests of ./dev itself: what is seen from outside, and what it leaves behind when things go wrong. Each
# function case_* in the test_*.sh beside this file is a case; TAP on stdout. They work on a copy of
# ./dev with a stand-in project (project/), with a cache folder of their own, and none downloads anything.
# usage: run.sh [CASE...]
set -u

tests_dir=$(dirname "$(readlink -f "$0")")
source_dir=$(dirname "$(dirname "$tests_dir")")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/w2w-dev-test.XXXXXX")
trap 'rm -rf --one-file-system "$scratch"' EXIT
trap 'exit 130' INT TERM

# A name with a space, so that everything has to cope with one.
project="$scratch/a project"
dev=$project/dev
export XDG_CACHE_HOME=$scratch/cache
unset W2W_GOLDEN

cp -r "$tests_dir/project" "$project"
cp -r "$source_dir/dev" "$source_dir/scripts" "$project"

fail()
{
    printf '# %s\n' "$@"
    exit 1
}

skip()
{
    printf '%s\n' "$*" >"$scratch/skipped"
    exit 0
}

# expect STATUS COMMAND...: runs it; what it printed lands in $scratch/out and $scratch/err.
expect()
{
    local wanted=$1 status=0
    shift
    "$@" >"$scratch/out" 2>"$scratch/err" || status=$?
    [ "$status" -eq "$wanted" ] ||
        fail "status $status instead of $wanted: $*" "$(sed 's/^/# /' "$scratch/out" "$scratch/err")"
}

# expect_text out|err TEXT: it stands there exactly so, somewhere.
expect_text()
{
    grep -qF -e "$2" "$scratch/$1" || fail "std$1 lacks '$2':" "$(sed 's/^/# /' "$scratch/$1")"
}

# wait_until COMMAND...: up to ten seconds.
wait_until()
{
    local i
    for ((i = 0; i < 600; i++)); do # a minute: the machine may be busy
        ! "$@" || return 0
        sleep 0.1
    done
    fail "waited in vain for: $*"
}

need_root()
{
    [ "$UID" -eq 0 ] || skip "needs root rights"
    unshare --mount --pid --fork true 2>/dev/null || skip "needs the right to make namespaces"
}

# For what ./dev does only where the distribution has no GIMP 3.
need_debian_12()
{
    need_root
    [ "$(. /etc/os-release && printf '%s' "$ID${VERSION_ID:-}")" = debian12 ] || skip "not Debian 12"
}

for file in "$tests_dir"/test_*.sh; do
    # shellcheck source=/dev/null
    . "$file"
done

cases=("$@")
[ $# -gt 0 ] || readarray -t cases < <(compgen -A function case_ | sed 's/^case_//')
printf '1..%d\n' "${#cases[@]}"
n=0 status=0
for case in "${cases[@]}"; do
    n=$((n + 1))
    rm -f "$scratch/skipped"
    if ! (set -u; "case_$case") </dev/null; then
        printf 'not ok %d - %s\n' "$n" "$case"
        status=1
    elif [ -e "$scratch/skipped" ]; then
        printf 'ok %d - %s # SKIP %s\n' "$n" "$case" "$(cat "$scratch/skipped")"
    else
        printf 'ok %d - %s\n' "$n" "$case"
    fi
done
exit "$status"
