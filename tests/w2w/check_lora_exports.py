# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows that other tools' own loaders read what `w2w export` writes.

    check_lora_exports.py W2W GOLDEN

W2W is the built command line, GOLDEN a golden folder with model, space and lora.safetensors. Golden's
identity is exported in every format and loaded by PEFT (peft), by diffusers' load_lora_weights
(diffusers and kohya), by a state dict with PEFT's adapter identity1 in place (upstream), and by
torch.load (w2wmodel). The noise prediction has to be golden's, within its tolerance for float32.
Needs torch, diffusers, transformers, peft and safetensors; no part of the test suite.
"""
import json
import os
import subprocess
import sys
import tempfile

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file


def check(w2w, golden, folder):
    lora = load_file(os.path.join(golden, "lora.safetensors"))
    tolerance = json.load(open(os.path.join(golden, "tolerances.json")))["lora"]["noise_pred"]
    model = os.path.join(golden, "model")
    identity = os.path.join(folder, "identity.safetensors")
    save_file({"coefficients": lora["coefficients"]}, identity,
              metadata={"format": "w2w-identity", "version": "1"})

    def export(form, name):
        path = os.path.join(folder, name)
        subprocess.run([w2w, "--model", model, "--space", os.path.join(golden, "space"), "export",
                        "--identity", identity, "--format", form, "-o", path], check=True,
                       stdout=subprocess.DEVNULL)
        return path

    def open_pipeline():
        return StableDiffusionPipeline.from_pretrained(model, torch_dtype=torch.float32,
                                                       safety_checker=None)

    def with_peft():
        return PeftModel.from_pretrained(open_pipeline().unet, export("peft", "peft"))

    def with_diffusers(form):
        name = form + ".safetensors"
        export(form, name)
        pipeline = open_pipeline()
        pipeline.load_lora_weights(folder, weight_name=name)
        return pipeline.unet

    def with_upstream():
        path = export("upstream", "upstream")
        config = LoraConfig.from_pretrained(path)
        unet = open_pipeline().unet
        unet.add_adapter(config, adapter_name="identity1")
        state = {key.removeprefix("base_model.model."): value for key, value in
                 load_file(os.path.join(path, "adapter_model.safetensors")).items()}
        result = unet.load_state_dict(state, strict=False)
        assert not result.unexpected_keys, result.unexpected_keys[:3]
        assert not [key for key in result.missing_keys if ".lora_" in key]
        return unet

    failed = False
    for form, load in (("peft", with_peft), ("diffusers", lambda: with_diffusers("diffusers")),
                       ("kohya", lambda: with_diffusers("kohya")), ("upstream", with_upstream)):
        with torch.no_grad():
            prediction = load()(lora["latents"], lora["timestep"], lora["text_embedding"]).sample
        difference = (prediction - lora["noise_pred"]) / tolerance["unit"]
        rms, largest = difference.pow(2).mean().sqrt().item(), difference.abs().max().item()
        plain = (lora["noise_pred_base"] - lora["noise_pred"]).abs().max().item()
        good = rms <= tolerance["rms"] and largest <= tolerance["max"]
        failed |= not good
        print(f"{form}: rms {rms:.3g} (may be {tolerance['rms']:.3g}), largest {largest:.3g} "
              f"(may be {tolerance['max']:.3g}); without the LoRA {plain / tolerance['unit']:.3g}: "
              f"{'good' if good else 'BAD'}")
    coefficients = torch.load(export("w2wmodel", "w2wmodel.pt"), weights_only=True)
    good = coefficients.shape == (1, len(lora["coefficients"])) and \
        torch.equal(coefficients[0], lora["coefficients"])
    failed |= not good
    print(f"w2wmodel: {tuple(coefficients.shape)} {coefficients.dtype}, the same bits: "
          f"{'good' if good else 'BAD'}")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(check(sys.argv[1], sys.argv[2], temporary))
