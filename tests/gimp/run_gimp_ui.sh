#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs one Python script in a real GIMP with its windows: run_gimp_ui.sh SCRIPT. Display, window manager
# and bus are its own, and end with it. Otherwise as run_gimp.sh, whose environment it takes.
set -eu
script=$1
if [ -z "${W2W_TEST_SCRATCH:-}" ]; then
    scratch=$(mktemp -d "${TMPDIR:-/tmp}/w2w-gimp-test-XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    mkdir -m 700 "$scratch/run"
    W2W_TEST_SOURCE=$(dirname "$script")
    export PYTHONDONTWRITEBYTECODE=1 W2W_TEST_SOURCE XDG_RUNTIME_DIR="$scratch/run" W2W_TEST_SCRATCH="$scratch" W2W_WORKER_IDLE_SECONDS=30
    # The settings of the last calls stay here, too.
    mkdir "$scratch/profile"
    ln -s "$GIMP3_DIRECTORY/plug-ins" "$scratch/profile/plug-ins"
    # shellcheck disable=SC2016
    printf '(plug-in-path "${gimp_dir}/plug-ins")\n(check-updates no)\n(show-welcome-dialog no)\n(config-version "%s")\n' "$(gimp-console --version | grep -o '[0-9.]*$')" \
        >"$scratch/profile/gimprc"
    export GIMP3_DIRECTORY="$scratch/profile" NO_AT_BRIDGE=1
    dbus-run-session -- xvfb-run -a -s '-screen 0 1280x1000x24' "$0" "$script"
    exit
fi
openbox 2>/dev/null &
manager=$!
trap 'kill $manager' EXIT
set +e
timeout 300 gimp -n -d -f -s --stack-trace-mode=never --batch-interpreter=python-fu-eval --quit \
    -b "exec(compile(open('$script').read(), '$script', 'exec'))" \
    >"$W2W_TEST_SCRATCH/out" 2>"$W2W_TEST_SCRATCH/err"
code=$?
set -e
cat "$W2W_TEST_SCRATCH/out"
grep -v -e 'script_fu_add_resource_arg' -e 'gimp_flush' "$W2W_TEST_SCRATCH/err" >&2 || true
[ "$code" = 0 ] || { echo "gimp ended with $code" >&2; exit 1; }
grep -q '^TEST OK' "$W2W_TEST_SCRATCH/out" || { echo "the script did not reach its end" >&2; exit 1; }
