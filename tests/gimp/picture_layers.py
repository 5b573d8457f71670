# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of every mode and precision with a picture in them, and what the command line makes of the same pixels."""
import os
import struct
import zlib

from calls import SCRATCH, Gegl, Gimp, identity, pixels

# What GIMP calls it, the format of pixels in it that rounds nothing, and bytes per channel.
PRECISIONS = {
    "u8": (Gimp.Precision.U8_NON_LINEAR, "u8", 1),
    "u16": (Gimp.Precision.U16_NON_LINEAR, "u16", 2),
    "float": (Gimp.Precision.FLOAT_NON_LINEAR, "float", 4),
}


def encode(values, precision):
    """Fractions from 0 to 1 as bytes of that precision."""
    if precision == "float":
        return struct.pack(f"<{len(values)}f", *values)
    top = 255 if precision == "u8" else 65535
    return struct.pack(f"<{len(values)}{'B' if precision == 'u8' else 'H'}", *(round(v * top) for v in values))


def make_image(person, base, precision, offset, alpha=False):
    """An image with a layer at `offset` that shows the person, with something in the last bits of each pixel,
    and a layer below it."""
    gray = base == Gimp.ImageBaseType.GRAY
    kind = {(False, False): Gimp.ImageType.RGB_IMAGE, (False, True): Gimp.ImageType.RGBA_IMAGE,
            (True, False): Gimp.ImageType.GRAY_IMAGE, (True, True): Gimp.ImageType.GRAYA_IMAGE}[gray, alpha]
    width, height = person.get_width(), person.get_height()
    image = Gimp.Image.new_with_precision(width + 20, height + 30, base, PRECISIONS[precision][0])
    names = ["background", "photo"]
    layers = [Gimp.Layer.new(image, name, width, height, kind, 100, Gimp.LayerMode.NORMAL) for name in names]
    for layer in layers:
        image.insert_layer(layer, None, 0)
    layer = layers[1]
    layer.set_offsets(*offset)
    model = ("Y'" if gray else "R'G'B'") + ("A" if alpha else "")
    shown = pixels(person, "Y' u8" if gray else "R'G'B' u8")
    n = 1 if gray else 3
    values = []
    for i in range(width * height):
        # Below what 8 bits can say, where the precision has it.
        values += [min(1.0, shown[n * i + c] / 255 + (i % 7) * 0.0005) for c in range(n)]
        if alpha:
            values.append(1.0 if i % 3 else 0.6)
    area = Gegl.Rectangle.new(0, 0, width, height)
    layer.get_buffer().set(area, f"{model} {PRECISIONS[precision][1]}", encode(values, precision))
    layer.update(0, 0, width, height)
    return image, layer


def select_softly(image, x, y, width, height, feather):
    image.select_ellipse(Gimp.ChannelOps.REPLACE, x, y, width, height)
    if feather:
        Gimp.Selection.feather(image, feather)


def selection_of(layer, format_name="Y u8"):
    """The selection in the layer's extent, in the selection's own precision (None) or a byte for each pixel."""
    _, x, y = layer.get_offsets()
    selection = layer.get_image().get_selection()
    return pixels(selection, format_name, x, y, layer.get_width(), layer.get_height())


def split_pixels(data, layer):
    size = len(data) // (layer.get_width() * layer.get_height())
    return [data[i:i + size] for i in range(0, len(data), size)]


def raw_pixels(layer):
    """A list of the bytes of each pixel, in the layer's own format."""
    return split_pixels(pixels(layer, None), layer)


def write_png(path, width, height, n_channels, data):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + data[n_channels * width * y:n_channels * width * (y + 1)] for y in range(height))
    color = {1: 0, 3: 2, 4: 6}[n_channels]
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_files(layer, name):
    """The layer and the selection as files for the command line: paths; the second is None without selection."""
    width, height = layer.get_width(), layer.get_height()
    path, mask = (os.path.join(SCRATCH, name + suffix) for suffix in (".png", "-mask.png"))
    write_png(path, width, height, 4, pixels(layer, "R'G'B'A u8"))
    if Gimp.Selection.is_empty(layer.get_image()):
        return path, None
    write_png(mask, width, height, 1, selection_of(layer))
    return path, mask


def write_identity(layer, name):
    path = os.path.join(SCRATCH, name + ".safetensors")
    with open(path, "wb") as f:
        f.write(identity(layer))
    return path
