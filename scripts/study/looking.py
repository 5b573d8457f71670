# SPDX-License-Identifier: GPL-3.0-or-later
"""What experiments have in common: people of the dataset as files, rendered, and looked at again.

To look at a picture is to invert it with the recipe "fast": nobody else is there to say what a picture shows. So an
attribute counts as reached where an inversion finds it in the picture, not where the edit says so.
"""
import zlib

from pictures import distance, read_png, write_png, sheet, shrink
from spaces import write_identity


def person_of_dataset(workshop, space, row):
    path = workshop.path(f"identities/row-{row}.safetensors")
    write_identity(path, space.people[row], space.fingerprint)
    return path


def look(workshop, name, path):
    """The coefficients that are found in a picture."""
    answer = workshop.keep(f"look/{name}", lambda: workshop.ask("invert", picture=path, recipe="preset=fast", seed=0))
    return answer["coefficients"]


def pixel_distance(first, second):
    return distance(read_png(first).pixels, read_png(second).pixels)


def name_of(text):
    """Short and fit for a file."""
    return f"{zlib.crc32(text.encode()):08x}"


def edited(workshop, name, identity, edits):
    path = workshop.path(f"identities/{name}.safetensors")

    def make():
        workshop.w2w("edit", "--identity", identity, "--edits", edits, "--no-picture", "-o", path)
        return path

    return workshop.keep(f"edited/{name}", make)


def write_sheet(workshop, name, rows, times=2):
    """Paths of pictures in rows (None: nothing)."""
    write_png(workshop.path(f"{name}.png"), sheet([[path and shrink(read_png(path), times) for path in row] for row in rows]))


def pick_rows(space, n, **labels):
    """Rows of the dataset with these labels (1 or -1), spread over it."""
    rows = [i for i in range(len(space.people)) if all(space.labels[name][i] == value for name, value in labels.items())]
    return rows[:: max(len(rows) // n, 1)][:n]
