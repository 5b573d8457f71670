# SPDX-License-Identifier: GPL-3.0-or-later
"""plug-in-w2w-invert in a real GIMP: what arrives at the job is what the layer and the selection show, in any mode and
precision; the image stays as it was; a cancelled call can be gone on from."""
import os
import sys
import traceback

sys.path.insert(0, os.environ["W2W_TEST_SOURCE"])
from calls import (SCRATCH, Gimp, call_and_cancel, command_line, fail, identity, leave_worker_to_the_script, pixels,
                   recipe, status, succeed)
from picture_layers import make_image, raw_pixels, select_softly, selection_of, write_files
from gi.repository import Gio

RGB, GRAY = Gimp.ImageBaseType.RGB, Gimp.ImageBaseType.GRAY
QUICK = {"steps": 3, "seed": 5}
LONG = {"steps": 5000, "seed": 5}  # more than a minute
OFFSET = (-9, 14)


def state(image):
    """What a call has to leave alone."""
    selection = None if Gimp.Selection.is_empty(image) else pixels(image.get_selection(), None)
    return [(layer.get_name(), layer.get_offsets(), raw_pixels(layer)) for layer in image.get_layers()] + [selection]


def assert_centred(result, layer):
    """On the box that the model saw, in the layer's pixels, to half a pixel."""
    box = [int(n) for n in recipe(result)["box"].split(",")]
    for at, side in ((0, "width"), (1, "height")):
        centre = 2 * layer.get_offsets()[1 + at] + 2 * box[at] + box[2 + at]
        found = 2 * result.get_offsets()[1 + at] + getattr(result, "get_" + side)()
        assert abs(found - centre) <= 1, f"{side}: {found / 2} instead of {centre / 2}, {box}"


def invert(image, layer, **values):
    before = state(image)
    position = image.get_item_position(layer)
    result = succeed("invert", image, [layer], **values).index(1)
    assert image.get_item_position(result) == position, "it is not right above the layer"
    assert result.get_name().startswith(layer.get_name() + ": "), result.get_name()
    assert_centred(result, layer)
    assert identity(result), "the layer carries no identity"
    # An identity file is a safetensors file: GIMP's parasite is one that the command line reads.
    path = os.path.join(SCRATCH, "from-gimp.safetensors")
    with open(path, "wb") as f:
        f.write(identity(result))
    command_line("info", path)
    shown = (recipe(result), pixels(result), identity(result), result.get_name())
    image.remove_layer(result)
    assert state(image) == before, "something else in the image changed"
    return shown


def command_line_pixels(layer, gray):
    """What `w2w invert` renders of the layer's pixels and the selection, as a layer of the image shows it."""
    path, mask = write_files(layer, "photo")
    command_line("invert", path, *(["--mask", mask] if mask else []), *(f"--{k}={v}" for k, v in QUICK.items()),
                 "-o", SCRATCH + "/cli.safetensors")
    loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(SCRATCH + "/cli.png"))
    if gray:
        loaded.convert_grayscale()
    found = pixels(loaded.get_layers()[0])
    loaded.delete()
    return found


def test_as_the_command_line(person):
    shown = []
    for base, precision, alpha, feather in (
            (RGB, "u8", False, None), (RGB, "u8", False, 25), (RGB, "u8", True, 0), (GRAY, "u8", False, 25),
            (RGB, "u16", True, None), (RGB, "u16", False, 25), (RGB, "float", False, 25)):
        image, layer = make_image(person, base, precision, OFFSET, alpha)
        if feather is not None:
            select_softly(image, 20, 30, 70, 80, feather)
            n_soft = sum(0 < s < 255 for s in selection_of(layer))
            assert (n_soft > 1000) == (feather > 0), f"{n_soft} pixels are partly selected"
        _, found, _, _ = invert(image, layer, **QUICK)
        expected = command_line_pixels(layer, base == GRAY)
        assert len(found) == len(expected)
        assert max(abs(a - b) for a, b in zip(found, expected)) <= 1, (base, precision, alpha, feather)
        shown.append(found)
        image.delete()
    assert shown[0] != shown[1], "the selection makes no difference"


def test_same_seed(person):
    image, layer = make_image(person, RGB, "u8", OFFSET)
    assert invert(image, layer, **QUICK)[2] == invert(image, layer, **QUICK)[2], "other bits"
    image.delete()


def test_result_can_be_edited(person):
    image, layer = make_image(person, RGB, "u8", OFFSET)
    inverted = succeed("invert", image, [layer], **QUICK).index(1)
    edited = succeed("edit", image, [inverted], edits="Young=-1", steps=4).index(1)
    assert identity(edited) != identity(inverted) and pixels(edited) != pixels(inverted)
    image.delete()


def test_cancel_and_resume(person):
    image, layer = make_image(person, RGB, "u16", OFFSET)
    select_softly(image, 20, 30, 70, 80, 25)
    before, worker = state(image), status()
    call_and_cancel(8, "invert", image, [layer], **LONG)
    assert state(image) == before, "a cancelled call left something behind"
    # Who does not ask for it gets what the seed says.
    fresh = invert(image, layer, **QUICK)
    call_and_cancel(8, "invert", image, [layer], **LONG)
    resumed = invert(image, layer, resume=True, **QUICK)
    assert "history" in resumed[0] and "history" not in fresh[0], (resumed[0], fresh[0])
    assert resumed[2] != fresh[2]
    # What came to its end is not gone on from again, and another selection is another search.
    assert "history" not in invert(image, layer, resume=True, **QUICK)[0]
    call_and_cancel(8, "invert", image, [layer], **LONG)
    Gimp.Selection.none(image)
    assert "history" not in invert(image, layer, resume=True, **QUICK)[0]
    assert status()["pid"] == worker["pid"] and status()["n_loads"] == worker["n_loads"]
    image.delete()


def test_errors(person):
    image, layer = make_image(person, RGB, "u8", OFFSET)
    # A part that is smaller than what the model shows of it lies elsewhere than the layer's corner.
    small = succeed("invert", image, [layer], crop="box", box="10,30,40,40", **QUICK).index(1)
    assert_centred(small, layer)
    assert small.get_offsets() != layer.get_offsets()
    image.remove_layer(small)
    before = state(image)
    image.select_rectangle(Gimp.ChannelOps.REPLACE, image.get_width() - 5, 0, 5, 3)
    fail("outside of the layer", "invert", image, [layer], **QUICK)
    Gimp.Selection.none(image)
    fail("one layer", "invert", image, image.get_layers(), **QUICK)
    assert state(image) == before
    image.delete()


try:
    person = succeed("sample", count=1, seed=7, steps=4).get_core_object_array(2)[0]
    test_as_the_command_line(person)
    test_same_seed(person)
    test_result_can_be_edited(person)
    test_cancel_and_resume(person)
    test_errors(person)
    leave_worker_to_the_script()
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    sys.stdout.flush()
    raise
