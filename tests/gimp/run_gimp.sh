#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs one script in a real GIMP without a display: run_gimp.sh SCRIPT. GIMP's exit code alone proves
# little (an unknown choice, a script that stops early): the script must also end with "TEST OK".
# In it W2W_TEST_SOURCE is this folder, W2W_TEST_SCRATCH one that goes away.
# GIMP3_DIRECTORY: a profile with the plug-in installed. W2W_CLI: the built command line.
set -eu
script=$1
scratch=$(mktemp -d "${TMPDIR:-/tmp}/w2w-gimp-test-XXXXXX")
stop_worker()
{
    # The worker is ours alone: its socket lies in this test's own folder.
    [ -f "$scratch/worker.pid" ] && kill "$(cat "$scratch/worker.pid")" 2>/dev/null || true
    rm -rf "$scratch"
}
trap stop_worker EXIT
mkdir -m 700 "$scratch/run"
W2W_TEST_SOURCE=$(dirname "$script")
export PYTHONDONTWRITEBYTECODE=1 W2W_TEST_SOURCE XDG_RUNTIME_DIR="$scratch/run" W2W_TEST_SCRATCH="$scratch" W2W_WORKER_IDLE_SECONDS=30
case $script in
    *.py) interpreter=python-fu-eval
          batch="exec(compile(open('$script').read(), '$script', 'exec'))" ;;
    *.scm) interpreter=plug-in-script-fu-eval
           batch="(begin (define w2w-scratch \"$scratch\") (load \"$script\"))" ;;
esac
set +e
timeout 600 gimp-console -n -i -d -f -s --stack-trace-mode=never \
    --batch-interpreter="$interpreter" --quit -b "$batch" >"$scratch/out" 2>"$scratch/err"
code=$?
set -e
cat "$scratch/out"
grep -v -e 'script_fu_add_resource_arg' -e 'gimp_flush' "$scratch/err" >&2 || true
[ "$code" = 0 ] || { echo "gimp-console ended with $code" >&2; exit 1; }
grep -q '^TEST OK' "$scratch/out" || { echo "the script did not reach its end" >&2; exit 1; }
