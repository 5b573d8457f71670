# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, run by ./dev demo in a real GIMP: people of the embedded world, one of them edited, as one sheet."""
import os
import traceback

import gi
gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio

OUT = os.environ["W2W_DEMO_OUT"]
SEED = int(os.environ.get("W2W_DEMO_SEED", "12"))
MARGIN, GAP, CAPTION, SIDE = 24, 12, 26, 128
EDITS = [("Young −1", "Young=-1"), ("Eyeglasses +1", "Eyeglasses=1"), ("Bald +1", "Bald=1"),
         ("older, glasses", "Young=-1;Eyeglasses=1;protect=Male")]
pdb = Gimp.get_pdb()


def step(text):
    print("STEP: " + text, flush=True)


def call(name, **values):
    procedure = pdb.lookup_procedure(name)
    config = procedure.create_config()
    for key, value in values.items():
        if isinstance(value, list):
            config.set_core_object_array(key.replace("_", "-"), value)
        else:
            config.set_property(key.replace("_", "-"), value)
    result = procedure.run(config)
    if result.index(0) != Gimp.PDBStatusType.SUCCESS:
        raise RuntimeError(pdb.get_last_error())
    return result


def color(text):
    return Gegl.Color.new(text)


def caption(image, text, column, row, size=15.0):
    layer = Gimp.TextLayer.new(image, text, Gimp.context_get_font(), size, Gimp.Unit.pixel())
    image.insert_layer(layer, None, 0)
    layer.set_color(color("#404040"))
    x, y = place(column, row)
    layer.set_offsets(x + (SIDE - layer.get_width()) // 2, y + SIDE + 4)
    return layer


def place(column, row):
    return MARGIN + column * (SIDE + GAP), MARGIN + row * (SIDE + CAPTION + GAP)


def main():
    run = Gimp.RunMode.NONINTERACTIVE
    step("sample five people")
    sampled = call("plug-in-w2w-sample", run_mode=run, count=5, seed=SEED)
    image, people = sampled.index(1), list(sampled.get_core_object_array(2))

    person = people[0]
    edited = []
    for label, edits in EDITS:
        step("edit the first one: " + label)
        edited.append(call("plug-in-w2w-edit", run_mode=run, image=image, drawables=[person], edits=edits).index(1))

    step("lay out the sheet")
    width, height = place(5, 2)
    image.resize(width - GAP + MARGIN, height - GAP + MARGIN // 2, 0, 0)
    for column, layer in enumerate(people):
        layer.set_offsets(*place(column, 0))
        caption(image, layer.get_name(), column, 0)
    again = person.copy()
    image.insert_layer(again, None, 0)
    for column, (layer, label) in enumerate(zip([again] + edited, [person.get_name()] + [l for l, _ in EDITS])):
        layer.set_offsets(*place(column, 1))
        caption(image, label, column, 1)
    paper = Gimp.Layer.new(image, "Paper", image.get_width(), image.get_height(), Gimp.ImageType.RGB_IMAGE, 100,
                           Gimp.LayerMode.NORMAL)
    image.insert_layer(paper, None, len(image.get_layers()))
    Gimp.context_set_background(color("white"))
    paper.fill(Gimp.FillType.BACKGROUND)

    step("save")
    for name in ("demo.xcf", "demo.png"):
        if not Gimp.file_save(run, image, Gio.File.new_for_path(os.path.join(OUT, name)), None):
            raise RuntimeError("could not save " + name)


try:
    main()
    print("DEMO OK", flush=True)
except BaseException:
    traceback.print_exc()
    raise
