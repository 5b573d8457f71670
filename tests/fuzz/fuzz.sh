#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# fuzz.sh BUILD-DIR RUNS TARGET...: runs fuzz targets (a build with -Dfuzz=true) one after the other,
# from the seeds and the corpus in the tree; what they find lies in BUILD-DIR/fuzz/TARGET.
set -eu
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "$1")
runs=$2
shift 2

export G_SLICE=always-malloc # so that AddressSanitizer sees each of GLib's allocations
python3 "$here/make_seeds.py" "$build/fuzz/seeds"
for target; do
    work=$build/fuzz/$target
    mkdir -p "$work/corpus" "$work/found" "$build/fuzz/seeds/$target"
    python3 -m zipfile -e "$here/corpus/$target.zip" "$work/corpus"
    dictionary=()
    case $target in
    pickle) dictionary=("-dict=$here/pickle.dict") ;;
    json | world_card | model_config | scheduler_config) dictionary=("-dict=$here/json.dict") ;;
    esac
    max_len=1024
    [ "$target" != zip ] || max_len=2048
    start=$(date +%s)
    status=0
    "$build/tests/fuzz/fuzz_$target" -runs="$runs" -max_len=$max_len -timeout=25 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$work/found/" "${dictionary[@]}" \
        "$work/corpus" "$build/fuzz/seeds/$target" >"$work/log" 2>&1 || status=$?
    echo "$target: exit status $status, $(($(date +%s) - start)) s, $(ls "$work/found" | wc -l) findings," \
        "$(grep -a number_of_executed_units "$work/log")"
done
