# SPDX-License-Identifier: GPL-3.0-or-later
"""plug-in-w2w-edit-picture in a real GIMP: outside of the selection not a bit changes, in any mode and precision;
inside it is what the command line makes."""
import os
import sys
import traceback

sys.path.insert(0, os.environ["W2W_TEST_SOURCE"])
from calls import (SCRATCH, Gimp, command_line, fail, identity, leave_worker_to_the_script, pixels, succeed)
from picture_layers import (PRECISIONS, make_image, raw_pixels, select_softly, selection_of, split_pixels,
                            write_files, write_identity)
from gi.repository import Gio

RGB, GRAY = Gimp.ImageBaseType.RGB, Gimp.ImageBaseType.GRAY
QUICK = {"steps": 4}
EDITED = {"edits": "Young=-1;Eyeglasses=1", "seed": 5, **QUICK}
OFFSET = (13, -7)


def edit(image, layer, person, **values):
    before = raw_pixels(layer)
    n_layers = len(image.get_layers())
    result = succeed("edit-picture", image, [layer], identity_layer=person, **values).index(1)
    assert raw_pixels(layer) == before, "the source layer was written to"
    assert len(image.get_layers()) == n_layers + 1
    assert image.get_item_position(result) == image.get_item_position(layer) - 1, "it is not right above the layer"
    assert result.get_offsets() == layer.get_offsets() and result.type() == layer.type()
    assert len(raw_pixels(result)) == len(before) and len(raw_pixels(result)[0]) == len(before[0]), "another precision"
    assert result.get_name().startswith(layer.get_name() + ": "), result.get_name()
    assert identity(result), "the layer carries no identity"
    return before, result


def same_image(image, person):
    """An identity's layer has to be in the same image."""
    copy = Gimp.Layer.new_from_drawable(person, image)
    image.insert_layer(copy, None, -1)
    copy.set_visible(False)
    # Copies between images carry no parasites.
    if identity(copy) is None:
        copy.attach_parasite(Gimp.Parasite.new("w2w-identity", Gimp.PARASITE_PERSISTENT, list(identity(person))))
    return copy


def test_outside_of_the_selection(person):
    for base in (RGB, GRAY):
        for precision in PRECISIONS:
            for alpha in (False, True):
                image, layer = make_image(person, base, precision, OFFSET, alpha)
                select_softly(image, 30, 20, 70, 80, 12)
                before, result = edit(image, layer, same_image(image, person), **EDITED)
                selected = selection_of(layer)
                assert 0 in selected and 255 in selected and len(set(selected)) > 20, "the selection is not soft"
                after = raw_pixels(result)
                kept = [i for i, s in enumerate(split_pixels(selection_of(layer, None), layer)) if not any(s)]
                changed = [i for i, s in enumerate(selected) if s > 200 and before[i] != after[i]]
                assert all(before[i] == after[i] for i in kept), f"{base} {precision}: pixels outside changed"
                assert len(changed) > 500, f"{base} {precision}: hardly anything changed inside"
                image.delete()


def test_soft_edge(person):
    """Where a pixel is partly selected it goes that part of its way; without matching of colours, which depends on
    the selection, that way is the same for all selections."""
    image, layer = make_image(person, RGB, "u8", OFFSET)
    source = same_image(image, person)
    values = {"crop": "whole", "keep_colours": True, **EDITED}
    before, whole = edit(image, layer, source, **values)
    select_softly(image, 45, 25, 60, 50, 30)
    selected = selection_of(layer)
    _, soft = edit(image, layer, source, **values)
    n = 0
    for s, old, new, found in zip(selected, before, raw_pixels(whole), raw_pixels(soft)):
        assert all(abs(f - (o + s / 255 * (w - o))) <= 1 for f, o, w in zip(found, old, new)), (s, old, new, found)
        n += 30 < s < 225 and max(abs(w - o) for o, w in zip(old, new)) > 8
    assert n > 100, f"only {n} pixels of the soft edge change"
    image.delete()


def test_settings_at_zero(person):
    for precision in PRECISIONS:
        image, layer = make_image(person, RGB, precision, OFFSET, True)
        source = same_image(image, person)
        for softly in (False, True):
            if softly:
                select_softly(image, 30, 20, 70, 80, 12)
            before, result = edit(image, layer, source, edits="", **QUICK)
            assert raw_pixels(result) == before, f"{precision}: something changed"
            assert pixels(result) == pixels(layer)
        image.delete()


def test_as_the_command_line(person):
    for softly in (False, True):
        image, layer = make_image(person, RGB, "u8", OFFSET)
        source = same_image(image, person)
        if softly:
            select_softly(image, 30, 20, 70, 80, 12)
        path, mask = write_files(layer, "photo")
        _, result = edit(image, layer, source, **EDITED)
        command_line("edit-picture", path, *(["--mask", mask] if mask else []),
                     "--identity", write_identity(source, "person"), "--edits", EDITED["edits"],
                     "--seed", "5", "--steps", "4", "-o", SCRATCH + "/cli.png")
        loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(SCRATCH + "/cli.png"))
        expected = pixels(loaded.get_layers()[0])
        found = pixels(result)
        assert len(found) == len(expected) and found != pixels(layer)
        assert max(abs(a - b) for a, b in zip(found, expected)) <= 1
        loaded.delete()
        image.delete()


def test_part_of_a_large_layer(person):
    """The model sees a box of it, and nothing else changes; it is as on the command line."""
    large = person.get_image().duplicate()
    large.scale(1024, 1024)
    image, layer = make_image(large.get_layers()[0], RGB, "u8", OFFSET, True)
    source = same_image(image, person)
    box = (300, 200, 520, 500)
    path, _ = write_files(layer, "large")
    before, result = edit(image, layer, source, crop="box", box=",".join(map(str, box)), **EDITED)
    command_line("edit-picture", path, "--identity", write_identity(source, "person"), "--edits", EDITED["edits"],
                 "--box", ",".join(map(str, box)), "--seed", "5", "--steps", "4", "-o", SCRATCH + "/cli.png")
    loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(SCRATCH + "/cli.png"))
    expected, after = pixels(loaded.get_layers()[0]), raw_pixels(result)
    side = max(box[2:])  # the model's picture is a square
    n_changed = 0
    for i, (old, new) in enumerate(zip(before, after)):
        x, y = i % layer.get_width(), i // layer.get_width()
        if not (abs(x - box[0] - box[2] / 2) <= side / 2 and abs(y - box[1] - box[3] / 2) <= side / 2):
            assert old == new, f"the pixel at {x}, {y} changed"
        if old[3] == 255:  # the command line's picture has no alpha
            assert all(abs(a - b) <= 1 for a, b in zip(new[:3], expected[3 * i:3 * i + 3])), (x, y)
        n_changed += old != new
    assert n_changed > 10000, n_changed
    loaded.delete()
    image.delete()
    large.delete()


def test_own_identity(person):
    """The layer's own identity is taken where it has one, and no other is chosen."""
    image = person.get_image()
    n_layers = len(image.get_layers())
    result = succeed("edit-picture", image, [person], **EDITED).index(1)
    assert len(image.get_layers()) == n_layers + 1 and identity(result)
    image.remove_layer(result)


def test_errors(person):
    image, layer = make_image(person, RGB, "u8", OFFSET)
    n_layers = len(image.get_layers())
    fail("carries no identity", "edit-picture", image, [layer], **EDITED)
    fail("one layer", "edit-picture", image, image.get_layers(), **EDITED)
    source = same_image(image, person)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, 0, image.get_height() - 3, 5, 3)
    fail("outside of the layer", "edit-picture", image, [layer], identity_layer=source, **EDITED)
    Gimp.Selection.none(image)
    fail("Eyeglases", "edit-picture", image, [layer], identity_layer=source, edits="Eyeglases=1", **QUICK)
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    fail("no layer", "edit-picture", image, [mask], identity_layer=source, **EDITED)
    group = Gimp.GroupLayer.new(image)
    image.insert_layer(group, None, 0)
    fail("group", "edit-picture", image, [group], identity_layer=source, **EDITED)
    image.remove_layer(group)
    assert len(image.get_layers()) == n_layers + 1, "a failed call left something behind"
    image.delete()


try:
    sampled = succeed("sample", count=1, seed=7, **QUICK)
    person = sampled.get_core_object_array(2)[0]
    test_outside_of_the_selection(person)
    test_soft_edge(person)
    test_settings_at_zero(person)
    test_as_the_command_line(person)
    test_part_of_a_large_layer(person)
    test_own_identity(person)
    test_errors(person)
    leave_worker_to_the_script()
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    sys.stdout.flush()
    raise
