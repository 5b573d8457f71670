# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that studies drive, and the folder in which every result is kept, so that a study goes on where it stopped."""
import hashlib
import json
import os
import subprocess
import sys
import time


class Failure(Exception):
    pass


class Workshop:
    """`build` holds the programs, `data` the world, `folder` gets what is made."""

    def __init__(self, build, data, folder, threads=0):
        self.w2w_path = os.path.join(build, "cli", "w2w")
        self.engine_path = os.path.join(build, "tests", "study", "study_engine")
        for path in (self.w2w_path, self.engine_path):
            if not os.access(path, os.X_OK):
                raise Failure(f"There is no program {path}: build it first.")
        self.data, self.folder, self.threads = data, folder, threads
        self.environment = dict(os.environ, W2W_DATA_DIR=data)
        os.makedirs(os.path.join(folder, "items"), exist_ok=True)
        self._engine = None
        self._start = time.monotonic()
        with open(os.path.join(data, "faces", "people.json"), encoding="utf-8") as file:
            self.faces = json.load(file)
        # What was made by another program or for another world is made anew.
        self.version = hashlib.sha256()
        for path in (self.w2w_path, self.engine_path, os.path.join(data, "space", "proj_1000pc.pt")):
            with open(path, "rb") as file:
                self.version.update(hashlib.sha256(file.read()).digest())
        self.version = self.version.hexdigest()

    def face(self, name):
        return os.path.join(self.data, "faces", name)

    def path(self, name):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def say(self, text):
        print(f"[{time.monotonic() - self._start:5.0f} s] {text}", file=sys.stderr, flush=True)

    def keep(self, name, make, any_program=False):
        """The value that make() gave when it was made; kept as JSON."""
        path = self.path(os.path.join("items", name + ".json"))
        try:
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
            if any_program or kept["version"] == self.version or os.environ.get("W2W_STUDY_KEEP"):
                return kept["value"]
        except (OSError, ValueError, KeyError):
            pass
        self.say(name)
        value = make()
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump({"version": self.version, "value": value}, file)
        os.replace(path + ".new", path)
        return value

    def w2w(self, *arguments):
        """Runs a command with --json; what it reports."""
        line = [self.w2w_path, *map(str, arguments), "--json"]
        if self.threads:
            line += ["--threads", str(self.threads)]
        done = subprocess.run(line, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{' '.join(line)}\n{done.stderr.strip()}")
        return json.loads(done.stdout)

    def ask(self, what, **arguments):
        """Asks study_engine, which is started at the first question."""
        if self._engine is None:
            self._engine = subprocess.Popen(
                [self.engine_path, str(self.threads)], env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        self._engine.stdin.write(json.dumps({"do": what, **arguments}) + "\n")
        self._engine.stdin.flush()
        line = self._engine.stdout.readline()
        answer = json.loads(line) if line else {"error": "study_engine ended."}
        if "error" in answer:
            raise Failure(f"{what} {arguments.get('picture', '')}: {answer['error']}")
        return answer

    def close(self):
        if self._engine is not None:
            self._engine.stdin.close()
            self._engine.wait()
            self._engine = None

    def render(self, name, *arguments):
        """The path of a picture, rendered unless it is there."""
        path = self.path(os.path.join("pictures", name + ".png"))
        self.keep("pictures/" + name, lambda: self.w2w("render", *arguments, *SAMPLER, "-o", path) and None)
        return path


# Twelve steps of DPM-Solver++ show what twenty of the world's own sampler do, in half of the time.
SAMPLER = ("--scheduler", "dpmpp-2m-karras", "--steps", 12)


def table(head, rows):
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"
