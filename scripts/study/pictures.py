# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG pictures without any library: reading, writing, contact sheets, distances by pixels.

A picture is (width, height, pixels): 8-bit RGB, row after row, as bytes.
"""
import math
import struct
import zlib
from array import array
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by colour type


class Picture(NamedTuple):
    width: int
    height: int
    pixels: bytes


def chunks_of(data, path):
    if not data.startswith(SIGNATURE):
        raise ValueError(f"{path} is no PNG.")
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, data[at + 8 : at + 8 + length]
        at += 12 + length


def paeth(left, up, corner):
    guess = left + up - corner
    far_left, far_up, far_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    if far_left <= far_up and far_left <= far_corner:
        return left
    return up if far_up <= far_corner else corner


def unfilter(kind, line, above, n):
    """In place: a row of bytes with `n` bytes a pixel, as its filter changed it."""
    if kind == 1:
        for i in range(n, len(line)):
            line[i] = (line[i] + line[i - n]) & 255
    elif kind == 2:
        for i in range(len(line)):
            line[i] = (line[i] + above[i]) & 255
    elif kind == 3:
        for i in range(len(line)):
            line[i] = (line[i] + ((line[i - n] if i >= n else 0) + above[i]) // 2) & 255
    elif kind == 4:
        for i in range(len(line)):
            left, corner = (line[i - n], above[i - n]) if i >= n else (0, 0)
            line[i] = (line[i] + paeth(left, above[i], corner)) & 255
    elif kind != 0:
        raise ValueError(f"There is no PNG filter {kind}.")


def to_rgb(line, n):
    if n == 3:
        return bytes(line)
    if n >= 3:
        return b"".join(bytes(line[i : i + 3]) for i in range(0, len(line), n))
    return b"".join(bytes(line[i : i + 1]) * 3 for i in range(0, len(line), n))


def read_png(path):
    """8 bits a channel, not interlaced: what the program and the world's faces are. Alpha is left out."""
    with open(path, "rb") as file:
        data = file.read()
    packed, header = b"", None
    for kind, body in chunks_of(data, path):
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
    if header is None or header[2] != 8 or header[3] not in CHANNELS or header[6] != 0:
        raise ValueError(f"{path} is no PNG of 8 bits a channel without interlacing.")
    width, height, n = header[0], header[1], CHANNELS[header[3]]
    raw, rows = zlib.decompress(packed), []
    above = bytearray(width * n)
    for y in range(height):
        start = y * (width * n + 1)
        line = bytearray(raw[start + 1 : start + 1 + width * n])
        unfilter(raw[start], line, above, n)
        rows.append(to_rgb(line, n))
        above = line
    return Picture(width, height, b"".join(rows))


def write_png(path, picture):
    """With the filter that suits drawn pictures: every row less the one above."""
    row = picture.width * 3
    above, lines = bytes(row), []
    for y in range(picture.height):
        line = picture.pixels[y * row : (y + 1) * row]
        lines.append(b"\x02" + bytes((a - b) & 255 for a, b in zip(line, above)))
        above = line

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(SIGNATURE + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", zlib.compress(b"".join(lines), 9)) + chunk(b"IEND", b""))


def cut(picture, box):
    """The box x, y, width, height; what lies beyond the picture repeats its edge."""
    left, top, width, height = box
    columns = [min(max(left + x, 0), picture.width - 1) * 3 for x in range(width)]
    rows = []
    for y in range(height):
        start = min(max(top + y, 0), picture.height - 1) * picture.width * 3
        rows.append(b"".join(picture.pixels[start + x : start + x + 3] for x in columns))
    return Picture(width, height, b"".join(rows))


def shrink(picture, times):
    """Averages over squares of times x times pixels."""
    width, height = picture.width // times, picture.height // times
    out, area, row = bytearray(), times * times, picture.width * 3
    for y in range(height):
        for x in range(width):
            for channel in range(3):
                start = y * times * row + x * times * 3 + channel
                total = sum(sum(picture.pixels[start + dy * row : start + dy * row + times * 3 : 3]) for dy in range(times))
                out.append((total + area // 2) // area)
    return Picture(width, height, bytes(out))


def sheet(rows, gap=2):
    """Pictures of one size in rows (None: left white)."""
    first = next(picture for row in rows for picture in row if picture is not None)
    columns = max(len(row) for row in rows)
    width, height = columns * (first.width + gap) - gap, len(rows) * (first.height + gap) - gap
    pixels = bytearray(b"\xff" * (width * height * 3))
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            if picture is None:
                continue
            for y in range(first.height):
                at = ((r * (first.height + gap) + y) * width + c * (first.width + gap)) * 3
                pixels[at : at + first.width * 3] = picture.pixels[y * first.width * 3 : (y + 1) * first.width * 3]
    return Picture(width, height, bytes(pixels))


# --- pixels as numbers ---


def middle(picture, share=0.75):
    """The middle of a picture, where the head is: around it is a background that every picture has of its own."""
    width, height = int(picture.width * share), int(picture.height * share)
    return cut(picture, ((picture.width - width) // 2, (picture.height - height) // 2, width, height))


def mean_of(pictures):
    n = len(pictures)
    return array("f", (sum(values) / n for values in zip(*(picture.pixels for picture in pictures))))


def distance(first, second):
    """Root mean square difference of values, which range from 0 to 255."""
    return math.sqrt(sum((a - b) * (a - b) for a, b in zip(first, second)) / len(first))


# --- the same person in another manner ---


def posterise(picture, levels=4):
    step = 255 / (levels - 1)
    table = bytes(round(round(value / step) * step) for value in range(256))
    return picture._replace(pixels=picture.pixels.translate(table))


def invert_colours(picture):
    return picture._replace(pixels=picture.pixels.translate(bytes(255 - value for value in range(256))))


def pencil(picture):
    """Edges, dark on white: what a pencil would draw."""
    grey = [sum(picture.pixels[i : i + 3]) / 3 for i in range(0, len(picture.pixels), 3)]
    width, height, out = picture.width, picture.height, bytearray()
    for y in range(height):
        for x in range(width):
            right = grey[y * width + min(x + 1, width - 1)] - grey[y * width + max(x - 1, 0)]
            down = grey[min(y + 1, height - 1) * width + x] - grey[max(y - 1, 0) * width + x]
            out += bytes([max(0, 255 - int(2.5 * math.hypot(right, down)))] * 3)
    return picture._replace(pixels=bytes(out))
