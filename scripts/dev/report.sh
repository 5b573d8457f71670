# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# How ./dev talks: one short line for each step with the time it took, one sentence when it cannot
# go on, and everything else into a log whose path is named then. Sourced by ../../dev.
# Everything goes to stderr: stdout belongs to the program that `./dev w2w` runs.

# Where run_step keeps the output of the commands; set by whoever knows the build folder.
log_file=/dev/null

say()
{
    printf '%s\n' "$*" >&2
}

die()
{
    say "dev: $*"
    exit 1
}

# Says where the details are, when there are any.
die_with_log()
{
    if [ -s "$log_file" ]; then
        die "$* (details: $log_file)"
    fi
    die "$*"
}

# use_log NAME: from now on the commands' output goes to that log, which starts anew.
use_log()
{
    mkdir -p "$build_dir/log" || die "cannot write to $build_dir."
    log_file=$build_dir/log/$1.log
    : >"$log_file" || die "cannot write to $log_file."
}

# run_step WHAT COMMAND...: runs it with its output in the log; says what and, at its end, how long.
# Returns the command's status.
run_step()
{
    local what=$1 begin=$SECONDS status=0
    shift
    printf '  %s … ' "$what" >&2
    printf '\n== %s: %s\n' "$what" "$*" >>"$log_file"
    "$@" >>"$log_file" 2>&1 </dev/null || status=$?
    if [ "$status" -eq 0 ]; then
        printf '%s s\n' "$((SECONDS - begin))" >&2
    else
        printf 'failed after %s s\n' "$((SECONDS - begin))" >&2
    fi
    return "$status"
}

# Locks are flock(2) locks on open descriptors: the kernel frees them however the owner ends, and a
# child that outlives a killed ./dev keeps the next one out until it is gone too.
#
# lock shared|exclusive NAME FILE WHY: opens FILE and locks it, the descriptor goes into variable
# NAME; when it has to wait it says so, with WHY. A lock file that `clean` removed meanwhile is
# no lock any more: then it starts again with the new file.
lock()
{
    local how=$1 name=$2 file=$3 why=$4 fd said=
    while :; do
        mkdir -p "${file%/*}" 2>/dev/null
        { exec {fd}>>"$file"; } 2>/dev/null || die "cannot write to ${file%/*}."
        if ! flock --nonblock "--$how" "$fd"; then
            [ -n "$said" ] || say "dev: waiting for another ./dev that $why."
            said=yes
            flock "--$how" "$fd" || die "cannot lock $file."
        fi
        if [ "$file" -ef "/proc/self/fd/$fd" ]; then
            break
        fi
        exec {fd}>&-
    done
    printf -v "$name" '%s' "$fd"
}

unlock()
{
    local fd=${!1:-}
    [ -z "$fd" ] || exec {fd}>&-
    printf -v "$1" '%s' ''
}
