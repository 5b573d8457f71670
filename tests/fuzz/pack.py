#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""pack.py FOLDER CORPUS.zip [MAX_KIB]: the inputs of a folder as a corpus, the smallest first, as many as fit.

The same inputs give the same bytes. `unzip -d FOLDER CORPUS.zip` is the way back.
"""
import hashlib
import io
import pathlib
import sys
import zipfile

folder, packed = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
max_bytes = (int(sys.argv[3]) if len(sys.argv) > 3 else 12) << 10


def pack(inputs):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for data in inputs:
            name = hashlib.sha1(data).hexdigest()[:8]
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


inputs = sorted({p.read_bytes() for p in folder.iterdir() if p.is_file()}, key=lambda d: (len(d), d))
low, high = 1, len(inputs)
while low < high:  # the most that fit
    middle = (low + high + 1) // 2
    low, high = (middle, high) if len(pack(inputs[:middle])) <= max_bytes else (low, middle - 1)
packed.write_bytes(pack(inputs[:low]))
print(f"{packed}: {low} of {len(inputs)} inputs, {packed.stat().st_size} bytes")
