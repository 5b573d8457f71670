# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialogs of inverting and of editing a picture: GIMP's Cancel, the offer to go on, one step of undo."""
import os
import sys
import traceback

sys.path.insert(0, os.environ["W2W_TEST_SOURCE"])
from calls import identity, recipe
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


def test_cancel_and_go_on(image, photo):
    keys = ["alt+p", "ctrl+a", "=2000", "Tab", "alt+t", "ctrl+a", "=4", "Tab", "alt+o", "/3", "!progress", "@cancel"]
    result = call("invert", "Invert", keys, image, [photo])
    print(result.index(0))
    assert result.index(0) != STATUS.SUCCESS
    keys = ["!invert", "alt+p", "ctrl+a", "=3", "Tab", "alt+t", "ctrl+a", "=4", "Tab", "!invert2", "alt+o"]
    result = call("invert", "Invert", keys, image, [photo])
    assert result.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    assert "history" in recipe(result.index(1))


try:
    image, photo = make_photo()
    test_cancel_and_go_on(image, photo)
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    take_screenshot("failed")
    sys.stdout.flush()
    raise
