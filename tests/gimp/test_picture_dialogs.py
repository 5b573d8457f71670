# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogs of inverting and of editing a picture: GIMP's own Cancel, the offer to go on, one step of undo."""
import os
import sys
import traceback

sys.path.insert(0, os.environ["W2W_TEST_SOURCE"])
from calls import identity, pixels, recipe
from hands import STATUS, Gimp, call, pdb, take_screenshot, undo, wait_for_layers


def make_photo():
    sampled = call("sample", "Sample Identities", ["alt+t", "ctrl+a", "=4", "Tab", "alt+o"])
    assert sampled.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    image = sampled.index(1)
    photo = image.get_layers()[0]
    photo.detach_parasite("w2w-identity")
    image.select_ellipse(Gimp.ChannelOps.REPLACE, 20, 10, 80, 100)
    Gimp.Selection.feather(image, 20)
    return image, photo


def test_cancelled(image, photo):
    """By the button beside the progress bar, which kills the plug-in."""
    before = pixels(photo, None), pixels(image.get_selection(), None)
    keys = ["alt+t", "ctrl+a", "=5000", "Tab", "alt+o", "/6", "!progress", "@cancel"]
    result = call("invert", "Invert a Picture", keys, image, [photo])
    assert result.index(0) == STATUS.CANCEL, result.index(0)
    wait_for_layers(image, 1)
    assert (pixels(photo, None), pixels(image.get_selection(), None)) == before


def test_offer(image, photo):
    """The next dialog offers what was found, and takes it up unless it is told not to."""
    result = call("invert", "Invert a Picture", ["!offer", "alt+t", "ctrl+a", "=2", "Tab", "alt+o"], image, [photo])
    assert result.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    inverted = result.index(1)
    assert "history" in recipe(inverted), "it began anew"
    assert identity(inverted) and inverted.get_name() == photo.get_name() + ": Inverted person"
    wait_for_layers(image, 2)
    undo()
    wait_for_layers(image, 1)
    # Done, there is nothing to go on from any more.
    result = call("invert", "Invert a Picture", ["!invert", "alt+o"], image, [photo])
    assert result.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    assert "history" not in recipe(result.index(1))
    wait_for_layers(image, 2)
    return result.index(1)


def test_edit_picture(image, photo, inverted):
    """The layer that carries an identity is suggested; all of it is one step of undo."""
    keys = ["!edit-picture", "alt+e", "ctrl+a", "=Young=-1", "alt+o"]
    result = call("edit-picture", "Edit Picture", keys, image, [photo])
    assert result.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    edited = result.index(1)
    assert identity(edited) != identity(inverted) and pixels(edited) != pixels(photo)
    wait_for_layers(image, 3)
    undo()
    wait_for_layers(image, 2)


def test_dismissed(image, photo):
    for name, title in (("invert", "Invert a Picture"), ("edit-picture", "Edit Picture")):
        result = call(name, title, ["!again-" + name, "Escape"], image, [photo])
        assert result.index(0) == STATUS.CANCEL, result.index(0)
    assert len(image.get_layers()) == 2


try:
    image, photo = make_photo()
    test_cancelled(image, photo)
    inverted = test_offer(image, photo)
    test_edit_picture(image, photo, inverted)
    test_dismissed(image, photo)
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    take_screenshot("failed")
    sys.stdout.flush()
    raise
