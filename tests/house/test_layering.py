#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Includes point down only: what ARCHITECTURE.md draws, checked for every #include "…" of the sources."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = {"engine"}
DEVICE = BASE | {"engine/device"}
GRAPH = DEVICE | {"engine/graph"}
FORMATS = BASE | {"engine/formats"}
W2W = FORMATS | {"engine/w2w", "engine/diffusion"}
PIPELINE = GRAPH | W2W | {"engine/models", "engine/pipeline"}
TRAINING = PIPELINE | {"engine/training"}
JOB = TRAINING | {"engine/job"}
ALLOWED = {  # folder: the folders that its files may include from, besides its own
    "engine": set(),
    "engine/formats": BASE,
    "engine/device": DEVICE | {"engine/device/cpu", "engine/device/reference"},  # device.c lists the devices
    "engine/device/cpu": DEVICE,
    "engine/device/reference": DEVICE,
    "engine/graph": DEVICE,
    "engine/models": GRAPH | FORMATS,
    "engine/diffusion": FORMATS,
    "engine/w2w": W2W,
    "engine/pipeline": PIPELINE,
    "engine/training": TRAINING,
    "engine/job": JOB,
    "cli": JOB,
    "client": JOB,
    "worker": JOB | {"client"},
    "plugin": JOB | {"client"},
}
SYSTEM = {  # heads of system includes that belong to some folders alone
    "libgimp": {"plugin", "ui"},
    "gtk": {"plugin", "ui"},
    "gegl": {"plugin", "ui"},
}


def violations():
    n_files = 0
    for folder, allowed in ALLOWED.items():
        for path in sorted((ROOT / folder).glob("*.[ch]")):
            n_files += 1
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                where = f"{path.relative_to(ROOT)}:{number}"
                local = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                system = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
                if local:
                    target = str(pathlib.PurePosixPath(local[1]).parent)
                    if target != "." and target != folder and target not in allowed:
                        yield f"{where}: {folder} must not include from {target}"
                    if local[1].endswith(".c"):
                        yield f"{where}: a .c file is included"
                elif system:
                    head = re.split(r"[/.]", system[1])[0]
                    if head in SYSTEM and folder not in SYSTEM[head]:
                        yield f"{where}: {folder} must not know {head}"
    if n_files < 100:
        yield f"only {n_files} files were found under {ROOT}"
    sources = {str(p.parent.relative_to(ROOT)) for top in ("engine", "cli", "client", "worker", "plugin")
               for p in (ROOT / top).rglob("*.[ch]")}
    for folder in sorted(sources - set(ALLOWED)):
        yield f"{folder} has no line in this test"


found = list(violations())
print("\n".join(found))
print("1..1")
print("not ok 1 layering" if found else "ok 1 layering")
sys.exit(bool(found))
