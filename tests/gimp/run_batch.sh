#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# plugin/batch/people.scm as a user calls it, in a real GIMP: interrupted in the middle, called again, and once
# more: run_batch.sh PEOPLE.SCM CHECK.PY. GIMP3_DIRECTORY, W2W_CLI: as for run_gimp.sh.
set -eu
batch=$1 check=$2
scratch=$(mktemp -d "${TMPDIR:-/tmp}/w2w-gimp-test-XXXXXX")
gimp=
cleanup()
{
    [ -z "$gimp" ] || kill -KILL "$gimp" 2>/dev/null || true
    rm -rf "$scratch"
}
trap cleanup EXIT
mkdir -m 700 "$scratch/run"
export XDG_RUNTIME_DIR="$scratch/run" W2W_WORKER_IDLE_SECONDS=30 W2W_TEST_SCRATCH="$scratch"
"$W2W_CLI" sample -n 3 --seed 20 --steps 4 -o "$scratch/people" >/dev/null
rm "$scratch"/people/*.safetensors

# GIMP itself, not a shell around it: it is what gets killed.
start_batch()
{
    gimp-console -n -i -d -f -s --stack-trace-mode=never --batch-interpreter=plug-in-script-fu-eval --quit -b \
        "(begin (load \"$batch\") (w2w-people \"$scratch/people\" \"$scratch/people.xcf\"
                                              #:preset \"fast\" #:steps 2)
                (display \"BATCH OK\") (newline))" >"$scratch/$1" 2>&1 &
    gimp=$!
}

fail()
{
    echo "$1" >&2
    cat "$scratch"/out* >&2
    exit 1
}

# The second picture is begun: the first one is done.
start_batch out1
n=0
until grep -q '^Picture: person-21' "$scratch/out1"; do
    n=$((n + 1))
    [ "$n" -lt 1200 ] && kill -0 "$gimp" || fail "the batch did not come to its second picture"
    sleep 0.1
done
kill -KILL "$gimp"
wait "$gimp" 2>/dev/null || true
[ -s "$scratch/people.xcf" ] || fail "what was done before the interruption is not saved"
cp "$scratch/people.xcf" "$scratch/interrupted.xcf"

for run in out2 out3; do
    start_batch "$run"
    wait "$gimp" || fail "the batch failed"
    grep -q '^BATCH OK' "$scratch/$run" || fail "the batch did not come to its end"
done
gimp=
[ "$(grep -c '^Picture: ' "$scratch/out2")" = 2 ] && ! grep -q '^Picture: person-20' "$scratch/out2" ||
    fail "after the interruption something else than the second and the third picture was done"
! grep -q '^Picture: ' "$scratch/out3" || fail "what was done was done again"
gimp-console -n -i -d -f -s --stack-trace-mode=never --batch-interpreter=python-fu-eval --quit \
    -b "exec(compile(open('$check').read(), '$check', 'exec'))" >"$scratch/out4" 2>&1 || fail "the XCF is not right"
grep -q '^TEST OK' "$scratch/out4" || fail "the check did not reach its end"
