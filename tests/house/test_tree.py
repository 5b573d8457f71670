#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is tracked: licence lines, size, nothing twice, one stem per op in every folder, no path of a machine."""
import hashlib
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_BYTES = 56 << 20
SOURCES = (".c", ".h", ".py", ".sh", ".scm", ".cu")
def tracked_files():
    try:
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        pass  # no git here, or a source archive: everything counts that builds and demo did not make
    made = re.compile(r"\.git|build.*|demo-output")
    return [path for top in ROOT.iterdir() if not made.fullmatch(top.name)
            for path in ([top] if top.is_file() else top.rglob("*")) if "__pycache__" not in path.parts]


files = [p for p in tracked_files() if p.is_file()]


def check_licence_lines():
    for path in files:
        if path.suffix in SOURCES or path.name in ("meson.build", "meson_options.txt", "dev"):
            head = path.read_text(encoding="utf-8")[:400]
            if "SPDX-License-Identifier: GPL-3.0-or-later" not in head:
                yield f"{path.relative_to(ROOT)} has no SPDX line"


def check_size():
    total = sum(p.stat().st_size for p in files)
    if total > MAX_BYTES:
        yield f"the tree has {total / 2**20:.1f} MiB; at most {MAX_BYTES >> 20} are wanted"


def check_nothing_twice():
    seen = {}
    for path in files:
        if path.stat().st_size > 16384:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if digest in seen:
                yield f"{path.relative_to(ROOT)} is {seen[digest].relative_to(ROOT)} again"
            seen[digest] = path


def check_stems():
    names = re.findall(r"^    W2W_OP_([A-Z0-9_]+),", (ROOT / "engine/device/op.h").read_text(), re.M)
    if len(names) < 10:
        yield "engine/device/op.h lists no ops"
    stems = [name.lower() for name in names]
    for stem in stems:
        # A gradient is recorded beside its forward; a slice is a matter of planning, no device sees it.
        forward = stem.removesuffix("_gradient")
        recorded = forward if forward in stems else stem
        if stem == "slice":
            continue
        for place in (f"engine/graph/{recorded}.c", f"engine/device/reference/{stem}.c", f"engine/device/cpu/{stem}.c",
                      f"tests/ops/test_{stem}.c"):
            if not (ROOT / place).is_file():
                yield f"{place} is missing"


def check_no_machine_paths():
    # A home, a scratch folder of somebody's machine, or a package archive's host has no place in the tree.
    pattern = re.compile(r"/" + r"root/|/home/[a-z]+/|deb\." + r"debian\.org|pypi\." + r"org")
    for path in files:
        if path.suffix in SOURCES + (".md", ".build", ".txt", ".json") and path.stat().st_size < 1 << 20:
            for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                if pattern.search(line):
                    yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"


failed = 0
checks = [check_licence_lines, check_size, check_nothing_twice, check_stems, check_no_machine_paths]
print(f"1..{len(checks)}")
for i, check in enumerate(checks, 1):
    found = list(check())
    for line in found:
        print("# " + line)
    print(f"{'not ok' if found else 'ok'} {i} {check.__name__.removeprefix('check_').replace('_', '-')}")
    failed += bool(found)
sys.exit(failed > 0)
