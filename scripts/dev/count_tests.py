#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts test cases for ./dev test.

usage: count_tests.py LABEL (TESTLOG.json | TAP-FILE STATUS)

Prints "passed failed" on stdout and a line for each case that did not pass on stderr. A TAP line is
a case; a program without TAP is one case. A program that ends otherwise than its lines say (a
signal, a timeout, cases missing) is one more failure, and so is a log without any case. A skipped
case counts as failed, unless not_checkable.txt gives a reason why it cannot be checked
everywhere: then it counts as nothing, and the reason is printed.
"""
import json
import pathlib
import re
import sys

TAP_LINE = re.compile(r"(not )?ok\b\s*(\d+)?\s*(?:-\s*)?(.*?)\s*(?:#\s*(SKIP)\b\s*(.*))?$", re.IGNORECASE)


def read_not_checkable():
    """Pairs of a pattern for "LABEL/PROGRAM/CASE (what the test said)" and the reason."""
    pairs = []
    for line in pathlib.Path(__file__).with_name("not_checkable.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern, reason = line.split(": ", 1)
            pairs.append((re.compile(pattern.strip()), reason.strip()))
    return pairs


class Tally:
    def __init__(self, label):
        self.label = label
        self.passed = 0
        self.failed = 0
        self.n_not_checked = 0
        self.not_checkable = read_not_checkable()

    def name(self, program, case):
        return "/".join(part for part in (self.label, program, case.lstrip("/")) if part)

    def fail(self, program, case, why):
        self.failed += 1
        print(f"    FAILED {self.name(program, case)}{': ' if why else ''}{why}", file=sys.stderr)

    def skip(self, program, case, why):
        for pattern, reason in self.not_checkable:
            if pattern.fullmatch(f"{self.name(program, case)} ({why})"):
                self.n_not_checked += 1
                print(f"    not checked here: {self.name(program, case)}: {reason}", file=sys.stderr)
                return
        self.fail(program, case, f"skipped ({why or 'no reason given'})")

    def add_program(self, program, output, result, returncode):
        """result: one of meson's words; those for "not as it should be" are not listed anywhere."""
        n_cases = 0
        n_failed = self.failed
        planned = None
        for line in output.splitlines():
            if plan := re.match(r"1\.\.(\d+)\b", line):
                planned = int(plan[1])
            elif case := TAP_LINE.match(line):
                failed, number, text, directive, why = case.groups()
                n_cases += 1
                text = text or f"case {number or n_cases}"
                if failed:
                    self.fail(program, text, "")
                elif (directive or "").upper() == "SKIP":
                    self.skip(program, text, why)
                else:
                    self.passed += 1
        if result == "SKIP":
            if n_cases == 0:
                self.skip(program, "", re.sub(r"(?s).*# *SKIP *", "", output).strip())
        elif result != "OK":
            if self.failed == n_failed or returncode < 0:
                self.fail(program, "", f"{result} (exit status {returncode})")
        elif planned is not None and planned != n_cases:
            self.fail(program, "", f"{n_cases} cases of {planned} planned ones")
        elif n_cases == 0 and program:
            self.passed += 1


def main():
    label, path = sys.argv[1], pathlib.Path(sys.argv[2])
    tally = Tally(label)
    try:
        content = path.read_text(errors="replace")
    except OSError as error:
        content = ""
        print(f"    {error}", file=sys.stderr)
    if len(sys.argv) > 3:
        status = int(sys.argv[3])
        tally.add_program("", content, "OK" if status == 0 else "FAIL", status)
    else:
        for line in content.splitlines():
            test = json.loads(line)
            # Newer mesons write "project:suite / name".
            program = test["name"].rsplit(" / ", 1)[-1]
            tally.add_program(program, test.get("stdout", ""), test["result"], test["returncode"])
    if tally.passed + tally.failed + tally.n_not_checked == 0:
        tally.fail("", "", "no test ran")
    print(tally.passed, tally.failed)


if __name__ == "__main__":
    main()
