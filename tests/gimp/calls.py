# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests in GIMP share: calls of the procedures, pixels and parasites of layers, the worker's status."""
import json
import os
import signal
import subprocess
import threading
import time

import gi
gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp

SCRATCH, CLI, STATUS = (os.environ[k] for k in ("W2W_TEST_SCRATCH", "W2W_CLI", "W2W_WORKER_STATUS"))
SUCCESS = Gimp.PDBStatusType.SUCCESS
pdb = Gimp.get_pdb()


def call(name, image=None, drawables=(), **values):
    procedure = pdb.lookup_procedure("plug-in-w2w-" + name)
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    if image is not None:
        config.set_property("image", image)
        config.set_core_object_array("drawables", list(drawables))
    for key, value in values.items():
        config.set_property(key.replace("_", "-"), value)
    return procedure.run(config)


def succeed(*args, **values):
    result = call(*args, **values)
    assert result.index(0) == SUCCESS, pdb.get_last_error()
    return result


def fail(words, *args, **values):
    result = call(*args, **values)
    assert result.index(0) != SUCCESS, "it succeeded"
    message = pdb.get_last_error()
    assert words in message, f"'{words}' is not in: {message}"


def pixels(drawable, format_name="R'G'B' u8", x=0, y=0, width=None, height=None):
    """Bytes in a format, or in the drawable's own (None); black where there is nothing."""
    area = Gegl.Rectangle.new(x, y, width or drawable.get_width(), height or drawable.get_height())
    return bytes(drawable.get_buffer().get(area, 1.0, format_name, Gegl.AbyssPolicy.NONE))


def parasite(layer, name):
    found = layer.get_parasite(name)
    # GIMP hands the bytes over as signed numbers.
    return bytes(b & 255 for b in found.get_data()) if found is not None else None


def identity(layer):
    return parasite(layer, "w2w-identity")


def recipe(layer):
    return json.loads(parasite(layer, "w2w-recipe"))


def status():
    return json.loads(subprocess.run([STATUS], check=True, capture_output=True, text=True).stdout)


def command_line(*args):
    done = subprocess.run([CLI, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def plug_in_processes():
    """Of this GIMP: pids of those that run one of our procedures."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            if parent == os.getppid() and os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "w2w":
                found.append(int(pid))
        except OSError:
            pass  # it has just ended, or is somebody else's
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def call_and_cancel(work, *args, **values):
    """GIMP cancels by killing the plug-in: here once the worker has worked for so many seconds (of a processor, so that a
    busy machine is no other one). The call has to take longer than that."""
    before, killed = status(), []
    start = cpu_seconds(before["pid"])

    def kill():
        deadline = time.monotonic() + 120
        while cpu_seconds(before["pid"]) - start < work and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in plug_in_processes():
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    result = call(*args, **values)
    killer.join()
    assert len(killed) == 1 and result.index(0) != SUCCESS, (killed, result.index(0))
    deadline = time.monotonic() + 60
    while status()["n_jobs"] == before["n_jobs"]:
        assert time.monotonic() < deadline, "the worker goes on with a job that nobody waits for"
        time.sleep(0.1)


def leave_worker_to_the_script():
    with open(SCRATCH + "/worker.pid", "w") as f:
        f.write(str(status()["pid"]))
