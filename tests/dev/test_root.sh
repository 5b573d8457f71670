# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# The Debian 13 root: entering one, and what can go wrong while it is made. Nothing is downloaded: a
# debootstrap of our own stands in for the real one.

# A root without anything of its own but the host's programs.
make_bare_root()
{
    root=$scratch/root
    mkdir -p "$root"/{proc,sys,dev,run,etc,usr,var/lib}
    local name
    for name in bin sbin lib lib64; do
        ln -sfn "usr/$name" "$root/$name"
    done
}

# in_bare_root COMMAND...: as ./dev enters a root.
in_test_root()
{
    make_bare_root
    unshare --mount --propagation private bash "$project/scripts/dev/enter_root.sh" "$root" --bind /usr /usr -- "$@"
}

count_mounts()
{
    grep -cF "$scratch" /proc/self/mountinfo
}

# fake_debootstrap LINE: the shell line is run instead of debootstrap, with its arguments.
fake_debootstrap()
{
    mkdir -p "$scratch/bin"
    printf '#!/bin/sh\n%s\n' "$1" >"$scratch/bin/debootstrap"
    chmod +x "$scratch/bin/debootstrap"
    PATH=$scratch/bin:$PATH
    rm -rf --one-file-system "$XDG_CACHE_HOME"
}

case_root_shows_the_hosts_folders()
{
    need_root
    mkdir -p "$scratch/some where"
    echo hello >"$scratch/some where/file"
    expect 0 in_test_root env --chdir="$scratch/some where" cat file
    expect_text out hello
    expect 0 in_test_root sh -c 'echo written >"$1"' - "$scratch/some where/new"
    [ "$(cat "$scratch/some where/new")" = written ] || fail "what was written inside is not outside"
}

case_root_keeps_its_own_system_folders()
{
    need_root
    make_bare_root
    expect 1 in_test_root test -e /etc/os-release
    expect 0 in_test_root test -e /proc/self/status
    expect 0 in_test_root sh -c 'echo >/dev/null && test -d /run/lock'
}

case_root_passes_status_and_input()
{
    need_root
    expect 3 in_test_root sh -c 'exit 3'
    echo "some input" >"$scratch/in"
    expect 0 in_test_root cat <"$scratch/in"
    expect_text out "some input"
}

case_root_leaves_nothing_mounted()
{
    need_root
    expect 0 in_test_root true
    [ "$(count_mounts)" -eq 0 ] || fail "mounts are left"
}

case_killed_dev_leaves_no_process()
{
    need_debian_12
    local pid
    fake_debootstrap 'sleep 1234 & echo $! >"$XDG_CACHE_HOME/started"; setsid sleep 1234; true'
    "$dev" shell true 2>/dev/null &
    pid=$!
    wait_until test -s "$XDG_CACHE_HOME/started"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    wait_until sh -c '! cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " " | grep -q "[s]leep 1234 "'
    [ "$(count_mounts)" -eq 0 ] || fail "mounts are left"
    [ ! -e "$XDG_CACHE_HOME/w2w-gimp/debian-13" ] || fail "what was not finished counts as a root"
}

case_setting_up_waits_for_another()
{
    need_debian_12
    local pid
    fake_debootstrap 'if [ -e "$XDG_CACHE_HOME/started" ]; then exit 1; fi; : >"$XDG_CACHE_HOME/started"; sleep 60'
    "$dev" shell true 2>/dev/null &
    pid=$!
    wait_until test -e "$XDG_CACHE_HOME/started"
    "$dev" shell true 2>"$scratch/waits" &
    wait_until grep -q "waiting for another ./dev that is setting up" "$scratch/waits"
    kill -KILL "$pid"
    wait "$pid" 2>/dev/null
    # The second one goes on by itself, to a debootstrap that fails.
    wait_until grep -q "could not be made" "$scratch/waits"
}

case_half_made_root_is_not_used()
{
    need_debian_12
    fake_debootstrap 'echo called >"$XDG_CACHE_HOME/called"; exit 1'
    mkdir -p "$XDG_CACHE_HOME/w2w-gimp/debian-13/etc"
    expect 1 "$dev" shell true
    [ -e "$XDG_CACHE_HOME/called" ] || fail "a root without its stamp was taken as made"
}

case_no_network_is_one_sentence()
{
    need_debian_12
    command -v debootstrap >/dev/null || fake_debootstrap 'echo "E: Failed getting release file"; exit 1'
    expect 1 unshare --net "$dev" shell true
    expect_text err "could not be reached: is this machine on the network?"
    expect_text err "details: $project/build-dev/log/root.log"
    [ "$(wc -l <"$scratch/err")" -le 3 ] || fail "more than a sentence:" "$(cat "$scratch/err")"
}

case_no_space_is_one_sentence()
{
    need_debian_12
    mkdir -p "$scratch/small"
    expect 1 unshare --mount sh -c 'mount -t tmpfs -o size=50M tmpfs "$1" && XDG_CACHE_HOME=$1 exec "$2" shell true' \
        - "$scratch/small" "$dev"
    expect_text err "but only"
    [ "$(wc -l <"$scratch/err")" -le 2 ] || fail "more than a sentence:" "$(cat "$scratch/err")"
}

case_full_disk_is_one_sentence()
{
    need_debian_12
    fake_debootstrap 'echo "tar: write error: No space left on device"; exit 1'
    expect 1 "$dev" shell true
    expect_text err "is full"
}

case_no_root_rights_is_one_sentence()
{
    need_debian_12
    chmod -R a+rX "$scratch"
    # A folder that the other user may write to, as his home is.
    mkdir -p "$scratch/nobody"
    cp -r "$project" "$scratch/nobody/project"
    rm -rf "$scratch/nobody/project/build-dev"
    chown -R nobody "$scratch/nobody"
    expect 1 env XDG_CACHE_HOME="$scratch/nobody/cache" setpriv --reuid nobody --regid nogroup --clear-groups \
        "$scratch/nobody/project/dev" shell true
    expect_text err "needs root rights"
    [ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "more than a sentence:" "$(cat "$scratch/err")"
}
