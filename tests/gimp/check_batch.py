# SPDX-License-Identifier: GPL-3.0-or-later
"""What plugin/batch/people.scm left, before and after its interruption."""
import os
import sys
import traceback

import gi
gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio

SCRATCH = os.environ["W2W_TEST_SCRATCH"]
NAMES = ["with glasses", "older", "inverted", "picture"]


def load(name):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(os.path.join(SCRATCH, name)))


def pixels(layer):
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    return bytes(layer.get_buffer().get(area, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE))


def identity(layer):
    found = layer.get_parasite("w2w-identity")
    return bytes(b & 255 for b in found.get_data()) if found is not None else None


def check(image, names):
    groups = {group.get_name(): group for group in image.get_layers()}
    assert sorted(groups) == names, sorted(groups)
    for name, group in groups.items():
        layers = group.get_children()
        by_name = {layer.get_name().removeprefix(name + ": "): layer for layer in layers}
        assert sorted(by_name) == sorted(NAMES), sorted(by_name)
        assert pixels(by_name["picture"]) == pixels(load("people/" + name).get_layers()[0])
        assert identity(by_name["picture"]) is None
        people = {identity(by_name[n]) for n in NAMES[:3]}
        assert None not in people and len(people) == 3, "the layers carry no identities of their own"
        assert len({pixels(layer) for layer in layers}) == 4, "two layers show the same"
    return {name: {layer.get_name(): (pixels(layer), identity(layer)) for layer in group.get_children()}
            for name, group in groups.items()}


try:
    before = check(load("interrupted.xcf"), ["person-20.png"])
    after = check(load("people.xcf"), ["person-20.png", "person-21.png", "person-22.png"])
    assert after["person-20.png"] == before["person-20.png"], "what was done was done again"
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    sys.stdout.flush()
    raise
