#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make_seeds.py DIR: the inputs that the fuzzers start from, DIR/TARGET/*, out of the golden files and the world.

What a corpus holds beyond these was found by running the targets (fuzz.sh).
"""
import json
import pathlib
import struct
import sys
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/a"
OUT = pathlib.Path(sys.argv[1])
MAX_BYTES = 4096


def add(target, name, data):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    if len(data) <= MAX_BYTES:
        (folder / name).write_bytes(data)


def safetensors(header, data=b"", metadata=None):
    if metadata is not None:
        header = {"__metadata__": metadata} | header
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, interlace=0, extra=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def add_pickles():
    for path in sorted((GOLDEN / "pt").glob("*.pt")):
        data = path.read_bytes()
        add("zip", path.stem, data)
        try:
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                add("pickle", path.stem, archive.read(name))
        except Exception:  # cut and evil ones, and the old format
            pass
    for path in sorted((GOLDEN / "space").glob("*.pt")):
        try:
            with zipfile.ZipFile(path) as archive:
                name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
                add("pickle", "space_" + path.stem, archive.read(name))
        except Exception:
            pass


def add_json():
    for number, text in enumerate([
            "{}", "[]", "null", "true", '"a\\u00e9\\ud83d\\ude00\\n"', "-12.5e-3", "[1, 2.0, -Infinity, NaN]",
            '{"a": {"b": [1, {"c": null}]}, "d": "e"}', "1e400", "18446744073709551616", "[[[[[]]]]]", " [ ] "]):
        add("json", f"small_{number}", text.encode())
    for path in sorted((ROOT / "tests/golden/a/model").rglob("*.json")):
        name = path.parent.name + "_" + path.stem
        data = path.read_bytes()
        add("json", name, data)
        if path.name == "config.json":
            add("model_config", name, data)
        if path.name == "scheduler_config.json":
            add("scheduler_config", name, data)
    for path in sorted((ROOT / "tests/models/structures").rglob("config.json")):
        add("model_config", path.parent.name, path.read_bytes())
    add("json", "world", (ROOT / "data/world.json").read_bytes())
    add("scheduler_config", "beta_list", json.dumps({
        "_class_name": "PNDMScheduler", "trained_betas": [0.1, 0.2, 0.3], "num_train_timesteps": 3,
        "timestep_spacing": "trailing", "skip_prk_steps": True, "steps_offset": 0}).encode())
    add("scheduler_config", "linspace", json.dumps({
        "_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear", "beta_start": 0.00085,
        "beta_end": 0.012, "timestep_spacing": "linspace", "lambda_min_clipped": float("-inf"),
        "prediction_type": "v_prediction", "use_karras_sigmas": True}).encode())
    add("world_card", "embedded", (ROOT / "data/world.json").read_bytes())
    add("world_card", "small", json.dumps({
        "format": "w2w-world", "version": 1, "name": "n", "model": "m", "space": "s", "width": 64, "height": 64,
        "scheduler": "pndm", "steps": 2, "guidance_scale": 2.5, "licence": "l", "licence_text": "t",
        "negative_prompt": "", "instance_prompt": "i", "class_prompt": "c", "description": "d",
        "directions": [{"name": "Wavy_Hair", "label": "Wavy", "group": "Hair"}, {"name": "Young"}]}).encode())


def add_tokenizers():
    vocabulary = json.dumps({"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab": 4, "ab</w>": 5, "<|startoftext|>": 6,
                             "<|endoftext|>": 7}).encode()
    merges = b"#version: 0.2\na b\na b</w>\n"
    config = json.dumps({"tokenizer_class": "CLIPTokenizer", "unk_token": "<|endoftext|>", "pad_token": "!",
                         "padding_side": "right"}).encode()
    decoder = json.dumps({"added_tokens_decoder": {"6": {"content": "<|startoftext|>", "special": True},
                                                   "9": {"content": "<x>", "lstrip": True}},
                          "additional_special_tokens": ["<y>"]}).encode()
    special = json.dumps({"bos_token": {"content": "<|startoftext|>"}, "eos_token": "<|endoftext|>"}).encode()
    added = b'{"<z>": 8}'
    fast = json.dumps({"added_tokens": [{"id": 8, "content": "<z>"}]}).encode()
    prompt = "ab <z> aB1 \u4e2d e\u0301!?".encode()
    add("tokenizer", "plain", b"\xff".join([vocabulary, merges, b"", b"", b"", b"", prompt]))
    add("tokenizer", "old", b"\xff".join([vocabulary, merges, config, special, added, fast, prompt]))
    add("tokenizer", "decoder", b"\xff".join([vocabulary, merges, decoder, b"", b"", b"", prompt]))
    add("tokenizer", "empty", b"{}\xff\n")


def add_safetensors():
    f32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    two = {"a": f32, "b": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [8, 12]},
           "c": {"dtype": "BOOL", "shape": [], "data_offsets": [12, 13]}}
    add("safetensors", "empty", safetensors({}))
    add("safetensors", "two", safetensors(two, bytes(13), {"format": "pt"}))
    for number, dtype in enumerate(["F16", "F64", "I8", "I16", "I32", "I64", "U8"]):
        size = [2, 8, 1, 2, 4, 8, 1][number]
        add("safetensors", dtype, safetensors({"x": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}, bytes(size)))
    fingerprint = "0123456789abcdef" * 4
    recipe = {"name": "Person 42", "seed": 42, "job": "sample", "history": [{"job": "edit", "seed": 1}]}
    metadata = {"format": "w2w-identity", "version": "1", "space_fingerprint": fingerprint,
                "model_fingerprint": fingerprint, "recipe": json.dumps(recipe)}
    coefficients = {"coefficients": f32}
    add("identity", "whole", safetensors(coefficients, struct.pack("<2f", 1.5, -2), metadata))
    add("identity", "bare", safetensors(coefficients, bytes(8), {"format": "w2w-identity", "version": "1"}))
    add("identity", "nan", safetensors(coefficients, b"\xff" * 8, {"format": "w2w-identity", "version": "1"}))
    modules = ["down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "mid_block.attentions.0.proj_in"]
    forms = {
        "peft": ["base_model.model.{}.lora_A.weight", "base_model.model.{}.lora_B.weight"],
        "diffusers": ["unet.{}.lora.down.weight", "unet.{}.lora.up.weight"],
        "kohya": ["lora_unet_{}.lora_down.weight", "lora_unet_{}.lora_up.weight", "lora_unet_{}.alpha"],
    }
    for form, keys in forms.items():
        header, at = {}, 0
        for module in modules:
            path = module.replace(".", "_") if form == "kohya" else module
            for number, key in enumerate(keys):
                shape = [[1, 2], [2, 1], []][number]
                size = [8, 8, 4][number]
                header[key.format(path)] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
                at += size
        config = b"" if form != "peft" else json.dumps({"r": 1, "lora_alpha": 27, "peft_type": "LORA"}).encode()
        add("lora", form, config + b"\xff" + safetensors(header, bytes(at)))
        add("safetensors", form, safetensors(header, bytes(at)))


def add_pngs():
    add("png", "rgb", png(2, 2, 8, 2, bytes([0, 1, 2, 3, 4, 5, 6, 1, 7, 8, 9, 1, 2, 3])))
    add("png", "rgba", png(1, 2, 8, 6, bytes([0, 1, 2, 3, 128, 4, 9, 9, 9, 9])))
    add("png", "grey16", png(2, 1, 16, 0, bytes([0, 1, 2, 3, 4]), extra=chunk(b"tRNS", b"\1\2")))
    add("png", "grey_alpha", png(1, 1, 8, 4, bytes([0, 7, 8])))
    add("png", "palette", png(3, 1, 2, 3, bytes([0, 0x18]), extra=chunk(b"PLTE", bytes(range(9)))
                              + chunk(b"tRNS", b"\0\x80")))
    add("png", "interlaced", png(3, 3, 8, 0, bytes([0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 6, 0, 7, 8, 9, 0, 1]), 1))
    add("png", "one_bit", png(9, 1, 1, 0, bytes([0, 0xaa, 0x80])))
    extra = (chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"sRGB", b"\0") + chunk(b"tEXt", b"key\0value")
             + chunk(b"zTXt", b"key\0\0" + zlib.compress(b"value")) + chunk(b"iTXt", b"key\0\0\0\0\0value")
             + chunk(b"iCCP", b"p\0\0" + zlib.compress(b"profile")) + chunk(b"pHYs", struct.pack(">IIB", 1, 1, 1))
             + chunk(b"tIME", struct.pack(">HBBBBB", 2026, 1, 1, 0, 0, 0)) + chunk(b"eXIf", b"II*\0" + bytes(8))
             + chunk(b"abCd", b"unknown"))
    add("png", "chunks", png(1, 1, 8, 2, bytes([0, 1, 2, 3]), extra=extra))


def add_edits():
    for number, text in enumerate(["Young=-0.8;Wavy_Hair=0.5;#3=1.5;protect=Male,Chubby", "#1=1", "protect=A", "",
                                   " A = 1e3 ; B=.5"]):
        add("edits", f"small_{number}", text.encode())


add_pickles()
add_json()
add_tokenizers()
add_safetensors()
add_pngs()
add_edits()
