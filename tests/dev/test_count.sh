# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What ./dev test counts as passed and failed.

count_tests()
{
    python3 "$project/scripts/dev/count_tests.py" suite "$@"
}

# expect_count "PASSED FAILED" FILE [STATUS]
expect_count()
{
    local wanted=$1
    shift
    expect 0 count_tests "$@"
    [ "$(cat "$scratch/out")" = "$wanted" ] || fail "counted $(cat "$scratch/out") instead of $wanted"
}

case_count_tap_cases()
{
    printf '1..3\nok 1 - one\nnot ok 2 - two\n# not ok, but a comment\nok 3 - three\n' >"$scratch/tap"
    expect_count "2 1" "$scratch/tap" 1
    expect_text err "suite/two"
}

case_count_a_skip_as_failed()
{
    printf '1..2\nok 1 - one # SKIP no reason\nok 2 - two\n' >"$scratch/tap"
    expect_count "1 1" "$scratch/tap" 0
    printf 'suite/on. .no reason.: needs a moon\n' >>"$project/scripts/dev/not_checkable.txt"
    expect_count "1 0" "$scratch/tap" 0
    expect_text err "needs a moon"
    sed -i 's/no reason/another/' "$scratch/tap"
    expect_count "1 1" "$scratch/tap" 0
    cp "$source_dir/scripts/dev/not_checkable.txt" "$project/scripts/dev/"
}

case_count_missing_cases_and_crashes()
{
    printf '1..3\nok 1 - one\n' >"$scratch/tap"
    expect_count "1 1" "$scratch/tap" 0
    printf '1..1\nok 1 - one\n' >"$scratch/tap"
    expect_count "1 1" "$scratch/tap" 134
    : >"$scratch/tap"
    expect_count "0 1" "$scratch/none" 0
}

case_count_mesons_log()
{
    cat >"$scratch/log.json" <<'END'
{"name": "project:quick / tap", "stdout": "1..3\nok 1 /a/b\nok 2 /a/c\nnot ok 3 /d\n", "result": "FAIL", "returncode": 1}
{"name": "crashes", "stdout": "1..2\nok 1 /a\n", "result": "ERROR", "returncode": -11}
{"name": "plain", "stdout": "", "result": "OK", "returncode": 0}
{"name": "slow", "stdout": "", "result": "TIMEOUT", "returncode": -15}
{"name": "nothing", "stdout": "1..0 # SKIP no device\n", "result": "SKIP", "returncode": 0}
END
    expect_count "4 4" "$scratch/log.json"
    expect_text err "suite/tap/d"
    expect_text err "suite/nothing: skipped (no device)"
}
