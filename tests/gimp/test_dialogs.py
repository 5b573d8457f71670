# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does: the dialogs, their buttons and Ctrl+Z, in a GIMP on a display of its own.

Keys go through the X server, so a call that shows a dialog needs somebody else to press them: a
shell that waits for the window.
"""
import os
import subprocess
import sys
import time
import traceback

import gi
gi.require_version("Gimp", "3.0")
from gi.repository import Gimp

STATUS = Gimp.PDBStatusType
pdb = Gimp.get_pdb()


def find(title):
    """Shell words for the window's number: empty where there is none, or one just went (xdotool gives up then)."""
    return f"$(xdotool search --onlyvisible --name '{title}' 2>/dev/null | tail -n 1)"


def shell(commands):
    return subprocess.Popen(["timeout", "40", "sh", "-ec", "; ".join(commands)])


def press(window, keys):
    """Starts to wait for a window with this title, then presses keys, types texts ("=Young=1") or waits for
    another window of this title (None)."""
    wait = ["while now=" + find(f"^{window}$") + "; [ -z \"$now\" ] || [ \"$now\" = \"$window\" ]; do sleep 0.1; done",
            "window=$now", "sleep 1"]
    commands = ["window="] + wait
    for key in keys:
        if key is None:
            commands += wait
        else:
            commands += [f"xdotool type -- '{key[1:]}'" if key.startswith("=") else f"xdotool key {key}"]
    return shell(commands)


def call(name, window, keys, image=None, layers=(), mode=Gimp.RunMode.INTERACTIVE):
    procedure = pdb.lookup_procedure("plug-in-w2w-" + name)
    config = procedure.create_config()
    config.set_property("run-mode", mode)
    if image is not None:
        config.set_property("image", image)
        config.set_core_object_array("drawables", list(layers))
    hands = press(window, keys) if keys else None
    result = procedure.run(config)
    assert hands is None or hands.wait() == 0, f"no window “{window}” came"
    return result


def undo():
    """Ctrl+Z in the image's window, which may be about to get its new title."""
    window = find("layers.*GIMP$")
    hands = shell([f"until xdotool windowactivate --sync {window} 2>/dev/null; do sleep 0.2; done", "xdotool key ctrl+z"])
    assert hands.wait() == 0, "no window of the image"


def wait_for_layers(image, n_layers):
    deadline = time.monotonic() + 10
    while len(image.get_layers()) != n_layers and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(image.get_layers()) == n_layers, f"{len(image.get_layers())} layers instead of {n_layers}"


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
    screenshot = os.environ.get("W2W_TEST_SCREENSHOT")
    if screenshot:
        subprocess.run(["import", "-window", "root", screenshot])
    sys.stdout.flush()
    raise
