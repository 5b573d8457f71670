# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# ./dev test: which build each suite needs, how it is run, and the count at the end. Sourced by ../../dev.

all_suites=(dev native quick golden gimp clang sanitize)

n_passed=0
n_failed=0

command_test()
{
    local suite
    local -a suites=("$@")
    [ $# -gt 0 ] || suites=("${all_suites[@]}")
    for suite in "${suites[@]}"; do
        case " ${all_suites[*]} " in
        *" $suite "*) ;;
        *)
            say "dev: there is no suite '$suite'; there are: ${all_suites[*]}."
            return 2
            ;;
        esac
    done
    lock exclusive test_lock "$build_dir/lock.test" "runs tests here"
    ensure_native_packages
    for suite in "${suites[@]}"; do
        case $suite in
        quick | golden | gimp | clang | sanitize)
            ensure_place
            ensure_test_packages
            break
            ;;
        esac
    done
    for suite in "${suites[@]}"; do
        say "$suite"
        "suite_$suite"
    done
    give_to_caller
    printf '%s passed, %s failed\n' "$n_passed" "$n_failed"
    [ "$n_failed" -eq 0 ]
}

# count_build NAME: a build is a test of its own: it passes when there is no warning.
count_build()
{
    local status=0
    lock exclusive build_lock "$build_dir/lock" "is building here"
    build "$1" || status=$?
    if [ "$status" -eq 0 ] && [ "$1" = plugin ]; then
        install_plugin || status=$?
    fi
    unlock build_lock
    if [ "$status" -eq 0 ]; then
        n_passed=$((n_passed + 1))
    else
        n_failed=$((n_failed + 1))
        show_build_errors
        say "    FAILED: the $1 build (details: $log_file)"
    fi
    return "$status"
}

# The plug-in's build serves several suites; it is counted once.
plugin_build=
ensure_plugin_build()
{
    if [ -z "$plugin_build" ]; then
        plugin_build=failed
        ! count_build plugin || plugin_build=passed
    fi
    if [ "$plugin_build" = failed ]; then
        n_failed=$((n_failed + 1))
        say "    FAILED: suite $1 could not run without that build"
        return 1
    fi
}

# run_meson_suite BUILD SUITE [VARIABLE=VALUE...] [-- MESON-OPTION...]
run_meson_suite()
{
    local name=$1 suite=$2 builder status=0 log
    local -a options variables=() # options: describe_build sets them
    shift 2
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        variables+=("$1")
        shift
    done
    [ $# -eq 0 ] || shift
    describe_build "$name"
    set_environment build "$builder"
    log=$build_dir/$name/meson-logs/testlog-$suite.json
    rm -f "$log"
    use_log "test-$name-$suite"
    run_step "running $suite ($name)" run_in "$builder" init "$source_dir" env "${variables[@]}" \
        meson test -C "$build_dir/$name" --no-rebuild --suite "$suite" --num-processes "$jobs" \
        --print-errorlogs --logbase "testlog-$suite" "$@" || status=$?
    [ "$name" = plugin ] && name=$suite || name=$name/$suite
    count "$name" "$log" "$status"
}

# count LABEL FILE STATUS [tap]
count()
{
    local passed failed
    local -a tap=()
    [ "${4:-}" != tap ] || tap=("$3")
    read -r passed failed < <(python3 "$source_dir/scripts/dev/count_tests.py" "$1" "$2" "${tap[@]}")
    if [ "${failed:-0}" -eq 0 ] && [ "$3" -ne 0 ] || [ -z "${passed:-}" ]; then
        say "    FAILED: $1 ended with exit status $3"
        failed=$((${failed:-0} + 1))
    fi
    n_passed=$((n_passed + ${passed:-0}))
    n_failed=$((n_failed + failed))
    if [ "$failed" -gt 0 ]; then
        say "    $failed failed (details: $log_file)"
    fi
}

suite_dev()
{
    local status=0
    use_log test-dev
    run_step "running dev" bash "$source_dir/tests/dev/run.sh" || status=$?
    count dev "$log_file" "$status" tap
}

suite_native()
{
    count_build native && run_meson_suite native quick
}

suite_quick()
{
    ensure_plugin_build quick && run_meson_suite plugin quick
}

suite_golden()
{
    ensure_plugin_build golden && run_meson_suite plugin golden -- --timeout-multiplier 3
}

suite_gimp()
{
    ensure_plugin_build gimp && run_meson_suite plugin gimp -- --num-processes 1
}

suite_clang()
{
    count_build clang && run_meson_suite clang quick
}

suite_sanitize()
{
    count_build sanitize || return
    local -a fatal=(ASAN_OPTIONS=abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1)
    run_meson_suite sanitize quick "${fatal[@]}" -- --timeout-multiplier 10
    run_meson_suite sanitize golden "${fatal[@]}" -- --timeout-multiplier 10
}
