# SPDX-License-Identifier: GPL-3.0-or-later
"""The three procedures in a real GIMP, from Python: values, layers, parasites, undo, errors, the worker."""
import os
import signal
import sys
import time
import traceback

sys.path.insert(0, os.environ["W2W_TEST_SOURCE"])
from calls import (SCRATCH, Gimp, call_and_cancel, command_line, fail, identity, leave_worker_to_the_script,
                   parasite, pdb, pixels, recipe, status, succeed)
from gi.repository import Gio

QUICK = {"steps": 4}


def test_sample_without_image():
    result = succeed("sample", count=2, seed=7, **QUICK)
    image, layers = result.index(1), list(result.get_core_object_array(2))
    assert image.get_width() == 128 and image.get_height() == 128
    assert len(layers) == 2 and len(image.get_layers()) == 2
    assert image.get_layers()[0] == layers[0], "the first is not on top"
    for layer in layers:
        data = pixels(layer)
        assert len(set(data)) > 50, "the picture is flat"
        assert identity(layer), "the layer carries no identity"
    assert identity(layers[0]) != identity(layers[1])
    # What the command line makes of the same seed.
    command_line("sample", "-n", "1", "--seed", "7", "--steps", "4", "-o", SCRATCH + "/cli")
    loaded = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(SCRATCH + "/cli/person-7.png"))
    expected = pixels(loaded.get_layers()[0])
    assert max(abs(a - b) for a, b in zip(pixels(layers[0]), expected)) <= 1
    return image, layers


def test_second_call_loads_nothing(image, layers):
    before = status()
    succeed("render", image, layers[:1], **QUICK)
    after = status()
    assert after["pid"] == before["pid"] and after["n_loads"] == before["n_loads"] == 1, (before, after)
    assert after["n_jobs"] == before["n_jobs"] + 1


def test_edit(image, layers):
    n_layers = len(image.get_layers())
    position = image.get_item_position(layers[0])
    edited = succeed("edit", image, layers[:1], edits="Eyeglasses=1;Young=-0.5;#3=0.5;protect=Male", **QUICK).index(1)
    assert len(image.get_layers()) == n_layers + 1
    assert image.get_item_position(edited) == position, "it is not right above the layer"
    assert identity(edited) != identity(layers[0]) and pixels(edited) != pixels(layers[0])
    assert recipe(edited)["seed"] == recipe(layers[0])["seed"], "another composition"
    # Settings of 0 change no bit.
    same = succeed("edit", image, layers[:1], edits="Eyeglasses=0", **QUICK).index(1)
    assert pixels(same) == pixels(layers[0])
    return edited


def test_render(image, layers):
    picture = succeed("render", image, layers[:1], prompt="a portrait of sks person, blue background",
                      width=96, height=128, seed=3, **QUICK).index(1)
    assert (picture.get_width(), picture.get_height()) == (96, 128)
    assert identity(picture) == identity(layers[0]), "the identity does not travel on"
    base = succeed("render", image, layers[:1], base_model=True, seed=3, width=96, height=128, **QUICK).index(1)
    assert identity(base) is None and pixels(base) != pixels(picture)


def test_errors(image, layers):
    n_layers = len(image.get_layers())
    plain = Gimp.Layer.new(image, "painted", 32, 32, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
    image.insert_layer(plain, None, 0)
    fail("carries no identity", "edit", image, [plain], edits="Young=1", **QUICK)
    fail("carries no identity", "render", image, [plain], **QUICK)
    fail("Eyeglases", "edit", image, layers[:1], edits="Eyeglases=1", **QUICK)
    fail("Young", "edit", image, layers[:1], edits="Young=much", **QUICK)
    fail("component 999", "edit", image, layers[:1], edits="#999=1", **QUICK)
    fail("width", "render", image, layers[:1], width=77, **QUICK)
    damaged = Gimp.Parasite.new("w2w-identity", Gimp.PARASITE_PERSISTENT, list(b"not an identity"))
    plain.attach_parasite(damaged)
    fail("identity", "edit", image, [plain], edits="Young=1", **QUICK)
    image.remove_layer(plain)
    assert len(image.get_layers()) == n_layers, "a failed call left something behind"
    config = pdb.lookup_procedure("plug-in-w2w-sample").create_config()
    for name, value in (("count", 65), ("count", 0), ("factor", 9.0), ("guidance-scale", -1.0), ("steps", 99999)):
        config.set_property(name, value)
        assert config.get_property(name) != value, f"{name} = {value} was taken"
    config.set_property("scheduler", "nonsense")
    assert config.get_property("scheduler") != "nonsense"


def test_grayscale():
    image = Gimp.Image.new(64, 64, Gimp.ImageBaseType.GRAY)
    layer = list(succeed("sample", image, [], count=1, seed=7, **QUICK).get_core_object_array(2))[0]
    assert layer.is_gray() and layer.get_image() == image and len(set(pixels(layer))) > 50


def test_indexed(image):
    indexed = image.duplicate()
    indexed.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.WEB, 0, False, False, "")
    fail("indexed", "edit", indexed, indexed.get_layers()[:1], edits="Young=1", **QUICK)
    indexed.delete()


def test_save_and_reload(image, layers):
    path = Gio.File.new_for_path(SCRATCH + "/saved.xcf")
    assert Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, path, None)
    again = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, path)
    reloaded = [l for l in again.get_layers() if l.get_name() == layers[1].get_name()][0]
    assert identity(reloaded) == identity(layers[1])
    a = succeed("edit", image, layers[1:2], edits="Bald=1", **QUICK).index(1)
    b = succeed("edit", again, [reloaded], edits="Bald=1", **QUICK).index(1)
    assert pixels(a) == pixels(b) and identity(a) == identity(b)


def test_killed_worker(image, layers):
    before = status()
    os.kill(before["pid"], signal.SIGKILL)
    time.sleep(0.2)
    succeed("render", image, layers[:1], **QUICK)
    after = status()
    assert after["pid"] != before["pid"] and after["n_loads"] == 1


def test_cancelled(image, layers):
    """GIMP cancels by killing the plug-in: the job must end, the image stay, the next call work."""
    n_layers, before = len(image.get_layers()), status()
    # A minute or more, were it let.
    call_and_cancel(2, "render", image, layers[:1], steps=500, width=256, height=256)
    assert len(image.get_layers()) == n_layers, "a cancelled call left something behind"
    succeed("render", image, layers[:1], **QUICK)
    assert status()["pid"] == before["pid"], "the worker did not outlive it"
    assert status()["n_loads"] == before["n_loads"]


def test_frozen_undo(image, layers):
    """An image without undo works, too; what one undo step takes back is tested in test_dialogs.py."""
    image.undo_freeze()
    succeed("edit", image, layers[:1], edits="Young=1", **QUICK)
    assert image.undo_thaw()
    assert image.undo_is_enabled()


try:
    image, layers = test_sample_without_image()
    test_second_call_loads_nothing(image, layers)
    test_edit(image, layers)
    test_render(image, layers)
    test_errors(image, layers)
    test_grayscale()
    test_indexed(image)
    test_save_and_reload(image, layers)
    test_killed_worker(image, layers)
    test_cancelled(image, layers)
    test_frozen_undo(image, layers)
    leave_worker_to_the_script()
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    sys.stdout.flush()
    raise
