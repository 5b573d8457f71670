# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What a caller of ./dev sees of it, with the native build only.

case_help_lists_every_command()
{
    local command
    expect 0 "$dev" help
    for command in demo test gimp w2w build shell clean; do
        expect_text out "  $command "
    done
}

case_unknown_command_is_a_usage_error()
{
    expect 2 "$dev" bild
    expect_text err "no command 'bild'"
}

case_unknown_suite_is_a_usage_error()
{
    expect 2 "$dev" test quikc
    expect_text err "no suite 'quikc'"
}

case_missing_golden_folder_is_named()
{
    expect 1 env W2W_GOLDEN="no such folder" "$dev" test golden
    expect_text err "no such folder"
}

case_w2w_passes_arguments_and_folder()
{
    mkdir -p "$scratch/some where"
    cd "$scratch/some where" || exit 1
    expect 0 ../"a project"/dev w2w show "two words" '' '*' $'a\nb' -- --help
    [ "$(cat "$scratch/out")" = "$scratch/some where"$'\n<two words>\n<>\n<*>\n<a\nb>\n<-->\n<--help>' ] ||
        fail "other arguments arrived:" "$(cat "$scratch/out")"
}

case_w2w_passes_input_and_is_quiet()
{
    expect 0 "$dev" w2w show
    head -c 300000 /dev/urandom >"$scratch/in"
    expect 0 "$dev" w2w cat <"$scratch/in"
    cmp "$scratch/in" "$scratch/out" || fail "the bytes changed"
    [ ! -s "$scratch/err" ] || fail "it was not quiet: $(cat "$scratch/err")"
}

case_w2w_passes_the_exit_status()
{
    expect 0 "$dev" w2w exit 0
    expect 1 "$dev" w2w exit 1
    expect 2 "$dev" w2w exit 2
    expect_text err "to stderr"
}

case_w2w_ends_on_interrupt()
{
    local pid status=0
    expect 0 "$dev" w2w show
    # Commands in the background of a script start with SIGINT ignored.
    env --default-signal=INT "$dev" w2w wait >"$scratch/waits" &
    pid=$!
    wait_until grep -q waiting "$scratch/waits"
    kill -INT "$pid"
    wait "$pid" || status=$?
    [ "$status" -eq 130 ] || fail "status $status after an interrupt"
}

case_w2w_is_built_anew_after_a_change()
{
    expect 0 "$dev" w2w show
    sed -i 's/to stderr/other text/' "$project/cli/w2w.c"
    expect 3 "$dev" w2w exit 3
    expect_text err "other text"
    sed -i 's/other text/to stderr/' "$project/cli/w2w.c"
}

case_compile_error_is_shown_and_named()
{
    cp "$project/cli/w2w.c" "$scratch/w2w.c"
    echo 'int broken = "text";' >>"$project/cli/w2w.c"
    ("$dev" w2w show >"$scratch/out" 2>"$scratch/err") && fail "a broken program was run"
    cp "$scratch/w2w.c" "$project/cli/w2w.c"
    expect_text err "cli/w2w.c"
    expect_text err "the native build failed"
}

case_works_through_a_symbolic_link()
{
    ln -sf "$dev" "$scratch/link"
    expect 5 "$scratch/link" w2w exit 5
}

case_test_counts_and_fails()
{
    expect 1 "$dev" test native
    expect_text err "native/quick/fails"
    # The build itself and one program passed.
    [ "$(tail -n 1 "$scratch/out")" = "2 passed, 1 failed" ] || fail "last line: $(tail -n 1 "$scratch/out")"
}

case_half_configured_build_is_made_anew()
{
    expect 0 "$dev" w2w show
    # As a kill during `meson setup` leaves it.
    rm "$project/build-dev/native/build.ninja"
    expect 0 "$dev" w2w show
}

case_builds_wait_for_each_other()
{
    local pid status=0
    expect 0 "$dev" w2w show
    exec 9>>"$project/build-dev/lock"
    flock 9
    "$dev" w2w exit 7 2>"$scratch/waits" 9>&- &
    pid=$!
    wait_until grep -q "waiting for another ./dev that is building here" "$scratch/waits"
    exec 9>&-
    wait "$pid" || status=$?
    [ "$status" -eq 7 ] || fail "status $status after waiting"
}

case_clean_removes_what_was_made()
{
    expect 0 "$dev" w2w show
    mkdir -p "$XDG_CACHE_HOME/w2w-gimp/debian-13/etc" "$project/demo-output"
    expect 0 "$dev" clean
    local path
    for path in "$project/build-dev" "$project/demo-output" "$XDG_CACHE_HOME/w2w-gimp"; do
        [ ! -e "$path" ] || fail "it left $path"
    done
    [ -e "$project/cli/w2w.c" ] || fail "it removed the sources"
}

case_clean_refuses_to_touch_what_is_mounted()
{
    need_root
    local below
    mkdir -p "$scratch/precious"
    echo kept >"$scratch/precious/file"
    for below in "$XDG_CACHE_HOME/w2w-gimp/debian-13/home" "$project/build-dev/a folder"; do
        mkdir -p "$below"
        expect 1 unshare --mount sh -c 'mount --bind "$1" "$2" && exec "$3" clean' - "$scratch/precious" "$below" "$dev"
        expect_text err "$below is mounted inside"
        [ -e "$scratch/precious/file" ] || fail "it removed what lay behind the mount"
        [ -e "$project/build-dev" ] || fail "it removed something before it refused"
    done
}
