# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does: the dialogs, their buttons and Ctrl+Z, in a GIMP on a display of its own."""
import os
import sys
import traceback

sys.path.insert(0, os.environ["W2W_TEST_SOURCE"])
from hands import STATUS, Gimp, call, find, pdb, shell, take_screenshot, undo, wait_for_layers


def test_sample_shows_a_new_image():
    result = call("sample", "Sample Identities", ["alt+n", "ctrl+a", "=2", "alt+t", "ctrl+a", "=4", "Tab", "alt+o"])
    assert result.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    image = result.index(1)
    assert len(image.get_layers()) == 2, "the dialog's number did not arrive"
    window = find("2 layers.*GIMP$")
    assert shell([f"while [ -z \"{window}\" ]; do sleep 0.2; done"]).wait() == 0, "the image is not shown"
    return image


def test_last_values(image):
    result = call("sample", None, None, image, image.get_layers()[:1], Gimp.RunMode.WITH_LAST_VALS)
    assert result.index(0) == STATUS.SUCCESS and len(image.get_layers()) == 4, "the last values were not taken"
    undo()
    wait_for_layers(image, 2)  # both at once


def test_edit_and_undo(image):
    # Mistyped first: the dialog comes back with the text, which is then put right.
    keys = ["alt+t", "ctrl+a", "=4", "Tab", "alt+e", "ctrl+a", "=Eyeglases=0.3", "alt+o"]
    again = ["alt+e", "ctrl+a", "=Eyeglasses=0.3", "alt+o"]
    result = call("edit", "Edit Identity", keys + [None] + again, image, image.get_layers()[:1])
    assert result.index(0) == STATUS.SUCCESS, pdb.get_last_error()
    wait_for_layers(image, 3)
    undo()
    wait_for_layers(image, 2)


def test_dismissed(image):
    for key in ("Escape", "alt+c"):
        result = call("render", "Render Identity", [key], image, image.get_layers()[:1])
        assert result.index(0) == STATUS.CANCEL, result.index(0)
    assert len(image.get_layers()) == 2


try:
    image = test_sample_shows_a_new_image()
    test_last_values(image)
    test_edit_and_undo(image)
    test_dismissed(image)
    print("TEST OK", flush=True)
except BaseException:
    traceback.print_exc()
    take_screenshot("failed")
    sys.stdout.flush()
    raise
