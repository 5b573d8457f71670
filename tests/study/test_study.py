#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The studies' own machinery: pictures, statistics, identities, linear algebra."""
import math
import os
import random
import struct
import sys
import tempfile
import zlib

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(TOP, "scripts", "study"))

import chance  # noqa: E402
import pictures  # noqa: E402
import spaces  # noqa: E402


def noise_picture(width, height, seed=1):
    return pictures.Picture(width, height, random.Random(seed).randbytes(width * height * 3))


def png_is_read_as_it_was_written(folder):
    picture = noise_picture(13, 7)
    path = os.path.join(folder, "a.png")
    pictures.write_png(path, picture)
    assert pictures.read_png(path) == picture


def every_filter_of_png_is_undone(folder):
    """Rows filtered here by the format's own definition."""
    width, n = 9, 3
    rows = [bytearray(random.Random(i).randbytes(width * n)) for i in range(5)]
    raw, above = b"", bytes(width * n)
    for kind, row in enumerate(rows):
        def guess(i):
            a = row[i - n] if i >= n else 0
            b, c = above[i], above[i - n] if i >= n else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            return (0, a, b, (a + b) // 2, nearest)[kind]

        raw += bytes([kind]) + bytes((row[i] - guess(i)) & 255 for i in range(width * n))
        above = row

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    path = os.path.join(folder, "b.png")
    with open(path, "wb") as file:
        header = struct.pack(">IIBBBBB", width, len(rows), 8, 2, 0, 0, 0)
        file.write(pictures.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))
    assert pictures.read_png(path).pixels == b"".join(rows)


def faces_of_the_world_are_read(folder):
    faces = os.path.join(TOP, "data", "faces")
    names = sorted(name for name in os.listdir(faces) if name.endswith(".png"))
    assert names
    for name in names[::20]:
        picture = pictures.read_png(os.path.join(faces, name))
        assert len(picture.pixels) == picture.width * picture.height * 3
        assert len(set(picture.pixels)) > 1


def boxes_repeat_the_edge(folder):
    picture = noise_picture(4, 3)
    grown = pictures.cut(picture, (-1, -2, 6, 6))
    assert grown.pixels[:3] == picture.pixels[:3]
    assert grown.pixels[-3:] == picture.pixels[-3:]
    assert pictures.cut(grown, (1, 2, 4, 3)) == picture


def sheets_hold_their_pictures(folder):
    one, two = noise_picture(4, 4, 1), noise_picture(4, 4, 2)
    whole = pictures.sheet([[one, None], [None, two]], gap=1)
    assert (whole.width, whole.height) == (9, 9)
    assert pictures.cut(whole, (0, 0, 4, 4)) == one
    assert pictures.cut(whole, (5, 5, 4, 4)) == two
    assert pictures.cut(whole, (5, 0, 1, 1)).pixels == b"\xff\xff\xff"
    assert pictures.shrink(pictures.Picture(2, 2, bytes([0] * 6 + [255, 100, 0] * 2)), 2).pixels == bytes([128, 50, 0])


def distances_are_root_mean_squares(folder):
    assert pictures.distance(bytes([0, 0]), bytes([3, 4])) == math.sqrt(12.5)
    assert list(pictures.mean_of([pictures.Picture(1, 1, bytes([0, 2, 4])), pictures.Picture(1, 1, bytes([2, 4, 6]))])) == [1, 3, 5]


def manners_change_what_they_say(folder):
    picture = noise_picture(8, 8)
    assert pictures.invert_colours(pictures.invert_colours(picture)) == picture
    assert set(pictures.posterise(picture).pixels) <= {0, 85, 170, 255}
    flat = pictures.Picture(4, 4, bytes([90]) * 48)
    assert set(pictures.pencil(flat).pixels) == {255}


def tails_of_the_binomial_are_exact(folder):
    assert abs(chance.binomial_tail(0, 10, 0.3) - 1) < 1e-12
    assert abs(chance.binomial_tail(9, 10, 0.5) - 11 / 1024) < 1e-12
    assert chance.mcnemar(0, 0) == 1
    assert abs(chance.mcnemar(5, 0) - 1 / 32) < 1e-12


def sign_flips_count_arrangements(folder):
    assert abs(chance.sign_flips([1, 2, 3]) - 1 / 8) < 1e-12
    assert chance.sign_flips([0] * 5) == 1
    assert chance.sign_flips([1] * 24) < 0.001
    assert 0.3 < chance.sign_flips([1, -1] * 12) < 0.8


def area_under_the_curve_counts_pairs(folder):
    draw = random.Random(3)
    scores, labels = [draw.randrange(20) for _ in range(60)], [draw.choice((1, -1)) for _ in range(60)]
    pairs = [(a > b) + (a == b) / 2 for a, x in zip(scores, labels) for b, y in zip(scores, labels) if x > 0 > y]
    assert abs(chance.area_under_curve(scores, labels) - chance.mean(pairs)) < 1e-12


def identities_are_read_as_written(folder):
    path = os.path.join(folder, "c.safetensors")
    spaces.write_identity(path, [0.5, -1.25, 3], "0" * 64)
    assert spaces.read_identity(path) == [0.5, -1.25, 3]


def small_world():
    draw = random.Random(5)
    people = [[draw.gauss(0, 3), draw.gauss(0, 1)] for _ in range(200)]
    labels = [1 if person[1] > 0.5 else -1 for person in people]
    mean = [chance.mean(column) for column in zip(*people)]
    std = [math.dist(column, [m] * 200) / math.sqrt(199) for column, m in zip(zip(*people), mean)]
    attribute = {"name": "Hat", "direction": [0.0, 1.0], "labels": labels}
    return spaces.Space({"fingerprint": "", "mean": mean, "std": std, "people": people, "attributes": [attribute]})


def judges_find_the_threshold(folder):
    space = small_world()
    assert all(space.judge(person)["Hat"] == label for person, label in zip(space.people, space.labels["Hat"]))
    assert space.majority["Hat"] == -1
    ahead = [m + s for m, s in zip(space.mean, space.std)]
    assert abs(space.distance(ahead, space.mean) - math.sqrt(2)) < 1e-9
    assert abs(space.likeness(ahead, ahead) - 1) < 1e-12
    aside = [ahead[0], space.mean[1] - space.std[1]]
    assert abs(space.likeness(ahead, aside, without="Hat") - 1) < 1e-9


def least_squares_finds_the_direction(folder):
    draw = random.Random(6)
    people = [[draw.gauss(0, 1) for _ in range(4)] for _ in range(50)]
    truth = [1.0, -2.0, 0.5, 0.0]
    found = spaces.fit_directions(people, {"it": [spaces.dot(truth, person) for person in people]})["it"]
    assert math.dist(found, truth) < 1e-6


def principal_components_explain_the_variance(folder):
    draw = random.Random(7)
    people = [[draw.gauss(0, 5 - i) + 0.3 * i for i in range(5)] for _ in range(80)]
    mean = [chance.mean(column) for column in zip(*people)]
    parts = spaces.principal_components(people, mean)
    for i, (variance, axis) in enumerate(parts):
        along = [spaces.dot(axis, (c - m for c, m in zip(person, mean))) for person in people]
        assert abs(spaces.dot(along, along) / 79 - variance) < 1e-8 * parts[0][0]
        for j, (_, other) in enumerate(parts):
            assert abs(spaces.dot(axis, other) - (i == j)) < 1e-9
    assert all(a[0] >= b[0] for a, b in zip(parts, parts[1:]))


TESTS = [value for value in list(globals().values()) if callable(value) and getattr(value, "__code__", None) is not None and value.__code__.co_varnames[:1] == ("folder",)]


def main():
    print(f"1..{len(TESTS)}")
    failed = 0
    for number, test in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(folder)
                print(f"ok {number} - {test.__name__}")
            except Exception as problem:  # each failure is shown, and the others are run
                failed += 1
                print(f"not ok {number} - {test.__name__}: {type(problem).__name__} {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
