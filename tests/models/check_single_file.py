#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""check_single_file.py WRITE_FORMS MODEL: diffusers' own single-file loader reads the checkpoints that the tests make
(write_forms) to the weights of MODEL, a diffusers folder. Needs torch, diffusers and transformers; run by hand, offline."""
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel  # noqa: E402

write_forms, model = sys.argv[1:3]
expected = StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32)
failed = 0


def compare(form, part, found):
    global failed
    wanted, found = getattr(expected, part).state_dict(), found.state_dict()
    equal = [k for k in wanted if k in found and torch.equal(wanted[k], found[k])]
    good = len(equal) == len(wanted) and wanted.keys() == found.keys()
    failed += not good
    print(f"{'equal' if good else 'DIFFERENT'}: {form}: {part}: {len(equal)} of {len(wanted)} weights")


with tempfile.TemporaryDirectory() as out:
    subprocess.run([write_forms, model, out], check=True)
    files = sorted(p for form in pathlib.Path(out).iterdir() for p in form.glob("model.*") if p.is_file())
    for path in files:
        form = path.parent.name
        if form in ("checkpoint_with_average_alone", "checkpoint_without_state_dict"):
            continue  # diffusers reads no averages, and text encoders only with "text_model."
        kind = {"torch_dtype": torch.float32, "local_files_only": True}
        compare(form, "unet", UNet2DConditionModel.from_single_file(str(path), config=model, subfolder="unet", **kind))
        if form != "checkpoint_without_vae":
            compare(form, "vae", AutoencoderKL.from_single_file(str(path), config=model, subfolder="vae", **kind))
            pipeline = StableDiffusionPipeline.from_single_file(str(path), config=model, safety_checker=None, **kind)
            for part in ("unet", "vae", "text_encoder"):
                compare(form + ", whole pipeline", part, getattr(pipeline, part))
sys.exit(failed > 0 or not files)
