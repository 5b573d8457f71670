# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who sits in front of GIMP, for tests with windows.

Keys go through the X server, so a call that shows a dialog needs somebody else to press them: a
shell that waits for the window.
"""
import os
import subprocess
import time

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


def screenshot_command(name):
    """Where W2W_TEST_SCREENSHOTS names a folder for them; else nothing."""
    program = ("import gi, sys; gi.require_version(\"Gdk\", \"3.0\"); from gi.repository import Gdk; "
               "w = Gdk.get_default_root_window(); "
               "Gdk.pixbuf_get_from_window(w, 0, 0, w.get_width(), w.get_height()).savev(sys.argv[1], \"png\", [], [])")
    folder = os.environ.get("W2W_TEST_SCREENSHOTS")
    return f"python3 -c '{program}' '{folder}/{name}.png'" if folder else "true"


def press_one(key):
    if key.startswith("!"):
        return screenshot_command(key[1:])
    if key.startswith("/"):
        return f"sleep {key[1:]}"
    if key == "@cancel":
        # The button beside the progress bar, which has no key; in a window of this size it is here.
        window = find("layers?.*GIMP$")
        return (f"xdotool windowsize --sync {window} 1200 900; xdotool windowactivate --sync {window}; sleep 1; "
                f"xdotool mousemove --window {window} 918 882 click 1")
    return f"xdotool type -- '{key[1:]}'" if key.startswith("=") else f"xdotool key {key}"


def press(window, keys):
    """Starts to wait for a window with this title, then presses keys, types texts ("=Young=1"), takes a picture of
    the screen ("!name"), lets seconds pass ("/3") or waits for another window of this title (None)."""
    wait = ["while now=" + find(f"^{window}$") + "; [ -z \"$now\" ] || [ \"$now\" = \"$window\" ]; do sleep 0.1; done",
            "window=$now", "sleep 1"]
    commands = ["window="] + wait
    for key in keys:
        if key is None:
            commands += wait
        else:
            commands += [press_one(key)]
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


def take_screenshot(name):
    assert shell([screenshot_command(name)]).wait() == 0
